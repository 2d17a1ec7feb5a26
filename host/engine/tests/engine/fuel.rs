//! What the calls of the first-party plugins take in instructions, held against what they took: the same on every machine, so
//! that a plugin that became slow is seen on a noisy one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use flyball_control::ports::Asked;
use flyball_engine::Judge;
use flyball_model::{Limits, PluginKind};

use crate::guests::{engine, used};
use crate::sights::{graph, proposal, sight, situation};

/// Another compiler's code takes somewhat more or less.
const TOLERANCE: f64 = 0.1;

/// Set to write down what is taken now.
const RENEW: &str = "FLYBALL_RENEW_FUEL";

fn asked(kind: PluginKind) -> Option<Asked> {
    let (sight, situation, proposal) = (sight(50, 1), situation(50), proposal());
    Some(match kind {
        PluginKind::Heuristic => Asked::Assess(sight),
        PluginKind::Decider => Asked::Decide(sight, situation),
        PluginKind::Validator => {
            Asked::Review { sight, proposal, decided_by: "rule-decider".to_owned(), situation }
        }
        PluginKind::Reverser => {
            Asked::Reverse { action: proposal.action, before: graph(50), after: graph(50) }
        }
        PluginKind::Catalog => Asked::List,
        PluginKind::Node => return None,
    })
}

#[test]
fn no_first_party_plugin_takes_more_instructions_than_it_did() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/fuel.json");
    let mut taken = BTreeMap::new();
    for part in flyball_first_party::ALL {
        let plugin = Arc::new(engine().load(part.wasm).unwrap());
        let Some(asked) = asked(plugin.kind()) else { continue };
        // It asks HTTP servers, which are nobody's here.
        if part.name == "http-catalog" {
            continue;
        }
        let judge = Judge::new(plugin, &used(part.name, Limits::default()), 1).unwrap();
        let (said, cost) = judge.again(&asked, None, &[], &[]);
        said.unwrap_or_else(|error| panic!("{}: {error}", part.name));
        taken.insert(part.name.to_owned(), cost.fuel);
    }
    if std::env::var_os(RENEW).is_some() {
        return std::fs::write(file, serde_json::to_string_pretty(&taken).unwrap() + "\n").unwrap();
    }
    let known: BTreeMap<String, u64> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(taken.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>());
    for (name, fuel) in taken {
        let ratio = fuel as f64 / known[&name] as f64;
        assert!(
            (1.0 - TOLERANCE..=1.0 + TOLERANCE).contains(&ratio),
            "{name} takes {fuel} instructions, {ratio:.2} times what it did; if that is meant, write it down with {RENEW}=1"
        );
    }
}
