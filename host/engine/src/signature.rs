//! Detached signatures in minisign's format: who vouches for exactly these bytes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flyball_files::{FileError, Limit, read};
use minisign_verify::{Error, PublicKey, Signature};

/// A signature file is four short lines; what is longer is none.
const LARGEST: Limit = Limit::new(4096, "sign the plugin anew");

/// A public key whose signatures count.
#[derive(Debug, Clone)]
pub struct Signer {
    key: PublicKey,
    id: String,
}

/// Why a file is not known to be from a signer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A text that is no public key.
    #[error(
        "{text:?} is no public key; one is the line beginning with RW in the .pub file that `flyball keygen` writes"
    )]
    NoKey {
        /// The text.
        text: String,
    },
    /// No signature file beside it.
    #[error("it is not signed")]
    Missing,
    /// A signature file that is none.
    #[error("what lies beside it is no signature in minisign's format")]
    Malformed,
    /// By a key that does not count.
    #[error("it is signed with the key {found}, which is not a signer's ({})", signers.join(", "))]
    OtherSigner {
        /// The key's id.
        found: String,
        /// The ids of the keys that count.
        signers: Vec<String>,
    },
    /// The bytes are not those that were signed.
    #[error(
        "its signature with the key {by} does not fit: the file or the signature is not as it was when it was signed"
    )]
    Altered {
        /// The key's id.
        by: String,
    },
}

impl Signer {
    /// From the line of a public key, or a whole public key file.
    ///
    /// # Errors
    ///
    /// It is no public key.
    pub fn read(text: &str) -> Result<Self, SignatureError> {
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        let refused = || SignatureError::NoKey { text: line.chars().take(80).collect() };
        let key = PublicKey::from_base64(line).map_err(|_| refused())?;
        Ok(Self { key, id: key_id(line).ok_or_else(refused)? })
    }

    /// The key's id, as minisign writes it.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Which of the signers signed exactly these bytes.
///
/// # Errors
///
/// None did.
pub fn verify_signature<'a>(
    bytes: &[u8],
    signature: Option<&str>,
    signers: &'a [Signer],
) -> Result<&'a Signer, SignatureError> {
    let text = signature.ok_or(SignatureError::Missing)?;
    let by = signed_by(text)?;
    let signature = Signature::decode(text).map_err(|_| SignatureError::Malformed)?;
    let mut known = false;
    for signer in signers {
        match signer.key.verify(bytes, &signature, false) {
            Ok(()) => return Ok(signer),
            Err(Error::UnexpectedKeyId) => {}
            Err(Error::UnexpectedAlgorithm) => return Err(SignatureError::Malformed),
            // Two keys may have one id: the next may be the one.
            Err(_) => known = true,
        }
    }
    if known {
        return Err(SignatureError::Altered { by });
    }
    let signers = signers.iter().map(|signer| signer.id.clone()).collect();
    Err(SignatureError::OtherSigner { found: by, signers })
}

/// The id of the key that a signature says it was made with. Nothing is checked.
///
/// # Errors
///
/// It is no signature.
pub fn signed_by(signature: &str) -> Result<String, SignatureError> {
    signature.lines().nth(1).and_then(key_id).ok_or(SignatureError::Malformed)
}

/// Where the signature of a file is: beside it, with `.minisig` after its whole name.
pub fn signature_path(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".minisig");
    name.into()
}

/// The signature beside a file, if there is one.
///
/// # Errors
///
/// There is one and it cannot be read.
pub fn signature_beside(file: &Path) -> Result<Option<String>, FileError> {
    match read(&signature_path(file), LARGEST) {
        Err(error) if error.is_missing() => Ok(None),
        read => Ok(Some(String::from_utf8_lossy(&read?).into_owned())),
    }
}

/// Keys and signatures begin with two bytes for the algorithm and eight for the key's id.
fn key_id(line: &str) -> Option<String> {
    let bytes = STANDARD.decode(line.trim()).ok()?;
    let id = bytes.get(2..10)?.first_chunk::<8>()?;
    Some(format!("{:016X}", u64::from_le_bytes(*id)))
}
