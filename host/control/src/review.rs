use std::sync::Arc;

use flyball_model::{
    Action, Cost, FailedJudge, OnFailure, PluginId, PluginKind, Proposal, Reason, Verdict, VerdictRecord,
};

use crate::assess::{ask, failed, refused_to};
use crate::checks::{Ground, check, reason};
use crate::ports::{Judged, Sight, Situation, Validator};

/// Amendments of one proposal; validators that never agree must come to an end.
const MAX_AMENDMENTS: usize = 4;

/// Whoever reviews, and what they look at.
pub(crate) struct Reviewers<'a> {
    pub validators: &'a [Arc<dyn Validator>],
    pub sight: &'a Sight,
    pub situation: &'a Situation,
    pub ground: Ground<'a>,
    pub decided_by: &'a str,
}

/// What the host's checks and the validators said.
#[derive(Default)]
pub(crate) struct Review {
    /// The proposal as it may happen; none: it may not.
    pub passed: Option<Proposal>,
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
    /// is what is wrong with it whatever the action.
    pub async fn of(mut proposal: Proposal, standing: Vec<Reason>, reviewers: &Reviewers<'_>) -> Self {
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
            match review.round(&proposal, reviewers).await {
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

    async fn round(&mut self, proposal: &Proposal, reviewers: &Reviewers<'_>) -> Round {
        let Reviewers { sight, situation, decided_by, .. } = reviewers;
        for validator in reviewers.validators {
            let verdict = match ask(validator.review(sight, proposal, decided_by, situation)).await {
                Ok(Judged { said, cost, refused }) => {
                    self.failures.extend(refused_to(validator.id(), PluginKind::Validator, refused));
                    self.costs.push((validator.id().clone(), cost));
                    said
                }
                Err(error) => {
                    let message = format!("the validator {} did not answer: {error}", validator.id());
                    self.failures.push(failed(validator.id(), PluginKind::Validator, error));
                    if validator.on_failure() == OnFailure::Open {
                        continue;
                    }
                    self.host(&proposal.action, Verdict::Deny(reason("validator-failed", message)));
                    return Round::Rejected;
                }
            };
            self.verdicts.push(VerdictRecord {
                by: validator.id().clone(),
                action: proposal.action.clone(),
                verdict: verdict.clone(),
            });
            match verdict {
                Verdict::Allow => {}
                Verdict::Deny(_) => return Round::Rejected,
                Verdict::Amend(amendment) => return Round::Amended(amendment.action),
                Verdict::Ask(_) => {
                    let message = "approval is asked for and nobody can give it here yet".to_owned();
                    self.host(&proposal.action, Verdict::Deny(reason("approval-unavailable", message)));
                    return Round::Rejected;
                }
            }
        }
        Round::Passed
    }

    fn host(&mut self, action: &Action, verdict: Verdict) {
        self.verdicts.push(VerdictRecord { by: PluginId::host(), action: action.clone(), verdict });
    }

    /// The first no.
    pub fn refusal(&self) -> Option<&Reason> {
        self.verdicts.iter().find_map(|record| match &record.verdict {
            Verdict::Deny(reason) => Some(reason),
            _ => None,
        })
    }
}
