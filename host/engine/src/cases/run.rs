//! Asks a plugin its own cases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flyball_control::ports::{Asked, Decided, Said};
use flyball_model::{Check, Finding, PluginKind, PluginUse, Reason, Reversal, Verdict};
use serde_json::Value;

use super::case::{Case, Expected};
use super::seen;
use crate::{Judge, LoadError, Plugin, Settings};

/// All cases of a plugin together take no longer.
const LONGEST: Duration = Duration::from_secs(10);

const NOTHING: Expected = Expected {
    findings: None,
    checks: None,
    verdict: None,
    code: None,
    action: None,
    abstains: false,
    actions: None,
    irreversible: None,
    types: None,
    bodies: None,
    failure: None,
    faults: None,
};

/// Every case, or the first that the plugin does not answer as it should.
pub(crate) fn run(plugin: &Arc<Plugin>, cases: &[Case]) -> Result<(), LoadError> {
    let begun = Instant::now();
    for case in cases {
        if begun.elapsed() > LONGEST {
            return Err(LoadError::Cases { why: format!("they take longer than {LONGEST:?}") });
        }
        let said = answer(plugin, case)?;
        if said != case.expect {
            return Err(LoadError::Case {
                about: crate::logging::plain(&case.about, 200),
                expected: wording(&case.expect),
                said: wording(&said),
            });
        }
    }
    Ok(())
}

/// What the plugin says, in the words of a case.
fn answer(plugin: &Arc<Plugin>, case: &Case) -> Result<Expected, LoadError> {
    let limits = plugin.engine().load_limits();
    let used = PluginUse {
        plugin: plugin.id().name.to_string(),
        settings: case.settings.clone(),
        limits,
        grants: Default::default(),
        on_failure: Default::default(),
    };
    let settings = Arc::new(Settings::from(&used.settings));
    let faults = plugin.asked_of_settings(&settings, limits).map_err(LoadError::Describing)?;
    if !faults.is_empty() {
        let faults = faults.into_iter().map(|fault| fault.pointer).collect();
        return Ok(Expected { faults: Some(faults), ..NOTHING });
    }
    let judge = Judge::unbound(Arc::clone(plugin), used);
    if plugin.kind() == PluginKind::Node {
        return Ok(processed(&judge, case));
    }
    let kept = case.kept.iter().map(|(key, value)| (key.clone(), value.clone().into_bytes())).collect();
    let (said, _) = judge.again(&asked(plugin, case)?, Some(Arc::new(kept)), &case.http, &case.llm);
    Ok(match said {
        Ok(said) => in_words(said, case),
        Err(error) => failure(error, case),
    })
}

fn asked(plugin: &Plugin, case: &Case) -> Result<Asked, LoadError> {
    let lacks = |what| LoadError::Cases { why: format!("{:?} lacks {what}", case.about) };
    Ok(match plugin.kind() {
        PluginKind::Heuristic => Asked::Assess(seen::sight(case)),
        PluginKind::Decider => Asked::Decide(seen::sight(case), seen::situation(case)),
        PluginKind::Validator => Asked::Review {
            sight: seen::sight(case),
            proposal: case.proposed.clone().ok_or_else(|| lacks("`proposed`"))?,
            decided_by: case.decided_by.clone(),
            situation: seen::situation(case),
        },
        PluginKind::Reverser => {
            let applied = case.applied.clone().ok_or_else(|| lacks("`applied`"))?;
            Asked::Reverse { action: applied.action, before: applied.before, after: applied.after }
        }
        PluginKind::Catalog | PluginKind::Node => Asked::List,
    })
}

fn processed(judge: &Judge, case: &Case) -> Expected {
    let body = case.item.clone().unwrap_or_default().to_string().into_bytes();
    let answers = judge.process(&[(1, body)]);
    match answers.map(|mut answers| answers.pop()) {
        Ok(Some(Ok(bodies))) => {
            let bodies: Option<Vec<Value>> =
                bodies.iter().map(|body| serde_json::from_slice(body).ok()).collect();
            Expected { bodies: Some(bodies.unwrap_or_default()), ..NOTHING }
        }
        Ok(Some(Err(why))) => failure(why, case),
        Ok(None) => failure("no answer".to_owned(), case),
        Err(error) => failure(error.to_string(), case),
    }
}

fn in_words(said: Said, case: &Case) -> Expected {
    match said {
        Said::Assessed(said) => {
            let mut found: Vec<String> = said.findings.iter().map(finding).collect();
            found.sort_unstable();
            let checks = case.expect.checks.as_ref().map(|_| said.checks.iter().map(check).collect());
            Expected { findings: Some(found), checks, ..NOTHING }
        }
        Said::NodeTypes(types) => {
            Expected { types: Some(types.into_iter().map(|one| one.name).collect()), ..NOTHING }
        }
        Said::Decided(Decided::For(decision)) => {
            Expected { action: Some(decision.proposal.action), ..NOTHING }
        }
        Said::Decided(Decided::Abstains(_)) => Expected { abstains: true, ..NOTHING },
        Said::Verdict(verdict) => {
            let (said, code) = match verdict {
                Verdict::Allow => ("allow", None),
                Verdict::Deny(Reason { code, .. }) => ("deny", Some(code)),
                Verdict::Amend(amendment) => ("amend", Some(amendment.reason.code)),
                Verdict::Ask(Reason { code, .. }) => ("ask", Some(code)),
            };
            Expected { verdict: Some(said.to_owned()), code, ..NOTHING }
        }
        Said::Reversal(Reversal::Reversible { actions }) => Expected { actions: Some(actions), ..NOTHING },
        Said::Reversal(Reversal::Irreversible { why }) => {
            Expected { irreversible: Some(part(why, case.expect.irreversible.as_ref())), ..NOTHING }
        }
    }
}

fn finding(finding: &Finding) -> String {
    let severity = format!("{:?}", finding.severity).to_lowercase();
    format!("{severity} {} {}", finding.code, finding.target.as_deref().unwrap_or_default())
}

fn check(check: &Check) -> String {
    let Check { code, node, value, limit, note, .. } = check;
    let node = node.as_deref().unwrap_or("-");
    let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    format!("{code} {node} {value} {limit} {note}").trim_end().to_owned()
}

fn failure(why: String, case: &Case) -> Expected {
    Expected { failure: Some(part(why, case.expect.failure.as_ref())), ..NOTHING }
}

/// A case names a part of a sentence; where that is in it, it is all that is compared.
fn part(said: String, expected: Option<&String>) -> String {
    match expected {
        Some(expected) if said.contains(expected.as_str()) => expected.clone(),
        _ => said,
    }
}

fn wording(expected: &Expected) -> String {
    let text = serde_json::to_string(expected).unwrap_or_else(|error| error.to_string());
    crate::logging::plain(&text, 400)
}
