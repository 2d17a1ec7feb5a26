//! What a data plane says of its nodes, from what they did in the last few seconds: one way for every data plane whose
//! nodes are queues with workers, so that a finding means the same wherever it is made.
//!
//! A node is *failed* when a worker of it is dead (for the embedded pipeline: workers keep ending) or all of at least 5
//! samples failed, *degraded* when more than a tenth of at least 20 samples failed, when a worker has been silent over one
//! item for longer than the window or when a place has no worker for now, *unknown* when there is no fresh sample, and
//! *healthy* otherwise.
//!
//! The *bottleneck* is, of the nodes whose queue is at least half full and whose workers are at least half of the time
//! at work (or dead, or silent), the one with the lowest service rate: workers divided by the mean time of an item, and
//! nothing for a dead one. There is none when no queue builds up. Where a slow node fills the queues before it, those
//! nodes are idle, not slow, so they are not taken for it.
//!
//! The *critical path* leads from a source to a sink where the sum of median times and mean waits is largest. An
//! optional node counts as nothing there and is left out.

mod path;
mod reading;
mod window;

pub use path::{bottleneck, critical_path, sorted};
pub use reading::{Reading, metrics};
pub use window::{Sample, Summary, Window};
