use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use flyball_engine::{Engine, EngineOptions, PluginJudge};
use flyball_model::{Grants, Limits, PluginUse, StateGrant};
use flyball_ports::{Changes, Decided, Decider, Heuristic, Judge as Port, Keeper};

use crate::guests::{engine, guest_importing, used};
use crate::sights::{sight, situation};

const STATE: &str = r#"
  (import "flyball:plugin/state@0.1.0" "get" (func $get (param i32 i32 i32)))
  (import "flyball:plugin/state@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
  (data (i32.const 2700) "n")"#;

/// Counts its calls under the key `n`, in one byte.
const COUNTS: &str = r#"
    (call $get (i32.const 2700) (i32.const 1) (i32.const 3000))
    (if (i32.load8_u (i32.const 3000))
      (then (i32.store8 (i32.const 3100) (i32.load8_u (i32.load (i32.const 3004))))))
    (i32.store8 (i32.const 3100) (i32.add (i32.load8_u (i32.const 3100)) (i32.const 1)))
    (call $set (i32.const 2700) (i32.const 1) (i32.const 3100) (i32.const 1) (i32.const 3200))"#;

fn state(max_kb: u64) -> Grants {
    Grants { state: Some(StateGrant { max_kb }), ..Grants::default() }
}

fn using(grants: Grants) -> PluginUse {
    PluginUse { grants, ..used("keeper", Limits::default()) }
}

/// Remembers what it is told to keep.
#[derive(Default)]
struct Kept(Mutex<BTreeMap<String, Vec<u8>>>);

impl Keeper for Kept {
    fn load(&self, plugin: &str, session: &str) -> Result<BTreeMap<String, Vec<u8>>, String> {
        assert_eq!((plugin, session), ("keeper", "orders"));
        Ok(self.0.lock().unwrap().clone())
    }

    fn keep(&self, _: &str, _: &str, changes: Changes) {
        let mut kept = self.0.lock().unwrap();
        for (key, value) in changes {
            match value {
                Some(value) => drop(kept.insert(key, value)),
                None => drop(kept.remove(&key)),
            }
        }
    }
}

fn keeping(kept: &Arc<Kept>, body: &str, grants: Grants) -> PluginJudge {
    let keeper: Arc<dyn Keeper> = kept.clone();
    let engine = Engine::new(EngineOptions { keeper: Some(keeper), ..EngineOptions::default() }).unwrap();
    let plugin = engine.load(&guest_importing("keeper", "1.0.0", STATE, body)).unwrap();
    PluginJudge::new(Arc::new(plugin), &using(grants), 1).unwrap()
}

#[test]
fn a_plugin_that_imports_what_is_not_granted_is_refused_by_the_name_of_the_grant() {
    let plugin = Arc::new(engine().load(&guest_importing("keeper", "1.0.0", STATE, COUNTS)).unwrap());
    let said = PluginJudge::new(Arc::clone(&plugin), &using(Grants::default()), 1).unwrap_err().to_string();
    assert!(said.contains("flyball:plugin/state@0.1.0") && said.contains("`grants.state`"), "{said}");
    PluginJudge::new(plugin, &using(state(1)), 1).unwrap();
}

#[tokio::test]
async fn what_a_plugin_keeps_is_there_at_its_next_call_and_after_a_restart() {
    let kept = Arc::new(Kept::default());
    let judge = keeping(&kept, COUNTS, state(1));
    for tick in 1..=3 {
        judge.assess(&sight(1, tick)).await.unwrap();
    }
    keeping(&kept, COUNTS, state(1)).assess(&sight(1, 4)).await.unwrap();
    assert_eq!(kept.0.lock().unwrap().get("n"), Some(&vec![4]));
}

#[tokio::test]
async fn a_call_that_fails_keeps_nothing() {
    let kept = Arc::new(Kept::default());
    let judge = keeping(&kept, &format!("{COUNTS} unreachable"), state(1));
    judge.assess(&sight(1, 1)).await.unwrap_err();
    assert!(kept.0.lock().unwrap().is_empty());
}

/// The LLM decider, and a model at which nobody listens.
fn decider() -> PluginJudge {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let llm = serde_json::json!({
        "provider": "openai", "model": "none", "base_url": format!("http://127.0.0.1:{port}"), "limits": { "tries": 1 },
    });
    let llm = Some(serde_json::from_value(llm).unwrap());
    let wasm = flyball_first_party::find("llm-decider").unwrap().wasm;
    let limits = Limits { time_ms: 10_000, ..Limits::default() };
    let used = PluginUse { grants: Grants { llm, ..state(64) }, ..used("llm-decider", limits) };
    PluginJudge::new(Arc::new(engine().load(wasm).unwrap()), &used, 1).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plugin_sets_before_it_says_that_it_failed_is_kept() {
    let judge = decider();
    let error = judge.decide(&sight(3, 1), &situation(3)).await.unwrap_err().to_string();
    assert!(error.contains("the model did not answer"), "{error}");
    let said = judge.decide(&sight(3, 2), &situation(3)).await.unwrap().said;
    let why = "nothing changed since tick 1, when the model was asked".to_owned();
    assert_eq!(said, Decided::Abstains(why));
}

#[tokio::test]
async fn what_would_be_kept_over_the_bound_is_refused_and_the_rest_stays() {
    let kept = Arc::new(Kept::default());
    let too_much = format!(
        "{COUNTS} (call $set (i32.const 2048) (i32.const 3) (i32.const 2048) (i32.const 1100) (i32.const 3200))
         (if (i32.eqz (i32.load8_u (i32.const 3200))) (then unreachable))"
    );
    keeping(&kept, &too_much, state(1)).assess(&sight(1, 1)).await.unwrap();
    assert_eq!(kept.0.lock().unwrap().keys().collect::<Vec<_>>(), ["n"]);
}

/// Remembers whose it was.
#[derive(Default)]
struct Owners(Mutex<Vec<String>>);

impl Keeper for Owners {
    fn load(&self, plugin: &str, _: &str) -> Result<BTreeMap<String, Vec<u8>>, String> {
        self.0.lock().unwrap().push(plugin.to_owned());
        Ok(BTreeMap::new())
    }

    fn keep(&self, _: &str, _: &str, _: Changes) {}
}

#[tokio::test]
async fn uses_of_one_plugin_that_a_policy_names_apart_keep_apart() {
    let owners = Arc::new(Owners::default());
    let keeper: Arc<dyn Keeper> = owners.clone();
    let engine = Engine::new(EngineOptions { keeper: Some(keeper), ..EngineOptions::default() }).unwrap();
    let plugin = Arc::new(engine.load(&guest_importing("keeper", "1.0.0", STATE, COUNTS)).unwrap());
    let judge = || PluginJudge::new(Arc::clone(&plugin), &using(state(1)), 1).unwrap();
    for (judge, name) in
        [(judge(), "keeper"), (judge().named("keeper"), "keeper"), (judge().named("trial"), "trial")]
    {
        assert_eq!(Port::name(&judge), name);
        judge.assess(&sight(1, 1)).await.unwrap();
    }
    assert_eq!(*owners.0.lock().unwrap(), ["keeper", "keeper#trial"], "each is loaded once");
}
