use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use flyball_engine::{
    CONTRACT_VERSION, CallError, Engine, LoadError, Plugin, PluginJudge, Recorded, Versions,
};
use flyball_host::{StateDir, open_engine};
use flyball_model::{Grants, Limits, PluginUse, StateGrant};
use flyball_ports::{CallRecord, Said};
use flyball_store::{RecordedCall, RecordingsReader, same};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::args::Places;
use crate::commands::recordings::{RecordedSelection, filter, summary};
use crate::exit::Failure;
use crate::files;
use crate::narrator::tame;
use crate::output::{json_value, outln};
use crate::wordless::wordless;

#[derive(Debug, Args)]
pub(crate) struct ReplayOptions {
    /// Calls, by their numbers in `flyball recordings`
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) ids: Vec<u64>,

    /// Everything that is recorded
    #[arg(long)]
    pub(crate) all: bool,

    #[command(flatten)]
    pub(crate) of: RecordedSelection,

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

/// A machine that is slower than the one that recorded must not say something else: time is no part of an answer.
const LEAST_TIME_MS: u64 = 60_000;

pub(crate) fn run(places: &Places, options: &ReplayOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    let reader = RecordingsReader::open(state.path()).map_err(anyhow::Error::from)?;
    let ids = if options.all {
        reader.ids(&filter(&options.of)).map_err(anyhow::Error::from)?
    } else {
        options.ids.clone()
    };
    let mut components = Components::open(&state, options.with.as_deref())?;
    let terms = Terms { grant: &options.grant, wordless: options.with.is_some() && !options.exact };
    let mut count = Count::default();
    for id in ids {
        let replayed = match reader.call(id) {
            Ok(recorded) => replay(&recorded, &mut components, terms),
            Err(error) => Replayed { ending: Ending::NotReplayed(error.to_string()), ..Replayed::default() },
        };
        count.add(&replayed.ending);
        if options.json {
            json_value(&replayed.json(id));
        } else if !options.all || !matches!(replayed.ending, Ending::Same | Ending::OtherWords) {
            outln!("{}", replayed.text(id));
        }
    }
    if !options.json {
        outln!("{}", count.text());
    }
    count.failure()
}

/// How calls are made again.
#[derive(Debug, Clone, Copy)]
struct Terms<'a> {
    /// Beside what was granted then.
    grant: &'a [Grant],
    /// What is wanted is compared, and not in which words and for how much fuel.
    wordless: bool,
}

/// A call made again.
#[derive(Debug, Default)]
struct Replayed {
    call: Option<CallRecord>,
    now: Option<(Result<Said, String>, u64)>,
    /// The recording is not as it was written.
    altered: bool,
    ending: Ending,
}

#[derive(Debug, Default)]
enum Ending {
    /// It says and costs what it did.
    #[default]
    Same,
    /// It wants the same, in other words or for another cost.
    OtherWords,
    /// It does not.
    Different,
    /// It does not, and was given something else: part of its input was masked.
    Masked,
    /// It cannot be told: it ran out of time then.
    NotRepeatable(String),
    /// It was not made again.
    NotReplayed(String),
}

fn replay(recorded: &RecordedCall, components: &mut Components, terms: Terms<'_>) -> Replayed {
    let call = recorded.call.clone();
    let altered = recorded.altered;
    match again(&call, components, terms.grant) {
        Err(why) => {
            Replayed { call: Some(call), now: None, altered, ending: Ending::NotReplayed(format!("{why:#}")) }
        }
        Ok((said, fuel)) => {
            let timed_out = CallError::TimedOut { limit_ms: call.used.limits.time_ms }.to_string();
            let unchanged = same(&call.said, &said) && call.cost.fuel == fuel;
            let ending = match () {
                () if altered => Ending::Different,
                () if unchanged => Ending::Same,
                () if terms.wordless && same(&wordless(&call.said), &wordless(&said)) => Ending::OtherWords,
                () if call.said == Err(timed_out) => Ending::NotRepeatable("it ran out of time then".into()),
                () if recorded.masked > 0 => Ending::Masked,
                () => Ending::Different,
            };
            Replayed { call: Some(call), now: Some((said, fuel)), altered, ending }
        }
    }
}

