//! Secrets: the host holds them, a plugin writes `{{secret:NAME}}`, and nobody reads one back.

use std::fmt;
use std::path::Path;

use flyball_files::Limit;
use flyball_model::{Problem, SecretGrant, SecretSource};
use memchr::memmem;
use zeroize::Zeroizing;

const OPENING: &str = "{{secret:";
const CLOSING: &str = "}}";

/// A shorter one would be found, and masked, in what has nothing to do with it.
const SHORTEST: usize = 8;

/// A header's value is shorter than a file of this size.
const LARGEST: Limit = Limit::new(64 << 10, "name a file that holds the secret and nothing else");

pub(crate) struct Secret {
    name: String,
    value: Zeroizing<String>,
    origins: Vec<String>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("name", &self.name)
            .field("origins", &self.origins)
            .finish_non_exhaustive()
    }
}

impl Secret {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn may_go_to(&self, origin: &str) -> bool {
        self.origins.iter().any(|granted| granted == origin)
    }

    /// Longest first: one that begins another must not be masked within it.
    pub(crate) fn sort(secrets: &mut [Self]) {
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.value.len()));
    }

    /// Reads it. `origins` are those of the secret, as origins are compared.
    pub(crate) fn read(grant: &SecretGrant, origins: Vec<String>) -> Result<Self, Problem> {
        let name = &grant.name;
        let value = match &grant.from {
            SecretSource::Env(variable) => std::env::var(variable).map_err(|_| {
                Problem::new("/from/env", format!("the secret \"{name}\" is not in the environment"))
                    .help(format!("set {variable} for the host"))
            })?,
            SecretSource::File(file) => {
                flyball_files::read_text(Path::new(file), LARGEST).map_err(|error| {
                    Problem::new("/from/file", format!("the secret \"{name}\" has no value: {error}"))
                })?
            }
        };
        let value = Zeroizing::new(value);
        let trimmed = Zeroizing::new(value.trim().to_owned());
        if trimmed.len() < SHORTEST {
            let message = format!("the secret \"{name}\" is shorter than {SHORTEST} characters");
            return Err(Problem::new("/from", message));
        }
        if trimmed.chars().any(|letter| letter.is_control() || !letter.is_ascii()) {
            let message = format!("the secret \"{name}\" has characters that no header can carry");
            return Err(Problem::new("/from", message));
        }
        Ok(Self { name: name.clone(), value: trimmed, origins })
    }
}

/// Whether a header's value has a place for a secret.
pub(crate) fn is_placed(value: &str) -> bool {
    value.contains(OPENING)
}

/// The secrets that stand in a text.
pub(crate) fn held<'a>(secrets: &'a [Secret], text: &'a str) -> impl Iterator<Item = &'a Secret> {
    secrets.iter().filter(move |secret| text.contains(secret.value.as_str()))
}

/// Puts secrets into a header's value, towards this origin.
pub(crate) fn fill(secrets: &[Secret], value: &str, origin: &str) -> Result<Zeroizing<String>, String> {
    let mut filled = Zeroizing::new(String::new());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once(OPENING) {
        let Some((name, after)) = after.split_once(CLOSING) else {
            return Err(format!("a placeholder for a secret is not closed; write {OPENING}NAME{CLOSING}"));
        };
        let Some(secret) = secrets.iter().find(|secret| secret.name == name) else {
            return Err(format!("no secret \"{name}\" is granted"));
        };
        if !secret.may_go_to(origin) {
            return Err(format!("the secret \"{name}\" may not be sent to {origin}"));
        }
        filled.push_str(before);
        filled.push_str(&secret.value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Puts the placeholders back wherever a secret stands.
pub(crate) fn mask(secrets: &[Secret], bytes: Vec<u8>) -> Vec<u8> {
    secrets.iter().fold(bytes, |bytes, secret| {
        let finder = memmem::Finder::new(secret.value.as_bytes());
        let mut masked = Vec::new();
        let mut from = 0;
        for at in finder.find_iter(&bytes) {
            masked.extend_from_slice(bytes.get(from..at).unwrap_or_default());
            masked.extend_from_slice(format!("{OPENING}{}{CLOSING}", secret.name).as_bytes());
            from = at + secret.value.len();
        }
        if from == 0 {
            return bytes;
        }
        masked.extend_from_slice(bytes.get(from..).unwrap_or_default());
        masked
    })
}

/// Of a text.
pub(crate) fn mask_text(secrets: &[Secret], text: String) -> String {
    String::from_utf8_lossy(&mask(secrets, text.into_bytes())).into_owned()
}
