//! Who may want an action, the guards between a proposal and the data plane in the order in which they are asked, and which guard
//! holds whom. Every action meets the same guards, whoever wants it: what somebody is spared stands in [`SPARED`], with the reason, and
//! nowhere else. An origin or a guard that is new is therefore held, until somebody writes here why not.
//!
//! Called by `propose` and `door`, which ask the guards.

/// Who wants an action done. A runbook, a request to the API or an agent's tool call would each be one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A decider.
    Decider,
    /// A decider, and a person said yes to exactly this.
    Approval,
    /// The host itself, of an action that made things worse. A reverser says what the steps are.
    HostUndo,
    /// The host itself, of an action whose reason is gone. A reverser says what the steps are.
    GiveBack,
    /// A person, by `flyball rollback`. A reverser says what the steps are.
    PersonUndo,
}

/// What an action must pass before the data plane is asked to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// A policy matches the session, and acting is switched on.
    Enabled,
    /// The data plane is doing no other action of this session.
    OneAtATime,
    /// Settling, cooldown and breaker.
    Pace,
    /// What the action is for is still found.
    StillFound,
    /// What the proposal rests on is in the newest observation.
    Evidence,
    /// The host's own checks (level, support, nodes, protection, parameters, reach), and then the validators of the policy, both again
    /// after each amendment.
    Review,
    /// A step of an undo is an inverse of what it undoes.
    Inverse,
    /// What keeps the loop from answering one fault for ever: attempts, cures, flaps, nodes at once, verifying, escalation.
    TryBudgets,
    /// How many changes there may be within a time: of a node, a kind, a session, the host.
    ChangeBudgets,
    /// Nobody has halted the session or the host, and the state directory is there.
    Halt,
    /// The host and the policy do more than propose.
    Proposing,
    /// A person's yes, where the policy or a validator wants it.
    Approval,
    /// What a person said yes to is what would be done.
    SameQuestion,
    /// The session is not frozen.
    Freeze,
}

/// Asked before the review, and told together with what the host's own checks find.
pub(crate) const BEFORE_REVIEW: [Guard; 5] =
    [Guard::Enabled, Guard::OneAtATime, Guard::Pace, Guard::StillFound, Guard::Evidence];

/// Asked once the host's own checks and the validators have let the action pass. Those of one stage are all asked, and the first stage
/// that holds an action ends its way. After these come the intent on disk and the halt once more (`door`).
pub(crate) const AFTER_REVIEW: [&[Guard]; 7] = [
    &[Guard::Inverse],
    &[Guard::TryBudgets, Guard::ChangeBudgets],
    &[Guard::Halt],
    &[Guard::Proposing],
    &[Guard::Approval],
    &[Guard::SameQuestion],
    &[Guard::Freeze],
];

const UNDOS: &[Origin] = &[Origin::HostUndo, Origin::GiveBack, Origin::PersonUndo];
/// Undos that do not wait for a better time.
const AT_ONCE: &[Origin] = &[Origin::HostUndo, Origin::PersonUndo];

/// Which guard spares whom, and why that is right.
const SPARED: [(Guard, &[Origin], &str); 8] = [
    (Guard::Enabled, &[Origin::PersonUndo], "what a policy switches off is the loop, and not people"),
    (Guard::Pace, AT_ONCE, "what made things worse must not stand until the loop may try again"),
    (Guard::StillFound, UNDOS, "an undo answers no finding: it puts back what was"),
    (Guard::Evidence, UNDOS, "an undo rests on the graph before the action, and on no measurement"),
    (
        Guard::TryBudgets,
        UNDOS,
        "an undo is no try at a fault, and turns back by its nature; one action is undone by the host once",
    ),
    (Guard::Approval, &[Origin::PersonUndo], "a person asks for it, who need not ask another"),
    (
        Guard::Approval,
        &[Origin::Approval],
        "a person said yes, and `SameQuestion` holds that yes to what they were asked",
    ),
    (Guard::Freeze, AT_ONCE, "a freeze ends tries that do not help, and putting back is no new try"),
];

impl Guard {
    /// Whether the guard is asked about what this origin wants.
    pub fn holds(self, origin: Origin) -> bool {
        !SPARED.iter().any(|(guard, origins, _)| *guard == self && origins.contains(&origin))
    }
}

impl Origin {
    /// Whether it takes back an earlier action.
    pub fn is_undo(self) -> bool {
        UNDOS.contains(&self)
    }

    /// Whether a person's yes is there already.
    pub fn has_a_yes(self) -> bool {
        !Guard::Approval.holds(self)
    }
}
