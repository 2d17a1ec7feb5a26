//! Asks the deciders of a policy: in their order until one answers, by what was found, or several at once. What each said is
//! kept, whoever is followed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flyball_model::{
    Action, Attributed, Cost, DeciderAnswer, DeciderSaid, Decision, FailedJudge, PluginId, PluginKind,
    Proposal, Turn, Way, Who,
};
use flyball_ports::{Decided, Decider, Judged, Sight, Situation};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout, timeout_at};

use crate::act::checks::{Ground, check, reason, unresolved};
use crate::gates::pace::seconds;
use crate::observe::assess::{ask, failed, refused_to};

pub(crate) type Turns = [Turn<Arc<dyn Decider>>];

/// One question, and what was said to it so far.
pub(crate) struct Asking<'a> {
    sight: &'a Sight,
    situation: &'a Situation,
    /// What the host itself holds an answer against.
    ground: Ground<'a>,
    /// The decider that was asked before the others, and is not asked again.
    called: Option<&'a str>,
    heard: Mutex<Heard>,
}

/// What deciders said.
#[derive(Default)]
pub(crate) struct Heard {
    pub decision: Option<Attributed<Decision>>,
    pub answers: Vec<DeciderAnswer>,
    pub failures: Vec<FailedJudge>,
    pub costs: Vec<(PluginId, Cost)>,
    /// Who has a place among the answers.
    placed: BTreeSet<usize>,
}

/// What an entry among the deciders wants.
struct Vote {
    by: PluginId,
    decision: Decision,
    /// Whose answers it is, by their number.
    backed_by: Vec<usize>,
    /// Whether the host itself has nothing against it. What it has something against is followed only where nobody else has
    /// an answer, so that the guards' no is on record.
    passes_host_checks: bool,
}

impl<'a> Asking<'a> {
    /// Asks until there is an answer, or everybody was asked. `first` names the decider that is asked before the others.
    pub async fn all(
        turns: &'a Turns,
        first: Option<&'a str>,
        (sight, situation): (&'a Sight, &'a Situation),
        ground: Ground<'a>,
    ) -> Heard {
        let mut ones = turns.iter().flat_map(Turn::ones);
        let first = first.and_then(|first| ones.find(|(decider, _)| decider.name() == first));
        let mut asking = Self { sight, situation, ground, called: None, heard: Mutex::default() };
        let mut vote = None;
        if let Some((decider, within)) = first {
            vote = asking.one(decider, within, None).await;
            let why = "the policy's escalation names it, and it answered";
            asking.explain(vote.iter().filter(|vote| vote.passes_host_checks), why);
            asking.called = Some(decider.name());
        }
        let vote = match vote {
            Some(vote) if vote.passes_host_checks => {
                let why = format!("{} answered before", asking.called.unwrap_or_default());
                turns.iter().for_each(|turn| asking.not_asked(turn, None, &why));
                Some(vote)
            }
            refused => {
                let vote = asking.chain(turns, None).await;
                match vote {
                    Some(vote) if vote.passes_host_checks => Some(vote),
                    vote => refused.or(vote),
                }
            }
        };
        asking.end(vote)
    }

    fn end(self, vote: Option<Vote>) -> Heard {
        let mut heard = self.heard.into_inner();
        if let Some(Vote { by, decision, backed_by, .. }) = vote {
            for answer in backed_by {
                if let Some(answer) = heard.answers.get_mut(answer) {
                    answer.followed = true;
                }
            }
            heard.decision = Some(Attributed { by, said: decision });
        }
        heard
    }

