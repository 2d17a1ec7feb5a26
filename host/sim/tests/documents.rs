//! Worlds and faults are documents: they are read as people write them, and what is wrong is told at its place.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod support;

use flyball_documents::{DocumentText, locate, read_as, read_manifest, schema_of};
use flyball_model::{NodeStatus, Problem};
use flyball_ports::DataPlane as _;
use flyball_sim::{FaultPlan, Plan, Sim, SimulatedWorld};
use support::*;

fn night() -> Plan {
    let manifest =
        read_manifest(&DocumentText::new("manifest.yaml", include_str!("night/manifest.yaml"))).unwrap();
    let plan = Plan::of(&manifest, world(include_str!("night/world.yaml")), 42);
    plan.with(faults(include_str!("night/faults.yaml")))
}

fn told<T: serde::de::DeserializeOwned + schemars::JsonSchema + std::fmt::Debug>(yaml: &str) -> String {
    let faults = read_as::<T>(&DocumentText::new("d.yaml", yaml), "d").unwrap_err();
    let lines = faults.iter().map(|fault| {
        let help = fault.next_step().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{}: {}{help}", fault.line(), fault.message())
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(start_paused = true)]
async fn a_night_runs_as_its_documents_say() {
    let sim = begin(night());
    let mut worst: f64 = 0.0;
    for second in 1..=3_600 {
        pass(1.0).await;
        let seen = see(&sim).await;
        if second == 250 {
            assert_eq!(status(&seen, "transcribe"), NodeStatus::Healthy);
        }
        if (300..900).contains(&second) {
            worst = worst.max(number(&seen, "transcribe", "queue-depth"));
        }
        if second == 1_300 {
            assert_eq!(status(&seen, "enrich"), NodeStatus::Failed);
        }
    }
    assert!(worst >= 400.0, "three times as slow is too slow for the evening: {worst}");
    assert_eq!(
        sim.graph().await.unwrap().node("transcribe").unwrap().replicas,
        2,
        "the old autoscaler was here"
    );
    assert_whole(&sim);
}

#[test]
fn documents_are_written_back_as_they_were_read() {
    let plan = night();
    let world: SimulatedWorld = serde_json::from_value(serde_json::to_value(&plan.world).unwrap()).unwrap();
    let faults: FaultPlan = serde_json::from_value(serde_json::to_value(&plan.faults).unwrap()).unwrap();
    assert_eq!((world, faults), (plan.world, plan.faults));
}

#[test]
fn every_field_of_the_schemas_is_described() {
    fn undescribed(at: &str, schema: &serde_json::Value, found: &mut Vec<String>) {
        let Some(entries) = schema.as_object() else { return };
        if let Some(properties) = entries.get("properties").and_then(|properties| properties.as_object()) {
            for (name, property) in properties {
                // The name of a variant is described where the variant is.
                let variant = entries.get("description").is_some() && properties.len() == 1;
                if property.get("description").is_none() && !variant {
                    found.push(format!("{at}/{name}"));
                }
            }
        }
        for (key, value) in entries {
            match value {
                serde_json::Value::Array(values) => {
                    values.iter().for_each(|value| undescribed(&format!("{at}/{key}"), value, found));
                }
                value => undescribed(&format!("{at}/{key}"), value, found),
            }
        }
    }
    let mut found = Vec::new();
    undescribed("world", &schema_of::<SimulatedWorld>("world"), &mut found);
    undescribed("faults", &schema_of::<FaultPlan>("faults"), &mut found);
    // Actions are described in their own schema, and each of the ten kinds is described once for all.
    found.retain(|at| !at.contains("/Action/") && !at.contains("/habits/"));
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_misspelt_key_is_told_at_its_line() {
    let message = told::<SimulatedWorld>("otherwise:\n  service_ms: {constant: 1}\n  erors: 0.1\n");
    assert_eq!(message, "3: unknown key \"erors\"; did you mean \"errors\"?");
    let message = told::<FaultPlan>("faults:\n  - at_s: 5\n    what: {slow: {node: a, fctor: 3}}\n");
    assert!(message.starts_with("3: ") && message.contains("fctor"), "{message}");
    let message = told::<FaultPlan>("faults:\n  - at_s: 5\n    what: {slw: {node: a, factor: 3}}\n");
    assert!(message.starts_with("3: ") && message.contains("slw"), "{message}");
}

#[test]
fn what_no_schema_finds_is_told_at_its_place_in_its_document() {
    let mut plan = night();
    plan.world.loads.insert("enrich".into(), plan.world.load.clone());
    plan.world.types.get_mut("enrich").unwrap().errors = 1.5;
    plan.graph.edges.push(("archive".into(), "transcribe".into()));
    plan.graph.nodes[1].replicas = 0;
    let text = include_str!("night/faults.yaml").replace("node: enrich }", "node: enrch }");
    let plan = plan.with(faults(&text));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let unsound = runtime.block_on(async { Sim::new(plan).err().unwrap() });
    let places = |problems: &[Problem]| problems.iter().map(Problem::to_string).collect::<Vec<_>>();
    assert!(
        places(&unsound.graph).contains(&"/nodes/1/replicas: 0 replicas; it must be 1 to 256".to_owned())
    );
    assert!(places(&unsound.graph).iter().any(|told| told.contains("cycle")), "{unsound}");
    assert!(places(&unsound.world).contains(&"/types/enrich/errors: a share is from 0 to 1".to_owned()));
    assert!(places(&unsound.world).contains(&"/loads/enrich: \"enrich\" is not a source".to_owned()));
    assert_eq!(
        places(&unsound.faults),
        ["/faults/1/what: there is no node \"enrch\"; did you mean \"enrich\"?"]
    );
    let crash = faults("faults: [{at_s: 1, what: {crash: {node: calls}}}]");
    let unsound_crash = runtime.block_on(async { Sim::new(night().with(crash)).err().unwrap() });
    assert_eq!(
        unsound_crash.to_string(),
        "faults /faults/0/what: \"calls\" is a source, which has no workers; \
         `load` and `source-restart` are what befalls a source"
    );
    let located = locate(&DocumentText::new("faults.yaml", text), unsound.faults);
    assert_eq!(located.iter().next().unwrap().line(), 7);
}
