//! The least that wasmtime asks for to call a plugin.

use std::hint::black_box;
use std::sync::Arc;

use flyball_model::GraphSpec;
use flyball_ports::Sight;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, HasSelf, InstancePre, Lift, Linker, Lower, Resource,
};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, StoreLimits,
    StoreLimitsBuilder,
};

use crate::Asked;

pub enum Seen {}
pub enum Past {}

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: r#"
        package flyball:bare;

        world everything {
            import flyball:plugin/settings@0.1.0;
            import flyball:plugin/log@0.1.0;
            import flyball:plugin/observed@0.1.0;
            import flyball:plugin/pipeline@0.1.0;
            import flyball:plugin/assessing@0.1.0;
            import flyball:plugin/deciding@0.1.0;
            import flyball:plugin/reviewing@0.1.0;
            import flyball:plugin/reversing@0.1.0;
            import flyball:plugin/listing@0.1.0;
            import flyball:plugin/processing@0.1.0;
        }
    "#,
    with: {
        "flyball:plugin/observed.observation": Seen,
        "flyball:plugin/observed.window": Past,
    },
});

use flyball::plugin::{
    actions, assessing, deciding, judgement, listing, log, observed, offers, pipeline, processing, reversing,
    reviewing, settings,
};

pub struct Host {
    sight: Sight,
    graph: Arc<GraphSpec>,
    limits: StoreLimits,
}

pub struct Bare {
    engine: Engine,
    instance: InstancePre<Host>,
    function: ComponentExportIndex,
    sight: Sight,
    graph: Arc<GraphSpec>,
}

/// By the plugin's name: the interface, and its function.
fn function(name: &str) -> (&'static str, &'static str) {
    match name {
        "threshold-heuristic" => ("flyball:plugin/assessing@0.1.0", "assess"),
        "rule-decider" => ("flyball:plugin/deciding@0.1.0", "decide"),
        "mutation-policy" => ("flyball:plugin/reviewing@0.1.0", "review"),
        "standard-reverser" => ("flyball:plugin/reversing@0.1.0", "reverse"),
        "static-catalog" => ("flyball:plugin/listing@0.1.0", "list-types"),
        _ => ("flyball:plugin/processing@0.1.0", "process"),
    }
}

