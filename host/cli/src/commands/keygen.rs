use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use flyball_model::printable_path;
use minisign::KeyPair;

use crate::exit::Failure;
use crate::output::outln;

#[derive(Debug, Args)]
pub(crate) struct KeygenOptions {
    /// Where the keys go: NAME.key, which signs and stays secret, and NAME.pub, which policies name
    #[arg(long, value_name = "NAME", default_value = "flyball")]
    pub(crate) out: PathBuf,
}

pub(crate) fn run(options: &KeygenOptions) -> Result<(), Failure> {
    let (secret, public) = (with(&options.out, ".key"), with(&options.out, ".pub"));
    if let Some(there) = [&secret, &public].into_iter().find(|path| path.symlink_metadata().is_ok()) {
        let failure = anyhow!(
            "{} is there already; keys are never overwritten, name others with --out",
            printable_path(there)
        );
        return Err(failure.into());
    }
    let pair = KeyPair::generate_unencrypted_keypair().context("cannot make keys")?;
    let secret_text = pair.sk.to_box(Some("flyball secret key")).context("cannot write the secret key")?;
    let public_text = pair.pk.to_box().context("cannot write the public key")?;
    write(&secret, 0o600, &secret_text.into_string())?;
    write(&public, 0o644, &public_text.into_string())?;
    outln!(
        "{}: the secret key; it has no password, so keep it where only you can read it\n{}: the public key\n\n\
         Policies that should take plugins signed with it name it:\n\nsigners:\n  - {}",
        printable_path(&secret),
        printable_path(&public),
        pair.pk.to_base64()
    );
    Ok(())
}

fn with(name: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(name);
    name.push(end);
    name.into()
}

fn write(path: &Path, mode: u32, text: &str) -> Result<()> {
    let cannot = || format!("cannot write {}", printable_path(path));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(path).with_context(cannot)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(cannot)
}
