//! The nine changing actions on the running graph. Each makes what is new before it touches what runs, so that what is
//! refused changes nothing. Items are never lost by a change: what waits stays in its queue, and what a worker has in
//! hand is ended by it or given back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use flyball_model::{Action, Executor, NodeId, NodeSpec, NodeType, SecretNames, merge, touched};
use flyball_ports::ApplyError;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::check::{MOST_REPLICAS, MOST_WAITING};
use crate::node::Node;
use crate::pipeline::Running;
use crate::stock::{Pass, Role, listed, nearest, offers, role};
use crate::tool::Tool;

type Applied = Result<(), ApplyError>;

fn refused<T>(why: impl Into<String>) -> Result<T, ApplyError> {
    Err(ApplyError::Refused(why.into()))
}

impl Running {
    pub(crate) async fn apply(&self, action: Action) -> Applied {
        let _acting = self.acting.lock().await;
        if self.ended.load(Ordering::Acquire) {
            return refused("the pipeline has ended");
        }
        match action {
            Action::NoOp => Ok(()),
            Action::ReplaceNode { node, node_type, config } => self.replace(&node, node_type, config).await,
            Action::InsertNode { id, node_type, config, executor, after, before } => {
                let spec = self.new_spec(id, node_type, config, executor)?;
                self.insert(spec, &after, &before)
            }
            Action::RemoveNode { node } => self.remove(&node).await,
            Action::UpdateNodeConfig { node, patch } => {
                let (node, mut spec) = self.changing(&node, "configured anew")?;
                self.leaves_reach(&spec, &patch)?;
                merge(&mut spec.config, &patch);
                self.reform(&node, spec).await
            }
            Action::BypassNode { node, active } => self.bypass(&node, active).await,
            Action::SwitchExecutor { node, to } => {
                let (node, spec) = self.changing(&node, "switched")?;
                if spec.executor == to {
                    return refused(format!("{} works in {to} already", spec.id));
                }
                self.reform(&node, NodeSpec { executor: to, ..spec }).await
            }
            Action::RestartProcess { node } => self.restart(&node).await,
            Action::ScaleNode { node, replicas } => self.scale(&node, replicas).await,
            Action::AdjustBuffering { node, capacity } => self.buffer(&node, capacity),
        }
    }

    fn existing(&self, id: &str) -> Result<Arc<Node>, ApplyError> {
        let topology = self.topology();
        let near = || {
            nearest(id, topology.ids.iter().map(AsRef::as_ref))
                .map(|near| format!("; did you mean \"{near}\"?"))
                .unwrap_or_default()
        };
        topology
            .find(id)
            .cloned()
            .ok_or_else(|| ApplyError::Refused(format!("there is no node \"{id}\"{}", near())))
    }

    /// A node that has workers, and its specification.
    fn changing(&self, id: &str, what: &str) -> Result<(Arc<Node>, NodeSpec), ApplyError> {
        let node = self.existing(id)?;
        if node.role == Role::Source {
            // It would begin again, and give its items twice.
            return refused(format!("{id} is a source; a source cannot be {what} while it runs"));
        }
        let spec = node.spec.lock().clone();
        Ok((node, spec))
    }

    /// Whoever asks for it: a patch is no way to have a node reach elsewhere, nor to write its secrets.
    fn leaves_reach(&self, spec: &NodeSpec, patch: &Value) -> Applied {
        let of = self.stock.find(&spec.node_type).map_err(ApplyError::Refused)?;
        let names = SecretNames::default();
        match touched(of.config_schema.as_ref(), of.reach, &spec.config, patch, &names) {
            None => Ok(()),
            Some(place) => refused(format!(
                "the patch touches {place} of {}, which decides where the node reaches or is secret",
                spec.id
            )),
        }
    }

    /// Gives a node new workers, by another specification: the new are made, the old end what they have in hand, and
    /// what waits meanwhile is the new ones'.
    async fn reform(&self, node: &Arc<Node>, spec: NodeSpec) -> Applied {
        let tools = self.stock.tools(&spec).map_err(ApplyError::Refused)?;
        self.swap(node, spec, tools, self.options.patience).await;
        Ok(())
    }

    async fn swap(&self, node: &Arc<Node>, spec: NodeSpec, tools: Vec<Tool>, patience: Duration) {
        node.crew.dismiss(0, patience).await;
        node.forget();
        *node.spec.lock() = spec;
        node.staff(tools);
        self.show_anew();
    }

