//! A validator that counts in what it keeps: it comes to what was done, and not to what it was asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use flyball_engine::{Engine, EngineOptions, PluginJudge};
use flyball_model::{Action, Grants, Limits, PluginUse, Proposal, StateGrant, Verdict};
use flyball_ports::{Changes, Keeper, Validator};

use crate::guests::{Parts, contract, encoded, used};
use crate::sights::{sight, situation};

#[derive(Default)]
struct Kept(Mutex<BTreeMap<String, Vec<u8>>>);

impl Keeper for Kept {
    fn load(&self, _: &str, _: &str) -> Result<BTreeMap<String, Vec<u8>>, String> {
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

const IMPORTS: &str = r#"
  (import "flyball:plugin/state@0.1.0" "get" (func $get (param i32 i32 i32)))
  (import "flyball:plugin/state@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
  (data (i32.const 2700) "n")
  (data (i32.const 2800) "over-quota")"#;

/// Allows twice, and counts each time under the key `n`; then it denies.
const TWICE: &str = r#"
    (call $get (i32.const 2700) (i32.const 1) (i32.const 3000))
    (if (i32.load8_u (i32.const 3000))
      (then (i32.store8 (i32.const 3100) (i32.load8_u (i32.load (i32.const 3004))))))
    (if (i32.ge_u (i32.load8_u (i32.const 3100)) (i32.const 2))
      (then
        (i32.store8 (i32.const 1200) (i32.const 1))
        (i32.store (i32.const 1204) (i32.const 2800)) (i32.store (i32.const 1208) (i32.const 10))
        (i32.store (i32.const 1212) (i32.const 2800)) (i32.store (i32.const 1216) (i32.const 10)))
      (else
        (i32.store8 (i32.const 3100) (i32.add (i32.load8_u (i32.const 3100)) (i32.const 1)))
        (call $set (i32.const 2700) (i32.const 1) (i32.const 3100) (i32.const 1) (i32.const 3200))))"#;

/// What a heuristic is made of, made to review instead.
fn validator() -> Vec<u8> {
    let core = Parts { imports: IMPORTS, assess: TWICE, ..Parts::good("quota", "1.0.0") }.core();
    let assess = "(func (export \"flyball:plugin/assessing@0.1.0#assess\") (param $now i32) (param $past i32) (result i32)";
    let review = "(func (export \"flyball:plugin/reviewing@0.1.0#review\") (param $in i32) (result i32)
      (local $now i32) (local $past i32)
      (local.set $now (i32.load (local.get $in))) (local.set $past (i32.load offset=4 (local.get $in)))";
    assert!(core.contains(assess));
    encoded(&core.replace(assess, review), "validator", &contract(&[]))
}

fn quota(kept: &Arc<Kept>) -> PluginJudge {
    let keeper: Arc<dyn Keeper> = kept.clone();
    let engine = Engine::new(EngineOptions { keeper: Some(keeper), ..EngineOptions::default() }).unwrap();
    let grants = Grants { state: Some(StateGrant { max_kb: 1 }), ..Grants::default() };
    let used = PluginUse { grants, ..used("quota", Limits::default()) };
    PluginJudge::new(Arc::new(engine.load(&validator()).unwrap()), &used, 1).unwrap()
}

async fn asked(judge: &PluginJudge, tick: u64) -> Verdict {
    let action = Action::RestartProcess { node: "node-0".to_owned() };
    let proposal = Proposal { action, reason: "it hangs".to_owned(), confidence: None, rests_on: Vec::new() };
    judge.review(&sight(1, tick), &proposal, "rule-decider", &situation(1)).await.unwrap().said
}

#[tokio::test]
async fn a_count_of_its_own_is_of_what_was_done_and_not_of_what_it_was_asked() {
    let kept = Arc::new(Kept::default());
    let judge = quota(&kept);
    let count = || kept.0.lock().unwrap().get("n").cloned();
    for tick in 1..=5 {
        assert_eq!(asked(&judge, tick).await, Verdict::Allow, "nothing was done yet");
    }
    assert_eq!(count(), None);
    for done in 1..=2 {
        assert_eq!(asked(&judge, 10).await, Verdict::Allow);
        assert_eq!(asked(&judge, 10).await, Verdict::Allow, "asked again after a person's yes");
        judge.acted("orders");
        assert_eq!(count(), Some(vec![done]));
        judge.acted("orders");
        assert_eq!(count(), Some(vec![done]), "one action is counted once");
    }
    let Verdict::Deny(reason) = asked(&judge, 20).await else { panic!("two were done") };
    assert_eq!(reason.code, "over-quota");
    judge.acted("another session");
    assert_eq!(count(), Some(vec![2]));
}
