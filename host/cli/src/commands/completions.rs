use clap::{Args, CommandFactory};

use crate::args::Arguments;
use crate::exit::Failure;
use crate::output::out;

#[derive(Debug, Args)]
pub(crate) struct CompletionsOptions {
    /// For which shell
    pub(crate) shell: clap_complete::Shell,
}

pub(crate) fn run(options: &CompletionsOptions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "flyball", &mut script);
    out!("{}", String::from_utf8_lossy(&script));
    Ok(())
}
