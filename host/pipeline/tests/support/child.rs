//! A built-in node as a child process, for the tests: `flyball-pipeline-child TYPE --config JSON`, and the supervisor of
//! one: `flyball-pipeline-child --supervise PROGRAM ARGS…`.

use std::error::Error;
use std::process::ExitCode;

use tokio::runtime::Builder;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if std::env::args_os().nth(1).is_some_and(|first| first == "--supervise") {
        return Ok(flyball_nodes::supervise(std::env::args_os().skip(2)));
    }
    let mut args = std::env::args().skip(1);
    let node_type = args.next().ok_or("no type")?;
    let config = serde_json::from_str(&args.nth(1).ok_or("no configuration")?)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let served =
        runtime.block_on(flyball_nodes::serve(&node_type, &config, tokio::io::stdin(), tokio::io::stdout()));
    // Standard input is read by a thread that cannot be called off: it must not be waited for.
    runtime.shutdown_background();
    served?;
    Ok(ExitCode::SUCCESS)
}
