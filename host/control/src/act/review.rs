//! The review of a proposal: the host's own checks, then every validator in the policy's order, again from the first after each amendment. A
//! validator that fails means no, unless its policy says otherwise; one that asks for a person is asked again as if there were a yes, to
//! know whether a yes is all that is missing.
//!
//! Called by `propose`, for every action.

use std::sync::Arc;

use flyball_model::{
    Action, Amendment, Cost, FailedJudge, OnFailure, PluginId, PluginKind, Proposal, Reason, Rule, Verdict,
    VerdictRecord,
};
use flyball_ports::{Judged, Sight, Situation, Validator};
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::act::checks::{Ground, check, reason};
use crate::act::rules::{Ask, Word, word};
use crate::observe::assess::{ask, failed, refused_to};

/// Amendments of one proposal; validators that never agree must come to an end.
const MAX_AMENDMENTS: usize = 4;

/// Whoever reviews, and what they look at.
pub(crate) struct Reviewers<'a> {
    pub validators: &'a [Rule<Arc<dyn Validator>>],
    pub sight: &'a Sight,
    pub situation: &'a Situation,
    pub ground: Ground<'a>,
    pub decided_by: &'a str,
    /// A person says yes to whatever a validator asks.
    pub approved: bool,
}

/// What the host's checks and the validators said.
#[derive(Default)]
pub(crate) struct Review {
    /// The proposal as it may happen; none: it may not.
    pub passed: Option<Proposal>,
    /// What a validator asks a person, where all would pass with a yes.
    pub asked: Option<Reason>,
    pub verdicts: Vec<VerdictRecord>,
    pub failures: Vec<FailedJudge>,
    pub costs: Vec<(PluginId, Cost)>,
}

/// How one round of all validators ended.
enum Round {
    Passed,
    Rejected,
    Amended(Action),
}

impl Review {
    /// Takes a proposal through the host's checks and every validator; an amended one from the first again. `standing`
    /// is what is wrong with it whatever the action. Where a validator wants a person's word and that is all that is
    /// missing, it passes with what is asked.
    pub async fn of(proposal: Proposal, standing: Vec<Reason>, reviewers: &Reviewers<'_>) -> Self {
        let mut first = Self::once(proposal.clone(), standing.clone(), reviewers, reviewers.approved).await;
        if reviewers.approved || first.passed.is_some() || first.asked.is_none() {
            first.asked = first.asked.filter(|_| reviewers.approved);
            return first;
        }
        let mut with_a_yes = Self::once(proposal, standing, reviewers, true).await;
        if with_a_yes.passed.is_none() {
            first.asked = None;
            return first;
        }
        with_a_yes.costs.splice(0..0, first.costs);
        with_a_yes
    }

    async fn once(
        mut proposal: Proposal,
        standing: Vec<Reason>,
        reviewers: &Reviewers<'_>,
        approved: bool,
    ) -> Self {
        let mut review = Self::default();
        let mut standing = standing;
        for amendments in 0..=MAX_AMENDMENTS {
            let mut wrong = std::mem::take(&mut standing);
            wrong.extend(check(&proposal.action, &reviewers.ground));
            if !wrong.is_empty() {
                wrong.into_iter().for_each(|reason| review.host(&proposal.action, Verdict::Deny(reason)));
                return review;
            }
            review.host(&proposal.action, Verdict::Allow);
            match review.round(&proposal, reviewers, approved).await {
                Round::Passed => {
                    review.passed = Some(proposal);
                    return review;
                }
                Round::Rejected => return review,
                Round::Amended(_) if amendments == MAX_AMENDMENTS => {
                    let message = format!("the validators still amend after {MAX_AMENDMENTS} amendments");
                    review.host(&proposal.action, Verdict::Deny(reason("too-many-amendments", message)));
                }
                Round::Amended(action) => proposal.action = action,
            }
        }
        review
    }

