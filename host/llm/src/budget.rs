use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::error::{Fault, Kind};
use crate::{BudgetPerHour, Budgets, Decimal};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE: Duration = Duration::from_secs(60);

/// Tokens, and what they cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Spent {
    pub(crate) tokens: u64,
    pub(crate) money: Decimal,
}

impl Spent {
    fn plus(self, other: Self) -> Self {
        Self { tokens: self.tokens.saturating_add(other.tokens), money: self.money.plus(other.money) }
    }

    fn minus(self, other: Self) -> Self {
        let money = self.money.as_millionths().saturating_sub(other.money.as_millionths());
        Self { tokens: self.tokens.saturating_sub(other.tokens), money: Decimal::millionths(money) }
    }
}

/// What was spent in the last hour, by the host and by each session.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Accounts>);

#[derive(Debug, Default)]
struct Accounts {
    host: Account,
    sessions: HashMap<String, Account>,
}

/// By minutes, so that an hour of many questions is no more than 61 of them.
#[derive(Debug, Default)]
struct Account {
    minutes: VecDeque<(Instant, Spent)>,
    reserved: Spent,
}

impl Account {
    fn forget(&mut self, now: Instant) {
        while self.minutes.front().is_some_and(|(begun, _)| now.duration_since(*begun) >= HOUR + MINUTE) {
            self.minutes.pop_front();
        }
    }

    fn spend(&mut self, now: Instant, spent: Spent) {
        match self.minutes.back_mut() {
            Some((begun, sum)) if now.duration_since(*begun) < MINUTE => *sum = sum.plus(spent),
            _ => self.minutes.push_back((now, spent)),
        }
    }

    fn is_idle(&self) -> bool {
        self.minutes.is_empty() && self.reserved == Spent::default()
    }

    /// Whether so much more may be spent, what is under way counted at its most.
    fn check(&self, now: Instant, more: Spent, budget: BudgetPerHour, whose: &str) -> Result<(), Fault> {
        let sum = self.minutes.iter().fold(self.reserved, |sum, (_, spent)| sum.plus(*spent));
        let all = sum.plus(more);
        let tokens = budget.tokens.filter(|most| all.tokens > *most).map(|most| {
            let (spent, more) = (sum.tokens, more.tokens);
            format!("{whose} spent {spent} of {most} tokens an hour, and this may take {more}")
        });
        let money = budget.money.filter(|most| all.money > *most).map(|most| {
            let (spent, more) = (sum.money, more.money);
            format!("{whose} spent {spent} of {most} an hour, and this may cost {more}")
        });
        let Some(cause) = tokens.or(money) else { return Ok(()) };
        let first = self.minutes.front().map(|(begun, _)| *begun + HOUR + MINUTE);
        Err(Fault::new(Kind::Budget, cause).after(first.map(|first| first.saturating_duration_since(now))))
    }
}

impl Ledger {
    /// Keeps so much back for a question, at most.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        session: &str,
        most: Spent,
        budgets: &Budgets,
    ) -> Result<Reserved, Fault> {
        let now = Instant::now();
        let mut accounts = self.0.lock();
        accounts.host.forget(now);
        accounts.sessions.retain(|_, account| {
            account.forget(now);
            !account.is_idle()
        });
        accounts.host.check(now, most, budgets.host, "the host")?;
        let own = accounts.sessions.entry(session.to_owned()).or_default();
        own.check(now, most, budgets.session, "the session")?;
        own.reserved = own.reserved.plus(most);
        accounts.host.reserved = accounts.host.reserved.plus(most);
        drop(accounts);
        Ok(Reserved { ledger: Arc::clone(self), session: session.to_owned(), most, sent: false })
    }

    fn each(&self, session: &str, change: impl Fn(&mut Account)) {
        let mut accounts = self.0.lock();
        change(&mut accounts.host);
        if let Some(own) = accounts.sessions.get_mut(session) {
            change(own);
        }
    }
}

