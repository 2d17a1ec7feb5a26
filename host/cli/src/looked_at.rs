//! What was looked at on a tick and how the gates stood, as a person reads it.

use flyball_model::{Check, Checked, GateState, Severity, Side, TickRecord};

use crate::narrator::tame_to;

/// No column is wider.
const WIDEST: usize = 40;

/// A table of all that was held against a limit, for each who did.
pub(crate) fn checks_text(tick: &TickRecord) -> String {
    let mut text = String::new();
    for checked in &tick.checks {
        text += &format!("  looked at by {}:\n", checked.by.name);
        let mut rows = vec![
            ["would be", "node", "number", "value", "limit", "away", "it would take"].map(str::to_owned),
        ];
        rows.extend(checked.checks.iter().map(|check| row(check, checked, tick)));
        text += &table(&rows);
    }
    text
}

fn row(check: &Check, by: &Checked, tick: &TickRecord) -> [String; 7] {
    let (worse, better) = match check.bad {
        Side::Above => ("more than", "no more than"),
        Side::Below => ("less than", "no less than"),
    };
    let limit = number(check.limit);
    let found = tick.findings.iter().any(|found| {
        found.by == by.by
            && found.said.code == check.code
            && found.said.target.as_deref() == check.node.as_deref()
    });
    let differs = match (check.is_beyond(), check.note.is_empty()) {
        (true, true) if found => format!("found; else {better} {limit}"),
        // The same rule may make findings of several codes.
        (true, true) => format!("{better} {limit}"),
        (true, false) => tame_to(200, &check.note),
        (false, _) if check.value.is_none() => "nothing was read".to_owned(),
        (false, _) => format!("{worse} {limit}"),
    };
    [
        tame_to(WIDEST, &check.code),
        check.node.as_deref().map_or_else(|| "-".to_owned(), |node| tame_to(WIDEST, node)),
        tame_to(WIDEST, &check.metric),
        check.value.map_or_else(|| "-".to_owned(), number),
        limit,
        check.value.map_or_else(|| "-".to_owned(), |value| away(value, check.limit)),
        differs,
    ]
}

/// How far the value is from the limit, by the limit.
fn away(value: f64, limit: f64) -> String {
    let side = match value.partial_cmp(&limit) {
        Some(std::cmp::Ordering::Greater) => "above",
        Some(std::cmp::Ordering::Less) => "below",
        _ => return "at it".to_owned(),
    };
    if limit == 0.0 {
        return format!("{} {side}", number((value - limit).abs()));
    }
    let percent = ((value - limit) / limit * 100.0).abs();
    if percent < 1.0 { format!("<1 % {side}") } else { format!("{percent:.0} % {side}") }
}

/// With three digits behind the point at most, and none where they say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// As wide as its widest cell each; the last as long as it is.
fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text += "    ";
        text += cells.join("  ").trim_end();
        text += "\n";
    }
    text
}

/// How each gate stood: those with something to say a line each, the others by name.
pub(crate) fn gates_text(tick: &TickRecord) -> String {
    if tick.gates.is_empty() {
        return String::new();
    }
    let asked = tick.findings.iter().any(|found| found.said.severity >= Severity::Warning);
    let mut text = if asked { "  gates:\n" } else { "  gates, to which nothing came:\n" }.to_owned();
    let silent = |gate: &&GateState| gate.open && gate.message.is_empty();
    for gate in tick.gates.iter().filter(|gate| !silent(gate)) {
        let stood = if gate.open { "lets actions through" } else { "holds actions back" };
        text += &format!("    {} {stood}: {}\n", tame_to(WIDEST, &gate.gate), tame_to(240, &gate.message));
    }
    let open: Vec<String> =
        tick.gates.iter().filter(silent).map(|gate| tame_to(WIDEST, &gate.gate)).collect();
    if !open.is_empty() {
        text += &format!("    let actions through: {}\n", open.join(", "));
    }
    text
}
