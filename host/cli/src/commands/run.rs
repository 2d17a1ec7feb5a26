use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use flyball_host::{Host, HostBuilder, Report, StateDir, Threads, Webhook};
use flyball_pipeline::BuiltinChild;
use flyball_store::{RecordingsOptions, Which};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use crate::args::{Judging, Places, duration};
use crate::exit::Failure;
use crate::narrator::{Form, Narrator};
use crate::report_file::ReportFile;
use crate::summary;

/// What dead letters may take of the disk, in MiB, where nobody says.
const DEAD_LETTERS_MB: u64 = 256;

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
    pub(crate) fn options(&self) -> Option<RecordingsOptions> {
        let which = match self.record {
            Record::Found => Which::Found,
            Record::All => Which::All,
            Record::Off => return None,
        };
        Some(RecordingsOptions {
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

/// How long the newest entries of a host that ended may take to be told.
const LAST_ENTRIES: Duration = Duration::from_secs(2);

pub(crate) fn run(places: &Places, options: &RunOptions) -> Result<(), Failure> {
    let threads = Threads::start()?;
    let state = places.state_dir()?;
    let report_file = options.report.as_deref().map(ReportFile::open).transpose()?;
    let progress = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(5));
    let form = if options.json { Form::Json } else { Form::People };
    let narrator = Arc::new(Narrator::new(form, progress.clone()));
    let done = run_and_tell(&threads, state, options, &narrator, &progress, report_file);
    narrator.settle();
    done
}

fn run_and_tell(
    threads: &Threads,
    state: StateDir,
    options: &RunOptions,
    narrator: &Arc<Narrator>,
    progress: &MultiProgress,
    report_file: Option<ReportFile>,
) -> Result<(), Failure> {
    let host = composed(state, options)?;
    let report = threads.run(until_it_ends(host, options.duration, narrator, progress, threads))?;
    if let Some(file) = report_file {
        // It may be written to the same place as what was told.
        narrator.settle();
        file.write_report(&report)?;
    }
    narrator.say(&summary::of_run(&report));
    summary::balanced(&report)
}

/// What the command line says of it.
fn composed(state: StateDir, options: &RunOptions) -> Result<HostBuilder, Failure> {
    let times = flyball_pipeline::PipelineOptions::default();
    let host = Host::builder_in(state)
        .folders(options.judging.folders())
        .recordings(options.recording.options())
        .webhook(options.notify.webhook()?)
        .dead_letters(options.dead_letters.clone())
        .pipeline_options(flyball_pipeline::PipelineOptions {
            dead_letters_most_bytes: options.dead_letters_max_mb << 20,
            ..times
        })
        .node_program(this_program_as_a_node()?)
        .drain(options.drain)
        .dry_run(options.dry_run)
        .control_socket(true)
        .hear_signals(true);
    Ok(options.manifests.iter().fold(host, HostBuilder::manifest_file))
}

async fn until_it_ends(
    host: HostBuilder,
    duration: Option<Duration>,
    narrator: &Arc<Narrator>,
    progress: &MultiProgress,
    threads: &Threads,
) -> Result<Report, Failure> {
    let host = host.start(threads).await?;
    let telling = follow(&host, narrator, threads)?;
    for session in host.sessions() {
        for (node, address) in session.pipeline().map(|pipeline| pipeline.addresses()).unwrap_or_default() {
            narrator.say(&format!("{}: {node} takes items at http://{address}/items", session.name()));
        }
    }
    let showing = show_progress(&host, progress, threads);
    tokio::select! {
        () = host.finished() => tracing::info!("every source has ended"),
        () = over(duration) => tracing::info!("the duration is over"),
        () = threads.asked(1) => {
            let narrator = narrator.clone();
            // Whoever should read it may not: that is no reason to go on.
            threads.data().spawn_blocking(move || narrator.say("stopping; once more stops at once"));
        }
    }
    let stopped = tokio::select! {
        report = host.stop() => Ok(report),
        () = threads.asked(2) => Err(anyhow::anyhow!("stopped at once, with items on their way")),
    };
    showing.abort();
    // It ends with the host's log.
    let _ = tokio::time::timeout(LAST_ENTRIES, telling).await;
    // A terminal that does not clear the line shows it once more.
    let _ = progress.clear();
    Ok(stopped?)
}

/// Begins to tell what happens in this host. It ends with the host's log.
pub(crate) fn follow(
    host: &Host,
    narrator: &Arc<Narrator>,
    threads: &Threads,
) -> Result<JoinHandle<()>, Failure> {
    let reader = host.events().reader(host.beginning()).context("cannot tell what happens")?;
    let narrator = Arc::clone(narrator);
    Ok(threads.data().spawn(async move { narrator.follow(reader).await }))
}

/// Built-in node types run under `multiprocess` as this very program.
pub(crate) fn this_program_as_a_node() -> Result<BuiltinChild, Failure> {
    let program =
        std::env::current_exe().context("cannot find this program, which multiprocess nodes run")?;
    Ok(BuiltinChild { program, args: vec!["node".to_owned()] })
}

async fn over(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// A line for each source that has an end, on a terminal only.
fn show_progress(host: &Host, progress: &MultiProgress, threads: &Threads) -> tokio::task::JoinHandle<()> {
    const WHOLE: u64 = 1000;
    let style = ProgressStyle::with_template("{prefix} {bar:30} {percent:>3} % {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let mut lines = Vec::new();
    for session in host.sessions() {
        let Some(pipeline) = session.pipeline() else { continue };
        for source in pipeline.progress().sources {
            if source.fraction.is_some() {
                let line = progress.add(ProgressBar::new(WHOLE).with_style(style.clone()));
                line.set_prefix(format!("{} {}", session.name(), source.node));
                lines.push((Arc::clone(pipeline), source.node, line));
            }
        }
    }
    threads.data().spawn(async move {
        let mut steps = tokio::time::interval(Duration::from_millis(200));
        loop {
            steps.tick().await;
            for (pipeline, node, line) in &lines {
                let progress = pipeline.progress();
                let source = progress.sources.iter().find(|source| source.node == *node);
                let fraction = source.and_then(|source| source.fraction).unwrap_or_default();
                line.set_position((fraction.clamp(0.0, 1.0) * WHOLE as f64) as u64);
                line.set_message(format!(
                    "{} in, {} out, {} on their way",
                    progress.account.accepted, progress.account.delivered, progress.account.in_flight
                ));
            }
        }
    })
}
