//! Everything at once, for whoever wants to see it: a real pipeline under load, real faults, and judges that are
//! replaced while they judge.

mod load;
mod model;
mod place;
mod service;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use flyball_host::{Host, Report, Session, StateDir, Threads, plugin_reports};
use flyball_model::{ActionKind, ActionRecord, Outcome, printable_path};
use flyball_pipeline::Pipeline;
use indicatif::MultiProgress;

use crate::commands::demo::DemoOptions;
use crate::commands::run::{follow, this_program_as_a_node};
use crate::demo::load::Load;
use crate::demo::model::Beside;
use crate::demo::place::Place;
use crate::demo::service::Service;
use crate::exit::Failure;
use crate::narrator::{Form, Narrator};
use crate::output::outln;
use crate::process_faults::{Throttle, kill};
use crate::report_file::ReportFile;
use crate::summary;

/// What the pipeline carries without trouble, and what it does not.
const USUAL_LOAD: u32 = 100;
const HEAVY_LOAD: u32 = 320;

/// How long a fault may take to be healed, or a replacement to be in force.
const PATIENCE: Duration = Duration::from_secs(40);

/// What the demo saw of one fault.
struct Healed {
    fault: &'static str,
    how: String,
    took: Duration,
}

impl Healed {
    fn by(fault: &'static str, action: &ActionRecord, took: Duration) -> Self {
        Self { fault, how: format!("{:<28} verified", action.proposal.action.to_string()), took }
    }
}

pub(crate) async fn run(options: &DemoOptions, threads: &Threads) -> Result<(), Failure> {
    let place = Place::make(options.dir.as_deref())?;
    let form = if options.quiet { Form::Silent } else { Form::People };
    let narrator = Arc::new(Narrator::new(form, MultiProgress::new()));
    let service = Service::start().await?;
    let beside = Beside::of(options)?;
    place.furnish(&format!("http://{}/", service.address), &beside)?;
    let host = Host::builder_in(StateDir::at(place.state()))
        .manifest_file(place.manifest())
        .policies(place.policies())
        .plugins(place.plugins())
        .dead_letters(Some(place.dead_letters()))
        .node_program(this_program_as_a_node()?)
        .drain(Duration::from_secs(15))
        .control_socket(true)
        .start(threads)
        .await?;
    let telling = follow(&host, &narrator, threads)?;
    let played = play(&host, &place, &beside, &service, &narrator).await;
    let report = host.stop().await;
    ReportFile::open(&place.report())?.write_report(&report)?;
    // It ends with the host's log.
    let _ = tokio::time::timeout(PATIENCE, telling).await;
    narrator.settle();
    let (healed, replaced) = played?;
    outln!("{}", screen(&healed, &replaced, &report, &place));
    if let Beside::NotAsked(why) = &beside {
        outln!("{why}");
    }
    summary::balanced(&report)?;
    Ok(())
}

async fn play(
    host: &Host,
    place: &Place,
    beside: &Beside,
    service: &Service,
    narrator: &Narrator,
) -> Result<(Vec<Healed>, Vec<String>)> {
    let session = &host.sessions().into_iter().next().context("the demo has no session")?;
    let address =
        pipeline(session)?.addresses().get("feed").copied().context("the demo's source does not listen")?;
    let load = Load::start(address, USUAL_LOAD);
    narrator.say(&format!(
        "A pipeline of eight nodes in three executors takes log lines at http://{address}/items, {USUAL_LOAD} a second."
    ));
    let pipeline = pipeline(session)?;
    until("the pipeline is warm", || pipeline.account().delivered > 3 * u64::from(USUAL_LOAD)).await?;

    let mut healed = Vec::new();
    narrator.say("\n── Fault 1: the child process of no-bots is killed with SIGKILL.");
    healed.push(replaced_after_kill(pipeline, only_child(session, "no-bots")?).await?);

    narrator.say("\n── Fault 2: the child process of words gets a sixteenth of its processor's time.");
    let watch = Watch::begin(host, session);
    let throttle =
        Throttle::start(only_child(session, "words")?, Duration::from_millis(450), Duration::from_millis(30));
    let switched = watch.healed("words slowed", "words", &[ActionKind::SwitchExecutor]).await;
    throttle.stop().await;
    healed.push(switched?.0);

    narrator.say("\n── Half way: a policy and a plugin are replaced while they judge.");
    let replaced = replace(host, place, beside).await?;

    narrator.say(&format!("\n── Fault 3: the load rises to {HEAVY_LOAD} a second; index can do 200."));
    let watch = Watch::begin(host, session);
    load.set_rate(HEAVY_LOAD);
    let eased =
        watch.healed("index flooded", "index", &[ActionKind::ScaleNode, ActionKind::AdjustBuffering]).await;
    load.set_rate(USUAL_LOAD);
    let (eased, action) = eased?;
    in_force(&action, &replaced)?;
    healed.push(eased);

    narrator.say("\n── Fault 4: the service that sentiment asks answers 429 to everything.");
    let watch = Watch::begin(host, session);
    service.limit();
    healed.push(watch.healed("sentiment failing", "sentiment", &[ActionKind::BypassNode]).await?.0);

    load.stop().await;
    Ok((healed, replaced.lines))
}

/// The pipeline itself gives no-bots another child, and items go on.
async fn replaced_after_kill(pipeline: &Pipeline, child: u32) -> Result<Healed> {
    let begun = Instant::now();
    kill(child)?;
    until("no-bots has another child", || {
        pipeline.worker_pids("no-bots").first().is_some_and(|other| *other != child)
    })
    .await?;
    let took = begun.elapsed();
    let delivered = pipeline.account().delivered;
    until("items go on", || pipeline.account().delivered > delivered + u64::from(USUAL_LOAD)).await?;
    let how = format!("{:<28} at work", "another child");
    Ok(Healed { fault: "no-bots killed", how, took })
}

