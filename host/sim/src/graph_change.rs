//! Makes the network what the running graph says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use flyball_measure::sorted;
use flyball_model::NodeSpec;
use flyball_ports::Loss;

use crate::ledger::Fate;
use crate::network::Network;
use crate::node::{Making, Node, Past};
use crate::service::Clockwork;
use crate::shape::Shape;
use crate::simulated_source::SimulatedSource;
use crate::world::SimNodeRole;

impl Network {
    /// The node that is in the graph by this name.
    pub(crate) fn find(&self, id: &str) -> Option<usize> {
        self.shape.at.iter().copied().find(|at| self.nodes.get(*at).is_some_and(|node| node.spec.id == id))
    }

    /// Every node becomes what the running graph says; what is lost by it is lost.
    pub(crate) fn follow_graph(&mut self, loses: Loss) {
        let specs = self.running.nodes.clone();
        let kept: BTreeSet<&str> = specs.iter().map(|spec| spec.id.as_str()).collect();
        for at in self.shape.at.clone() {
            if self.nodes.get(at).is_some_and(|node| !kept.contains(node.spec.id.as_str())) {
                self.take_out(at, loses);
            }
        }
        let mut found = Vec::with_capacity(specs.len());
        for spec in specs {
            found.push(match self.find(&spec.id) {
                Some(at) => {
                    self.change(at, spec, loses);
                    at
                }
                None => self.put_in(spec),
            });
        }
        self.link(found);
        self.apply_faults();
        self.list_all();
    }

    fn put_in(&mut self, spec: NodeSpec) -> usize {
        // The place of one that is gone is taken again; what was planned for that one must not befall this.
        let gone = self.nodes.iter().find(|node| node.gone);
        let (number, past) =
            gone.map_or((self.nodes.len(), Past::default()), |gone| (gone.number, gone.past()));
        let role = self.stock.role(&spec.id);
        let load = || self.stock.world.loads.get(&spec.id).unwrap_or(&self.stock.world.load).clone();
        let tap = (role == SimNodeRole::Source)
            .then(|| SimulatedSource::new(load(), self.chance(&format!("{}/load", spec.id))));
        let making = Making {
            number,
            past,
            role,
            work: self.stock.work(&spec).clone(),
            retries: self.stock.retries(&spec),
            speed: self.stock.speed(&spec),
            tap,
            window: self.window(),
            rng: self.chance(&spec.id),
            spec,
        };
        let node = Node::new(making, self.now);
        match self.nodes.get_mut(number) {
            Some(place) => *place = node,
            None => self.nodes.push(node),
        }
        number
    }

    fn change(&mut self, at: usize, spec: NodeSpec, loses: Loss) {
        let (now, instant) = (self.now, self.instant());
        let (work, retries) = (self.stock.work(&spec).clone(), self.stock.retries(&spec));
        let speed = self.stock.speed(&spec);
        let Some(node) = self.nodes.get_mut(at) else { return };
        let old = std::mem::replace(&mut node.spec, spec);
        let spec = &node.spec;
        let anew = (&old.node_type, old.executor, &old.config, old.bypassed)
            != (&spec.node_type, spec.executor, &spec.config, spec.bypassed);
        let (resized, narrowed) = (old.replicas != spec.replicas, spec.queue_capacity < old.queue_capacity);
        let mut lost = Vec::new();
        if anew {
            node.clockwork = Clockwork::new(work.service_ms).unwrap_or(node.clockwork);
            node.work = work;
            node.retries = retries;
            node.speed = speed;
            lost.extend(node.restaff(now, instant, loses));
        } else if resized {
            lost.extend(node.resize(now, loses));
        }
        if narrowed && loses == Loss::Waiting {
            let capacity = node.spec.queue_capacity as usize;
            lost.extend(node.waiting.drain(capacity.min(node.waiting.len())..));
        }
        self.lose(lost);
    }

    /// What a node that is taken out holds passes it unchanged, whether there is room behind or not.
    fn take_out(&mut self, at: usize, loses: Loss) {
        let (now, instant) = (self.now, self.instant());
        let Some(node) = self.nodes.get_mut(at) else { return };
        let lost = node.restaff(now, instant, loses);
        node.workers.clear();
        node.gone = true;
        let leaving = node.leaving.drain(..).map(|leaving| leaving.ticket).collect::<Vec<_>>();
        let waiting = node.waiting.drain(..).map(|piece| piece.ticket).collect::<Vec<_>>();
        self.lose(lost);
        for ticket in leaving.into_iter().chain(waiting) {
            if self.nodes.get(at).is_some_and(|node| node.to.is_empty()) {
                self.ledger.end(ticket, Fate::Lost, instant);
            } else {
                self.give_out(at, ticket);
            }
        }
    }

    fn link(&mut self, at: Vec<usize>) {
        let numbers: BTreeMap<&str, u32> =
            (0..).zip(&self.running.nodes).map(|(number, spec)| (spec.id.as_str(), number)).collect();
        let edges: Vec<(u32, u32)> = self
            .running
            .edges
            .iter()
            .filter_map(|(from, to)| Some((*numbers.get(from.as_str())?, *numbers.get(to.as_str())?)))
            .collect();
        for node in &mut self.nodes {
            node.to.clear();
            node.from.clear();
        }
        for (from, to) in &edges {
            let (Some(from), Some(to)) = (at.get(*from as usize), at.get(*to as usize)) else { continue };
            if let Some(node) = self.nodes.get_mut(*from) {
                node.to.push(*to);
            }
            if let Some(node) = self.nodes.get_mut(*to) {
                node.from.push(*from);
            }
        }
        let specs = &self.running.nodes;
        self.shape = Shape {
            ids: specs.iter().map(|spec| Arc::from(spec.id.as_str())).collect(),
            types: specs.iter().map(|spec| Arc::from(spec.node_type.as_str())).collect(),
            order: sorted(specs.len(), &edges),
            edges: edges.into(),
            at,
        };
    }
}
