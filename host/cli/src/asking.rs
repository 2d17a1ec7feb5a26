//! Asks the host that runs, for commands that need one.

use flyball_host::{ControlRequest, RequestResult, StateDir, ask, no_host};
use serde_json::Value;

use crate::exit::Failure;

/// Asks where a host must be.
pub(crate) fn ask_host(state: &StateDir, request: &ControlRequest) -> Result<Value, Failure> {
    match ask(state, request)? {
        RequestResult::Answer(answer) => Ok(answer),
        RequestResult::Unreachable(why) => Err(Failure::NoHost(why)),
        RequestResult::NoHost => Err(Failure::NoHost(format!(
            "{}; start one with `flyball run`, or name its directory with --state DIR",
            no_host(state)
        ))),
    }
}
