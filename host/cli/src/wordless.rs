//! What a judge says without the words that it says it in: for holding two components against each other, of which one puts
//! the same thing differently. Called by `flyball replay --with`.

use flyball_model::{Evidence, Reason, Reversal, Verdict};
use flyball_ports::{Decided, Said};

/// The answer with every text for people taken out. Of a decision only the action is left: how sure a decider is and what it
/// rests on explain the action, and are not done. Codes, targets and numbers of findings and verdicts stay.
pub(crate) fn wordless(said: &Result<Said, String>) -> Result<Said, String> {
    let Ok(said) = said else { return Err(String::new()) };
    let mut said = said.clone();
    match &mut said {
        Said::Assessed(assessment) => {
            for finding in &mut assessment.findings {
                finding.message.clear();
                notes(&mut finding.rests_on);
            }
            assessment.checks.iter_mut().for_each(|check| check.note.clear());
        }
        Said::NodeTypes(types) => types.iter_mut().for_each(|one| one.summary.clear()),
        Said::Decided(Decided::For(decision)) => {
            decision.analysis.clear();
            decision.issues.clear();
            decision.proposal.reason.clear();
            decision.proposal.confidence = None;
            decision.proposal.rests_on.clear();
        }
        Said::Decided(Decided::Abstains(why)) => why.clear(),
        Said::Verdict(Verdict::Allow) => {}
        Said::Verdict(Verdict::Deny(why) | Verdict::Ask(why)) => reason(why),
        Said::Verdict(Verdict::Amend(amendment)) => reason(&mut amendment.reason),
        Said::Reversal(Reversal::Irreversible { why }) => why.clear(),
        Said::Reversal(Reversal::Reversible { .. }) | Said::Processed(_) | Said::Other(_) => {}
    }
    Ok(said)
}

fn reason(reason: &mut Reason) {
    reason.message.clear();
    reason.hint = None;
    notes(&mut reason.rests_on);
}

fn notes(evidence: &mut [Evidence]) {
    evidence.iter_mut().for_each(|one| one.note.clear());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use flyball_model::{Action, Decision, Finding, Proposal, Severity};
    use flyball_store::same;

    use super::*;

    fn decided(action: Action, reason: &str) -> Result<Said, String> {
        let proposal =
            Proposal { action, reason: reason.to_owned(), confidence: Some(0.5), rests_on: vec![] };
        Ok(Said::Decided(Decided::For(Decision { analysis: reason.to_owned(), issues: vec![], proposal })))
    }

    fn found(target: &str, message: &str, value: f64) -> Result<Said, String> {
        let evidence = Evidence { value: Some(value), note: message.to_owned(), ..Evidence::default() };
        let finding = Finding {
            code: "slow".to_owned(),
            severity: Severity::Warning,
            target: Some(target.to_owned()),
            message: message.to_owned(),
            rests_on: vec![evidence],
        };
        Ok(Said::Assessed(vec![finding].into()))
    }

    #[test]
    fn other_words_are_the_same_and_another_action_target_number_or_verdict_is_not() {
        let restart = |node: &str| Action::RestartProcess { node: node.to_owned() };
        let alike =
            |one: &Result<Said, String>, other: &Result<Said, String>| same(&wordless(one), &wordless(other));
        assert!(alike(&decided(restart("a"), "it hangs"), &decided(restart("a"), "it is stuck")));
        assert!(!alike(&decided(restart("a"), "it hangs"), &decided(restart("b"), "it hangs")));
        assert!(alike(&found("a", "slow", 1.0), &found("a", "rather slow", 1.0)));
        assert!(!alike(&found("a", "slow", 1.0), &found("b", "slow", 1.0)));
        assert!(!alike(&found("a", "slow", 1.0), &found("a", "slow", 2.0)));
        let why = |code: &str, message: &str| Reason {
            code: code.to_owned(),
            message: message.to_owned(),
            hint: Some(message.to_owned()),
            rests_on: vec![],
        };
        let denied = |code: &str, message: &str| Ok(Said::Verdict(Verdict::Deny(why(code, message))));
        assert!(alike(&denied("quota", "2 of 2"), &denied("quota", "two of two")));
        assert!(!alike(&denied("quota", "2 of 2"), &denied("freeze", "2 of 2")));
        assert!(!alike(&denied("quota", "2 of 2"), &Ok(Said::Verdict(Verdict::Allow))));
        assert!(alike(&Err("out of fuel".to_owned()), &Err("trapped".to_owned())));
        assert!(!alike(&Err("out of fuel".to_owned()), &Ok(Said::Verdict(Verdict::Allow))));
    }
}
