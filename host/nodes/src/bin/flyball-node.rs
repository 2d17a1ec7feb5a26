//! The smallest node child: `flyball-node TYPE CONFIG` runs a built-in node on standard input and output, by the protocol
//! of `flyball_nodes::child`, and `flyball-node --supervise PROGRAM ARGS…` supervises a child for a host. The tests run it;
//! it also shows all that a child needs.

use std::process::ExitCode;

use flyball_nodes::{serve, supervise};
use tokio::runtime::Builder;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == "--supervise") {
        return supervise(std::env::args_os().skip(2));
    }
    let mut args = std::env::args().skip(1);
    let (Some(node_type), Some(config)) = (args.next(), args.next()) else {
        eprintln!("usage: flyball-node TYPE CONFIG");
        return ExitCode::from(2);
    };
    let run = || -> Result<(), Box<dyn std::error::Error>> {
        let config = serde_json::from_str(&config)?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let served = runtime.block_on(serve(&node_type, &config, tokio::io::stdin(), tokio::io::stdout()));
        // Standard input is read by a thread that cannot be called off: it must not be waited for.
        runtime.shutdown_background();
        Ok(served?)
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flyball-node: {error}");
            ExitCode::FAILURE
        }
    }
}
