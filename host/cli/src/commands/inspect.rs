use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use flyball_engine::{
    CONTRACT_VERSION, Plugin, SignatureError, Signer, signature_beside, signed_by, verify_signature,
};
use flyball_host::open_engine;
use flyball_model::printable_path;
use serde::Serialize;
use serde_json::Value;

use super::verify::signers;
use crate::args::Places;
use crate::exit::Failure;
use crate::files;
use crate::narrator::tame;
use crate::output::{json_pretty, out};

#[derive(Debug, Args)]
pub(crate) struct InspectOptions {
    /// A plugin
    pub(crate) file: PathBuf,

    /// Check its signature against this public key (its text or its file); may be given several times
    #[arg(long = "key", value_name = "PUB")]
    pub(crate) keys: Vec<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(places: &Places, options: &InspectOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    let file = &options.file;
    let signers = signers(&options.keys)?;
    let bytes = files::plugin(file)?;
    let signature = signed(file, &bytes, &signers)?;
    let plugin =
        open_engine(&state)?.load(&bytes).map_err(|fault| anyhow!("{}: {fault}", printable_path(file)))?;
    let inspected = Inspected::of(&plugin, signature);
    if options.json {
        return json_pretty(&inspected);
    }
    out!("{}", inspected.text().context("cannot write what was found")?);
    Ok(())
}

/// All that can be told of a plugin without running a pipeline.
#[derive(Debug, Serialize)]
struct Inspected {
    kind: String,
    name: String,
    version: String,
    summary: String,
    contract: String,
    imports: Vec<String>,
    exports: Vec<String>,
    wants: Vec<Want>,
    cases: usize,
    bytes: usize,
    compiled_bytes: Option<usize>,
    sha256: String,
    signature: Signed,
    settings_schema: Value,
}

#[derive(Debug, Serialize)]
struct Want {
    grant: String,
    why: String,
}

/// What is known of the signature beside the file.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
enum Signed {
    None,
    /// No key was named to check it with.
    Unchecked {
        key: String,
    },
    Good {
        key: String,
    },
    Bad {
        why: String,
    },
}

fn signed(file: &Path, bytes: &[u8], signers: &[Signer]) -> Result<Signed> {
    let found = signature_beside(file)
        .with_context(|| format!("cannot read the signature of {}", printable_path(file)))?;
    let key = match found.as_deref().map(signed_by) {
        None => return Ok(Signed::None),
        Some(Err(error)) => return Ok(Signed::Bad { why: error.to_string() }),
        Some(Ok(key)) => key,
    };
    if signers.is_empty() {
        return Ok(Signed::Unchecked { key });
    }
    Ok(match verify_signature(bytes, found.as_deref(), signers) {
        Ok(signer) => Signed::Good { key: signer.id().to_owned() },
        Err(SignatureError::Missing) => Signed::None,
        Err(error) => Signed::Bad { why: error.to_string() },
    })
}

impl Inspected {
    fn of(plugin: &Plugin, signature: Signed) -> Self {
        let (id, description) = (plugin.id(), plugin.description());
        let wants = description.wants.iter();
        Self {
            kind: plugin.kind().name().to_owned(),
            name: id.name.to_string(),
            version: id.version.to_string(),
            summary: description.summary.clone(),
            contract: format!("flyball:plugin@{CONTRACT_VERSION}"),
            imports: plugin.imports(),
            exports: plugin.exports(),
            wants: wants.map(|(grant, why)| Want { grant: grant.clone(), why: why.clone() }).collect(),
            cases: plugin.cases(),
            bytes: plugin.size(),
            compiled_bytes: plugin.compiled_size(),
            sha256: id.digest.to_string(),
            signature,
            settings_schema: description.settings_schema.clone(),
        }
    }

    /// One row for each, what a plugin says of itself made fit for a terminal.
    fn text(&self) -> Result<String> {
        let mut text = String::new();
        let wants: Vec<String> =
            self.wants.iter().map(|want| format!("{}: {}", tame(&want.grant), tame(&want.why))).collect();
        let compiled = self.compiled_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{bytes} bytes"));
        let schema = serde_json::to_string_pretty(&self.settings_schema)?;
        let tamed = |names: &[String]| names.iter().map(|name| tame(name)).collect::<Vec<_>>();
        let rows = [
            ("name", vec![tame(&self.name)]),
            ("kind", vec![self.kind.clone()]),
            ("version", vec![tame(&self.version)]),
            ("summary", vec![tame(&self.summary)]),
            ("contract", vec![self.contract.clone()]),
            ("exports", tamed(&self.exports)),
            ("imports", tamed(&self.imports)),
            ("wants", wants),
            ("wasi", self.wasi_text()),
            ("cases", vec![self.cases.to_string()]),
            ("size", vec![format!("{} bytes", self.bytes)]),
            ("compiled", vec![compiled]),
            ("sha256", vec![self.sha256.clone()]),
            ("signature", vec![self.signature.text()]),
            ("settings", schema.lines().map(tame).collect()),
        ];
        for (name, lines) in rows {
            let none = ["-".to_owned()];
            let lines = if lines.is_empty() { none.as_slice() } else { lines.as_slice() };
            for (index, line) in lines.iter().enumerate() {
                writeln!(text, "{:<11}{line}", if index == 0 { name } else { "" })?;
            }
        }
        Ok(text)
    }
}

impl Inspected {
    /// A plugin that is to be lean and is not is told why that may be.
    fn wasi_text(&self) -> Vec<String> {
        match self.imports.iter().filter(|import| import.starts_with("wasi:")).count() {
            0 => vec!["no".to_owned()],
            interfaces => vec![
                format!("{interfaces} interfaces, served with nothing behind them: a plugin with std has them"),
                "if it is to be without std: cargo builds what is built together with the features of all, so a".to_owned(),
                "neighbour that uses flyball-plugin with `std` gives it WASI too; build it alone: cargo build -p NAME".to_owned(),
            ],
        }
    }
}

impl Signed {
    fn text(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Unchecked { key } => {
                format!("by the key {key}, not checked; name the public key with --key")
            }
            Self::Good { key } => format!("good, by the key {key}"),
            Self::Bad { why } => format!("bad: {why}"),
        }
    }
}
