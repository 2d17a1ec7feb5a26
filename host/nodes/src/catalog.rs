//! Every built-in type, defined once.

use std::sync::LazyLock;

use flyball_json::ItemLimits;
use flyball_model::{Executor, NodeOffer, NodeType, Problem, Reach};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::check::nearest;
use crate::child::Command;
use crate::native::{
    Batch, Filter, HttpEnrich, Map, NodeConfig, ParseJson, RateLimit, RegexExtract, Tokenise, Wait, Work,
};
use crate::sinks::{Discard, HttpOut, SinkConfig, ToFile, ToStdout};
use crate::sources::{CsvReplay, Generate, HttpIn, Lines, SourceConfig};
use crate::{ChildCommand, ChildOptions, Processor, Sink, Source};

/// What a node type is in a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Where items come from: nothing before it.
    Source,
    /// Between.
    Processor,
    /// Where items go: nothing behind it.
    Sink,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Source => "source",
            Self::Processor => "processor",
            Self::Sink => "sink",
        })
    }
}

/// Why a node cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    /// No built-in type has this name.
    #[error("unknown node type \"{name}\"{}", did_you_mean(.near.as_deref()))]
    Unknown {
        /// The name given.
        name: String,
        /// The name that was probably meant.
        near: Option<String>,
    },
    /// It is something else.
    #[error("\"{name}\" is a {is}, not a {wanted}")]
    Role {
        /// The type.
        name: String,
        /// What it is.
        is: Role,
        /// What was wanted.
        wanted: Role,
    },
    /// It does not work there.
    #[error("\"{name}\" has no {executor} executor")]
    Executor {
        /// The type.
        name: String,
        /// Where it was wanted.
        executor: Executor,
    },
    /// Its configuration is wrong, or what it names cannot be opened.
    #[error("{node_type}: {}", list(.problems))]
    Config {
        /// The type.
        node_type: String,
        /// What is wrong, with pointers into the configuration; never empty.
        problems: Vec<Problem>,
    },
}

fn did_you_mean(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default()
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

type Make<T> = Box<dyn Fn(&Value, &ItemLimits) -> Result<T, Problem> + Send + Sync>;

/// Of a configuration alone: a sink takes what the limits let through.
type Of<T> = Box<dyn Fn(&Value) -> Result<T, Problem> + Send + Sync>;

enum Making {
    Source(Make<Box<dyn Source>>),
    Native(Make<Box<dyn Processor>>),
    /// A processor that only a command is.
    Command,
    Sink(Of<Box<dyn Sink>>),
}

pub(crate) struct Definition {
    name: &'static str,
    summary: &'static str,
    provides: &'static str,
    /// How fast the host does it against a child process, where a child can do it too: only a pure transformation can.
    beside_child: Option<f64>,
    reach: Reach,
    schema: fn() -> Value,
    pub(crate) check: Of<()>,
    making: Making,
}

impl Definition {
    const fn role(&self) -> Role {
        match self.making {
            Making::Source(_) => Role::Source,
            Making::Native(_) | Making::Command => Role::Processor,
            Making::Sink(_) => Role::Sink,
        }
    }

    fn offers(&self) -> Vec<NodeOffer> {
        let at = |executor| NodeOffer { executor, relative_speed: None, relative_cost: None };
        match self.making {
            Making::Command => vec![at(Executor::Multiprocess)],
            _ if let Some(speed) = self.beside_child => {
                let at = |executor, speed| NodeOffer {
                    executor,
                    relative_speed: Some(speed),
                    relative_cost: None,
                };
                vec![at(Executor::Native, speed), at(Executor::Multiprocess, 1.0)]
            }
            _ => vec![at(Executor::Native)],
        }
    }

    pub(crate) fn node_type(&self) -> NodeType {
        NodeType {
            name: self.name.to_owned(),
            summary: self.summary.to_owned(),
            provides: vec![self.provides.to_owned()],
            offers: self.offers(),
            config_schema: Some((self.schema)()),
            reach: self.reach,
        }
    }

    /// Its nodes start processes, open files or sockets.
    fn outside(mut self) -> Self {
        self.reach = Reach::Outside;
        self
    }

    fn config_error(&self, problem: Problem) -> NodeError {
        NodeError::Config { node_type: self.name.to_owned(), problems: vec![problem] }
    }

    fn is_not(&self, wanted: Role) -> NodeError {
        NodeError::Role { name: self.name.to_owned(), is: self.role(), wanted }
    }
}

fn schema<C: JsonSchema>() -> Value {
    schemars::schema_for!(C).to_value()
}

/// The schema has been asked before wherever a person wrote the configuration; this is what is left to find.
fn read<C: DeserializeOwned>(config: &Value) -> Result<C, Problem> {
    C::deserialize(config).map_err(|error| Problem::new("", error.to_string()))
}

fn node<C: NodeConfig + 'static>(
    name: &'static str,
    summary: &'static str,
    provides: &'static str,
    beside_child: Option<f64>,
) -> Definition {
    Definition {
        name,
        summary,
        provides,
        beside_child,
        reach: Reach::Pure,
        schema: schema::<C>,
        check: Box::new(|config| read::<C>(config)?.build(&ItemLimits::default()).map(drop)),
        making: Making::Native(Box::new(|config, limits| read::<C>(config)?.build(limits))),
    }
}

