//! Values as bytes, exactly: JSON has no NaN and no infinity, so recordings are MessagePack, compressed.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

/// SHA-256.
pub(crate) type Digest = [u8; 32];

/// Fast, and half of what a recording would take otherwise.
const LEVEL: i32 = 3;

/// What a part may hold when it is unpacked: a recording comes from a disk, and a small file could name a huge one.
const LARGEST: usize = 256 << 20;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Unpackable {
    #[error("{0}")]
    Compression(#[from] io::Error),
    #[error("{0}")]
    Shape(#[from] rmp_serde::decode::Error),
}

pub(crate) fn packed(value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    rmp_serde::to_vec_named(value)
}

pub(crate) fn squeezed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(bytes, LEVEL)
}

pub(crate) fn expanded(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let said = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
    let said = said.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= LARGEST);
    let Some(size) = said else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a frame of a size that is recorded"));
    };
    zstd::bulk::decompress(bytes, size)
}

pub(crate) fn unpacked<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    rmp_serde::from_slice(bytes)
}

/// From what [`squeezed`] made of what [`packed`] made.
pub(crate) fn whole<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unpackable> {
    Ok(unpacked(&expanded(bytes)?)?)
}

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

pub(crate) fn hex(digest: &Digest) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test")]
mod tests {
    use flyball_model::{Assessment, Finding, Severity};
    use flyball_ports::Said;
    use serde::Serialize;

    use super::{packed, unpacked};

    #[test]
    fn what_a_heuristic_said_before_there_were_checks_is_still_read() {
        #[derive(Serialize)]
        enum Before {
            Findings(Vec<Finding>),
        }
        let finding = Finding {
            code: "queue-pressure".to_owned(),
            severity: Severity::Warning,
            target: None,
            message: "it is full".to_owned(),
            rests_on: Vec::new(),
        };
        for findings in [vec![finding], vec![]] {
            let before: Result<Before, String> = Ok(Before::Findings(findings.clone()));
            let read: Result<Said, String> = unpacked(&packed(&before).unwrap()).unwrap();
            assert_eq!(read, Ok(Said::Assessed(Assessment { findings, checks: Vec::new() })));
        }
    }
}
