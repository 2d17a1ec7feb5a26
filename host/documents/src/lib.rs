//! Reads policies and manifests: YAML in, Flyball's plain data out, and for everything that is wrong with a document
//! a fault with file, line, cause and next step. All faults of a document are told at once, so that whoever edits it
//! need not come back for each. What a document means for a session (which policy judges it, how a manifest narrows
//! it) is answered here too.
//!
//! Documents are untrusted: their size, depth and number of values are bounded, and aliases are refused because a few
//! lines of them can stand for gigabytes.

mod binding;
mod decider_check;
mod excerpt;
mod fault;
mod hidden;
mod left_out;
mod narrowing;
mod never_asked;
mod never_fires;
mod policy_check;
mod reading;
mod scalar;
mod schema;
mod source;
mod suggestion;
mod tree;
mod unmatched;
mod wording;
mod yaml;

pub use binding::{Tie, policy_for};
pub use fault::{DocumentFault, DocumentFaults};
pub use left_out::policy_warnings;
pub use narrowing::rules;
pub use never_fires::never_fires;
pub use reading::{is_manifest, is_policy, locate, read_as, read_manifest, read_policy, schema_problems};
pub use schema::{manifest_schema, of as schema_of, policy_schema};
pub use source::DocumentText;
pub use unmatched::unmatched_nodes;