    /// In their order, until one has an answer that may be followed.
    fn chain<'b>(&'b self, turns: &'b Turns, group: Option<&'b str>) -> BoxFuture<'b, Option<Vote>> {
        async move {
            let mut refused = None;
            let mut turns = turns.iter();
            while let Some(turn) = turns.next() {
                let Some(vote) = self.turn(turn, group).await else { continue };
                if vote.passes_host_checks {
                    let why = format!("{} answered before", turn_name(turn));
                    turns.for_each(|other| self.not_asked(other, group, &why));
                    return Some(vote);
                }
                refused.get_or_insert(vote);
            }
            refused
        }
        .boxed()
    }

    async fn turn(&self, turn: &Turn<Arc<dyn Decider>>, group: Option<&str>) -> Option<Vote> {
        match &turn.who {
            Who::One(decider) => self.one(decider, turn.within, group).await,
            Who::Route { name, ways } => self.route(name, ways, turn.within).await,
            Who::Quorum { name, at_least, of } => self.quorum(name, *at_least, of, turn.within).await,
        }
    }

    /// Asks one decider.
    async fn one(
        &self,
        decider: &Arc<dyn Decider>,
        within: Option<Duration>,
        group: Option<&str>,
    ) -> Option<Vote> {
        if self.called == Some(decider.name()) {
            return None;
        }
        let under_way = UnderWay::begin(self, decider, group);
        let asked = ask(decider.decide(self.sight, self.situation));
        let said = match within {
            Some(within) => match timeout(within, asked).await {
                Ok(said) => said,
                Err(_) => {
                    under_way.late(within);
                    return None;
                }
            },
            None => asked.await,
        };
        let id = decider.id();
        match said {
            Ok(Judged { said, cost, refused }) => {
                let mut heard = self.heard.lock();
                heard.failures.extend(refused_to(id, PluginKind::Decider, refused));
                heard.costs.push((id.clone(), cost));
                drop(heard);
                match said {
                    Decided::For(mut decision) => {
                        let Ground { plane, rules, .. } = &self.ground;
                        let action = std::mem::replace(&mut decision.proposal.action, Action::NoOp);
                        decision.proposal.action = plane.masked(action, &rules.safety.may_create);
                        let against = self.against(&decision.proposal);
                        let why = match &against {
                            Some(why) => format!("the host would refuse it: {why}"),
                            None => "the first that answered".to_owned(),
                        };
                        let answer = under_way.decided(decision.clone(), why, cost);
                        let backed_by = vec![answer];
                        Some(Vote {
                            by: id.clone(),
                            decision,
                            backed_by,
                            passes_host_checks: against.is_none(),
                        })
                    }
                    // No failure: its answer, with why, is among the answers.
                    Decided::Abstains(why) => {
                        under_way.ended(DeciderSaid::Abstains, why, cost);
                        None
                    }
                }
            }
            Err(error) => {
                under_way.ended(DeciderSaid::Failed, error.why.clone(), error.cost);
                self.fail(failed(id, PluginKind::Decider, error));
                None
            }
        }
    }

    /// What the host has against it as things are now. It is checked again when the decision lands.
    fn against(&self, proposal: &Proposal) -> Option<String> {
        let allowed = &self.situation.allowed;
        let mut wrong = check(&proposal.action, &self.ground);
        wrong.extend(unresolved(proposal, &self.sight.now));
        let kind = proposal.action.kind();
        if wrong.is_empty() && !allowed.contains(&kind) {
            wrong
                .push(reason("escalation", format!("{kind} is not of this step of the policy's escalation")));
        }
        let told: Vec<String> =
            wrong.iter().map(|reason| format!("{} ({})", reason.message, reason.code)).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// Asks the first way that is for what was found.
    async fn route(
        &self,
        name: &str,
        ways: &[Way<Arc<dyn Decider>>],
        within: Option<Duration>,
    ) -> Option<Vote> {
        let taken = ways.iter().position(|way| way.is_for(&self.situation.findings));
        let mut vote = None;
        for (index, way) in ways.iter().enumerate() {
            if Some(index) != taken {
                let why = "its way of the route is not for what was found";
                way.ask.iter().for_each(|turn| self.not_asked(turn, Some(name), why));
                continue;
            }
            let asking = self.chain(&way.ask, Some(name));
            vote = match within {
                Some(within) => match timeout(within, asking).await {
                    Ok(vote) => vote,
                    Err(_) => {
                        self.broken_off(&way.ask, name, DeciderSaid::Late, &out_of_time(name, within));
                        None
                    }
                },
                None => asking.await,
            };
        }
        vote
    }

    /// Asks all at once; the action that most want has its way, if enough want it.
    async fn quorum(
        &self,
        name: &str,
        at_least: usize,
        of: &Turns,
        within: Option<Duration>,
    ) -> Option<Vote> {
        let until = within.map(|within| Instant::now() + within);
        let members = of.iter().enumerate();
        let mut asked: FuturesUnordered<_> =
            members.map(|(index, turn)| async move { (index, self.turn(turn, Some(name)).await) }).collect();
        let mut votes: Vec<(usize, Vote)> = Vec::new();
        let mut in_time = true;
        while !is_settled(&votes, at_least, asked.len(), of.len()) {
            let next = match until {
                Some(until) => timeout_at(until, asked.next()).await,
                None => Ok(asked.next().await),
            };
            match next {
                Ok(Some((index, Some(vote)))) if vote.passes_host_checks => votes.push((index, vote)),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => {
                    in_time = false;
                    break;
                }
            }
        }
        drop(asked);
        match within {
            Some(within) if !in_time => {
                self.broken_off(of, name, DeciderSaid::Late, &out_of_time(name, within));
            }
            _ => self.broken_off(of, name, DeciderSaid::Dropped, &format!("{name} was settled without it")),
        }
        // By their order in the policy, so that it does not matter who was quicker.
        votes.sort_by_key(|(index, _)| *index);
        self.count(votes.into_iter().map(|(_, vote)| vote).collect(), at_least, of.len())
    }

    fn count(&self, votes: Vec<Vote>, at_least: usize, members: usize) -> Option<Vote> {
        let wanted = |action: &Action| votes.iter().filter(|vote| vote.action() == action).count();
        let best = votes.iter().rev().max_by_key(|vote| wanted(vote.action()))?.action().clone();
        let enough = wanted(&best) >= at_least;
        for vote in &votes {
            let mut why =
                format!("{} of {members} want it, and at least {at_least} must", wanted(vote.action()));
            if enough && *vote.action() != best {
                why.push_str(&format!("; {} want \"{best}\"", wanted(&best)));
            }
            self.explain([vote], &why);
        }
        if !enough {
            return None;
        }
        let mut agreeing = votes.into_iter().filter(|vote| *vote.action() == best);
        let mut first = agreeing.next()?;
        first.backed_by.extend(agreeing.flat_map(|vote| vote.backed_by));
        Some(first)
    }

    fn explain<'b>(&self, votes: impl IntoIterator<Item = &'b Vote>, why: &str) {
        let mut heard = self.heard.lock();
        for answer in votes.into_iter().flat_map(|vote| &vote.backed_by) {
            if let Some(answer) = heard.answers.get_mut(*answer) {
                why.clone_into(&mut answer.why);
            }
        }
    }

    fn not_asked(&self, turn: &Turn<Arc<dyn Decider>>, group: Option<&str>, why: &str) {
        match &turn.who {
            Who::One(decider) => {
                let mut heard = self.heard.lock();
                if self.called != Some(decider.name()) && heard.placed.insert(place_of(decider)) {
                    let answer = blank(&**decider, group, self.sight, DeciderSaid::NotAsked);
                    heard.answers.push(DeciderAnswer { why: why.to_owned(), ..answer });
                }
            }
            Who::Route { name, ways } => {
                ways.iter().flat_map(|way| &way.ask).for_each(|turn| self.not_asked(turn, Some(name), why));
            }
            Who::Quorum { name, of, .. } => of.iter().for_each(|turn| self.not_asked(turn, Some(name), why)),
        }
    }

    fn fail(&self, failure: FailedJudge) {
        self.heard.lock().failures.push(failure);
    }

    /// A group was given up, or its rest: says why of those who thought, and of those whose turn had not come.
    fn broken_off(&self, turns: &Turns, group: &str, said: DeciderSaid, why: &str) {
        turns.iter().for_each(|turn| self.not_asked(turn, Some(group), why));
        let mut heard = self.heard.lock();
        let Heard { answers, failures, .. } = &mut *heard;
        for answer in
            answers.iter_mut().filter(|answer| answer.said == DeciderSaid::Dropped && answer.why.is_empty())
        {
            answer.said = said;
            why.clone_into(&mut answer.why);
            if said == DeciderSaid::Late {
                let (by, kind) = (answer.by.clone(), PluginKind::Decider);
                failures.push(FailedJudge { by, kind, error: why.to_owned() });
            }
        }
    }
}

