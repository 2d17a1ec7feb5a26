use clap::Args;
use flyball_host::ControlRequest;
use flyball_model::Approval;
use serde::Deserialize;

use crate::args::Places;
use crate::asking::ask_host;
use crate::exit::Failure;
use crate::narrator::{clock, tame};
use crate::output::{json_value, outln};

#[derive(Debug, Args)]
pub(crate) struct ApprovalsOptions {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ApproveOptions {
    /// The question, as `flyball approvals` names it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct DenyOptions {
    /// The question, as `flyball approvals` names it
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Why; it is journaled
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
}

#[derive(Deserialize)]
struct Standing {
    session: String,
    approval: Approval,
}

pub(crate) fn list(places: &Places, options: &ApprovalsOptions) -> Result<(), Failure> {
    let answer = asked(places, &ControlRequest::Approvals)?;
    if options.json {
        json_value(&answer);
        return Ok(());
    }
    let standing: Vec<Standing> = serde_json::from_value(answer).map_err(anyhow::Error::from)?;
    for Standing { session, approval } in &standing {
        outln!(
            "{}  {}  {}\n  for {}, decided by {}; {} ({})\n  unanswered it is a no at {}",
            approval.id,
            tame(session),
            tame(&approval.action.to_string()),
            tame(&approval.findings.join(", ")),
            tame(&approval.decided_by),
            tame(&approval.reason.message),
            tame(&approval.reason.code),
            clock(approval.expires_at)
        );
    }
    if standing.is_empty() {
        outln!("nothing waits for approval");
    }
    Ok(())
}

pub(crate) fn approve(places: &Places, options: &ApproveOptions) -> Result<(), Failure> {
    asked(places, &ControlRequest::Approve { id: options.id.clone() })?;
    outln!("approved; it is done on the next tick, if everything still allows it");
    Ok(())
}

pub(crate) fn deny(places: &Places, options: &DenyOptions) -> Result<(), Failure> {
    asked(places, &ControlRequest::Deny { id: options.id.clone(), why: options.why.clone() })?;
    outln!("denied");
    Ok(())
}

fn asked(places: &Places, request: &ControlRequest) -> Result<serde_json::Value, Failure> {
    ask_host(&places.state_dir()?, request)
}