    /// A node is configured otherwise.
    fn show_anew(&self) {
        self.show(self.topology().nodes.clone());
    }

    async fn replace(&self, id: &str, node_type: String, config: Option<Value>) -> Applied {
        let (node, mut spec) = self.changing(id, "replaced")?;
        let found = self.stock.find(&node_type).map_err(ApplyError::Refused)?;
        if role(&node_type) != node.role {
            let (is, takes) = (role(&node_type), node.role);
            return refused(format!("\"{node_type}\" is a {is}; only another {takes} can take {id}'s place"));
        }
        spec.executor = preferred(&found, Some(spec.executor));
        spec.node_type = node_type;
        spec.config = config.unwrap_or(spec.config);
        self.reform(&node, spec).await
    }

    async fn bypass(&self, id: &str, active: bool) -> Applied {
        let (node, spec) = self.changing(id, "bypassed")?;
        if node.role == Role::Sink {
            return refused(format!("{id} is a sink; past it there is nowhere to go"));
        }
        match (spec.bypassed, active) {
            (true, true) => refused(format!("{id} is bypassed already")),
            (false, false) => refused(format!("{id} is at work already")),
            // What is bypassed need not be able to work, so nothing is made.
            (false, true) => {
                let tools = vec![Tool::Processor(Box::new(Pass))];
                self.swap(&node, NodeSpec { bypassed: true, ..spec }, tools, self.options.patience).await;
                Ok(())
            }
            (true, false) => self.reform(&node, NodeSpec { bypassed: false, ..spec }).await,
        }
    }