/// Waits for the controller to heal one fault.
struct Watch<'a> {
    host: &'a Host,
    session: &'a Session,
    /// Actions before the fault do not count.
    after: usize,
    begun: Instant,
}

impl<'a> Watch<'a> {
    fn begin(host: &'a Host, session: &'a Session) -> Self {
        Self { host, session, after: host.actions(session.name()).len(), begun: Instant::now() }
    }

    /// Until an action of one of these kinds on this node has been verified by what was measured after it.
    async fn healed(
        self,
        fault: &'static str,
        node: &str,
        kinds: &[ActionKind],
    ) -> Result<(Healed, ActionRecord)> {
        let find = || {
            self.host.actions(self.session.name()).into_iter().skip(self.after).find(|action| {
                action.outcome == Outcome::Verified
                    && kinds.contains(&action.proposal.action.kind())
                    && action.proposal.action.target().is_some_and(|target| target == node)
            })
        };
        until(&format!("{fault} is healed"), || find().is_some()).await?;
        let action = find().context("the healing action is gone from the record")?;
        Ok((Healed::by(fault, &action, self.begun.elapsed()), action))
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| {
        anyhow!("waited {} s in vain until {what}; the narration above tells why", PATIENCE.as_secs())
    })
}

fn pipeline(session: &Session) -> Result<&Arc<Pipeline>> {
    session.pipeline().context("the demo's pipeline is not embedded")
}

fn only_child(session: &Session, node: &str) -> Result<u32> {
    pipeline(session)?
        .worker_pids(node)
        .first()
        .copied()
        .with_context(|| format!("{node} has no child process"))
}

/// What was put in force half way.
struct Replaced {
    lines: Vec<String>,
    digest: String,
    generation: u64,
}

/// A stricter threshold in the policy, and another build of a plugin; each is a file that is replaced by a rename.
async fn replace(host: &Host, place: &Place, beside: &Beside) -> Result<Replaced> {
    let before = host.library().generation();
    let begun = Instant::now();
    place.tighten_policy(beside)?;
    until("the new policy serves", || host.library().generation() > before).await?;
    let policy_took = begun.elapsed();

    let begun = Instant::now();
    let before = host.library().generation();
    let digest = place.replace_plugin()?;
    until("the new plugin serves", || {
        host.library().generation() > before
            && plugin_reports(host.library()).iter().any(|plugin| plugin.running.as_ref() == Some(&digest))
    })
    .await?;
    let generation = host.library().generation();
    Ok(Replaced {
        lines: vec![
            format!(
                "policy demo: queue_fill 0.8 → {}, in force after {} ms",
                place::TIGHTER_FILL,
                policy_took.as_millis()
            ),
            format!(
                "plugin {}: {}…, in force after {} ms",
                place::REPLACED_PLUGIN,
                digest.get(..12).unwrap_or(&digest),
                begun.elapsed().as_millis()
            ),
        ],
        digest,
        generation,
    })
}

/// The action after the replacements must have been judged by what was put in force.
fn in_force(action: &ActionRecord, replaced: &Replaced) -> Result<()> {
    let by_plugin = action.judged_by.iter().any(|judge| judge.digest.as_ref() == replaced.digest);
    let evidence = action.findings.iter().flat_map(|finding| &finding.rests_on);
    let capacity = action
        .proposal
        .action
        .target()
        .and_then(|node| action.before.node(node))
        .map(|node| node.queue_capacity);
    let limit = capacity.map(|capacity| f64::from(capacity) * place::TIGHTER_FILL);
    let by_policy = limit.is_some() && evidence.map(|evidence| evidence.limit).any(|given| given == limit);
    match (by_plugin, by_policy, action.generation >= replaced.generation) {
        (true, true, true) => Ok(()),
        (plugin, policy, generation) => Err(anyhow!(
            "action {} was not judged by what was put in force: new plugin {plugin}, new policy {policy}, new generation {generation}",
            action.id
        )),
    }
}

fn screen(healed: &[Healed], replaced: &[String], report: &Report, place: &Place) -> String {
    let mut lines = vec![
        String::new(),
        format!("{} of 4 faults healed, {} of 2 replacements in force", healed.len(), replaced.len()),
    ];
    for one in healed {
        lines.push(format!("  ✓ {:<18} {} after {:.1} s", one.fault, one.how, one.took.as_secs_f64()));
    }
    lines.extend(replaced.iter().map(|line| format!("  ✓ {line}")));
    for session in &report.sessions {
        lines.push(format!("items: {}", summary::account_line(session)));
    }
    lines.push("plugins, slowest first:".to_owned());
    let mut plugins: Vec<_> = report.plugins.iter().filter(|plugin| plugin.calls > 0).collect();
    plugins.sort_by(|a, b| b.p99_us.partial_cmp(&a.p99_us).unwrap_or(std::cmp::Ordering::Equal));
    for plugin in plugins {
        lines.push(format!(
            "  {:<20} {:>6} calls   p50 {:>7.1} µs   p99 {:>7.1} µs",
            plugin.name,
            plugin.calls,
            plugin.p50_us.unwrap_or_default(),
            plugin.p99_us.unwrap_or_default()
        ));
    }
    let models = summary::models_text(&report.figures);
    if !models.is_empty() {
        lines.push(models.trim_end().to_owned());
    }
    lines.push(format!("its files: {}", printable_path(place.root())));
    lines.push("  pipeline.yaml, policies/, plugins/, report.json, out.jsonl, state/journal.db".to_owned());
    lines.push(format!("  flyball journal --state {}", printable_path(&place.state())));
    lines.join("\n")
}
