//! Deciders and incidents, as a person reads them.

use flyball_model::{DeciderAnswer, DeciderSaid, Decimal, LlmUse};

use crate::narrator::{clock, tame};
use flyball_host::{DeciderReport, IncidentReport};

/// A line for each decider.
pub(crate) fn table(deciders: &[DeciderReport]) -> String {
    let mut lines = vec![format!(
        "{:<32} {:>6} {:>8} {:>9} {:>6} {:>5} {:>7} {:>8} {:>9} {:>9} {:>9} {:>9} {:>15} {:>10}",
        "DECIDER",
        "ASKED",
        "ANSWERED",
        "ABSTAINED",
        "FAILED",
        "LATE",
        "DROPPED",
        "FOLLOWED",
        "AGREED",
        "P50 ms",
        "P99 ms",
        "QUESTIONS",
        "TOKENS IN+OUT",
        "COST"
    )];
    for one in deciders {
        let shadow = if one.shadow { ", shadow" } else { "" };
        let plugin = if one.decider == one.plugin { String::new() } else { format!(" ({})", one.plugin) };
        let millis = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
        lines.push(format!(
            "{:<32} {:>6} {:>8} {:>9} {:>6} {:>5} {:>7} {:>8} {:>9} {:>9} {:>9} {:>9} {:>15} {:>10}",
            tame(&format!("{}{plugin}{shadow}", one.decider)),
            one.asked,
            one.answered,
            one.abstained,
            one.failed,
            one.late,
            one.dropped,
            one.followed,
            format!("{}/{}", one.agreed, one.compared),
            millis(one.p50_ms),
            millis(one.p99_ms),
            one.llm.questions,
            format!("{}+{}", one.llm.input_tokens, one.llm.output_tokens),
            money(&one.llm)
        ));
    }
    lines.join("\n")
}

/// `incident in shop at 10:02:03.000, ticks 10 to 42: trouble at slow; scale slow to 2 (verified); 2 questions, …`
pub(crate) fn incident(incident: &IncidentReport) -> String {
    let faults: Vec<String> = incident.faults.iter().map(|fault| tame(fault)).collect();
    let actions: Vec<String> =
        incident.actions.iter().map(|one| format!("{} ({})", tame(&one.action), one.outcome)).collect();
    format!(
        "incident in {} at {}, ticks {} to {}{}: {}; {}; {}",
        tame(&incident.session),
        clock(incident.from),
        incident.first_tick,
        incident.last_tick,
        if incident.open { ", not known to be over" } else { "" },
        faults.join(", "),
        if actions.is_empty() { "nothing was done".to_owned() } else { actions.join(", ") },
        llm(&incident.llm)
    )
}

/// `2 questions to models, 1400+20 tokens, cost 0.0042`
pub(crate) fn llm(used: &LlmUse) -> String {
    if used.is_none() {
        return "no model was asked".to_owned();
    }
    let questions = if used.questions == 1 { "1 question" } else { &format!("{} questions", used.questions) };
    format!(
        "{questions} to models, {}+{} tokens, cost {}",
        used.input_tokens,
        used.output_tokens,
        money(used)
    )
}

fn money(used: &LlmUse) -> String {
    Decimal::millionths(used.cost_millionths).to_string()
}

/// What each decider of a tick said. Nothing where one was asked and followed, or failed: that is told without this.
pub(crate) fn answers(answers: &[DeciderAnswer]) -> String {
    let mut text = String::new();
    let worth_telling = |answer: &DeciderAnswer| answer.shadow || answer.said == DeciderSaid::Abstains;
    if answers.len() < 2 && !answers.iter().any(worth_telling) {
        return text;
    }
    for answer in answers {
        let mut who = tame(answer.decider());
        if answer.name.is_some() {
            who.push_str(&format!(" ({})", answer.by.name));
        }
        if let Some(group) = &answer.within {
            who.push_str(&format!(" in \"{}\"", tame(group)));
        }
        let shadow = if answer.shadow { "shadow " } else { "" };
        let said = match (answer.said, &answer.decision) {
            (_, Some(decision)) => format!("wants \"{}\"", tame(&decision.proposal.action.to_string())),
            (DeciderSaid::Abstains, _) => "abstains".to_owned(),
            (DeciderSaid::Failed, _) => "failed".to_owned(),
            (DeciderSaid::Late, _) => "was too late".to_owned(),
            (DeciderSaid::Dropped, _) => "was given up".to_owned(),
            (DeciderSaid::NotAsked | DeciderSaid::Decision, _) => "was not asked".to_owned(),
        };
        let followed = if answer.followed { ", and is followed" } else { "" };
        text += &format!("  {shadow}{who} {said}{followed}: {}", tame(&answer.why));
        if answer.said.is_asked() {
            let took = answer.took_ns as f64 / 1e6;
            text += &format!(" (asked on tick {}, {took:.1} ms", answer.tick);
            if !answer.cost.llm.is_none() {
                text += &format!(", {}", llm(&answer.cost.llm));
            }
            text += ")";
        }
        text += "\n";
    }
    text
}
