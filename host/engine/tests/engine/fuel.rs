//! What the calls of the first-party plugins take in instructions, held against what they took: the same on every machine, so
//! that a plugin that became slow is seen on a noisy one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use flyball_engine::{PluginJudge, Recorded};
use flyball_model::{Grants, Limits, PluginKind, PluginUse, StateGrant};
use flyball_ports::CallInput;
use serde_json::json;

use crate::guests::{engine, used};
use crate::sights::{graph, proposal, sight, situation};

/// Another compiler's code takes somewhat more or less.
const TOLERANCE: f64 = 0.1;

/// Set to write down what is taken now.
const RENEW: &str = "FLYBALL_RENEW_FUEL";

fn asked(kind: PluginKind) -> Option<CallInput> {
    let (sight, situation, proposal) = (sight(50, 1), situation(50), proposal());
    Some(match kind {
        PluginKind::Heuristic => CallInput::Assess(sight),
        PluginKind::Decider => CallInput::Decide(sight, situation),
        PluginKind::Validator => {
            CallInput::Review { sight, proposal, decided_by: "rule-decider".to_owned(), situation }
        }
        PluginKind::Reverser => {
            CallInput::Reverse { action: proposal.action, before: graph(50).into(), after: graph(50).into() }
        }
        PluginKind::Catalog => CallInput::List,
        _ => return None,
    })
}

fn granted(plugin: &str) -> Grants {
    if plugin != "llm-decider" {
        return Grants::default();
    }
    let llm = json!({ "provider": "openai", "model": "none", "base_url": "http://127.0.0.1" });
    Grants {
        llm: Some(serde_json::from_value(llm).unwrap()),
        state: Some(StateGrant::default()),
        ..Grants::default()
    }
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
        let used = PluginUse { grants: granted(part.name), ..used(part.name, Limits::default()) };
        let judge = PluginJudge::new(plugin, &used, 1).unwrap();
        let (said, cost) =
            judge.again(&asked, Recorded { kept: Some(Arc::default()), ..Recorded::default() });
        match said {
            // What it takes to ask: nobody answers here.
            Err(error) if part.name == "llm-decider" => {
                assert!(error.contains("not in the recording"), "{error}")
            }
            said => drop(said.unwrap_or_else(|error| panic!("{}: {error}", part.name))),
        }
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

#[test]
fn the_llm_decider_asks_about_ten_thousand_nodes_within_the_default_limits() {
    let part = flyball_first_party::find("llm-decider").unwrap();
    let used = PluginUse { grants: granted(part.name), ..used(part.name, Limits::default()) };
    let judge = PluginJudge::new(Arc::new(engine().load(part.wasm).unwrap()), &used, 1).unwrap();
    let asked = CallInput::Decide(sight(10_000, 1), situation(10_000));
    let (said, cost) = judge.again(&asked, Recorded { kept: Some(Arc::default()), ..Recorded::default() });
    assert!(said.unwrap_err().contains("not in the recording"));
    assert!(cost.host_calls < 2_000 && cost.fuel < 30_000_000, "{cost:?}");
}
