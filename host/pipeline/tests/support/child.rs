//! A built-in node as a child process, for the tests: `flyball-pipeline-child TYPE --config JSON`.

use std::error::Error;

use tokio::runtime::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let node_type = args.next().ok_or("no type")?;
    let config = serde_json::from_str(&args.nth(1).ok_or("no configuration")?)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let served =
        runtime.block_on(flyball_nodes::serve(&node_type, &config, tokio::io::stdin(), tokio::io::stdout()));
    // Standard input is read by a thread that cannot be called off: it must not be waited for.
    runtime.shutdown_background();
    Ok(served?)
}
