//! The account of items. Every item that a source takes in gets a ticket; whatever becomes of the item (copies, parts, a
//! gathered whole) shares it. The account is settled when the last of them is gone, so an item counts once and nothing
//! can disappear unseen: a ticket that ends without an outcome is counted as lost, and the account no longer balances.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use flyball_measure::{Sample, Summary, Window};
use flyball_model::Account;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

const FILTERED: u8 = 1;
const DELIVERED: u8 = 2;
const DEAD: u8 = 4;

/// What became of one piece of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Filtered,
    Delivered,
    DeadLettered,
}

#[derive(Debug)]
pub(crate) struct Ticket {
    fates: AtomicU8,
    accepted: Instant,
    ledger: Arc<Ledger>,
}

impl Ticket {
    pub(crate) fn mark(&self, fate: Fate) {
        let bit = match fate {
            Fate::Filtered => FILTERED,
            Fate::Delivered => DELIVERED,
            Fate::DeadLettered => DEAD,
        };
        self.fates.fetch_or(bit, Ordering::Relaxed);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.ledger.resolve(*self.fates.get_mut(), self.accepted);
    }
}

#[derive(Debug)]
pub(crate) struct Ledger {
    books: Mutex<Books>,
    emptied: Notify,
}

#[derive(Debug)]
struct Books {
    account: Account,
    lost: u64,
    delivered: Window,
}

impl Ledger {
    pub(crate) fn new(slot: Duration, slots: usize) -> Arc<Self> {
        let books = Books {
            account: Account::default(),
            lost: 0,
            delivered: Window::new(Instant::now(), slot, slots),
        };
        Arc::new(Self { books: Mutex::new(books), emptied: Notify::new() })
    }

    /// Takes in `count` items at once.
    pub(crate) fn accept(self: &Arc<Self>, count: usize) -> impl Iterator<Item = Arc<Ticket>> + use<'_> {
        {
            let mut books = self.books.lock();
            books.account.accepted += count as u64;
            books.account.in_flight += count as u64;
        }
        let accepted = Instant::now();
        (0..count)
            .map(move |_| Arc::new(Ticket { fates: AtomicU8::new(0), accepted, ledger: Arc::clone(self) }))
    }

    fn resolve(&self, fates: u8, accepted: Instant) {
        let now = Instant::now();
        let mut books = self.books.lock();
        books.account.in_flight -= 1;
        if fates & DEAD != 0 {
            books.account.dead_lettered += 1;
        } else if fates & DELIVERED != 0 {
            books.account.delivered += 1;
            let time = now.duration_since(accepted);
            books.delivered.record(now, Sample { each: time, finished: 1, ..Sample::default() });
        } else if fates & FILTERED != 0 {
            books.account.filtered += 1;
        } else {
            books.lost += 1;
        }
        if books.account.in_flight == 0 {
            self.emptied.notify_waiters();
        }
    }

    pub(crate) fn account(&self) -> Account {
        self.books.lock().account
    }

    /// Items whose last piece went without a word; always 0 unless there is a bug.
    pub(crate) fn lost(&self) -> u64 {
        self.books.lock().lost
    }

    /// Latency from source to last sink, and items delivered a second.
    pub(crate) fn end_to_end(&self, now: Instant) -> Summary {
        self.books.lock().delivered.summary(now)
    }

    /// Until nothing is on its way.
    pub(crate) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.account().in_flight == 0 {
                return;
            }
            emptied.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Arc<Ledger> {
        Ledger::new(Duration::from_millis(500), 10)
    }

    fn one(ledger: &Arc<Ledger>) -> Arc<Ticket> {
        ledger.accept(1).next().unwrap()
    }

    #[tokio::test]
    async fn a_copied_item_counts_once_and_as_its_worst_part() {
        let ledger = ledger();
        let ticket = one(&ledger);
        let copy = Arc::clone(&ticket);
        ticket.mark(Fate::Delivered);
        drop(ticket);
        assert_eq!(ledger.account().in_flight, 1);
        copy.mark(Fate::DeadLettered);
        drop(copy);
        let account = ledger.account();
        assert_eq!((account.accepted, account.dead_lettered, account.delivered), (1, 1, 0));
        assert!(account.balances());
    }

    #[tokio::test]
    async fn an_item_that_was_partly_filtered_and_partly_delivered_is_delivered() {
        let ledger = ledger();
        let ticket = one(&ledger);
        ticket.mark(Fate::Filtered);
        ticket.mark(Fate::Delivered);
        drop(ticket);
        assert_eq!(ledger.account().delivered, 1);
    }

    #[tokio::test]
    async fn an_item_that_vanishes_unbalances_the_account() {
        let ledger = ledger();
        drop(one(&ledger));
        assert_eq!(ledger.lost(), 1);
        assert!(!ledger.account().balances());
    }

    #[tokio::test(start_paused = true)]
    async fn end_to_end_latency_is_measured_at_the_last_part() {
        let ledger = ledger();
        let ticket = one(&ledger);
        ticket.mark(Fate::Delivered);
        tokio::time::advance(Duration::from_millis(80)).await;
        drop(ticket);
        let p99 = ledger.end_to_end(Instant::now()).p99_ms;
        assert!((p99 - 80.0).abs() < 1.0, "{p99}");
    }
}
