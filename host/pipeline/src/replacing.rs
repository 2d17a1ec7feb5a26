//! When the data plane itself gives a node another worker in the place of one that ended, and when it leaves that to the
//! controller.
//!
//! One item that no worker survives must not stop a node: each worker that dies of it is replaced at once, until the item has
//! had its tries and is a dead letter. A node that fails whatever it is given is another matter: it stays dead, which the
//! controller sees, and what to do is decided there. So is what a signal from outside ended, unless it happens again over the
//! same item. A worker that ended well after it had answered is always replaced.
//!
//! [`crate::worker`] asks [`Deaths`] at each end of a worker and starts [`succeed`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flyball_nodes::WorkerEnd;
use tokio::time::{Instant, sleep};

use crate::node::Node;
use crate::worker::{State, employ};

/// A node whose workers die more often than this within [`WITHIN`] is left to the controller.
const MOST: usize = 30;
const WITHIN: Duration = Duration::from_secs(60);

/// Before a worker that could not be started is tried again; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The newest deaths of a node's workers.
#[derive(Debug, Default)]
pub(crate) struct Deaths {
    /// The item over which one died, since something was answered here.
    item: Option<u64>,
    /// Deaths over no item in particular, since something was answered here.
    unexplained: usize,
    newest: VecDeque<Instant>,
}

impl Deaths {
    /// A worker of the node answered an item.
    pub(crate) fn answered(&mut self) {
        self.item = None;
        self.unexplained = 0;
    }

    /// A worker ended; it was working on `item` alone, or on several or none. Whether another takes its place at once.
    pub(crate) fn replaced(&mut self, end: WorkerEnd, item: Option<u64>, workers: usize) -> bool {
        if end == WorkerEnd::Recycled {
            return true;
        }
        let again = item.is_some() && self.item == item;
        let first = self.item.is_none();
        self.item = item.or(self.item);
        self.unexplained += usize::from(item.is_none());
        let of_one_item = match end {
            WorkerEnd::FromOutside => again,
            _ => again || (first && self.unexplained <= workers.max(1)),
        };
        of_one_item && self.seldom(Instant::now())
    }

    fn seldom(&mut self, now: Instant) -> bool {
        self.newest.retain(|at| now.saturating_duration_since(*at) < WITHIN);
        if self.newest.len() >= MOST {
            return false;
        }
        self.newest.push_back(now);
        true
    }
}

/// Has every dead worker of a node succeeded as soon as that is possible: somebody decided so, and it failed just now.
pub(crate) fn succeed_dead(node: &Arc<Node>) {
    for dead in node.crew.dead() {
        if dead.begins_to_be_succeeded() {
            tokio::spawn(succeed(Arc::clone(node), dead));
        }
    }
}

/// Puts a new worker in the place of one that ended, as soon as one can be started, unless somebody took it away meanwhile.
pub(crate) async fn succeed(node: Arc<Node>, old: Arc<State>) {
    let mut wait = FIRST_WAIT;
    loop {
        let spec = node.spec.lock().clone();
        let stock = Arc::clone(&node.shared.stock);
        // Starting a process waits for it.
        let made = tokio::task::spawn_blocking(move || stock.tool(&spec)).await;
        match made {
            Ok(Ok(tool)) => return node.crew.replace(&old, || employ(&node, tool)),
            Ok(Err(error)) => {
                old.die();
                node.mishap(&format!("no other worker could be started, and it is tried again: {error}"));
            }
            Err(_) => return old.die(),
        }
        sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
        if !node.crew.has(&old) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use WorkerEnd::{Failed, FromOutside, Recycled};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_item_that_kills_every_worker_is_survived_until_its_tries_are_over() {
        let mut deaths = Deaths::default();
        // In a batch, alone, and alone once more.
        for item in [None, Some(7), Some(7)] {
            assert!(deaths.replaced(Failed, item, 1), "{item:?}");
        }
        deaths.answered();
        assert!(deaths.replaced(Failed, Some(9), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_answers_nothing_is_left_to_the_controller() {
        let mut deaths = Deaths::default();
        assert!(deaths.replaced(Failed, Some(1), 1));
        assert!(!deaths.replaced(Failed, Some(2), 1));
        let mut deaths = Deaths::default();
        assert!(deaths.replaced(Failed, None, 1));
        assert!(!deaths.replaced(Failed, None, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_killed_from_outside_is_the_controllers_unless_it_is_over_the_same_item_again() {
        let mut deaths = Deaths::default();
        assert!(!deaths.replaced(FromOutside, None, 1));
        assert!(!deaths.replaced(FromOutside, Some(3), 1));
        assert!(deaths.replaced(FromOutside, Some(3), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn workers_that_leave_after_their_share_are_replaced_however_often() {
        let mut deaths = Deaths::default();
        assert!((0..1_000).all(|_| deaths.replaced(Recycled, None, 1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_dies_all_the_time_is_left_to_the_controller_also_when_it_answers_between() {
        let mut deaths = Deaths::default();
        let replaced = (0..100_u64).take_while(|item| {
            deaths.answered();
            deaths.replaced(Failed, Some(*item), 1)
        });
        assert_eq!(replaced.count(), MOST);
        tokio::time::advance(WITHIN).await;
        deaths.answered();
        assert!(deaths.replaced(Failed, Some(1), 1));
    }
}