impl Vote {
    const fn action(&self) -> &Action {
        &self.decision.proposal.action
    }
}

/// Whether those who have not answered can no longer matter: two different actions cannot both have more than half, and where
/// even all of them would not be enough, nobody need be waited for.
fn is_settled(votes: &[(usize, Vote)], at_least: usize, left: usize, members: usize) -> bool {
    let wanted = |action: &Action| votes.iter().filter(|(_, vote)| vote.action() == action).count();
    let best = votes.iter().map(|(_, vote)| wanted(vote.action())).max().unwrap_or_default();
    best + left < at_least || (best >= at_least && best * 2 > members)
}

/// Each use of a decider is one of its own.
fn place_of(decider: &Arc<dyn Decider>) -> usize {
    Arc::as_ptr(decider).cast::<()>().addr()
}

fn out_of_time(name: &str, within: Duration) -> String {
    format!("no answer within the {} of {name}", seconds(within))
}

fn turn_name(turn: &Turn<Arc<dyn Decider>>) -> &str {
    match &turn.who {
        Who::One(decider) => decider.name(),
        Who::Route { name, .. } | Who::Quorum { name, .. } => name,
    }
}

/// An answer of which nothing is known yet.
pub(crate) fn blank(
    decider: &dyn Decider,
    group: Option<&str>,
    sight: &Sight,
    said: DeciderSaid,
) -> DeciderAnswer {
    let by = decider.id().clone();
    DeciderAnswer {
        name: (decider.name() != &*by.name).then(|| decider.name().into()),
        by,
        within: group.map(str::to_owned),
        shadow: false,
        tick: sight.now.tick,
        said,
        decision: None,
        followed: false,
        why: String::new(),
        took_ns: 0,
        cost: Cost::default(),
    }
}

