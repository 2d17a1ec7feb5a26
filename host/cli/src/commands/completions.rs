use clap::CommandFactory;

use crate::args::{Arguments, CompletionsOptions};
use crate::exit::Failure;

pub(crate) fn run(options: &CompletionsOptions) -> Result<(), Failure> {
    clap_complete::generate(options.shell, &mut Arguments::command(), "flyball", &mut std::io::stdout());
    Ok(())
}
