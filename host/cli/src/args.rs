use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, Parser, Subcommand, ValueEnum};
use flyball_host::{Folders, StateDir, Webhook};
use flyball_model::{EntryNumber, Outcome};
use flyball_store::{Head, RecordingsOptions as StoreOptions, Which};
use serde_json::Value;

use crate::exit::Failure;

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it failed: a document is wrong, a pipeline could not run, an undo did not work, a journal was altered
  2  the command line is wrong
  3  no host is running that could be asked
  4  the run ended and its item account does not balance
  5  a recorded call, made again, does not say or cost what it did

Environment:
  FLYBALL_STATE  the state directory, as --state
  FLYBALL_LOG    what is logged to standard error, as tracing directives: flyball=debug
  NO_COLOR       no colours, on a terminal too";

/// A control host for pipelines: it watches, decides, guards, acts, checks that it helped, and undoes it if it did not.
///
/// Every judgement is a WebAssembly component that can be replaced while the host runs.
#[derive(Debug, Parser)]
#[command(name = "flyball", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) places: Places,

    /// Log what the host does to standard error; twice for details
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Where things are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Places {
    /// Where the journal, the compiled plugins and the control socket are [default: flyball in the user's state
    /// directory]
    #[arg(long, global = true, env = "FLYBALL_STATE", value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
}

impl Places {
    /// The state directory that is named, or the user's own. It is not made.
    pub(crate) fn state_dir(&self) -> Result<StateDir, Failure> {
        Ok(match &self.state {
            Some(dir) => StateDir::at(dir.clone()),
            None => StateDir::of_user()?,
        })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run pipelines and control them, until their sources end, the duration is over, or Ctrl-C
    Run(RunOptions),
    /// Show it all: a real pipeline, four real faults, two live replacements; ends by itself in about a minute
    Demo(DemoOptions),
    /// Say what is wrong with manifests, policies and plugins, and what is probably not meant, without running them
    ///
    /// Files that are checked together are held against each other: a session that no policy judges, a protected node that there
    /// is not, a plugin that nobody uses. A plugin is asked its own golden cases.
    Check(CheckOptions),
    /// Try a policy on simulated pipelines: what goes wrong when, and what is expected to come of it
    ///
    /// A folder holds scenario.yaml (faults by time, and what is expected), and pipeline.yaml, policy.yaml and world.yaml, each
    /// of which may stand in the folder above instead. With --policy the policies of that directory are tried instead of
    /// policy.yaml; with --plugins they may name plugins of your own.
    Scenario(ScenarioOptions),
    /// Show who judges what on the running host: sessions, policies and plugins, and what is missing between them
    Status(StatusOptions),
    /// List the plugins of the running host, or those that a run would use
    Plugins(PluginsOptions),
    /// Show what a plugin is, what it asks for and who signed it
    Inspect(InspectOptions),
    /// Make a pair of keys to sign plugins with
    Keygen(KeygenOptions),
    /// Sign a plugin: writes FILE.minisig, which minisign reads too
    Sign(SignOptions),
    /// Check a plugin's signature
    Verify(VerifyOptions),
    /// Read what was done, also while a host runs
    Journal(JournalOptions),
    /// Read everything that happens, in order and numbered, also while a host runs
    ///
    /// The number of each entry is RUN.PLACE, as in 3.120, and rises; a reader that begins again after the number that it read
    /// last (--after) misses nothing and gets nothing twice, over restarts too. Quiet ticks are no entries. Some 100,000 are
    /// kept.
    Events(EventsOptions),
    /// List the calls of judges that were recorded, also while a host runs
    Recordings(RecordingsOptions),
    /// Make recorded calls again, and compare what they say and cost, exactly
    Replay(ReplayOptions),
    /// Explain a tick or an action: what was found, which gate held, who said what, and what would have had to differ
    Explain(ExplainOptions),
    /// Compare deciders, and count what incidents took: asked, followed, agreement, latency, tokens and cost
    Deciders(DecidersOptions),
    /// Undo the last actions of a running session
    Rollback(RollbackOptions),
    /// Stop all acting at once, of a session or of the host; observing goes on. It outlives the host
    Halt(HaltOptions),
    /// Let it act again, after a halt or after it froze itself
    Resume(ResumeOptions),
    /// List the actions that wait for a person's approval
    Approvals(ApprovalsOptions),
    /// Approve an action; it is checked again when it is done
    Approve(ApproveOptions),
    /// Deny an action
    Deny(DenyOptions),
    /// Print a JSON Schema
    Schema(SchemaOptions),
    /// Print a completion script for a shell
    Completions(CompletionsOptions),
    /// Be one pipeline node: items on standard input, answers on standard output (started by `run`)
    #[command(hide = true)]
    Node(NodeOptions),
}

/// What dead letters may take of the disk, in MiB, where nobody says.
pub(crate) const DEAD_LETTERS_MB: u64 = 256;

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// Pipelines; each is a session
    #[arg(required = true, value_name = "MANIFEST")]
    pub(crate) manifests: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) judging: Judging,

    /// Stop after this long: 250ms, 90s, 5m, 1.5h, 1d
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) duration: Option<Duration>,

    /// Write one JSON document on the whole run (its schema: `flyball schema report`). A file is replaced; a device, a pipe
    /// or an open descriptor is written to
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Say what happens as JSON lines, instead of for people
    #[arg(long)]
    pub(crate) json: bool,

    /// Where items that failed for good are kept, with their errors [default: dead-letters.jsonl in the state
    /// directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) dead_letters: Option<PathBuf>,

    /// How long that file may get; what fails for good then stays in flight and its node waits, until the file is moved away
    #[arg(long, value_name = "MIB", default_value_t = DEAD_LETTERS_MB, value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    pub(crate) dead_letters_max_mb: u64,

    /// How long the items on their way may take to arrive when the run is stopped
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true, default_value = "10s")]
    pub(crate) drain: Duration,

    #[command(flatten)]
    pub(crate) recording: Recording,

    /// Decide and judge, and do nothing: what would have been done is in the journal
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) notify: Notify,
}

