use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use flyball_json::ItemLimits;
use flyball_model::Problem;
use schemars::JsonSchema;
use serde::Deserialize;

/// How a child is started. It inherits the host's environment and working directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChildCommand {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
}

impl ChildCommand {
    /// Without additions to the environment.
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
}

impl Default for ChildOptions {
    fn default() -> Self {
        Self { item_timeout: Duration::from_secs(30), limits: ItemLimits::default() }
    }
}

/// A program that speaks JSON lines, as a manifest names it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Command {
    /// The program and its arguments.
    #[schemars(length(min = 1))]
    command: Vec<String>,
    /// Added to the environment.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// How long an item may take, in milliseconds; then the program is killed.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 3_600_000))]
    item_timeout_ms: u64,
}

fn default_timeout() -> u64 {
    30_000
}

impl Command {
    pub(crate) fn split(self) -> Result<(ChildCommand, ChildOptions), Problem> {
        let mut words = self.command.into_iter();
        let program = words.next().filter(|program| !program.is_empty()).ok_or_else(|| {
            Problem::new("/command", "the command names no program")
                .help("write it like [\"./enrich\", \"--fast\"]")
        })?;
        let command = ChildCommand { program: program.into(), args: words.collect(), env: self.env };
        let item_timeout = Duration::from_millis(self.item_timeout_ms);
        Ok((command, ChildOptions { item_timeout, ..ChildOptions::default() }))
    }
}
