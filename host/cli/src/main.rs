//! The program `flyball`: what a person types, and what they read.

mod args;
mod asking;
mod commands;
mod demo;
mod exit;
mod files;
mod looked_at;
mod narrator;
mod output;
mod printer;
mod process_faults;
mod report_file;
mod scenario;
mod summary;
mod tally_text;
mod wordless;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};

/// As the help documents it.
const WRONG_COMMAND_LINE: u8 = 2;

fn main() -> ExitCode {
    // Before anything is read or opened: what follows is a child's command line, and none of this program's.
    if let Some(command) = supervised(std::env::args_os().skip(1)) {
        return flyball_nodes::supervise(command);
    }
    let mut arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // What was typed may hold what a script took from a file's name.
        Err(fault) if fault.use_stderr() => {
            output::write_error(&fault.render().to_string());
            return ExitCode::from(WRONG_COMMAND_LINE);
        }
        Err(shown) => shown.exit(),
    };
    // A variable that is set to nothing names no directory.
    arguments.places.state = arguments.places.state.filter(|dir| !dir.as_os_str().is_empty());
    start_log(&arguments);
    let done = match arguments.command {
        Command::Node(options) => commands::node::run(&options),
        Command::Run(options) => commands::run::run(&arguments.places, &options),
        Command::Demo(options) => commands::demo::run(&options),
        Command::Check(options) => commands::check::run(&arguments.places, &options),
        Command::Scenario(options) => commands::scenario::run(&arguments.places, &options),
        Command::Status(options) => commands::status::run(&arguments.places, &options),
        Command::Plugins(options) => commands::plugins::run(&arguments.places, &options),
        Command::Inspect(options) => commands::inspect::run(&arguments.places, &options),
        Command::Keygen(options) => commands::keygen::run(&options),
        Command::Sign(options) => commands::sign::run(&options),
        Command::Verify(options) => commands::verify::run(&options),
        Command::Journal(options) => commands::journal::run(&arguments.places, &options),
        Command::Events(options) => commands::events::run(&arguments.places, &options),
        Command::Recordings(options) => commands::recordings::run(&arguments.places, &options),
        Command::Replay(options) => commands::replay::run(&arguments.places, &options),
        Command::DeadLetters(options) => commands::dead_letters::run(&arguments.places, &options),
        Command::Deciders(options) => commands::deciders::run(&arguments.places, &options),
        Command::Explain(options) => commands::explain::run(&arguments.places, &options),
        Command::Halt(options) => commands::halt::halt(&arguments.places, &options),
        Command::Resume(options) => commands::halt::resume(&arguments.places, &options),
        Command::Changes(options) => commands::changes::run(&arguments.places, &options),
        Command::Approvals(options) => commands::approvals::list(&arguments.places, &options),
        Command::Approve(options) => commands::approvals::approve(&arguments.places, &options),
        Command::Deny(options) => commands::approvals::deny(&arguments.places, &options),
        Command::Rollback(options) => commands::rollback::run(&arguments.places, &options),
        Command::Schema(options) => commands::schema::run(&options),
        Command::Completions(options) => commands::completions::run(&options),
    };
    exit::code_of(done)
}

/// `flyball node --supervise PROGRAM ARGS…`, as the host starts this program for each child of a node.
fn supervised(mut words: impl Iterator<Item = OsString>) -> Option<impl Iterator<Item = OsString>> {
    let is = words.next()? == "node" && words.next()? == "--supervise";
    is.then_some(words)
}

/// Warnings by default; `-v` shows what the host does, `-vv` its details. `FLYBALL_LOG` takes tracing's directives.
fn start_log(arguments: &Arguments) {
    let level = match arguments.verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    let usual = || tracing_subscriber::EnvFilter::new(format!("warn,notify=error,flyball={level}"));
    let asked = std::env::var("FLYBALL_LOG").unwrap_or_default();
    let filter = match asked.trim() {
        "" => usual(),
        asked => tracing_subscriber::EnvFilter::try_new(asked).unwrap_or_else(|fault| {
            output::errln!("flyball: FLYBALL_LOG is passed over: {fault}; write it like flyball=debug");
            usual()
        }),
    };
    let styled = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || output::LogLines { styled })
        .with_ansi(styled)
        .with_target(false)
        .init();
}