fn from<C: SourceConfig + 'static>(
    name: &'static str,
    summary: &'static str,
    provides: &'static str,
) -> Definition {
    Definition {
        name,
        summary,
        provides,
        beside_child: None,
        reach: Reach::Pure,
        schema: schema::<C>,
        check: Box::new(|config| read::<C>(config)?.check()),
        making: Making::Source(Box::new(|config, limits| read::<C>(config)?.open(limits))),
    }
}

fn to<C: SinkConfig + 'static>(
    name: &'static str,
    summary: &'static str,
    provides: &'static str,
) -> Definition {
    Definition {
        name,
        summary,
        provides,
        beside_child: None,
        reach: Reach::Pure,
        schema: schema::<C>,
        check: Box::new(|config| read::<C>(config)?.check()),
        making: Making::Sink(Box::new(|config| read::<C>(config)?.open())),
    }
}

/// Little work, so that a child's two JSON lines for each item are most of its cost: five times as much, and more.
const PER_LINE: Option<f64> = Some(5.0);

/// The lines cost nothing beside the work.
const SAME: Option<f64> = Some(1.0);

static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    vec![
        from::<Lines>("lines", "one item for each line of a file or of standard input", "read-lines")
            .outside(),
        from::<HttpIn>("http-in", "takes items by HTTP POST", "receive-http").outside(),
        from::<CsvReplay>(
            "csv-replay",
            "replays the rows of a CSV trace at the times that they say",
            "replay-csv",
        )
        .outside(),
        from::<Generate>("generate", "makes items by a template at a rate", "generate"),
        node::<ParseJson>("parse-json", "reads a text as JSON", "parse-json", PER_LINE),
        node::<RegexExtract>(
            "regex-extract",
            "takes named groups of a pattern out of a text",
            "extract",
            PER_LINE,
        ),
        node::<Filter>("filter", "keeps or drops the items of which a condition holds", "filter", PER_LINE),
        node::<Map>("map", "makes a new body by a template", "map", PER_LINE),
        node::<Tokenise>("tokenise", "splits a text into words and counts them", "tokenise", PER_LINE),
        node::<Batch>("batch", "makes one item of many", "batch", None),
        node::<RateLimit>("rate-limit", "lets items through at no more than a rate", "rate-limit", None),
        node::<Work>("work", "uses a core for a time that each item costs", "work", SAME),
        node::<Wait>("wait", "waits for a time that each item costs", "wait", SAME),
        node::<HttpEnrich>(
            "http-enrich",
            "POSTs each item and keeps the JSON answer in it",
            "enrich-http",
            SAME,
        )
        .outside(),
        Definition {
            name: "command",
            summary: "gives each item to a program of yours that speaks JSON lines",
            provides: "command",
            beside_child: None,
            reach: Reach::Outside,
            schema: schema::<Command>,
            check: Box::new(|config| read::<Command>(config)?.check()),
            making: Making::Command,
        },
        to::<ToFile>("file", "appends each item to a file as a line of JSON", "write-file").outside(),
        to::<ToStdout>("stdout", "writes each item to standard output as a line of JSON", "write-stdout")
            .outside(),
        to::<HttpOut>("http-out", "POSTs each item as JSON", "send-http").outside(),
        to::<Discard>("discard", "takes items and keeps nothing", "discard"),
    ]
});

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    DEFINITIONS.iter().map(|definition| definition.name)
}