impl Bare {
    pub fn new(name: &str, wasm: &[u8], sight: &Sight, graph: &GraphSpec) -> Self {
        let mut pool = PoolingAllocationConfig::new();
        pool.max_unused_warm_slots(64).linear_memory_keep_resident(256 << 10).table_keep_resident(16 << 10);
        let mut config = Config::new();
        config
            .epoch_interruption(true)
            .consume_fuel(true)
            .memory_init_cow(true)
            .concurrency_support(false)
            .wasm_memory64(false)
            .wasm_multi_memory(false)
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).unwrap();
        let component = Component::from_binary(&engine, wasm).unwrap();
        let mut linker = Linker::<Host>::new(&engine);
        settings::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).unwrap();
        log::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).unwrap();
        observed::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).unwrap();
        pipeline::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host).unwrap();
        let (interface, function) = function(name);
        let interface = component.get_export_index(None, interface).unwrap();
        Self {
            function: component.get_export_index(Some(&interface), function).unwrap(),
            instance: linker.instantiate_pre(&component).unwrap(),
            engine,
            sight: sight.clone(),
            graph: Arc::new(graph.clone()),
        }
    }

    pub fn call(&self, name: &str, asked: &Asked) {
        let (now, past) = (Resource::<Seen>::new_borrow(0), Resource::<Past>::new_borrow(0));
        match name {
            "threshold-heuristic" => {
                self.ask::<_, (assessing::Assessment,)>((now, past));
            }
            "rule-decider" => {
                let situation = deciding::Situation {
                    findings: vec![finding()],
                    allowed: ["no-op", "restart-process"].map(allowance).to_vec(),
                    past: Vec::new(),
                    learned: Vec::new(),
                    constraints: constraints(),
                };
                self.ask::<_, (Result<deciding::Decision, deciding::Failure>,)>((now, past, situation));
            }
            "mutation-policy" => {
                let proposed = reviewing::Proposed {
                    proposal: actions::Proposal {
                        action: restart(),
                        reason: "it failed".to_owned(),
                        confidence: None,
                        rests_on: Vec::new(),
                    },
                    decided_by: "rule-decider".to_owned(),
                    findings: vec![finding()],
                    past: Vec::new(),
                    constraints: constraints(),
                };
                self.ask::<_, (reviewing::Verdict,)>((now, past, proposed));
            }
            "standard-reverser" => {
                let applied = reversing::Applied {
                    action: restart(),
                    before: graph(&self.graph),
                    after: graph(&self.graph),
                };
                self.ask::<_, (Result<Vec<actions::Action>, String>,)>((applied,));
            }
            "static-catalog" => {
                self.ask::<_, (Result<Vec<offers::NodeType>, listing::Failure>,)>(());
            }
            _ => {
                let items: Vec<processing::Item> = asked
                    .items
                    .iter()
                    .map(|(id, body)| processing::Item { id: *id, body: body.clone() })
                    .collect();
                self.ask::<_, (Vec<Result<Vec<Vec<u8>>, String>>,)>((items,));
            }
        }
    }

    fn ask<P: ComponentNamedList + Lower, R: ComponentNamedList + Lift + 'static>(&self, params: P) {
        let host = Host {
            sight: self.sight.clone(),
            graph: Arc::clone(&self.graph),
            limits: StoreLimitsBuilder::new().memory_size(16 << 20).build(),
        };
        let mut store = Store::new(&self.engine, host);
        store.limiter(|host| &mut host.limits);
        store.set_epoch_deadline(1_000_000);
        store.set_fuel(u64::MAX).unwrap();
        let instance = self.instance.instantiate(&mut store).unwrap();
        let function = instance.get_typed_func::<P, R>(&mut store, self.function).unwrap();
        black_box(function.call(&mut store, params).unwrap());
    }
}

fn restart() -> actions::Action {
    actions::Action::RestartProcess("node-0".to_owned())
}

fn finding() -> judgement::Finding {
    judgement::Finding {
        code: "node-failed".to_owned(),
        severity: judgement::Severity::Critical,
        target: Some("node-0".to_owned()),
        message: "node-0 has failed".to_owned(),
        rests_on: Vec::new(),
    }
}

fn allowance(kind: &str) -> deciding::Allowance {
    deciding::Allowance { kind: kind.to_owned(), summary: String::new(), limits: None }
}

fn constraints() -> actions::Constraints {
    actions::Constraints {
        max_latency_ms: None,
        min_throughput: None,
        mutation: actions::MutationPolicy::Optimize,
        protected: Vec::new(),
    }
}

fn spec(node: &flyball_model::NodeSpec) -> actions::NodeSpec {
    actions::NodeSpec {
        id: node.id.clone(),
        node_type: node.node_type.clone(),
        executor: observed::Executor::Native,
        config: node.config.to_string(),
        replicas: node.replicas,
        queue_capacity: 256,
        bypassed: node.bypassed,
        optional: node.optional,
    }
}

fn graph(graph: &GraphSpec) -> actions::GraphSpec {
    actions::GraphSpec { nodes: graph.nodes.iter().map(spec).collect(), edges: graph.edges.clone() }
}

impl settings::Host for Host {
    fn get(&mut self, _: String) -> Option<settings::Value> {
        None
    }
}

impl log::Host for Host {
    fn log(&mut self, _: log::Level, _: String) {}
}

impl pipeline::Host for Host {
    fn node(&mut self, id: String) -> Option<actions::NodeSpec> {
        self.graph.node(&id).map(spec)
    }

    fn graph(&mut self) -> actions::GraphSpec {
        graph(&self.graph)
    }

    fn offered(&mut self, _: String) -> Option<offers::NodeType> {
        None
    }

    fn all_offered(&mut self) -> Vec<offers::NodeType> {
        Vec::new()
    }
}

impl observed::Host for Host {}