/// Whom people's notices go to, beside the journal and the terminal.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Notify {
    /// Post each notice (frozen, approval asked, undo failed, escalated, systemic fault, unanswered, no policy, policy changed) to this URL, as JSON
    #[arg(long = "notify", value_name = "URL")]
    pub(crate) url: Option<String>,

    /// The environment variable with the secret that notices are signed with (HMAC-SHA-256, header Flyball-Signature)
    #[arg(long = "notify-secret-env", value_name = "NAME", requires = "url")]
    pub(crate) secret_env: Option<String>,
}

impl Notify {
    /// None: nobody is to be told.
    pub(crate) fn webhook(&self) -> Result<Option<Webhook>, Failure> {
        let Some(url) = &self.url else { return Ok(None) };
        let read = url.parse().with_context(|| format!("--notify: {url:?} is not a URL"))?;
        let secret = self.secret_env.as_ref().map(|name| {
            std::env::var(name)
                .map_err(|_| anyhow!("--notify-secret-env: the environment has no variable {name}; set it"))
        });
        Ok(Some(Webhook::new(read, secret.transpose()?)))
    }
}

/// Which calls of judges are recorded, for `replay`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Recording {
    /// Which calls of judges to record for `flyball replay`
    #[arg(long, value_name = "WHICH", default_value = "found")]
    pub(crate) record: Record,

    /// The most that recordings take of the disk, in MiB; the oldest go
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub(crate) record_max_mb: u64,

    /// For how many days recordings are kept
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) record_days: u32,

    /// Fields whose values are masked in recordings, beside password, token, api_key and the like
    #[arg(long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) record_mask: Vec<String>,
}

impl Recording {
    /// None: no calls are recorded.
    pub(crate) fn options(&self) -> Option<StoreOptions> {
        let which = match self.record {
            Record::Found => Which::Found,
            Record::All => Which::All,
            Record::Off => return None,
        };
        Some(StoreOptions {
            which,
            most_bytes: self.record_max_mb << 20,
            days: self.record_days,
            mask: self.record_mask.clone(),
        })
    }
}

