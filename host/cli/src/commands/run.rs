use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::{Places, RunOptions};
use crate::assembly::{Host, Plan};
use crate::exit::Failure;
use crate::narrator::{Form, Narrator};
use crate::report::Report;
use crate::report_file::ReportFile;
use crate::state_dir::StateDir;
use crate::summary;
use crate::threads::Threads;

pub(crate) fn run(places: &Places, options: &RunOptions) -> Result<(), Failure> {
    let threads = Threads::start()?;
    let state = StateDir::of(places)?;
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
    let plan = Plan {
        manifests: options.manifests.clone(),
        judging: options.judging.clone(),
        dead_letters: options.dead_letters.clone().unwrap_or_else(|| state.dead_letters()),
        dead_letters_max_mb: options.dead_letters_max_mb,
        state,
        drain: options.drain,
        recording: options.recording.clone(),
        dry_run: options.dry_run,
        notify: options.notify.clone(),
        narrator: narrator.clone(),
        hear_signals: true,
    };
    let report = threads.run(until_it_ends(plan, options.duration, narrator, progress, threads))?;
    if let Some(file) = report_file {
        // It may be written to the same place as what was told.
        narrator.settle();
        report.write(file)?;
    }
    narrator.say(&summary::of_run(&report));
    summary::balanced(&report)
}

async fn until_it_ends(
    plan: Plan,
    duration: Option<Duration>,
    narrator: &Arc<Narrator>,
    progress: &MultiProgress,
    threads: &Threads,
) -> Result<Report, Failure> {
    let host = Host::start(plan, threads).await?;
    for session in &host.sessions {
        for (node, address) in session.pipeline.addresses() {
            narrator.say(&format!("{}: {node} takes items at http://{address}/items", session.name));
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
    // A terminal that does not clear the line shows it once more.
    let _ = progress.clear();
    Ok(stopped?)
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
    for session in &host.sessions {
        for source in session.pipeline.progress().sources {
            if source.fraction.is_some() {
                let line = progress.add(ProgressBar::new(WHOLE).with_style(style.clone()));
                line.set_prefix(format!("{} {}", session.name, source.node));
                lines.push((session.pipeline.clone(), source.node, line));
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