fn again(
    call: &CallRecord,
    components: &mut Components,
    grant: &[Grant],
) -> Result<(Result<Said, String>, u64)> {
    if call.contract != CONTRACT_VERSION {
        return Err(anyhow!(
            "it was recorded under contract {}, and this Flyball has {CONTRACT_VERSION}; use the Flyball that \
             recorded it",
            tame(&call.contract)
        ));
    }
    let plugin = components.find(call)?;
    if plugin.kind() != call.kind {
        return Err(anyhow!("a {} was asked, and this is a {}", call.kind, plugin.kind()));
    }
    let limits = Limits { time_ms: call.used.limits.time_ms.max(LEAST_TIME_MS), ..call.used.limits };
    let grants = granted(&call.used.grants, grant)?;
    let kept = call.kept.clone().or_else(|| grants.state.map(|_| Arc::default()));
    let used = PluginUse { limits, grants, ..(*call.used).clone() };
    let judge = PluginJudge::offline(plugin, &used, call.generation).map_err(|error| not_granted(&error))?;
    let (said, cost) =
        judge.again(&call.asked, Recorded { kept, http: &call.http, llm: &call.llm, others: &call.others });
    Ok((said, cost.fuel))
}

/// What was granted then, and what is granted for the trial. Offline nothing of it is reached, so it need not say where to.
fn granted(then: &Grants, more: &[Grant]) -> Result<Grants> {
    let mut grants = then.clone();
    for grant in more {
        match grant {
            Grant::Log => grants.log = true,
            Grant::State => grants.state = grants.state.or_else(|| Some(StateGrant::default())),
            Grant::Http if grants.http.is_none() => {
                grants.http =
                    serde_json::from_value(json!({ "origins": [] })).context("cannot grant http")?;
            }
            Grant::Llm if grants.llm.is_none() => {
                let nobody = json!({ "provider": "openai", "model": "recorded" });
                grants.llm = serde_json::from_value(nobody).context("cannot grant llm")?;
            }
            Grant::Http | Grant::Llm => {}
        }
    }
    Ok(grants)
}

fn not_granted(error: &LoadError) -> anyhow::Error {
    match error {
        LoadError::NotGranted { grant, .. } => {
            anyhow!("{error}; to try it here, grant it with --grant {grant}")
        }
        error => anyhow!("{error}"),
    }
}

/// The components that were asked, by digest.
struct Components {
    engine: Engine,
    versions: Versions,
    first_party: HashMap<String, &'static [u8]>,
    loaded: HashMap<Arc<str>, Arc<Plugin>>,
    /// Asked instead of any of them.
    instead: Option<Arc<Plugin>>,
}

impl Components {
    fn open(state: &StateDir, instead: Option<&Path>) -> Result<Self> {
        let engine = open_engine(state)?;
        let instead = match instead {
            None => None,
            Some(file) => {
                let bytes = files::plugin(file)?;
                let plugin = engine.load(&bytes).map_err(|fault| anyhow!("{}: {fault}", file.display()))?;
                Some(Arc::new(plugin))
            }
        };
        let first_party = flyball_first_party::ALL.iter().map(|plugin| (digest(plugin.wasm), plugin.wasm));
        Ok(Self {
            engine,
            versions: Versions::look_at(&state.versions()),
            first_party: first_party.collect(),
            loaded: HashMap::new(),
            instead,
        })
    }

