use std::path::PathBuf;

use clap::Args;
use flyball_host::Threads;

use crate::demo;
use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    /// Where the demo leaves its files: a new or empty directory [default: a new temporary one]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// Ask this language model beside the rules, and show where both agree: anthropic/NAME, openai/NAME or gemini/NAME
    #[arg(long, value_name = "PROVIDER/NAME")]
    pub(crate) model: Option<String>,

    /// Where the model is asked, as http://localhost:11434/v1 for a server of this machine [default: the provider's own]
    #[arg(long, value_name = "URL", requires = "model")]
    pub(crate) model_url: Option<String>,

    /// The environment variable that holds its key [default: ANTHROPIC_API_KEY, OPENAI_API_KEY or GEMINI_API_KEY; with
    /// --model-url none]
    #[arg(long, value_name = "VARIABLE", requires = "model")]
    pub(crate) model_key: Option<String>,

    /// Print the summary only
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

pub(crate) fn run(options: &DemoOptions) -> Result<(), Failure> {
    let threads = Threads::start()?;
    // Its load and its service are no part of the host's loops.
    threads.data().block_on(demo::run(options, &threads))
}
