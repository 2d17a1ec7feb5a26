//! A queueing model of a pipeline, as a data plane: what a controller is tried on when no real pipeline would hold still.
//!
//! A [`Plan`] is a graph, a [`SimulatedWorld`] (what nodes cost, what comes in, how the plane takes actions), [`FaultPlan`] and a seed.
//! [`Sim`] is the `DataPlane` of it. The same manifest runs here and in the embedded pipeline.
//!
//! # The model
//!
//! Discrete events: arrivals, ends of attempts, faults, and actions that take effect. A node is a bounded queue with as
//! many servers as it has workers. Events rather than fluid steps, as then what is known of queues holds exactly and can
//! be tested: with Poisson arrivals and exponential service a node is an M/M/c queue, whose mean wait is Erlang's C
//! formula divided by cμ − λ (Kleinrock, *Queueing Systems* I, 1975, §3.5; the tests hold it against that). Full queues
//! stop whoever feeds them, after service ("transfer blocking", Perros 1994). More workers on one resource follow
//! Gunther's universal scalability law.
//!
//! As in the embedded pipeline, an item goes to every node behind, as soon as all of their queues have room; a failed
//! item is tried again by the same worker and then dead-lettered; a dead worker gives back what it had in hand; a
//! bypassed node passes items at once. Unlike there, workers take items one by one, and the order of items is not kept.
//!
//! # What always holds
//!
//! - One seed, plan and sequence of actions give the same observations, bit for bit, however often anybody looks.
//! - Each node and each load has a stream of chance of its own. What happens at one node changes nothing of what is drawn
//!   at another, so two runs of one seed differ only by what was done in them.
//! - accepted = delivered + filtered + dead-lettered + lost + in flight. Only a plane that is told to loses work.
//! - Time is tokio's. Nothing runs in the background: each look lets happen what has happened until then.
//!
//! # Faults
//!
//! A fault of a node's own work (slow, errors, hang, rate-limit, memory-leak) belongs to the type that its node has when
//! it begins: another type in its place is free of it, and the old one, put back, has it again. What grows begins anew
//! with new workers, so a restart helps for a while. A bypassed node has no faults.

mod action_behaviour;
mod check;
mod condition;
mod crew;
mod edit;
mod effect;
mod event_queue;
mod fault;
mod fault_effect;
mod fault_schedule;
mod graph_change;
mod ledger;
mod load;
mod network;
mod node;
mod node_types;
mod observe;
mod plan;
mod service;
mod shape;
mod sim;
mod simulated_source;
mod truth;
mod worker;
mod world;

pub use action_behaviour::{ActionBehaviour, ActionReply};
pub use fault::{Fault, FaultPlan, What};
pub use ledger::ItemTally;
pub use load::{Load, Rate, Spacing, Spike, WhenFull};
pub use plan::{Plan, Unsound};
pub use service::Service;
pub use sim::Sim;
pub use truth::{ActionAnswer, Applied, NodeTruth, Truth};
pub use world::{ExecutorSpeed, RateLimit, Setting, SimNodeRole, SimulatedWorld, Work};
