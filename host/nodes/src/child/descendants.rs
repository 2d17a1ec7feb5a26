//! The processes that descend from one, and ending them.
//!
//! A process that starts another and ends, or that makes a session of its own, leaves its process group; its place in the
//! tree of processes it cannot leave, as long as an ancestor of it adopts orphans. So the tree is what is walked here. Each
//! pass stops everything that it sees before it kills any of it, so that what forks cannot outrun the walk.
//!
//! The supervisor ([`super::supervisor`]) calls this for what is left of its child; the host calls it for a supervisor that
//! does not answer, and for processes that it adopted ([`super::orphans`]).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long processes that cannot be killed are tried: those of another user, or that the kernel does not let go.
const LONGEST: Duration = Duration::from_secs(5);

/// One process as `/proc` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) parent: i32,
    /// It has ended and its parent has not been told yet.
    pub(super) zombie: bool,
}

/// Every process that can be seen; none where there is no `/proc`.
pub(super) fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| read(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .collect()
}

/// `PID (NAME) STATE PARENT …`; the name may hold anything, brackets too.
fn read(pid: i32, stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    Some(Process { pid, parent: fields.next()?.parse().ok()?, zombie })
}

/// Those below `root` in the tree, without it.
fn below(root: i32, processes: &[Process]) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<&Process>> = BTreeMap::new();
    for process in processes {
        children.entry(process.parent).or_default().push(process);
    }
    let (mut found, mut walk) = (BTreeSet::new(), vec![root]);
    while let Some(parent) = walk.pop() {
        for process in children.get(&parent).into_iter().flatten() {
            if !process.zombie && found.insert(process.pid) {
                walk.push(process.pid);
            }
        }
    }
    found
}

/// The living descendants of a process.
pub(super) fn descendants(root: Pid) -> BTreeSet<i32> {
    below(root.as_raw(), &processes())
}

/// Kills the descendants of `root` until none is left, and calls `reap` between the passes. False: some could not be killed.
pub(super) fn end_descendants(root: Pid, mut reap: impl FnMut()) -> bool {
    let began = Instant::now();
    loop {
        let mut seen = BTreeSet::new();
        loop {
            let now = descendants(root);
            let fresh: Vec<i32> = now.difference(&seen).copied().collect();
            if fresh.is_empty() || began.elapsed() > LONGEST {
                break;
            }
            signal_all(fresh.iter(), Signal::SIGSTOP);
            seen.extend(fresh);
        }
        if seen.is_empty() {
            return descendants(root).is_empty();
        }
        signal_all(seen.iter(), Signal::SIGKILL);
        reap();
        if began.elapsed() > LONGEST {
            return false;
        }
        sleep(Duration::from_millis(2));
        reap();
    }
}

/// A process that is gone, or another user's, takes no signal; the next pass shows which.
fn signal_all<'a>(pids: impl Iterator<Item = &'a i32>, signal: Signal) {
    for pid in pids {
        let _ = kill(Pid::from_raw(*pid), signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_hide_the_parent() {
        let process = read(7, "7 (a) Z 1 (b)) S 3 7 7 0").unwrap();
        assert_eq!(process, Process { pid: 7, parent: 3, zombie: false });
        assert!(read(8, "8 (x) Z 3 8").unwrap().zombie);
        assert_eq!(read(9, "9 (x"), None);
    }

    #[test]
    fn descendants_are_all_generations_and_nobody_else() {
        let process = |pid, parent| Process { pid, parent, zombie: false };
        let all = [process(1, 0), process(5, 1), process(6, 5), process(7, 6), process(8, 1), process(9, 8)];
        assert_eq!(below(5, &all), BTreeSet::from([6, 7]));
        assert_eq!(below(9, &all), BTreeSet::new());
    }
}
