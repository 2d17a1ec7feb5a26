use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use flyball_engine::{Signer, signature_beside, verify_signature};
use flyball_model::printable_path;

use crate::exit::Failure;
use crate::files;
use crate::output::outln;

#[derive(Debug, Args)]
pub(crate) struct VerifyOptions {
    /// A plugin
    pub(crate) file: PathBuf,

    /// A public key (its text or its file); may be given several times
    #[arg(long = "key", value_name = "PUB", required = true)]
    pub(crate) keys: Vec<String>,
}

pub(crate) fn run(options: &VerifyOptions) -> Result<(), Failure> {
    let file = &options.file;
    let signers = signers(&options.keys)?;
    let bytes = files::plugin(file)?;
    let signature = signature_beside(file)
        .with_context(|| format!("cannot read the signature of {}", printable_path(file)))?;
    let signer = verify_signature(&bytes, signature.as_deref(), &signers)
        .map_err(|error| anyhow!("{}: {error}", printable_path(file)))?;
    outln!("{}: signed with the key {}, and as it was then", printable_path(file), signer.id());
    Ok(())
}

/// Public keys, each given as text or as a file.
pub(crate) fn signers(keys: &[String]) -> Result<Vec<Signer>> {
    keys.iter()
        .map(|key| {
            if !Path::new(key).exists() {
                return Ok(Signer::read(key)?);
            }
            Signer::read(&files::key(Path::new(key))?).with_context(|| key.clone())
        })
        .collect()
}
