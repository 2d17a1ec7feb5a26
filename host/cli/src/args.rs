//! The command line as a whole: its commands, and what several of them take. What one command takes stands in its file.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use flyball_host::{Folders, StateDir};

use crate::commands;
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
    Run(commands::run::RunOptions),
    /// Show it all: a real pipeline, four real faults, two live replacements; ends by itself in about a minute
    Demo(commands::demo::DemoOptions),
    /// Say what is wrong with manifests, policies and plugins, and what is probably not meant, without running them
    ///
    /// Files that are checked together are held against each other: a session that no policy judges, a protected node that there
    /// is not, a plugin that nobody uses. A plugin is asked its own golden cases.
    Check(commands::check::CheckOptions),
    /// Try a policy on simulated pipelines: what goes wrong when, and what is expected to come of it
    ///
    /// A folder holds scenario.yaml (faults by time, and what is expected), and pipeline.yaml, policy.yaml and world.yaml, each
    /// of which may stand in the folder above instead. With --policy the policies of that directory are tried instead of
    /// policy.yaml; with --plugins they may name plugins of your own.
    Scenario(commands::scenario::ScenarioOptions),
    /// Show who judges what on the running host: sessions, policies and plugins, and what is missing between them
    Status(commands::status::StatusOptions),
    /// List the plugins of the running host, or those that a run would use
    Plugins(commands::plugins::PluginsOptions),
    /// Show what a plugin is, what it asks for and who signed it
    Inspect(commands::inspect::InspectOptions),
    /// Make a pair of keys to sign plugins with
    Keygen(commands::keygen::KeygenOptions),
    /// Sign a plugin: writes FILE.minisig, which minisign reads too
    Sign(commands::sign::SignOptions),
    /// Check a plugin's signature
    Verify(commands::verify::VerifyOptions),
    /// Read what was done, also while a host runs
    Journal(commands::journal::JournalOptions),
    /// Read everything that happens, in order and numbered, also while a host runs
    ///
    /// The number of each entry is RUN.PLACE, as in 3.120, and rises; a reader that begins again after the number that it read
    /// last (--after) misses nothing and gets nothing twice, over restarts too. Quiet ticks are no entries. Some 100,000 are
    /// kept.
    Events(commands::events::EventsOptions),
    /// List the calls of judges that were recorded, also while a host runs
    Recordings(commands::recordings::RecordingsOptions),
    /// Make recorded calls again, and compare what they say and cost, exactly
    Replay(commands::replay::ReplayOptions),
    /// Explain a tick or an action: what was found, which gate held, who said what, and what would have had to differ
    Explain(commands::explain::ExplainOptions),
    /// List and show the items that failed for good: where, when and why
    DeadLetters(commands::dead_letters::DeadLettersOptions),
    /// Compare deciders, and count what incidents took: asked, followed, agreement, latency, tokens and cost
    Deciders(commands::deciders::DecidersOptions),
    /// Undo the last actions of a running session
    Rollback(commands::rollback::RollbackOptions),
    /// List what the loop has changed and what still stands: why, since when, and what would end it
    Changes(commands::changes::ChangesOptions),
    /// Stop all acting at once, of a session or of the host; observing goes on. It outlives the host
    Halt(commands::halt::HaltOptions),
    /// Let it act again, after a halt or after it froze itself
    Resume(commands::halt::ResumeOptions),
    /// List the actions that wait for a person's approval
    Approvals(commands::approvals::ApprovalsOptions),
    /// Approve an action; it is checked again when it is done
    Approve(commands::approvals::ApproveOptions),
    /// Deny an action
    Deny(commands::approvals::DenyOptions),
    /// Print a JSON Schema
    Schema(commands::schema::SchemaOptions),
    /// Print a completion script for a shell
    Completions(commands::completions::CompletionsOptions),
    /// Be one pipeline node: items on standard input, answers on standard output (started by `run`)
    #[command(hide = true)]
    Node(commands::node::NodeOptions),
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

/// A number and a unit, or several of them: 250ms, 90s, 5m, 1h30m, 1.5h, 1d.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
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
