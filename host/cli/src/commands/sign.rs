use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use clap::Args;
use flyball_engine::signature_path;
use flyball_model::printable_path;
use minisign::{PublicKey, SecretKey, SecretKeyBox};

use crate::exit::Failure;
use crate::files;
use crate::narrator::tame;
use crate::output::outln;

#[derive(Debug, Args)]
pub(crate) struct SignOptions {
    /// A plugin
    pub(crate) file: PathBuf,

    /// The secret key
    #[arg(long, value_name = "KEY")]
    pub(crate) key: PathBuf,
}

pub(crate) fn run(options: &SignOptions) -> Result<(), Failure> {
    let file = &options.file;
    let bytes = files::plugin(file)?;
    let key = secret_key(&options.key)?;
    let name = file.file_name().map(|name| tame(&name.to_string_lossy())).unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let comment = format!("timestamp:{now}\tfile:{name}");
    let signature = minisign::sign(None, &key, bytes.as_slice(), Some(&comment), None)
        .context("cannot sign")?
        .into_string();
    let path = signature_path(file);
    write(&path, &signature)?;
    let public = PublicKey::from_secret_key(&key).context("cannot tell the public key")?;
    outln!("{}: good for policies whose `signers` name {}", printable_path(&path), public.to_base64());
    Ok(())
}

fn secret_key(path: &Path) -> Result<SecretKey> {
    let text = files::key(path)?;
    SecretKeyBox::from_string(&text).and_then(SecretKeyBox::into_unencrypted_secret_key).with_context(|| {
        format!(
            "{} is no secret key of `flyball keygen`; with a key that has a password, sign by `minisign -S`",
            printable_path(path)
        )
    })
}

/// Beside its place first: a host that watches never sees half of it.
fn write(path: &Path, text: &str) -> Result<()> {
    let cannot = || format!("cannot write {}", printable_path(path));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".signing-")
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .with_context(cannot)?;
    file.write_all(text.as_bytes()).with_context(cannot)?;
    file.persist(path).map_err(|error| error.error).with_context(cannot)?;
    Ok(())
}
