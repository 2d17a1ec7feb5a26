//! Asks the host that runs, for commands that need one.

use flyball_host::{Asked, Request, StateDir, ask, no_host};
use serde_json::Value;

use crate::exit::Failure;

/// Asks where a host must be.
pub(crate) fn ask_host(state: &StateDir, request: &Request) -> Result<Value, Failure> {
    match ask(state, request)? {
        Asked::Answer(answer) => Ok(answer),
        Asked::Unreachable(why) => Err(Failure::NoHost(why)),
        Asked::NoHost => Err(Failure::NoHost(format!(
            "{}; start one with `flyball run`, or name its directory with --state DIR",
            no_host(state)
        ))),
    }
}
