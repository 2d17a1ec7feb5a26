use anyhow::Context;
use clap::{Args, Subcommand};
use flyball_engine::Versions;
use flyball_host::{
    ControlRequest, PluginReport, RequestResult, StateDir, ask, open_library, plugin_reports,
};

use crate::args::{Judging, Places};
use crate::exit::Failure;
use crate::narrator::tame;
use crate::output::{json_pretty, outln};

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

pub(crate) fn run(places: &Places, options: &PluginsOptions) -> Result<(), Failure> {
    let state = places.state_dir()?;
    if let Some(PluginsCommand::Rollback { name, undo }) = &options.command {
        return roll_back(&state, name, *undo);
    }
    let own_directories = options.judging.policy.is_some() || options.judging.plugins.is_some();
    let running = match own_directories {
        true => None,
        false => match ask(&state, &ControlRequest::Plugins)? {
            RequestResult::Answer(answer) => Some(answer),
            RequestResult::NoHost => None,
            // What it would use is not what that host uses.
            RequestResult::Unreachable(why) => return Err(Failure::NoHost(why)),
        },
    };
    let hosted = running.is_some();
    let plugins: Vec<PluginReport> = match running {
        Some(answer) => {
            serde_json::from_value(answer).context("the host's answer is not a list of plugins")?
        }
        None => {
            let library = open_library(&options.judging.folders(), &state)?;
            plugin_reports(&library)
        }
    };
    if options.json {
        return json_pretty(&plugins);
    }
    outln!("{}", table(&plugins));
    if !hosted {
        outln!(
            "\nno host runs with this state directory: these are the plugins that `flyball run` would use"
        );
    }
    Ok(())
}

/// Writes down which version is wanted; a host that runs sees that.
fn roll_back(state: &StateDir, name: &str, undo: bool) -> Result<(), Failure> {
    let versions = Versions::look_at(&state.versions());
    let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
    if undo {
        versions.go_forward(name).context("cannot go forward")?;
        outln!("{}: what its file holds serves again", tame(name));
    } else {
        let back = versions.roll_back(name).context("cannot roll back")?;
        outln!(
            "{}: back to {}; {} is passed over until its file changes (--undo ends it)",
            tame(name),
            short(&back.to),
            short(&back.over)
        );
    }
    match ask(state, &ControlRequest::Plugins)? {
        RequestResult::Answer(_) => Ok(()),
        RequestResult::NoHost => {
            outln!("no host runs with this state directory; the next one takes it over");
            Ok(())
        }
        RequestResult::Unreachable(why) => {
            Err(Failure::NoHost(format!("{why}. It takes over what was written once it sees it")))
        }
    }
}

fn table(plugins: &[PluginReport]) -> String {
    let mut lines = vec![format!(
        "{:<22} {:<10} {:<8} {:<14} {:<10} {:>8} {:>10} {:>10}  {}",
        "PLUGIN", "KIND", "VERSION", "DIGEST", "STATE", "CALLS", "P50 µs", "P99 µs", "FROM"
    )];
    for plugin in plugins {
        let micros = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        let digest = plugin.running.as_deref().or(plugin.desired.as_deref()).unwrap_or_default();
        lines.push(format!(
            "{:<22} {:<10} {:<8} {:<14} {:<10} {:>8} {:>10} {:>10}  {}",
            tame(&plugin.name),
            plugin.kind.as_ref().map_or("-", |kind| kind.name()),
            plugin.version.as_deref().map_or_else(|| "-".to_owned(), tame),
            digest.get(..12).unwrap_or("-"),
            tame(&plugin.state),
            plugin.calls,
            micros(plugin.p50_us),
            micros(plugin.p99_us),
            tame(&plugin.from)
        ));
        if let Some(error) = &plugin.error {
            let desired = plugin.desired.as_deref().and_then(|digest| digest.get(..12)).unwrap_or("-");
            let stage = plugin.stage.as_deref().unwrap_or("-");
            lines.push(format!("  desired {desired} failed at stage {stage}: {}", tame(error)));
        }
        if let Some(over) = plugin.passed_over.as_deref().and_then(|digest| digest.get(..12)) {
            lines.push(format!("  rolled back: {over} is passed over until its file changes"));
        }
        lines.extend(plugin.quarantined.iter().map(|why| format!("  not asked in {}", tame(why))));
        for limit in plugin.limits.iter().filter(|limit| limit.near) {
            lines.push(format!("  near a limit: {} of {} {}", limit.most, limit.of, limit.limit));
        }
    }
    lines.join("\n")
}
