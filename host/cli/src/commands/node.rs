use anyhow::Context;

use crate::args::NodeOptions;
use crate::exit::Failure;

/// The other end of a multiprocess node: this process is the child.
pub(crate) fn run(options: &NodeOptions) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the node's runtime")?;
    runtime.block_on(flyball_nodes::serve(
        &options.node_type,
        &options.config,
        tokio::io::stdin(),
        tokio::io::stdout(),
    ))
    .with_context(|| format!("the node of type {} stopped", options.node_type))?;
    Ok(())
}