    fn find(&mut self, call: &CallRecord) -> Result<Arc<Plugin>> {
        if let Some(plugin) = self.instead.as_ref().or_else(|| self.loaded.get(&call.by.digest)) {
            return Ok(plugin.clone());
        }
        let wanted = call.by.digest.as_ref();
        let bytes = match self.first_party.get(wanted) {
            Some(bytes) => Some(bytes.to_vec()),
            // It becomes part of a path.
            None if wanted.chars().all(|char| char.is_ascii_hexdigit()) => self.versions.component(wanted),
            None => None,
        };
        let Some(bytes) = bytes else {
            return Err(anyhow!(
                "the component {} {} with digest {} is not kept any more; put its file here with --with FILE",
                tame(&call.by.name),
                tame(&call.by.version),
                tame(wanted)
            ));
        };
        let plugin = Arc::new(self.engine.load(&bytes).map_err(|fault| anyhow!("{fault}"))?);
        self.loaded.insert(call.by.digest.clone(), plugin.clone());
        Ok(plugin)
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Replayed {
    fn text(&self, id: u64) -> String {
        let mut text = format!("call {id}");
        if let Some(call) = &self.call {
            text.push_str(&format!(": {}", tame(&call.by.name)));
            if call.tick > 0 {
                text.push_str(&format!(" on {} tick {}", tame(&call.session), call.tick));
            }
        }
        text.push_str(": ");
        text.push_str(&match &self.ending {
            Ending::Same => "the same".to_owned(),
            Ending::OtherWords => "the same in other words, or for another cost".to_owned(),
            Ending::Different => "DIFFERENT".to_owned(),
            Ending::Masked => "different, as part of its input was masked in the recording".to_owned(),
            Ending::NotRepeatable(why) => format!("not comparable: {why}"),
            Ending::NotReplayed(why) => format!("not replayed: {why}"),
        });
        if self.altered {
            text.push_str("\n  the recording was changed after it was written");
        }
        let (Some(call), Some((now, fuel))) = (&self.call, &self.now) else { return text };
        if matches!(self.ending, Ending::Same) {
            text.push_str(&format!(": {}, {fuel} fuel", tame(&summary(now))));
            return text;
        }
        if !same(&call.said, now) {
            text.push_str(&difference(&format!("{:#?}", call.said), &format!("{now:#?}")));
        }
        if call.cost.fuel != *fuel {
            text.push_str(&format!("\n  - {} fuel\n  + {fuel} fuel", call.cost.fuel));
        }
        text
    }

    fn json(&self, id: u64) -> serde_json::Value {
        let (result, why) = match &self.ending {
            Ending::Same => ("same", None),
            Ending::OtherWords => ("other-words", None),
            Ending::Different => ("different", None),
            Ending::Masked => ("masked", None),
            Ending::NotRepeatable(why) => ("not-comparable", Some(why)),
            Ending::NotReplayed(why) => ("not-replayed", Some(why)),
        };
        let call = self.call.as_ref();
        json!({
            "id": id,
            "result": result,
            "why": why,
            "altered": self.altered,
            "plugin": call.map(|call| &call.by),
            "session": call.map(|call| &call.session),
            "tick": call.map(|call| call.tick),
            "recorded": call.map(|call| json!({ "said": call.said, "fuel": call.cost.fuel })),
            "now": self.now.as_ref().map(|(said, fuel)| json!({ "said": said, "fuel": fuel })),
        })
    }
}

/// The lines that differ, between those that do not.
fn difference(recorded: &str, now: &str) -> String {
    const MOST: usize = 60;
    let (before, after): (Vec<_>, Vec<_>) = (recorded.lines().collect(), now.lines().collect());
    let alike = before.iter().zip(&after).take_while(|(one, other)| one == other).count();
    let shorter = before.len().min(after.len()) - alike;
    let ends = before.iter().rev().zip(after.iter().rev());
    let alike_at_end = ends.take(shorter).take_while(|(one, other)| one == other).count();
    let mut text = String::new();
    for (sign, lines) in [('-', before), ('+', after)] {
        let differing = lines.len() - alike - alike_at_end;
        for line in lines.iter().skip(alike).take(differing.min(MOST)) {
            text.push_str(&format!("\n  {sign} {}", tame(line)));
        }
        if differing > MOST {
            text.push_str(&format!("\n  {sign} … {} lines more", differing - MOST));
        }
    }
    text
}

#[derive(Debug, Default)]
struct Count {
    same: u64,
    other_words: u64,
    different: u64,
    masked: u64,
    not_repeatable: u64,
    not_replayed: u64,
}

impl Count {
    fn add(&mut self, ending: &Ending) {
        *match ending {
            Ending::Same => &mut self.same,
            Ending::OtherWords => &mut self.other_words,
            Ending::Different => &mut self.different,
            Ending::Masked => &mut self.masked,
            Ending::NotRepeatable(_) => &mut self.not_repeatable,
            Ending::NotReplayed(_) => &mut self.not_replayed,
        } += 1;
    }

    fn text(&self) -> String {
        let mut text = format!("{} the same, {} different", self.same, self.different);
        for (count, what) in [
            (self.other_words, "the same in other words or for another cost"),
            (self.masked, "different for masked input"),
            (self.not_repeatable, "not comparable"),
            (self.not_replayed, "not replayed"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        text
    }

    fn failure(&self) -> Result<(), Failure> {
        if self.different > 0 {
            return Err(Failure::Differs(format!("{} calls are not what they were", self.different)));
        }
        if self.not_replayed > 0 { Err(Failure::Said) } else { Ok(()) }
    }
}
