use crate::args::DemoOptions;
use crate::demo;
use crate::exit::Failure;
use flyball_host::Threads;

pub(crate) fn run(options: &DemoOptions) -> Result<(), Failure> {
    let threads = Threads::start()?;
    // Its load and its service are no part of the host's loops.
    threads.data().block_on(demo::run(options, &threads))
}
