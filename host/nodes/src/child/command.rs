//! How a child is started: the program, its arguments, and all of its environment.
//!
//! A child inherits nothing of the host's environment, which holds the keys of models and hooks. It gets what the manifest
//! names: `env` with values, and `pass_env` with the names of variables that the host has, so that a secret need not stand
//! in the manifest.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use flyball_json::ItemLimits;
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

/// How a child is started. It inherits the host's working directory, and nothing of its environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChildCommand {
    /// The program: a path, or a name that is looked for in the host's `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, all of it.
    pub env: BTreeMap<String, OsString>,
}

impl ChildCommand {
    /// With an empty environment.
    pub fn new(program: impl Into<PathBuf>, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self { program: program.into(), args, env: BTreeMap::new() }
    }
}

/// What a child may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildOptions {
    /// How long the host waits for an answer: from when a batch is given, and from each answer to the next.
    pub item_timeout: Duration,
    /// What its answers may be.
    pub limits: ItemLimits,
    /// Whether it is asked again for an item that takes much longer than others did, as it may have left it out.
    pub asks_again: bool,
}

impl Default for ChildOptions {
    fn default() -> Self {
        Self { item_timeout: Duration::from_secs(30), limits: ItemLimits::default(), asks_again: false }
    }
}

/// A program that speaks JSON lines, as a manifest names it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Command {
    /// The program and its arguments.
    #[schemars(length(min = 1), extend("x-decides-reach" = true))]
    #[schemars(extend("prefixItems" = [{"type": "string"}], "items" = {"type": "string", "writeOnly": true}))]
    command: Vec<String>,
    /// The program's environment: names and values. It has no other variables but these and those of `pass_env`.
    #[serde(default)]
    #[schemars(extend("x-decides-reach" = true, "writeOnly" = true))]
    env: BTreeMap<String, String>,
    /// Variables of the host that the program gets as they are, by name: `["PATH", "API_KEY"]`.
    #[serde(default)]
    #[schemars(extend("x-decides-reach" = true))]
    pass_env: Vec<String>,
    /// How long an item may take, in milliseconds; then the program is killed.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 3_600_000))]
    item_timeout_ms: u64,
}

fn default_timeout() -> u64 {
    30_000
}

impl Command {
    /// What can be said wherever the manifest is read: whether the host has the variables, it knows only when it starts.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let program = self.command.first().filter(|program| !program.is_empty());
        program.ok_or_else(|| {
            Problem::new("/command", "the command names no program")
                .help("write it like [\"./enrich\", \"--fast\"]")
        })?;
        for (index, word) in self.command.iter().enumerate() {
            if word.contains('\0') {
                return Err(Problem::new(
                    format!("/command/{index}"),
                    "no argument can hold a NUL character",
                ));
            }
        }
        for (name, value) in &self.env {
            if !is_variable(name) || value.contains('\0') {
                let at = format!("/env/{}", name.replace('~', "~0").replace('/', "~1"));
                return Err(Problem::new(at, no_variable(name)));
            }
        }
        for (index, name) in self.pass_env.iter().enumerate() {
            let at = format!("/pass_env/{index}");
            if !is_variable(name) {
                return Err(Problem::new(at, no_variable(name)));
            }
            if self.env.contains_key(name) {
                return Err(Problem::new(at, format!("{name:?} has a value in `env` already"))
                    .help("name it in one of the two"));
            }
        }
        Ok(())
    }

    /// With the variables that the host passes on.
    pub(crate) fn split(self) -> Result<(ChildCommand, ChildOptions), Problem> {
        self.check()?;
        let mut env: BTreeMap<String, OsString> =
            self.env.into_iter().map(|(name, value)| (name, value.into())).collect();
        for (index, name) in self.pass_env.into_iter().enumerate() {
            let value = std::env::var_os(&name).ok_or_else(|| {
                Problem::new(
                    format!("/pass_env/{index}"),
                    format!("the host has no variable {name:?} to pass on"),
                )
                .help("set it where the host is started, or take it out of `pass_env`")
            })?;
            env.insert(name, value);
        }
        let mut words = self.command.into_iter();
        let program = words.next().unwrap_or_default().into();
        let item_timeout = Duration::from_millis(self.item_timeout_ms);
        let command = ChildCommand { program, args: words.collect(), env };
        Ok((command, ChildOptions { item_timeout, asks_again: true, ..ChildOptions::default() }))
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

/// Behind a "=" stands what was meant as the value, which may be a secret.
fn no_variable(written: &str) -> String {
    let shown = match written.split_once('=') {
        Some((name, _)) => format!("{name:?} with \"=\" behind it"),
        None => format!("{written:?}"),
    };
    format!(
        "{shown} cannot be a variable of an environment: a name is not empty and has no \"=\", and neither name nor value has a NUL character"
    )
}
