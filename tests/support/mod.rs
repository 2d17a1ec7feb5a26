//! Runs the program as a user does, in a directory of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The program.
pub fn flyball() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flyball"));
    command.env_remove("FLYBALL_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// The checkout.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Both streams, for an assertion's message.
pub fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits until it is so; says what was waited for when it takes too long.
pub fn until(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < limit, "waited {limit:?} in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A run in the background, and what it has said so far.
pub struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let lines = lines.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    lines.lock().unwrap().push(line);
                }
            });
        }
        Self { child, lines }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn said(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    pub fn says(&self, text: &str, limit: Duration) {
        let begun = Instant::now();
        while !self.said().contains(text) {
            assert!(
                begun.elapsed() < limit,
                "waited {limit:?} in vain for {text:?}; it said:\n{}",
                self.said()
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// The lines that hold this text.
    pub fn count(&self, text: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.contains(text)).count()
    }

    /// Waits for its end; its exit code.
    pub fn end(mut self, limit: Duration) -> Option<i32> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(begun.elapsed() < limit, "it did not end within {limit:?}; it said:\n{}", self.said());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Children of a process whose command line holds this text.
pub fn children(parent: u32, text: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // pid (name) state parent …; the name may hold anything, so what follows its last bracket is read.
        let mut after = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let zombie = after.next() == Some("Z");
        let its_parent = after.next().and_then(|field| field.parse::<u32>().ok());
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if !zombie && its_parent == Some(parent) && command.contains(text) {
            found.push(pid);
        }
    }
    found
}

/// The process of a multiprocess node of this host, once it runs: it is the child of a supervisor, which is the host's.
pub fn process_of_a_node(host: u32, text: &str) -> Option<u32> {
    let supervisors = children(host, "--supervise");
    supervisors.into_iter().flat_map(|supervisor| children(supervisor, text)).find(|child| {
        // Before it is the program, it is a copy of its supervisor.
        !fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default().contains("--supervise")
    })
}

/// Whether whoever runs the tests has them ignore a signal, as `nohup` does and a script with what it puts into the background.
/// What they start ignores it as well, so how a host ends by it cannot be tried. It says so.
pub fn is_ignored(signal: nix::sys::signal::Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
    let ignored = u64::from_str_radix(mask, 16).unwrap() & (1 << (signal as i32 - 1)) != 0;
    if ignored {
        eprintln!("skipped: {signal} is ignored by whoever runs the tests, and so by what they start");
    }
    ignored
}

pub fn read_json(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// Replaces a file whole, as editors and deployment tools do.
pub fn replace(file: &Path, bytes: impl AsRef<[u8]>) {
    let scratch = file.with_extension("scratch");
    fs::write(&scratch, bytes).unwrap();
    fs::rename(&scratch, file).unwrap();
}

/// Accepted = delivered + filtered + dead-lettered + in flight, and something was accepted.
pub fn assert_balanced(session: &Value) {
    let account = &session["account"];
    let count = |name: &str| account[name].as_u64().unwrap();
    assert!(count("accepted") > 0, "{account}");
    assert_eq!(
        count("accepted"),
        count("delivered") + count("filtered") + count("dead_lettered") + count("in_flight"),
        "{account}"
    );
    assert_eq!(session["balanced"], true);
}