impl Host {
    fn nodes(&self) -> &flyball_model::NodeColumns {
        &self.sight.now.nodes
    }
}

impl observed::HostObservation for Host {
    fn session(&mut self, _: Resource<Seen>) -> String {
        self.sight.now.session.to_string()
    }
    fn tick(&mut self, _: Resource<Seen>) -> u64 {
        self.sight.now.tick
    }
    fn taken_at(&mut self, _: Resource<Seen>) -> u64 {
        self.sight.now.taken_at
    }
    fn len(&mut self, _: Resource<Seen>) -> u32 {
        self.nodes().len() as u32
    }
    fn id(&mut self, _: Resource<Seen>, node: u32) -> String {
        self.nodes().ids[node as usize].to_string()
    }
    fn ids(&mut self, _: Resource<Seen>) -> Vec<String> {
        self.nodes().ids.iter().map(ToString::to_string).collect()
    }
    fn node_type(&mut self, _: Resource<Seen>, node: u32) -> String {
        self.nodes().types[node as usize].to_string()
    }
    fn node_types(&mut self, _: Resource<Seen>) -> Vec<String> {
        self.nodes().types.iter().map(ToString::to_string).collect()
    }
    fn executors(&mut self, _: Resource<Seen>) -> Vec<observed::Executor> {
        vec![observed::Executor::Native; self.nodes().len()]
    }
    fn statuses(&mut self, _: Resource<Seen>) -> Vec<observed::Status> {
        let status = |status: &flyball_model::NodeStatus| match status {
            flyball_model::NodeStatus::Unknown => observed::Status::Unknown,
            flyball_model::NodeStatus::Healthy => observed::Status::Healthy,
            flyball_model::NodeStatus::Degraded => observed::Status::Degraded,
            flyball_model::NodeStatus::Failed => observed::Status::Failed,
        };
        self.nodes().statuses.iter().map(status).collect()
    }
    fn latency_trends(&mut self, _: Resource<Seen>) -> Vec<observed::Trend> {
        vec![observed::Trend::Stable; self.nodes().len()]
    }
    fn column(&mut self, _: Resource<Seen>, metric: String) -> Option<Vec<f64>> {
        self.nodes().metrics.get(&metric).map(<[f64]>::to_vec)
    }
    fn total(&mut self, _: Resource<Seen>, metric: String) -> Option<f64> {
        self.sight.now.total(&metric)
    }
    fn find(&mut self, _: Resource<Seen>, id: String) -> Option<u32> {
        self.nodes().find(&id).map(|node| node as u32)
    }
    fn last_error(&mut self, _: Resource<Seen>, _: u32) -> Option<String> {
        None
    }
    fn edges(&mut self, _: Resource<Seen>) -> Vec<(u32, u32)> {
        self.sight.now.edges.to_vec()
    }
    fn bottleneck(&mut self, _: Resource<Seen>) -> Option<u32> {
        None
    }
    fn critical_path(&mut self, _: Resource<Seen>) -> Vec<u32> {
        self.sight.now.graph.critical_path.clone()
    }
    fn errors(&mut self, _: Resource<Seen>, _: u32) -> Vec<observed::SeenError> {
        Vec::new()
    }
    fn drop(&mut self, _: Resource<Seen>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl observed::HostWindow for Host {
    fn len(&mut self, _: Resource<Past>) -> u32 {
        self.sight.past.len() as u32
    }
    fn series(&mut self, _: Resource<Past>, node: String, metric: String, count: u32) -> Vec<f64> {
        self.sight.past.series(&node, &metric, count as usize)
    }
    fn status_series(&mut self, _: Resource<Past>, _: String, _: u32) -> Vec<observed::Status> {
        Vec::new()
    }
    fn trend_series(&mut self, _: Resource<Past>, _: String, _: u32) -> Vec<observed::Trend> {
        Vec::new()
    }
    fn at(&mut self, _: Resource<Past>, _: u32) -> Option<Resource<Seen>> {
        None
    }
    fn drop(&mut self, _: Resource<Past>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl judgement::Host for Host {}
impl actions::Host for Host {}
impl offers::Host for Host {}
