//! What serves when a plugin's file is not what it was: gone, unreadable, or of an older version.
//!
//! A guard that an operator put into the plugin directory is not replaced by the one of the same name that came with the host
//! because its file went away, and a signed plugin does not go back to an older version because somebody found an old file
//! with a signature that is still good. Either is a trouble, the last good one serves on, and it is each policy's to say
//! otherwise (`plugins.on_missing`, `plugins.on_downgrade`). Of several policies that use a plugin the strictest counts, as one
//! version serves them all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use flyball_model::{OnDowngrade, OnMissing, printable_path};

use super::bind::Candidate;
use super::generation::Serving;
use crate::{LoadError, Plugin};

/// Whether what serves serves on instead of what there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kept {
    No,
    /// It does, for this reason.
    Told(String),
}

/// Of a plugin that serves: `file` is what there is of that name now (none: nothing; none within: what came with the host),
/// `unread` why its file or directory cannot be read.
pub(super) fn kept(
    name: &str,
    before: &Serving,
    file: Option<Option<&Path>>,
    unread: Option<&String>,
    policies: &BTreeMap<String, Candidate>,
) -> Kept {
    let (Some(path), None | Some(None)) = (&before.path, file) else { return Kept::No };
    let version = &before.plugin.id().version;
    if let Some(why) = unread {
        return Kept::Told(format!("{why}; version {version}, which served, serves on"));
    }
    let mut uses = policies.values().filter(|candidate| uses(candidate, name)).peekable();
    let used = uses.peek().is_some();
    let keeps = uses.any(|candidate| candidate.policy.plugins.on_missing == OnMissing::Keep);
    match file {
        None if used => Kept::Told(format!(
            "{} is gone; version {version}, which served, serves on",
            printable_path(path)
        )),
        Some(_) if keeps => Kept::Told(format!(
            "{} is gone; version {version}, which served, serves on in place of the one that came with the host; put the \
             file back, or let its policies have `plugins: {{ on_missing: fall-back }}`",
            printable_path(path)
        )),
        _ => Kept::No,
    }
}

/// Holds an older version than the one that served, where a policy that uses it asks for signers; `went_back`: a person did
/// so by `flyball plugins rollback`.
pub(super) fn older(
    name: &str,
    plugin: Arc<Plugin>,
    before: Option<&Serving>,
    went_back: bool,
    policies: &BTreeMap<String, Candidate>,
) -> Result<Arc<Plugin>, LoadError> {
    let Some(before) = before.filter(|_| !went_back) else { return Ok(plugin) };
    let version = |plugin: &Plugin| semver::Version::parse(&plugin.id().version).ok();
    let (Some(found), Some(running)) = (version(&plugin), version(&before.plugin)) else { return Ok(plugin) };
    let minds = |candidate: &&Candidate| {
        let policy = &candidate.policy;
        !policy.signers.is_empty()
            && policy.plugins.on_downgrade == OnDowngrade::Keep
            && uses(candidate, name)
    };
    if found >= running || !policies.values().any(|candidate| minds(&candidate)) {
        return Ok(plugin);
    }
    Err(LoadError::Older { found: found.to_string(), running: running.to_string() })
}

fn uses(candidate: &Candidate, name: &str) -> bool {
    candidate.policy.judges.all().any(|used| used.plugin == name)
}