/// Which calls are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Record {
    /// All calls of a tick on which a judge said something or failed
    Found,
    /// All calls
    All,
    /// None
    Off,
}

/// Who judges.
#[derive(Debug, Clone, Args)]
pub(crate) struct Judging {
    /// A directory of policies (*.yaml), watched [default: the built-in policy]
    #[arg(long, value_name = "DIR")]
    pub(crate) policy: Option<PathBuf>,

    /// A directory of plugins (NAME.wasm), watched; one here replaces the first-party plugin of its name
    #[arg(long, value_name = "DIR")]
    pub(crate) plugins: Option<PathBuf>,
}

impl Judging {
    /// Where policies and plugins lie.
    pub(crate) fn folders(&self) -> Folders {
        Folders { policies: self.policy.clone(), plugins: self.plugins.clone() }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Where the demo leaves its files: a new or empty directory [default: a new temporary one]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Ask this language model beside the rules, and show where both agree: anthropic/NAME, openai/NAME or gemini/NAME
    #[arg(long, value_name = "PROVIDER/NAME")]
    pub(crate) model: Option<String>,

    /// Where the model is asked, as http://localhost:11434/v1 for a server of this machine [default: the provider's own]
    #[arg(long, value_name = "URL", requires = "model")]
    pub(crate) model_url: Option<String>,

    /// The environment variable that holds its key [default: ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY; with
    /// --model-url none]
    #[arg(long, value_name = "VARIABLE", requires = "model")]
    pub(crate) model_key: Option<String>,

    /// Print the summary only
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// Manifests and policies (*.yaml), plugins (*.wasm), golden cases (cases/*.json), and folders of them
    #[arg(required = true, value_name = "PATH")]
    pub(crate) files: Vec<PathBuf>,

    /// A directory of plugins that manifests and policies may name [default: a folder of plugins among the paths]
    #[arg(long, value_name = "DIR")]
    pub(crate) plugins: Option<PathBuf>,

    /// How to say it: for people, or as one JSON document with the faults and warnings, each with file, line, column, code,
    /// message and help
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: CheckFormat,
}

/// How `check` says what it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// For people
    Text,
    /// One JSON document
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScenarioOptions {
    /// Folders of scenarios, or folders of such folders
    #[arg(required = true, value_name = "DIR")]
    pub(crate) dirs: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) judging: Judging,

    /// Print what happened, tick by tick
    #[arg(long)]
    pub(crate) story: bool,

    /// Keep each scenario's journal in a folder of its name here, for `flyball explain --state DIR/SCENARIO`
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,

    /// Print JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct PluginsOptions {
    #[command(subcommand)]
    pub(crate) command: Option<PluginsCommand>,

    #[command(flatten)]
    pub(crate) judging: Judging,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginsCommand {
    /// Go back to the version of a plugin that served before; a running host takes it over at once
    ///
    /// What the plugin's file holds now is passed over until the file changes. Once more goes back one further.
    Rollback {
        /// The plugin
        #[arg(value_name = "NAME")]
        name: String,

        /// Go forward again, to what the plugin's file holds
        #[arg(long)]
        undo: bool,
    },
}

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

#[derive(Debug, Args)]
pub(crate) struct KeygenOptions {
    /// Where the keys go: NAME.key, which signs and stays secret, and NAME.pub, which policies name
    #[arg(long, value_name = "NAME", default_value = "flyball")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct SignOptions {
    /// A plugin
    pub(crate) file: PathBuf,

