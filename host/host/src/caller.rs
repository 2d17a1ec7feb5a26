//! Who is at the other end of the control socket. A pipeline's child process has the host's user, and so may open the socket; it
//! must not halt, resume or approve anything, as whoever writes items into the pipeline may be steering it. So a caller is
//! taken for a person only if the kernel names its process, its user is the host's (or root), and the host is not among
//! its ancestors.
//!
//! What this does not show: a process that the host did not start, of the same user, is a person as far as anybody can tell. A
//! child that is to be kept from more than this needs a user of its own.
//!
//! Called by `socket`, for each connection, before its request is read.

use std::fs;

use flyball_model::Caller;
use nix::unistd::geteuid;
use tokio::net::UnixStream;

/// More ancestors than this has no process.
const MOST_ANCESTORS: usize = 4_096;
/// A process that ends while its ancestors are looked for leaves a hole; then they are looked for anew.
const TRIES: usize = 3;

/// The caller, or why it is refused.
pub(crate) fn of(stream: &UnixStream) -> Result<Caller, String> {
    let refused = |why: String| format!("{why}, so this request is refused: a person must make it");
    let peer =
        stream.peer_cred().map_err(|error| refused(format!("it cannot be told who asks ({error})")))?;
    let me = geteuid().as_raw();
    if peer.uid() != me && peer.uid() != 0 {
        return Err(refused(format!("user {} asks, and this host is user {me}'s", peer.uid())));
    }
    let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
    let Some(pid) = pid else {
        return Err(refused("it cannot be told which process asks".to_owned()));
    };
    let program = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let caller = Caller { uid: peer.uid(), pid, program: program.trim_end().to_owned() };
    match descends(pid, std::process::id()) {
        Some(false) => Ok(caller),
        Some(true) => Err(refused(format!(
            "process {pid} ({}) was started by this host, directly or not",
            flyball_model::printable(&caller.program)
        ))),
        None => Err(refused(format!("it cannot be told who started process {pid}"))),
    }
}

/// Whether one process is the other or was started by it, directly or not; none: it cannot be told.
fn descends(process: u32, from: u32) -> Option<bool> {
    (0..TRIES).find_map(|_| {
        let mut at = process;
        for _ in 0..MOST_ANCESTORS {
            if at == from {
                return Some(true);
            }
            // Whoever is started from outside this process namespace has no parent in it.
            if at <= 1 {
                return Some(false);
            }
            at = parent(at)?;
        }
        None
    })
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // pid (name) state parent …; the name may hold anything, so what follows its last bracket is read.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn a_process_descends_from_those_that_started_it_and_from_no_other() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read line"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let me = std::process::id();
        assert_eq!(descends(child.id(), me), Some(true));
        assert_eq!(descends(me, me), Some(true));
        assert_eq!(descends(me, child.id()), Some(false));
        assert_eq!(descends(parent(me).unwrap(), me), Some(false));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(descends(child.id(), me), None, "it has ended");
    }
}
