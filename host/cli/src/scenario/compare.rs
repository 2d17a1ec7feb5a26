//! What came of a scenario beside what was expected.

use flyball_model::ActionRecord;

use super::document::{Expected, ExpectedAction};
use super::play::Played;

/// A sentence for each difference; none: it is as expected.
pub(crate) fn differences(played: &Played, expected: &Expected) -> Vec<String> {
    let mut differences = played.not_done.clone();
    if let Some(actions) = &expected.actions {
        let real: Vec<String> = played.actions.iter().map(real).collect();
        let wanted: Vec<String> = actions.iter().map(wanted).collect();
        if real != wanted {
            differences.push(format!("expected the actions {}; there were {}", list(&wanted), list(&real)));
        }
    }
    if let Some(most) = expected.most_actions
        && played.actions.len() > most
    {
        differences.push(format!("expected at most {most} actions; there were {}", played.actions.len()));
    }
    if let Some(notices) = &expected.notices {
        let real: Vec<String> = played.notices.iter().map(|notice| notice.code.clone()).collect();
        if real != *notices {
            differences.push(format!("expected the notices {}; there were {}", list(notices), list(&real)));
        }
    }
    let missing = expected.says.iter().filter(|text| !played.story.contains(text.as_str()));
    differences.extend(missing.map(|text| format!("the story does not say {text:?}")));
    let unwanted = expected.never_says.iter().filter(|text| played.story.contains(text.as_str()));
    differences.extend(unwanted.map(|text| format!("the story says {text:?}")));
    if let Some(as_before) = expected.graph_as_before
        && as_before != (played.began_with.digest() == played.ends_with.digest())
    {
        let is = if as_before { "is another than" } else { "is still" };
        differences.push(format!("the graph at the end {is} the one that it began with"));
    }
    if !played.balances {
        differences.push("the pipeline's item account does not balance".to_owned());
    }
    differences
}

fn real(action: &ActionRecord) -> String {
    line(&ExpectedAction {
        kind: action.proposal.action.kind(),
        node: action.proposal.action.target().cloned().unwrap_or_default(),
        outcome: action.outcome,
        undo: action.undoes.is_some(),
    })
}

fn wanted(action: &ExpectedAction) -> String {
    line(action)
}

fn line(action: &ExpectedAction) -> String {
    let undo = if action.undo { "undo: " } else { "" };
    format!("{undo}{} {} {}", action.kind, action.node, action.outcome.name())
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}