pub(crate) fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A decider that thinks. Its answer has a place from the beginning; given up, it is `Dropped` there, for a reason that
/// whoever gave it up adds.
struct UnderWay<'a> {
    heard: &'a Mutex<Heard>,
    place: usize,
    asked: Instant,
    open: bool,
}

impl<'a> UnderWay<'a> {
    fn begin(asking: &'a Asking<'_>, decider: &Arc<dyn Decider>, group: Option<&str>) -> Self {
        let mut heard = asking.heard.lock();
        heard.placed.insert(place_of(decider));
        let mut answer = blank(&**decider, group, asking.sight, DeciderSaid::Dropped);
        "it still thinks".clone_into(&mut answer.why);
        heard.answers.push(answer);
        let place = heard.answers.len() - 1;
        Self { heard: &asking.heard, place, asked: Instant::now(), open: true }
    }

    fn decided(self, decision: Decision, why: String, cost: Cost) -> usize {
        let place = self.place;
        self.fill(DeciderSaid::Decision, Some(decision), why, cost);
        place
    }

    fn ended(self, said: DeciderSaid, why: String, cost: Cost) {
        self.fill(said, None, why, cost);
    }

    fn late(self, within: Duration) {
        let why = format!("no answer within {}", seconds(within));
        let heard = self.heard;
        let place = self.place;
        self.fill(DeciderSaid::Late, None, why.clone(), Cost::default());
        let mut heard = heard.lock();
        if let Some(by) = heard.answers.get(place).map(|answer| answer.by.clone()) {
            heard.failures.push(FailedJudge { by, kind: PluginKind::Decider, error: why });
        }
    }

    fn fill(mut self, said: DeciderSaid, decision: Option<Decision>, why: String, cost: Cost) {
        self.open = false;
        if let Some(answer) = self.heard.lock().answers.get_mut(self.place) {
            *answer = DeciderAnswer {
                said,
                decision,
                why,
                cost,
                took_ns: nanoseconds(self.asked),
                ..answer.clone()
            };
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.open
            && let Some(answer) = self.heard.lock().answers.get_mut(self.place)
        {
            answer.took_ns = nanoseconds(self.asked);
            answer.why.clear();
        }
    }
}