    async fn restart(&self, id: &str) -> Applied {
        let (node, spec) = self.changing(id, "restarted")?;
        if spec.bypassed {
            return refused(format!("{id} is bypassed and has no process; put it back to work instead"));
        }
        if spec.executor != Executor::Multiprocess && !node.crew.any_ended() {
            return refused(format!(
                "{id} works in the host ({}); it has no process to restart",
                spec.executor
            ));
        }
        // The node was right until now; if it cannot be started again, that is no fault of the action.
        let tools = match self.stock.tools(&spec) {
            Ok(tools) => tools,
            Err(error) => {
                // What was missing (descriptors, memory) may be there in a moment, and nobody may decide again by then.
                node.crew.hurry();
                return Err(ApplyError::Failed(error));
            }
        };
        self.swap(&node, spec, tools, Duration::ZERO).await;
        node.restarts.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn scale(&self, id: &str, replicas: u32) -> Applied {
        let (node, spec) = self.changing(id, "scaled")?;
        if !(1..=MOST_REPLICAS).contains(&replicas) {
            return refused(format!("{id} cannot have {replicas} workers; it must be 1 to {MOST_REPLICAS}"));
        }
        if spec.replicas == replicas {
            return refused(format!("{id} has {replicas} already"));
        }
        if !spec.bypassed {
            let more = replicas.saturating_sub(spec.replicas);
            let tools: Result<Vec<Tool>, String> = (0..more).map(|_| self.stock.tool(&spec)).collect();
            node.staff(tools.map_err(ApplyError::Refused)?);
            node.crew.dismiss(replicas as usize, self.options.patience).await;
        }
        node.spec.lock().replicas = replicas;
        self.show_anew();
        Ok(())
    }

    fn buffer(&self, id: &str, capacity: u32) -> Applied {
        let node = self.existing(id)?;
        if node.role == Role::Source {
            return refused(format!("{id} is a source; nothing waits before it"));
        }
        if !(1..=MOST_WAITING).contains(&capacity) {
            return refused(format!(
                "{capacity} items cannot wait before {id}; it must be 1 to {MOST_WAITING}"
            ));
        }
        if node.spec.lock().queue_capacity == capacity {
            return refused(format!("{capacity} items may wait before {id} already"));
        }
        node.spec.lock().queue_capacity = capacity;
        node.queue.set_capacity(capacity as usize);
        self.show_anew();
        Ok(())
    }

    fn new_spec(
        &self,
        id: NodeId,
        node_type: String,
        config: Value,
        executor: Option<Executor>,
    ) -> Result<NodeSpec, ApplyError> {
        if id.trim().is_empty() {
            return refused("the new node has no id");
        }
        if self.topology().find(&id).is_some() {
            return refused(format!("there is a node \"{id}\" already"));
        }
        let found = self.stock.find(&node_type).map_err(ApplyError::Refused)?;
        if role(&node_type) != Role::Processor {
            return refused(format!(
                "\"{node_type}\" is a {}; only a processor can be put on an edge",
                role(&node_type)
            ));
        }
        let executor = executor.unwrap_or_else(|| preferred(&found, None));
        Ok(NodeSpec {
            id,
            node_type,
            executor,
            config,
            replicas: 1,
            queue_capacity: 256,
            bypassed: false,
            optional: false,
        })
    }

    fn insert(&self, spec: NodeSpec, after: &[NodeId], before: &[NodeId]) -> Applied {
        if after.is_empty() {
            return refused(format!("nothing is named after which {} is to be inserted", spec.id));
        }
        let mut from = after.iter().map(|id| self.existing(id)).collect::<Result<Vec<_>, _>>()?;
        let mut to = before.iter().map(|id| self.existing(id)).collect::<Result<Vec<_>, _>>()?;
        if before.is_empty() {
            to = from.first().map(|node| node.behind()).unwrap_or_default();
        }
        without_doubles(&mut from);
        without_doubles(&mut to);
        if to.is_empty() {
            return refused(format!(
                "nothing follows {}; there is no edge to insert {} on",
                listed(after),
                spec.id
            ));
        }
        for from in &from {
            let behind = from.behind();
            if let Some(missing) = to.iter().find(|to| behind.iter().all(|have| have.number != to.number)) {
                return refused(format!(
                    "{} does not lead to {}; there is no such edge",
                    from.id(),
                    missing.id()
                ));
            }
            if before.is_empty() && behind.len() != to.len() {
                return refused(format!(
                    "what follows {} is not the same; name the nodes before which",
                    listed(after)
                ));
            }
        }
        let tools = self.stock.tools(&spec).map_err(ApplyError::Refused)?;
        let node = self.node(spec, 1);
        node.lead_to(to.clone());
        node.staff(tools);
        for from in &from {
            let mut behind = from.behind();
            behind.retain(|have| to.iter().all(|to| to.number != have.number));
            behind.push(Arc::clone(&node));
            from.lead_to(behind);
        }
        let mut nodes = self.topology().nodes.clone();
        nodes.push(node);
        self.show(nodes);
        Ok(())
    }

    async fn remove(&self, id: &str) -> Applied {
        let node = self.existing(id)?;
        if node.role != Role::Processor {
            return refused(format!("{id} is a {}; it cannot be removed", node.role));
        }
        let topology = self.topology();
        let (before, behind) = (topology.before(&node), node.behind());
        for from in &before {
            let double = behind.iter().find(|to| from.behind().iter().any(|have| have.number == to.number));
            if let Some(to) = double {
                let (from, to) = (from.id(), to.id());
                return refused(format!("{from} leads to {to} already; without {id} it would do so twice"));
            }
        }
        before.iter().for_each(|from| from.hold(true));
        self.empty(&node).await;
        for from in &before {
            let mut to = from.behind();
            to.retain(|have| have.number != node.number);
            to.extend(behind.iter().cloned());
            from.lead_to(to);
        }
        let rest = topology.nodes.iter().filter(|have| have.number != node.number).cloned().collect();
        self.show(rest);
        node.crew.dismiss(0, Duration::ZERO).await;
        Ok(())
    }

    /// Lets a node that is to go end its work. What it has not done after a while, or cannot do as it is dead, passes
    /// unchanged, as everything will that comes after it; and full queues behind it do not stop that.
    async fn empty(&self, node: &Arc<Node>) {
        node.queue.set_hurry(true);
        let failing = node.crew.any_failing(Instant::now(), self.options.window);
        if !failing && timeout(self.options.patience, node.queue.idle()).await.is_ok() {
            return;
        }
        node.crew.dismiss(0, Duration::ZERO).await;
        node.flood();
        node.staff(vec![Tool::Processor(Box::new(Pass))]);
        node.queue.idle().await;
    }
}

fn without_doubles(nodes: &mut Vec<Arc<Node>>) {
    let mut seen = BTreeSet::new();
    nodes.retain(|node| seen.insert(node.number));
}

/// Where a type works when nobody says: where the node worked before, else in the host, else where it can.
fn preferred(found: &NodeType, present: Option<Executor>) -> Executor {
    let wishes = present.into_iter().chain([Executor::Native]).find(|executor| offers(found, *executor));
    wishes.or_else(|| found.offers.first().map(|offer| offer.executor)).unwrap_or_default()
}
