use clap::CommandFactory;

use crate::args::{Arguments, CompletionsOptions};
use crate::exit::Failure;
use crate::output::out;

pub(crate) fn run(options: &CompletionsOptions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), "flyball", &mut script);
    out!("{}", String::from_utf8_lossy(&script));
    Ok(())
}