    /// The secret key
    #[arg(long, value_name = "KEY")]
    pub(crate) key: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyOptions {
    /// A plugin
    pub(crate) file: PathBuf,

    /// A public key (its text or its file); may be given several times
    #[arg(long = "key", value_name = "PUB", required = true)]
    pub(crate) keys: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct EventsOptions {
    /// Begin after this entry; 0.0 is the beginning [default: before the newest]
    #[arg(long, value_name = "RUN.PLACE")]
    pub(crate) after: Option<EntryNumber>,

    /// Only this session's
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Only these kinds: tick, concluded, event, reload, warning
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) what: Vec<EventKind>,

    /// At most this many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, conflicts_with = "follow")]
    pub(crate) limit: usize,

    /// Go on with what comes, until Ctrl-C
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Print JSON lines, whole
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which entries of the event log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventKind {
    /// Ticks on which something was found, decided, done or failed
    Tick,
    /// What came of actions
    Concluded,
    /// What people and guards did to the loop itself
    Event,
    /// Changes of policies and plugins
    Reload,
    /// What is missing between sessions, policies and plugins
    Warning,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct JournalOptions {
    #[command(subcommand)]
    pub(crate) command: Option<JournalCommand>,

    /// Only this session's
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Only actions on this node
    #[arg(long, value_name = "NODE", conflicts_with_all = ["ticks", "events"])]
    pub(crate) node: Option<String>,

    /// Only actions that came to this: verified, ineffective, worse, unknown, failed, rolled-back…
    #[arg(long, value_name = "OUTCOME", value_parser = outcome, conflicts_with_all = ["ticks", "events"])]
    pub(crate) outcome: Option<Outcome>,

    /// Only what this plugin decided or judged
    #[arg(long, value_name = "NAME", conflicts_with = "events")]
    pub(crate) plugin: Option<String>,

    /// Only what happened in this last time: 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) since: Option<Duration>,

    /// Ticks on which something was found, instead of actions
    #[arg(long)]
    pub(crate) ticks: bool,

    /// What people and guards did to the loop itself (halts, approvals, notices), instead of actions
    #[arg(long, conflicts_with = "ticks")]
    pub(crate) events: bool,

    /// At most this many, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,

    /// Print JSON lines, whole
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Take a journal of version 1 over, which has no chain yet
    ///
    /// A host does not do so by itself: nothing shows whether such a file was altered since it was written. What is taken over
    /// stays as it is, and `journal verify` says ever after how many rows were. Do it only if you know where the file is from.
    Migrate,
    /// Hold everything in the journal against its hash chain, also while a host runs
    ///
    /// Each fault is a line. What the chain cannot tell by itself is that someone who may write the file wrote all of it
    /// anew: keep the head that is printed where they cannot write, and name it the next time. Heads also go out with each
    /// notice (--notify) and stand in each report.
    Verify {
        /// A head that an earlier verification printed: say whether everything up to it is still there
        #[arg(long, value_name = "HASH")]
        head: Option<Head>,

        /// Print JSON lines: each fault, and at the end what it came to
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RecordingsOptions {
    #[command(flatten)]
    pub(crate) of: Recorded,

    /// At most this many, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,

    /// Print JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which recorded calls.
#[derive(Debug, Clone, Args)]
pub(crate) struct Recorded {
    /// Only this session's
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Only this plugin's
    #[arg(long, value_name = "NAME")]
    pub(crate) plugin: Option<String>,

    /// Only what was recorded in this last time: 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) since: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct ReplayOptions {
    /// Calls, by their numbers in `flyball recordings`
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) ids: Vec<u64>,

    /// Everything that is recorded
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) of: Recorded,

    /// Ask this component instead of the one that was asked then, and compare what it wants done: actions, verdicts, findings
    #[arg(long, value_name = "FILE")]
    pub(crate) with: Option<PathBuf>,

    /// Grant it this beside what the recorded call was granted. Nothing outside is reached: what it asks is answered from the
    /// recording
    #[arg(long, value_name = "GRANT", value_delimiter = ',', requires = "with")]
    pub(crate) grant: Vec<Grant>,

    /// Compare wording and fuel too, as is done without --with
    #[arg(long, requires = "with")]
    pub(crate) exact: bool,

    /// Print JSON lines
    #[arg(long)]
    pub(crate) json: bool,
}

/// What may be granted to a component that is only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Grant {
    /// Lines in the host's log
    Log,
    /// Values kept between calls, as they were recorded
    State,
    /// HTTP answers, as they were recorded
    Http,
    /// A language model's answers, as they were recorded
    Llm,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackOptions {
    /// How many actions to undo, newest first
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) count: u32,

    /// Of which session; may be left out when only one runs
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DecidersOptions {
    /// Only in this session
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Only what happened in this last time: 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = duration, allow_hyphen_values = true)]
    pub(crate) since: Option<Duration>,

    /// Print it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainOptions {
    /// A tick of a session, by its number, acted or quiet [default: the newest on which something was found]
    #[arg(value_name = "TICK", conflicts_with = "action")]
    pub(crate) tick: Option<u64>,

    /// An action, by its number in `flyball journal`
    #[arg(long, value_name = "ID")]
    pub(crate) action: Option<u64>,

    /// Of which session; may be left out when there is only one
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct HaltOptions {
    /// Only this session [default: all of the host]
    #[arg(value_name = "SESSION")]
    pub(crate) session: Option<String>,

    /// Why; it is told wherever the halt shows
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeOptions {
    /// This session, halted or frozen [default: the host]
    #[arg(value_name = "SESSION")]
    pub(crate) session: Option<String>,

    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) why: String,
}

#[derive(Debug, Args)]
pub(crate) struct ApprovalsOptions {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveOptions {
    /// The question, as `flyball approvals` names it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct DenyOptions {
    /// The question, as `flyball approvals` names it
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Why; it is journaled
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
}

#[derive(Debug, Args)]
pub(crate) struct SchemaOptions {
    /// Of what
    pub(crate) of: Document,
}

/// Documents that have a schema.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Document {
    /// A policy (policies/*.yaml)
    Policy,
    /// A pipeline (pipeline.yaml)
    Manifest,
    /// What `run --report` writes
    Report,
    /// What goes wrong and what is expected (scenario.yaml)
    Scenario,
    /// How a simulated pipeline behaves (world.yaml)
    World,
    /// A plugin's golden case (cases/*.json)
    Case,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsOptions {
    /// For which shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct NodeOptions {
    /// A built-in node type
    #[arg(value_name = "TYPE")]
    pub(crate) node_type: String,

    /// Its configuration
    #[arg(long, value_name = "JSON", value_parser = json, default_value = "{}")]
    pub(crate) config: Value,
}

fn json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

fn outcome(text: &str) -> Result<Outcome, serde_json::Error> {
    serde_json::from_value(Value::String(text.to_owned()))
}

/// A number and a unit, or several of them: 250ms, 90s, 5m, 1h30m, 1.5h, 1d.
fn duration(text: &str) -> Result<Duration, String> {
    const HOW: &str = "write it like 250ms, 90s, 5m, 1h30m, 1.5h or 1d";
    let text = text.trim();
    if text.starts_with('-') {
        return Err(format!("a time is not negative; {HOW}"));
    }
    if text.parse::<f64>().is_ok() {
        return Err(format!("it has no unit; {HOW}"));
    }
    // To humantime it is a month.
    if text.ends_with('M') {
        return Err(format!("M is no unit: a minute is m, a month has days; {HOW}"));
    }
    if text.contains('.') {
        return fraction(text).ok_or_else(|| format!("it is no time; {HOW}"));
    }
    humantime::parse_duration(text).map_err(|fault| format!("{fault}; {HOW}"))
}

/// One number with a fraction, and its unit.
fn fraction(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|letter: char| letter.is_alphabetic())?);
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "s" | "sec" => 1.0,
        "m" | "min" => 60.0,
        "h" | "hr" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let of = |text: &str| duration(text).map(|time| time.as_millis());
        assert_eq!(of("250ms"), Ok(250));
        assert_eq!(of("1h30m"), Ok(5_400_000));
        assert_eq!((of("1.5h"), of("0.5s"), of("1d")), (Ok(5_400_000), Ok(500), Ok(86_400_000)));
        assert_eq!(of(" 1 m "), Ok(60_000));
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_way_to_write_one() {
        for wrong in [
            "",
            "90",
            "1.5",
            "-5s",
            "1M",
            "soon",
            "1.5x",
            "1.5",
            ".h",
            "nan h",
            "1e999h",
            "99999999999999999999h",
        ] {
            let said = duration(wrong).unwrap_err();
            assert!(said.contains("write it like 250ms, 90s, 5m, 1h30m, 1.5h or 1d"), "{wrong}: {said}");
        }
    }
}
