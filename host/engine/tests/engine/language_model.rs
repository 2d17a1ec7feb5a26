//! The grant `llm`, against servers of this machine that speak as providers do.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flyball_engine::{Engine, EngineOptions, PluginJudge, Recorded};
use flyball_model::{Assessment, Grants, Limits, LlmGrant, LlmUse, PluginUse, SecretSource};
use flyball_ports::{CallInput, CallRecord, Heuristic, Recorder, Said};
use serde_json::json;

use crate::guests::{engine, guest_importing, used};
use crate::server::{Reply, Server};
use crate::sights::sight;

const KEY: &str = "sk-test-0123456789abcdef";

const SOON: Duration = Duration::from_secs(300);

/// A heuristic that asks so often for a text, and finds everything that the host ever wrote into its memory.
fn asking(times: usize) -> Vec<u8> {
    let fields = r#"(import "flyball:plugin/llm@0.1.0" "ask"
    (func $ask (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (data (i32.const 2700) "You look after a pipeline.")
  (data (i32.const 2800) "What now?")"#;
    let ask = "(call $ask (i32.const 2700) (i32.const 26) (i32.const 2800) (i32.const 9)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 50) (i32.const 3500))\n";
    let tell = "(i32.store (i32.const 3024) (i32.const 65536))
        (i32.store (i32.const 3028) (i32.sub (global.get $next) (i32.const 65536)))
        (i32.store (i32.const 1200) (i32.const 3000)) (i32.store (i32.const 1204) (i32.const 1))";
    guest_importing("asking", "1.0.0", fields, &format!("{}{tell}", ask.repeat(times)))
}

fn granted(llm: LlmGrant, time_ms: u64) -> PluginUse {
    let grants = Grants { llm: Some(Box::new(llm)), ..Grants::default() };
    PluginUse { grants, ..used("asking", Limits { time_ms, ..Limits::default() }) }
}

fn judge(engine: &Engine, used: &PluginUse, times: usize) -> PluginJudge {
    PluginJudge::new(Arc::new(engine.load(&asking(times)).unwrap()), used, 1).unwrap()
}

/// The key in its file, and a grant to ask this server with it.
fn grant(server: &Server) -> (tempfile::NamedTempFile, LlmGrant) {
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), KEY).unwrap();
    let mut grant: LlmGrant =
        serde_json::from_value(json!({ "provider": "openai", "model": "small", "base_url": server.origin }))
            .unwrap();
    grant.key = Some(SecretSource::File(key.path().display().to_string()));
    grant.prices = serde_json::from_value(json!({ "input": 2, "output": 10 })).unwrap();
    (key, grant)
}

