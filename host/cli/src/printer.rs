//! Standard output, for what is told while a host runs.
//!
//! It upholds that nobody who reads too slowly, or not at all, holds up what is told of: lines are printed on a thread of
//! their own. What finds no room among those that wait is left out and counted; at the end the thread is waited for, but not
//! for ever. `Narrator` calls it.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use indicatif::MultiProgress;

/// So many lines wait to be printed.
const WAITING: usize = 4_096;

enum Order {
    Line(String),
    /// Says when everything before it is printed.
    Tell(SyncSender<()>),
}

#[derive(Debug)]
pub(crate) struct Printer {
    /// None: the machine gives no thread, and lines are printed where they come from.
    orders: Option<SyncSender<Order>>,
    left_out: Arc<AtomicU64>,
    progress: MultiProgress,
}

impl Printer {
    /// Prints above the progress line, when there is one.
    pub(crate) fn start(progress: MultiProgress) -> Self {
        let (orders, taken) = sync_channel(WAITING);
        let left_out = Arc::new(AtomicU64::new(0));
        let (above, counted) = (progress.clone(), Arc::clone(&left_out));
        let started = std::thread::Builder::new()
            .name("printer".to_owned())
            .spawn(move || print_all(&taken, &above, &counted));
        Self { orders: started.is_ok().then_some(orders), left_out, progress }
    }

    pub(crate) fn print(&self, line: String) {
        match &self.orders {
            Some(orders) => {
                if orders.try_send(Order::Line(line)).is_err() {
                    self.left_out.fetch_add(1, Ordering::Relaxed);
                }
            }
            None => print_one(&self.progress, &line),
        }
    }

    /// Until all that was told is printed, or nobody has read it for this long.
    pub(crate) fn settle(&self, patience: Duration) {
        let Some(orders) = &self.orders else { return };
        let (tell, told) = sync_channel(1);
        if orders.try_send(Order::Tell(tell)).is_ok() {
            // Whoever does not read it in time does without.
            let _ = told.recv_timeout(patience);
        }
    }
}

fn print_all(orders: &Receiver<Order>, progress: &MultiProgress, left_out: &AtomicU64) {
    while let Ok(order) = orders.recv() {
        match order {
            Order::Line(line) => print_one(progress, &line),
            // Whoever asked may have stopped waiting.
            Order::Tell(done) => drop(done.try_send(())),
        }
        let count = left_out.swap(0, Ordering::Relaxed);
        if count > 0 {
            tracing::warn!(lines = count, "standard output was not read in time; lines were left out");
        }
    }
}

fn print_one(progress: &MultiProgress, line: &str) {
    // Nobody to tell it to is no reason to stop a pipeline.
    let write = || drop(writeln!(anstream::stdout(), "{line}"));
    if std::io::stdout().is_terminal() {
        progress.suspend(write);
    } else {
        // Suspending would hold whoever moves the progress line for as long as nobody reads.
        write();
    }
}