/// What is kept back for one question. What was sent and not settled counts at its most, as the provider may count it.
#[derive(Debug)]
pub(crate) struct Reserved {
    ledger: Arc<Ledger>,
    session: String,
    most: Spent,
    sent: bool,
}

impl Reserved {
    /// From here on it may be counted.
    pub(crate) fn sent(&mut self) {
        self.sent = true;
    }

    /// Nothing came of it that would be counted.
    pub(crate) fn not_counted(&mut self) {
        self.sent = false;
    }

    /// It may have been counted, at most as all of it, unless it is known as what; what is kept back is kept for the
    /// next try.
    pub(crate) fn lost(&mut self) {
        if self.sent {
            self.settle(None);
        }
    }

    /// It was counted, as this; none: nobody told.
    pub(crate) fn settle(&mut self, spent: Option<Spent>) {
        let (now, spent) = (Instant::now(), spent.unwrap_or(self.most));
        self.sent = false;
        self.ledger.each(&self.session, |account| account.spend(now, spent));
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.lost();
        let most = self.most;
        self.ledger.each(&self.session, |account| account.reserved = account.reserved.minus(most));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
mod tests {
    use super::*;

    fn tokens(tokens: u64) -> Spent {
        Spent { tokens, money: Decimal::default() }
    }

    fn budgets(host: u64, session: u64) -> Budgets {
        let of = |tokens| BudgetPerHour { tokens: Some(tokens), money: None };
        Budgets { host: of(host), session: of(session) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_spent_comes_back_after_an_hour() {
        let ledger = Arc::new(Ledger::default());
        let budgets = budgets(1_000, 100);
        ledger.reserve("a", tokens(60), &budgets).unwrap().settle(Some(tokens(50)));
        let fault = ledger.reserve("a", tokens(60), &budgets).unwrap_err();
        assert_eq!(fault.kind, Kind::Budget);
        assert_eq!(fault.cause, "the session spent 50 of 100 tokens an hour, and this may take 60");
        ledger.reserve("b", tokens(60), &budgets).unwrap();
        tokio::time::advance(fault.after.unwrap()).await;
        ledger.reserve("a", tokens(60), &budgets).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_under_way_counts_at_its_most() {
        let ledger = Arc::new(Ledger::default());
        let budgets = budgets(100, 100);
        let first = ledger.reserve("a", tokens(60), &budgets).unwrap();
        assert!(ledger.reserve("b", tokens(60), &budgets).is_err(), "the host's is one for all");
        drop(first);
        ledger.reserve("b", tokens(60), &budgets).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_and_given_up_is_spent() {
        let ledger = Arc::new(Ledger::default());
        let budgets = budgets(100, 100);
        let mut first = ledger.reserve("a", tokens(60), &budgets).unwrap();
        first.sent();
        drop(first);
        assert!(ledger.reserve("a", tokens(60), &budgets).is_err());
        let mut second = ledger.reserve("a", tokens(40), &budgets).unwrap();
        second.sent();
        second.not_counted();
        drop(second);
        ledger.reserve("a", tokens(40), &budgets).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn money_is_bounded_as_tokens_are() {
        let ledger = Arc::new(Ledger::default());
        let most = BudgetPerHour { tokens: None, money: Some(Decimal::millionths(1_000)) };
        let budgets = Budgets { host: BudgetPerHour::default(), session: most };
        let spent = Spent { tokens: 9, money: Decimal::millionths(600) };
        ledger.reserve("a", spent, &budgets).unwrap().settle(Some(spent));
        let fault = ledger.reserve("a", spent, &budgets).unwrap_err();
        assert_eq!(fault.cause, "the session spent 0.0006 of 0.001 an hour, and this may cost 0.0006");
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_that_spent_nothing_are_forgotten() {
        let ledger = Arc::new(Ledger::default());
        for n in 0..1_000 {
            ledger.reserve(&n.to_string(), tokens(1), &Budgets::default()).unwrap();
        }
        assert!(ledger.0.lock().sessions.len() <= 1);
    }
}
