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
//! - Standard error is the child's log. The newest lines are kept and the last is shown when the child dies.
//! - When its standard input ends, the child ends.
//! - Other keys in a child's line are passed over. A line that is not JSON or answers nothing, an answer to what was not
//!   asked or too long a silence ends the child: what it says cannot be trusted any more. Items that were answered before
//!   are answered; the others fail with the worker and are tried again elsewhere.
//! - An answer that is no item (too deep, too large, a field named twice) fails the item that it is for, and the child
//!   works on. What the host gives a child is within the same limits. A line that is many times as long as an item may
//!   be fails its item if the line begins with its id, and ends the child if not.
//! - Numbers are as they were written, in both directions; a child that keeps their digits reads them as text or decimals.
//! - The child is the leader of a process group of its own, and is killed with its group.

mod command;
mod error;
mod line;
mod listening;
mod serve;
mod vitals;
mod worker;

pub use command::{ChildCommand, ChildOptions};
pub use error::{ChildError, Exit};
pub use serve::{ServeError, serve};
pub use vitals::Vitals;
pub use worker::ChildProcessor;

pub(crate) use command::Command;
pub use listening::understood as understood_answers;
