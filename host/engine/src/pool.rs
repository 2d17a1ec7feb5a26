//! The threads on which node components run, and nothing else does.
//!
//! A pipeline's node is asked for every batch of items, by a plugin that may loop until its time limit. On the runtime's
//! own threads two such nodes held up every tick, the control socket and the signals of a host with two cores. Here they hold
//! up each other at most: there are as many threads as cores and at least two, started when they are first needed, and each
//! worker of a node has at most one call waiting or under way, so that what waits is bounded by the workers that there are.
//!
//! What nobody waits for any more (its worker was stopped) is not begun. A call that is under way then ends at its limits, and
//! its thread is waited for by nobody: the end of a host does not wait for a node.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Runs calls of node components.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("threads", &self.0.most).finish_non_exhaustive()
    }
}

struct Shared {
    most: usize,
    state: Mutex<State>,
    /// There is something to do, or nothing ever again.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

/// Closes the pool when its owner is gone.
#[derive(Debug)]
pub(crate) struct Owner(Pool);

impl Owner {
    /// As many threads as the machine has cores, and at least two.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Pool::of(cores.max(2)))
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.0.state.lock().closed = true;
        self.0.0.changed.notify_all();
    }
}

impl Pool {
    fn of(most: usize) -> Self {
        Self(Arc::new(Shared { most, state: Mutex::default(), changed: Condvar::new() }))
    }

    /// Does the work on a thread of the pool, in its turn. None: the machine gives no thread, or the work panicked.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        let (tell, told) = oneshot::channel();
        self.add(Box::new(move || {
            if !tell.is_closed() {
                // Its worker may be gone by now.
                let _ = tell.send(work());
            }
        }));
        told.await.ok()
    }

    fn add(&self, job: Job) {
        let mut state = self.0.state.lock();
        state.waiting.push_back(job);
        if state.idle < state.waiting.len() && state.threads < self.0.most {
            let shared = Arc::clone(&self.0);
            let thread = std::thread::Builder::new().name("flyball-node".to_owned());
            match thread.spawn(move || serve(&shared)) {
                Ok(_) => state.threads += 1,
                // The threads that there are do it later; without any it is dropped, and whoever waits is told.
                Err(error) if state.threads == 0 => {
                    tracing::error!(%error, "no thread for a node's component");
                    state.waiting.clear();
                }
                Err(_) => {}
            }
        }
        drop(state);
        self.0.changed.notify_one();
    }
}

fn serve(shared: &Shared) {
    loop {
        let mut state = shared.state.lock();
        let job = loop {
            if let Some(job) = state.waiting.pop_front() {
                break job;
            }
            if state.closed {
                state.threads -= 1;
                return;
            }
            state.idle += 1;
            shared.changed.wait(&mut state);
            state.idle -= 1;
        };
        drop(state);
        // Whoever waits for the answer is told by the end of its channel.
        let _ = crate::boundary::guarded(job);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_waits_for_its_turn_and_no_more_threads_are_started_than_there_may_be() {
        let pool = Pool::of(2);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let works = (0..20).map(|number| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            pool.run(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(1));
                now.fetch_sub(1, Ordering::SeqCst);
                number
            })
        });
        let done = futures::future::join_all(works).await;
        assert_eq!(done, (0..20).map(Some).collect::<Vec<_>>());
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_that_does_not_come_and_the_thread_goes_on() {
        let pool = Pool::of(1);
        assert_eq!(pool.run(|| -> u8 { panic!("over") }).await, None);
        assert_eq!(pool.run(|| 7).await, Some(7));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_not_begun() {
        let pool = Pool::of(1);
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let first = tokio::spawn({
            let pool = pool.clone();
            async move { pool.run(move || held.recv().is_ok()).await }
        });
        tokio::task::yield_now().await;
        let begun = Arc::new(AtomicUsize::new(0));
        let second = tokio::spawn({
            let (pool, begun) = (pool.clone(), Arc::clone(&begun));
            async move { pool.run(move || begun.fetch_add(1, Ordering::SeqCst)).await }
        });
        tokio::task::yield_now().await;
        second.abort();
        let _ = second.await;
        hold.send(()).unwrap();
        assert_eq!(first.await.unwrap(), Some(true));
        assert_eq!(pool.run(|| 7).await, Some(7));
        assert_eq!(begun.load(Ordering::SeqCst), 0);
    }
}