    async fn round(&mut self, proposal: &Proposal, reviewers: &Reviewers<'_>, approved: bool) -> Round {
        let mut asking = Asking { review: self, proposal, reviewers, approved };
        for rule in reviewers.validators {
            match word(rule, None, &mut asking).await {
                Word::Yes | Word::Absent => {}
                Word::No(_) | Word::Unclear(_) => return Round::Rejected,
                Word::Amended(action) => return Round::Amended(action),
            }
        }
        Round::Passed
    }

    fn host(&mut self, action: &Action, verdict: Verdict) {
        self.host_within(None, action, verdict);
    }

    fn host_within(&mut self, within: Option<&str>, action: &Action, verdict: Verdict) {
        let within = within.map(str::to_owned);
        self.verdicts.push(VerdictRecord { by: PluginId::host(), within, action: action.clone(), verdict });
    }

    /// The first no that counts by itself.
    pub fn refusal(&self) -> Option<&Reason> {
        let counting = self.verdicts.iter().filter(|record| record.within.is_none());
        counting.into_iter().find_map(|record| match &record.verdict {
            Verdict::Deny(reason) => Some(reason),
            _ => None,
        })
    }
}

/// What these validators let pass is done.
pub(crate) fn acted(validators: &[Rule<Arc<dyn Validator>>], session: &str) {
    validators.iter().flat_map(Rule::leaves).for_each(|validator| validator.acted(session));
}

/// Asks the validators of one round, and keeps what they say.
struct Asking<'a, 'b> {
    review: &'a mut Review,
    proposal: &'a Proposal,
    reviewers: &'a Reviewers<'b>,
    approved: bool,
}

impl Asking<'_, '_> {
    async fn verdict(&mut self, validator: &Arc<dyn Validator>, within: Option<&str>) -> Word {
        let Self { review, proposal, reviewers, approved } = self;
        let Reviewers { sight, situation, decided_by, .. } = *reviewers;
        let action = &proposal.action;
        let verdict = match ask(validator.review(sight, proposal, decided_by, situation)).await {
            Ok(Judged { said, cost, refused }) => {
                review.failures.extend(refused_to(validator.id(), PluginKind::Validator, refused));
                review.costs.push((validator.id().clone(), cost));
                let Ground { plane, rules, .. } = &reviewers.ground;
                plane.masked_verdict(said, &rules.safety.may_create)
            }
            Err(error) => {
                let message = format!("the validator {} did not answer: {error}", validator.id());
                review.failures.push(failed(validator.id(), PluginKind::Validator, error));
                if validator.on_failure() == OnFailure::Open {
                    return Word::Absent;
                }
                let why = reason("validator-failed", message);
                review.host_within(within, action, Verdict::Deny(why.clone()));
                return Word::Unclear(why);
            }
        };
        review.verdicts.push(VerdictRecord {
            by: validator.id().clone(),
            within: within.map(str::to_owned),
            action: action.clone(),
            verdict: verdict.clone(),
        });
        match verdict {
            Verdict::Allow => Word::Yes,
            Verdict::Deny(why) => Word::No(why),
            Verdict::Amend(amendment) => Word::Amended(amendment.action),
            Verdict::Ask(why) => {
                review.asked.get_or_insert_with(|| why.clone());
                if *approved { Word::Yes } else { Word::Unclear(why) }
            }
        }
    }
}

impl Ask<Arc<dyn Validator>> for Asking<'_, '_> {
    fn ask<'a>(
        &'a mut self,
        validator: &'a Arc<dyn Validator>,
        within: Option<&'a str>,
    ) -> BoxFuture<'a, Word> {
        self.verdict(validator, within).boxed()
    }

    /// A group's own word is a verdict of the host's, which made it.
    fn group(&mut self, name: &str, within: Option<&str>, word: &Word) {
        let action = &self.proposal.action;
        let verdict = match word {
            Word::Absent => return,
            Word::Yes => Verdict::Allow,
            Word::No(why) | Word::Unclear(why) => Verdict::Deny(why.clone()),
            Word::Amended(action) => Verdict::Amend(Amendment {
                action: action.clone(),
                reason: reason("amended-in-group", format!("{name}: allowed when changed like this")),
            }),
        };
        self.review.host_within(within, action, verdict);
    }
}