pub(crate) fn definition(name: &str) -> Option<&'static Definition> {
    DEFINITIONS.iter().find(|definition| definition.name == name)
}

fn known(name: &str) -> Result<&'static Definition, NodeError> {
    definition(name).ok_or_else(|| NodeError::Unknown {
        name: name.to_owned(),
        near: nearest(name, names()).map(str::to_owned),
    })
}

static CATALOG: LazyLock<Vec<NodeType>> =
    LazyLock::new(|| DEFINITIONS.iter().map(Definition::node_type).collect());

/// All built-in types.
pub fn catalog() -> Vec<NodeType> {
    CATALOG.clone()
}

/// What a built-in type is in a pipeline.
pub fn kind_of(node_type: &str) -> Option<Role> {
    definition(node_type).map(Definition::role)
}

/// One worker of a built-in node, in this process. It makes nothing that is beyond the limits by much; whoever takes its
/// answers holds them against the limits.
pub fn native(node_type: &str, config: &Value, limits: &ItemLimits) -> Result<Box<dyn Processor>, NodeError> {
    let definition = known(node_type)?;
    match &definition.making {
        Making::Native(make) => make(config, limits).map_err(|problem| definition.config_error(problem)),
        Making::Command => {
            Err(NodeError::Executor { name: node_type.to_owned(), executor: Executor::Native })
        }
        Making::Source(_) | Making::Sink(_) => Err(definition.is_not(Role::Processor)),
    }
}

/// Opens a built-in source: its file, its port. What it gives is within the limits. To be called within a tokio runtime.
pub fn source(node_type: &str, config: &Value, limits: &ItemLimits) -> Result<Box<dyn Source>, NodeError> {
    let definition = known(node_type)?;
    match &definition.making {
        Making::Source(make) => make(config, limits).map_err(|problem| definition.config_error(problem)),
        _ => Err(definition.is_not(Role::Source)),
    }
}

/// Opens a built-in sink. To be called within a tokio runtime.
pub fn sink(node_type: &str, config: &Value) -> Result<Box<dyn Sink>, NodeError> {
    let definition = known(node_type)?;
    match &definition.making {
        Making::Sink(make) => make(config).map_err(|problem| definition.config_error(problem)),
        _ => Err(definition.is_not(Role::Sink)),
    }
}

/// How a node is started as a child process: the program that a `command` node names, or for a built-in type that has a
/// multiprocess executor this `host` program as `host node TYPE --config JSON`.
pub fn child_command(
    node_type: &str,
    config: &Value,
    host: &std::path::Path,
) -> Result<(ChildCommand, ChildOptions), NodeError> {
    let definition = known(node_type)?;
    match &definition.making {
        Making::Command => read::<Command>(config)
            .and_then(Command::split)
            .map_err(|problem| definition.config_error(problem)),
        Making::Native(_) if definition.beside_child.is_some() => {
            (definition.check)(config).map_err(|problem| definition.config_error(problem))?;
            let args = ["node", node_type, "--config", &config.to_string()].map(str::to_owned);
            Ok((ChildCommand::new(host, args), ChildOptions::default()))
        }
        Making::Native(_) => {
            Err(NodeError::Executor { name: node_type.to_owned(), executor: Executor::Multiprocess })
        }
        Making::Source(_) | Making::Sink(_) => Err(definition.is_not(Role::Processor)),
    }
}
