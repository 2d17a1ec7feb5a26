//! A validator that keeps a quota: it counts what was done, and not what it was asked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use flyball_model::*;
use flyball_ports::*;
use parking_lot::Mutex;
use support::*;

const DAY: u64 = 86_400_000;

/// At most so many actions a day, by what it is told was done.
struct Quota {
    id: PluginId,
    most: usize,
    asked: AtomicUsize,
    acted: AtomicUsize,
    /// The most past actions that it was told of.
    told: AtomicUsize,
}

impl Quota {
    fn of(most: usize) -> Arc<Self> {
        let [asked, acted, told] = [0, 0, 0].map(AtomicUsize::new);
        Arc::new(Self { id: id("quota"), most, asked, acted, told })
    }

    fn rule(self: &Arc<Self>) -> Rule<Arc<dyn Validator>> {
        Rule::One(Arc::clone(self) as Arc<dyn Validator>)
    }
}

impl Judge for Quota {
    fn id(&self) -> &PluginId {
        &self.id
    }

    fn on_failure(&self) -> OnFailure {
        OnFailure::Closed
    }
}

#[async_trait]
impl Validator for Quota {
    async fn review(
        &self,
        sight: &Sight,
        _: &Proposal,
        _: &str,
        situation: &Situation,
    ) -> Result<Judged<Verdict>, JudgeError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.told.fetch_max(situation.past.len(), Ordering::SeqCst);
        let since = sight.now.taken_at.saturating_sub(DAY);
        let done = situation.past.iter().filter(|past| past.at >= since && past.outcome != Outcome::Rejected);
        let said =
            if done.count() < self.most { Verdict::Allow } else { Verdict::Deny(because("over-quota")) };
        Ok(Judged { said, cost: Cost::default(), refused: Vec::new() })
    }

    fn acted(&self, session: &str) {
        assert!(!session.is_empty());
        self.acted.fetch_add(1, Ordering::SeqCst);
    }
}

/// Each action is to be let settle at once, helps, and its budgets are out of the way.
fn unhurried(panel: &mut Panel) {
    panel.rules.max_actions = 1_000;
    panel.rules.cooldown_ms = 0;
    safety(panel, |safety| {
        let wide = Budget { max: 10_000, window_ms: DAY };
        (safety.target, safety.session, safety.host, safety.flaps, safety.cures) =
            (wide, wide, wide, wide, wide);
        (safety.attempts, safety.futile) = (10_000, 10_000);
    });
}

#[tokio::test(start_paused = true)]
async fn a_quota_of_two_with_approvals_lets_two_through_and_denies_the_third() {
    let quota = Quota::of(2);
    let asks = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&asks);
    let person = validator("asks", move |_| {
        *seen.lock() += 1;
        Ok(Verdict::Ask(because("a person must say")))
    });
    let rig = Rig::new(|panel| {
        unhurried(panel);
        panel.validators = vec![quota.rule(), person];
    });
    rig.plane.view.lock().support.iter_mut().for_each(|support| support.settle_ms = 0);
    for round in 1..=2 {
        let question = loop {
            rig.tick_in(1).await;
            if let Some(question) = rig.controller.approvals().await.pop() {
                break question;
            }
        };
        rig.controller.approve(&question.id, None).await.unwrap();
        while rig.applied().len() < round {
            rig.tick_in(1).await;
        }
        assert_eq!(quota.acted.load(Ordering::SeqCst), round, "it is told of each that is done, once");
    }
    assert!(quota.asked.load(Ordering::SeqCst) >= 6, "it was asked oftener than anything was done");
    let denied = loop {
        let record = rig.tick_in(1).await;
        if record.ending == Ending::Rejected {
            break record;
        }
        assert_ne!(record.ending, Ending::AwaitingApproval, "nobody is asked for what the quota denies");
    };
    assert_eq!(refusals(&denied), ["over-quota"]);
    assert_eq!(rig.applied().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_allowed_and_not_done_is_not_told_as_done() {
    let quota = Quota::of(1);
    let denies = validator("denies", |_| Ok(Verdict::Deny(because("no"))));
    let rig = Rig::new(|panel| {
        unhurried(panel);
        panel.validators = vec![quota.rule(), denies];
    });
    for _ in 0..5 {
        assert_eq!(refusals(&rig.tick_in(60).await), ["no"]);
    }
    assert_eq!(quota.acted.load(Ordering::SeqCst), 0);
    rig.publish(2, |panel| {
        unhurried(panel);
        panel.validators = vec![quota.rule()];
    });
    assert_eq!(rig.tick_in(60).await.ending, Ending::Acted, "none of the five counts");
    assert_eq!(quota.acted.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_proposed_only_is_not_counted() {
    let quota = Quota::of(1);
    let rig = Rig::new(|panel| {
        unhurried(panel);
        safety(panel, |safety| safety.propose_only = true);
        panel.validators = vec![quota.rule()];
    });
    for _ in 0..3 {
        assert_eq!(rig.tick_in(60).await.ending, Ending::Proposed);
    }
    assert_eq!(quota.acted.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_quota_of_a_hundred_a_day_is_counted_across_a_restart() {
    const MOST: usize = 100;
    let quota = Quota::of(MOST);
    let rig = Rig::new(|panel| {
        unhurried(panel);
        panel.validators = vec![quota.rule()];
    });
    rig.plane.view.lock().support.iter_mut().for_each(|support| support.settle_ms = 0);
    let restarted = rig.restarted();
    let mut denied = false;
    for tick in 0..MOST * 20 {
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
        // Half of them are done before a restart.
        let record =
            if rig.applied().len() < MOST / 2 { rig.controller.tick().await } else { restarted.tick().await };
        denied = record.ending == Ending::Rejected && refusals(&record) == ["over-quota"];
        if denied {
            break;
        }
        assert!(tick + 1 < MOST * 20, "{:?} after {} actions", record.gate, rig.applied().len());
    }
    assert!(denied);
    assert_eq!(rig.applied().len(), MOST);
    assert_eq!(quota.told.load(Ordering::SeqCst), MOST);
}
