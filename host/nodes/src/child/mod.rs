//! Any command as a node: the protocol, the host's side of it ([`ChildProcessor`]) and the child's ([`serve`]).
//!
//! # The protocol
//!
//! The host starts the command and writes JSON to its standard input, a line for each item:
//!
//! ```json
//! {"id":1,"body":{"text":"any JSON"}}
//! ```
//!
//! The child answers on its standard output, a line for each item, in any order. `out` holds the bodies that go on, none
//! if the item was filtered:
//!
//! ```json
//! {"id":1,"out":[{"text":"any JSON"}]}
//! {"id":2,"error":"why this item cannot be processed"}
//! ```
//!
//! - The `id` is the host's number for the item; it has no other meaning and is never used twice.
//! - Several items may be written before the first answer is read. A child that reads one line, writes one line and
//!   flushes is right.
//! - A child that is silent while it works may write `{"heartbeat":true}` at any time; any answer counts as a heartbeat
//!   too. A heartbeat shows that the child lives. It does not extend the time that an item may take.
//! - A child may report numbers of its own, at any time, alone or with an answer: `{"metrics":{"cache-hits":12}}`. Names,
//!   bounds and what becomes of several workers' numbers are described at [`crate::CustomMetrics`].
//! - Standard error is the child's log. The newest lines are kept and the last is shown when the child dies.
//! - When its standard input ends, the child ends.
//! - Other keys in a child's line are passed over.
//! - Numbers are as they were written, in both directions; a child that keeps their digits reads them as text or decimals.
//!
//! # What goes wrong
//!
//! A line that is no answer (it is not JSON, has `NaN` or `Infinity`), or no item (too deep, too large, a field named twice)
//! fails the item that it
//! names. Where it names none, it stands for an item that is never answered: when nothing but such items is left of what was
//! asked, and a moment later still, they fail. A second answer, or one to what was not asked, is dropped. A hundred of these
//! in a row end the child, as do a line without an end and too long a silence; items that were answered before are answered,
//! the others fail with the worker and are tried again elsewhere. The time that an item may take passes only while the host
//! itself runs.
//!
//! An item of a `command` that takes much longer than any before it is asked for once more, by another number, as the child
//! may have left it out. The first answer counts, and the other is passed over.
//!
//! A child that ends with code 0 after it has answered is replaced without a word: items that it left unanswered are given to
//! the next.
//!
//! # Its surroundings
//!
//! The child has the environment that the manifest names and no other, standard input, output and error and no other
//! descriptor, a session without a terminal, and a process group of its own. Whatever descends from it is killed when it
//! ends, and all of it when the host ends, however that ends: see `supervisor.rs`.

mod allowance;
mod collecting;
mod command;
mod descendants;
mod error;
mod glimpse;
mod line;
mod listening;
mod orphans;
mod overdue;
mod serve;
mod started;
mod supervisor;
mod vitals;
mod worker;

pub use collecting::answers_in;
pub use command::{ChildCommand, ChildOptions};
pub use error::{ChildError, Exit};
pub use orphans::{Adopting, adopt_orphans};
pub use serve::{ServeError, serve};
pub use supervisor::{Supervisor, supervise};
pub use vitals::{Vitals, WorkerEnd};
pub use worker::ChildProcessor;

pub(crate) use command::Command;
pub use listening::understood as understood_answers;
