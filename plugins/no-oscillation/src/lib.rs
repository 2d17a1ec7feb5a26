//! Refuses an action that would undo or repeat a recent one.
#![cfg_attr(target_family = "wasm", no_std)]

use flyball_plugin::json;
use flyball_plugin::prelude::*;

flyball_plugin::settings! {
    /// How long an action is recent.
    pub struct NoOscillation {
        /// For how long an action may be neither undone nor repeated, in milliseconds.
        window_ms: f64 = 60_000.0, in 0.0..=86_400_000.0;
        /// How often a process may be restarted within the window, as long as each restart helped.
        restarts: u32 = 3, in 1..=1_000;
    }
}

impl Validator for NoOscillation {
    fn review(&self, now: &Observation, _past: &Window, proposed: &Proposed) -> Verdict {
        // Undoing a recent action is what a person who rolls back asks for, and the host where an action made things worse.
        if proposed.decided_by == OPERATOR || proposed.decided_by == HOST {
            return Verdict::Allow;
        }
        let action = &proposed.proposal.action;
        let taken_at = now.taken_at();
        let recent = proposed.past.iter().filter(|past| {
            let age = taken_at.saturating_sub(past.at) as f64;
            age < self.window_ms && took_place(past.outcome)
        });
        if let Action::RestartProcess(node) = action {
            return self.restart(node, recent.map(|past| (&past.proposal.action, past.outcome)));
        }
        for past in recent {
            if let Some((code, does)) = clash(action, &past.proposal.action) {
                let seconds = taken_at.saturating_sub(past.at) / 1_000;
                let message = format!("{} {does} an action of {seconds} s ago", described(action));
                return Verdict::Deny(self.with_hint(Reason::new(code, message), action));
            }
        }
        Verdict::Allow
    }
}

impl NoOscillation {
    /// A crash that comes back is restarted again while restarts help; one that did not help is not tried again.
    fn restart<'a>(&self, node: &str, recent: impl Iterator<Item = (&'a Action, Outcome)>) -> Verdict {
        let mut restarts = 0;
        for (action, outcome) in recent {
            if !matches!(action, Action::RestartProcess(earlier) if earlier == node) {
                continue;
            }
            // A process may die anew before the last restart was seen to help; only one that was seen not to help counts.
            if matches!(outcome, Outcome::Ineffective | Outcome::Worse) {
                let message = format!("the last restart of {node} did not help");
                return Verdict::Deny(self.about(Reason::new("repeats-recent-action", message), node));
            }
            restarts += 1;
        }
        if restarts < self.restarts {
            return Verdict::Allow;
        }
        let message = format!("{node} was restarted {restarts} times already: restarts do not cure it");
        Verdict::Deny(self.about(Reason::new("too-many-restarts", message), node))
    }

    fn with_hint(&self, reason: Reason, action: &Action) -> Reason {
        match action.target() {
            // A node that is yet to be inserted cannot be cited.
            Some(node) if !matches!(action, Action::InsertNode(_)) => self.about(reason, node),
            _ => self.hint(reason),
        }
    }

    fn about(&self, reason: Reason, node: &str) -> Reason {
        self.hint(reason).because(Evidence::about(node).note("changed recently"))
    }

    fn hint(&self, reason: Reason) -> Reason {
        reason
            .hint(format!("allowed again {} s after the earlier one (`window_ms`)", self.window_ms / 1_000.0))
    }
}

/// By this name the host tells of a decision that a person made; no plugin may be called so.
const OPERATOR: &str = "operator";
/// And by this one of its own.
const HOST: &str = "host";

/// What was refused or broke off changed nothing that could be repeated or undone; what was rolled back was.
fn took_place(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Rejected | Outcome::Failed)
}

const REPEATS: (&str, &str) = ("repeats-recent-action", "repeats");
const UNDOES: (&str, &str) = ("undoes-recent-action", "would undo");

/// Whether the proposed action repeats or undoes the earlier one.
fn clash(action: &Action, earlier: &Action) -> Option<(&'static str, &'static str)> {
    if action.target()? != earlier.target()? {
        return None;
    }
    if action == earlier {
        return Some(REPEATS);
    }
    let undoes = match (action, earlier) {
        // Further in the same direction is neither.
        (Action::ScaleNode(now), Action::ScaleNode(then)) => now.replicas < then.replicas,
        (Action::AdjustBuffering(now), Action::AdjustBuffering(then)) => now.capacity < then.capacity,
        (Action::UpdateNodeConfig(now), Action::UpdateNodeConfig(then)) => {
            share_a_key(&now.patch, &then.patch)
        }
        (Action::BypassNode(_), Action::BypassNode(_))
        | (Action::SwitchExecutor(_), Action::SwitchExecutor(_))
        | (Action::ReplaceNode(_), Action::ReplaceNode(_))
        | (Action::RemoveNode(_), Action::InsertNode(_))
        | (Action::InsertNode(_), Action::RemoveNode(_)) => true,
        _ => false,
    };
    undoes.then_some(UNDOES)
}

fn share_a_key(one: &str, other: &str) -> bool {
    let object = |text: &str| json::from_str::<json::Map<String, json::Value>>(text).unwrap_or_default();
    let (one, other) = (object(one), object(other));
    one.keys().any(|key| other.contains_key(key))
}

fn described(action: &Action) -> String {
    match action.target() {
        Some(node) => format!("{} of {node}", action.kind()),
        None => action.kind().to_owned(),
    }
}

flyball_plugin::validator!(NoOscillation);

flyball_plugin::cases!(
    "../cases/further.json",
    "../cases/later.json",
    "../cases/host-undoes.json",
    "../cases/operator-undoes.json",
    "../cases/refused-before.json",
    "../cases/repeat.json",
    "../cases/restart-again.json",
    "../cases/restart-in-vain.json",
    "../cases/restart-too-often.json",
    "../cases/restart-unproven.json",
    "../cases/undo-bypass.json",
    "../cases/undo-scale.json",
);
