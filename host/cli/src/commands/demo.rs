use anyhow::Context;

use crate::args::DemoOptions;
use crate::demo;
use crate::exit::Failure;

pub(crate) fn run(options: &DemoOptions) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().context("cannot start the host's runtime")?;
    runtime.block_on(demo::run(options))
}
