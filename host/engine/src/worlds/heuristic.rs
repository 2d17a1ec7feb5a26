//! The world `heuristic`: it looks at the observation and the window, and says what needs attention.
//!
//! Its answer must be small and about nodes that were shown, whatever the guest says. The table (`mod.rs`) calls this.

use std::sync::Arc;

use flyball_model::{Assessment, Case, CaseAnswer, Check, Finding, NodeColumns, PluginKind, Severity, Side};
use flyball_ports::{CallInput, Said};

use super::lift::{evidence, invalid};
use super::{Looking, World, looking, of_another_kind};
use crate::bindings::{assessing, judgement};
use crate::cases;
use crate::error::CallError;

pub(super) struct Heuristic;

impl World for Heuristic {
    const KIND: PluginKind = PluginKind::Heuristic;
    const INTERFACE: &'static str = "flyball:plugin/assessing@0.1.0";
    const FUNCTION: &'static str = "assess";
    const TYPES: &'static [&'static str] = &["flyball:plugin/judgement@0.1.0"];
    type Params = Looking;
    type Results = (assessing::Assessment,);

    fn lower(asked: &CallInput) -> Option<Looking> {
        matches!(asked, CallInput::Assess(_)).then(looking)
    }

    fn lift(asked: &CallInput, (said,): Self::Results) -> Result<Said, CallError> {
        let none = NodeColumns::default();
        let nodes = asked.sight().map_or(&none, |sight| &sight.now.nodes);
        Ok(Said::Assessed(assessment(said, nodes)?))
    }

    fn of_case(case: &Case) -> Result<CallInput, &'static str> {
        Ok(CallInput::Assess(cases::sight(case)))
    }

    fn in_case(said: Said, case: &Case) -> CaseAnswer {
        let Said::Assessed(said) = said else { return of_another_kind() };
        let mut found: Vec<String> = said.findings.iter().map(finding_in_case).collect();
        found.sort_unstable();
        let checks = case.expect.checks.as_ref().map(|_| said.checks.iter().map(check_in_case).collect());
        CaseAnswer { findings: Some(found), checks, ..CaseAnswer::default() }
    }
}

/// A heuristic has rules by the dozen, not by the hundred.
const MOST_CHECKS: usize = 64;
/// Of what a check says in words, in bytes.
const LONGEST_WORD: usize = 100;
const LONGEST_NOTE: usize = 200;

/// Of an observation with these nodes.
fn assessment(said: assessing::Assessment, nodes: &NodeColumns) -> Result<Assessment, CallError> {
    if said.checks.len() > MOST_CHECKS {
        return Err(invalid("checks", format!("{} of them; at most {MOST_CHECKS}", said.checks.len())));
    }
    let checks = said.checks.into_iter().map(|said| check(said, nodes));
    let checks = checks.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    Ok(Assessment { findings: findings(said.findings), checks })
}

/// None: it is held against no number, and says nothing.
fn check(said: judgement::Check, nodes: &NodeColumns) -> Result<Option<Check>, CallError> {
    let texts = [
        ("checks.code", &said.code, LONGEST_WORD),
        ("checks.metric", &said.metric, LONGEST_WORD),
        ("checks.note", &said.note, LONGEST_NOTE),
    ];
    for (field, text, most) in texts {
        if text.len() > most {
            return Err(invalid(field, format!("{} bytes; at most {most}", text.len())));
        }
    }
    let node = match said.node {
        None => None,
        Some(number) => match usize::try_from(number).ok().and_then(|index| nodes.ids.get(index)) {
            Some(id) => Some(Arc::clone(id)),
            None => return Err(invalid("checks.node", format!("there is no node {number}"))),
        },
    };
    Ok(said.limit.is_finite().then_some(Check {
        code: said.code,
        node,
        metric: said.metric,
        value: said.value.filter(|value| value.is_finite()),
        limit: said.limit,
        bad: match said.bad {
            judgement::Side::Above => Side::Above,
            judgement::Side::Below => Side::Below,
        },
        note: said.note,
    }))
}

fn findings(said: Vec<judgement::Finding>) -> Vec<Finding> {
    said.into_iter()
        .map(|finding| Finding {
            code: finding.code,
            severity: match finding.severity {
                judgement::Severity::Info => Severity::Info,
                judgement::Severity::Warning => Severity::Warning,
                judgement::Severity::Critical => Severity::Critical,
            },
            target: finding.target,
            message: finding.message,
            rests_on: evidence(finding.rests_on),
        })
        .collect()
}

fn finding_in_case(finding: &Finding) -> String {
    let severity = format!("{:?}", finding.severity).to_lowercase();
    format!("{severity} {} {}", finding.code, finding.target.as_deref().unwrap_or_default())
}

fn check_in_case(check: &Check) -> String {
    let Check { code, node, value, limit, note, .. } = check;
    let node = node.as_deref().unwrap_or("-");
    let value = value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    format!("{code} {node} {value} {limit} {note}").trim_end().to_owned()
}