fn says(text: &str) -> Reply {
    Reply::json(
        200,
        &json!({
            "choices": [{ "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
            "usage": { "prompt_tokens": 100, "completion_tokens": 20 },
        }),
    )
}

#[derive(Default)]
struct Calls(Mutex<Vec<CallRecord>>);

impl Recorder for Calls {
    fn record(&self, call: CallRecord) {
        self.0.lock().unwrap().push(call);
    }
}

#[test]
fn a_plugin_that_asks_a_model_serves_only_where_one_is_granted() {
    let plugin = Arc::new(engine().load(&asking(1)).unwrap());
    let refused = PluginJudge::new(plugin, &used("asking", Limits::default()), 1).unwrap_err().to_string();
    assert!(refused.contains("flyball:plugin/llm@0.1.0"), "{refused}");
    assert!(refused.contains("`grants.llm`"), "{refused}");
}

#[test]
fn a_grant_without_its_key_is_refused_before_anything_is_asked() {
    let key = SecretSource::Env("FLYBALL_TEST_NO_SUCH_KEY".into());
    let llm: LlmGrant =
        serde_json::from_value(json!({ "provider": "anthropic", "model": "m", "key": key })).unwrap();
    let plugin = Arc::new(engine().load(&asking(1)).unwrap());
    let refused = PluginJudge::new(plugin, &granted(llm, 1_000), 1).unwrap_err().to_string();
    assert!(refused.contains("its grant `llm` is not sound"), "{refused}");
    assert!(refused.contains("set FLYBALL_TEST_NO_SUCH_KEY for the host"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_says_reaches_the_plugin_and_the_key_does_not() {
    let echo = format!("Restart it. Your key is {KEY}, by the way.");
    let server = Server::saying([says(&echo)]).await;
    let (_key, grant) = grant(&server);
    let calls = Arc::new(Calls::default());
    let engine = Engine::new(EngineOptions { recorder: Some(calls.clone()), ..EngineOptions::default() });
    let judge = judge(&engine.unwrap(), &granted(grant, 20_000), 2);

    let judged = judge.assess(&sight(3, 1)).await.unwrap();

    assert_eq!(server.asked().len(), 1, "the second time the answer is known");
    assert_eq!(server.asked()[0].headers["authorization"], format!("Bearer {KEY}").as_str());
    let spent = LlmUse { questions: 1, input_tokens: 100, output_tokens: 20, cost_millionths: 400 };
    assert_eq!(judged.cost.llm, spent);
    let memory = format!("{judged:?}");
    assert!(memory.contains("Restart it. Your key is {{key}}, by the way."), "{memory}");
    let recorded = format!("{:?}", calls.0.lock().unwrap());
    assert!(recorded.contains("You look after a pipeline."), "{recorded}");
    for text in [memory, recorded] {
        assert!(!text.contains(KEY), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_call_says_the_same_again_without_model_and_key() {
    let server = Server::saying([says("Restart it.")]).await;
    let (key, grant) = grant(&server);
    let calls = Arc::new(Calls::default());
    let engine = Engine::new(EngineOptions { recorder: Some(calls.clone()), ..EngineOptions::default() });
    let engine = engine.unwrap();
    let used = granted(grant, 20_000);
    judge(&engine, &used, 1).assess(&sight(3, 1)).await.unwrap();
    drop((server, key));

    let call = calls.0.lock().unwrap()[0].clone();
    let offline = PluginJudge::offline(Arc::new(engine.load(&asking(1)).unwrap()), &used, 1).unwrap();
    let (said, cost) = offline.again(&call.asked, Recorded { llm: &call.llm, ..Recorded::default() });
    assert_eq!(said, call.said);
    assert_eq!((cost.fuel, cost.llm), (call.cost.fuel, call.cost.llm));

    let (said, _) = offline.again(&CallInput::Assess(sight(3, 1)), Recorded::default());
    let Ok(Said::Assessed(Assessment { findings: found, .. })) = said else { panic!("{said:?}") };
    assert!(found[0].message.contains("this question is not in the recording"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_given_up_at_the_provider_when_nobody_waits_for_the_call() {
    let mut server = Server::saying([Reply::Nothing]).await;
    let (_key, grant) = grant(&server);
    let judge = judge(&engine(), &granted(grant, 600_000), 1);
    let call = tokio::spawn(async move { judge.assess(&sight(3, 1)).await.map(drop) });
    tokio::time::timeout(SOON, server.arrived.recv()).await.unwrap().unwrap();
    call.abort();
    tokio::time::timeout(SOON, server.gone.recv()).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_slow_ends_with_the_calls_time_and_the_plugin_is_told() {
    let server = Server::saying([Reply::Nothing]).await;
    let (_key, mut grant) = grant(&server);
    grant.limits.time_ms = 50;
    let judge = judge(&engine(), &granted(grant, 20_000), 1);
    let judged = judge.assess(&sight(3, 1)).await.unwrap();
    let [refused] = &judged.refused[..] else { panic!("{:?}", judged.refused) };
    assert!(refused.contains("a question was not answered: openai small at"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_takes_all_of_the_calls_time_leaves_the_plugin_enough_to_say_so() {
    let server = Server::saying([Reply::Nothing]).await;
    let (_key, grant) = grant(&server);
    let judge = judge(&engine(), &granted(grant, 2_000), 1);
    let judged = judge.assess(&sight(3, 1)).await.unwrap();
    assert!(judged.refused[0].contains("no whole answer came"), "{:?}", judged.refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_session_may_spend_holds_across_policies_and_plugins() {
    let server = Server::saying([says("Restart it.")]).await;
    let (_key, mut grant) = grant(&server);
    grant.cache.answers = 0;
    grant.budgets.session.tokens = Some(180);
    let engine = Engine::new(EngineOptions::default()).unwrap();
    judge(&engine, &granted(grant.clone(), 20_000), 1).assess(&sight(3, 1)).await.unwrap();

    let anew = judge(&engine, &granted(grant, 20_000), 1).assess(&sight(3, 1)).await.unwrap();

    assert_eq!(server.asked().len(), 1);
    assert!(anew.refused[0].contains("a question was not sent"), "{:?}", anew.refused);
    assert!(anew.refused[0].contains("budgets"), "{:?}", anew.refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_would_take_the_host_for_ever_is_not_compiled() {
    let server = Server::saying([says("{}")]).await;
    let (_key, grant) = grant(&server);
    let form = r##"{"type":"object","$ref":"#"}"##;
    let fields = format!(
        r#"(import "flyball:plugin/llm@0.1.0" "ask"
    (func $ask (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (data (i32.const 2800) "What now?")
  (data (i32.const 2900) "{}")"#,
        form.replace('"', "\\22")
    );
    let ask = format!(
        "(call $ask (i32.const 2800) (i32.const 0) (i32.const 2800) (i32.const 9)
            (i32.const 1) (i32.const 2900) (i32.const {}) (i32.const 50) (i32.const 3500))",
        form.len()
    );
    let plugin = engine().load(&guest_importing("asking", "1.0.0", &fields, &ask)).unwrap();
    let judge = PluginJudge::new(Arc::new(plugin), &granted(grant, 20_000), 1).unwrap();
    let judged = judge.assess(&sight(3, 1)).await.unwrap();
    assert_eq!(server.asked().len(), 0);
    assert!(judged.refused[0].contains("holds itself"), "{:?}", judged.refused);
}
