use std::time::Instant;

use sysinfo::{Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, System};

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Resident memory.
    pub memory_bytes: u64,
    /// Of one core, 100 for all of it, between the two newest samples; none with the first.
    pub cpu_percent: Option<f64>,
}

/// Reads what one process uses, again and again.
#[derive(Debug)]
pub struct UsageSampler {
    pid: Pid,
    /// None: the system cannot be read.
    system: Option<System>,
    last: Option<(Instant, u64)>,
}

impl UsageSampler {
    /// Reads nothing yet.
    pub fn new(pid: u32) -> Self {
        Self { pid: Pid::from_u32(pid), system: System::new().ok(), last: None }
    }

    /// None: there is no such process any more.
    pub fn sample(&mut self) -> Option<Usage> {
        let wanted = ProcessRefreshKind::nothing().with_memory().with_cpu().without_tasks();
        let system = self.system.as_mut()?;
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[self.pid]), true, wanted);
        let process = system.process(self.pid)?;
        if matches!(process.status(), ProcessStatus::Zombie | ProcessStatus::Dead) {
            return None;
        }
        let (now, cpu_ms) = (Instant::now(), process.accumulated_cpu_time());
        let cpu_percent = self.last.replace((now, cpu_ms)).and_then(|(then, before)| {
            let wall_ms = now.duration_since(then).as_secs_f64() * 1_000.0;
            (wall_ms > 0.0).then(|| cpu_ms.saturating_sub(before) as f64 * 100.0 / wall_ms)
        });
        Some(Usage { memory_bytes: process.memory(), cpu_percent })
    }
}

/// What a process uses now; without its CPU, which takes two samples. None: there is no such process.
pub fn process_usage(pid: u32) -> Option<Usage> {
    UsageSampler::new(pid).sample()
}
