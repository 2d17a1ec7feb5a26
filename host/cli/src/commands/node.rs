use anyhow::Context;
use clap::Args;
use serde_json::Value;

use crate::exit::Failure;

#[derive(Debug, Args)]
pub(crate) struct NodeOptions {
    /// A built-in node type
    #[arg(value_name = "TYPE")]
    pub(crate) node_type: String,

    /// Its configuration
    #[arg(long, value_name = "JSON", value_parser = json, default_value = "{}")]
    pub(crate) config: Value,
}

fn json(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

/// The other end of a multiprocess node: this process is the child.
pub(crate) fn run(options: &NodeOptions) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the node's runtime")?;
    let served = runtime.block_on(flyball_nodes::serve(
        &options.node_type,
        &options.config,
        tokio::io::stdin(),
        tokio::io::stdout(),
    ));
    // A thread that waits on an open standard input must not keep a failed child alive.
    runtime.shutdown_background();
    served.with_context(|| format!("the node of type {} stopped", options.node_type))?;
    Ok(())
}
