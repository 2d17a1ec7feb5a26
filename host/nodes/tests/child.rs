#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by failing"
)]

use std::time::Duration;

use flyball_nodes::{
    ChildCommand, ChildError, ChildOptions, ChildProcessor, Item, ItemLimits, ProcessError, Processor,
    ServeError, Supervisor, UsageSampler, WorkerEnd, native, serve,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

const LIMIT: Duration = Duration::from_secs(300);

fn items(bodies: impl IntoIterator<Item = Value>) -> Vec<Item> {
    bodies.into_iter().zip(40..).map(|(body, id)| Item { id, body: body.into() }).collect()
}

fn node(node_type: &str, config: Value) -> ChildProcessor {
    let command =
        ChildCommand::new(env!("CARGO_BIN_EXE_flyball-node"), [node_type.to_owned(), config.to_string()]);
    ChildProcessor::spawn(&supervisor(), &command, ChildOptions::default()).unwrap()
}

fn supervisor() -> Supervisor {
    Supervisor { program: env!("CARGO_BIN_EXE_flyball-node").into(), args: vec!["--supervise".to_owned()] }
}

fn shell(script: &str) -> ChildProcessor {
    shell_with(script, ChildOptions { item_timeout: LIMIT, ..ChildOptions::default() })
}

fn shell_with(script: &str, options: ChildOptions) -> ChildProcessor {
    ChildProcessor::spawn(&supervisor(), &ChildCommand::new("sh", ["-c", script]), options).unwrap()
}

/// The worker's error of the only item.
async fn fails(child: &mut ChildProcessor) -> String {
    match child.process(&items([json!(1)])).await.pop().unwrap() {
        Err(ProcessError::Worker(why)) => why,
        other => panic!("expected the worker to fail, but it answered {other:?}"),
    }
}

fn alive(pid: u32) -> bool {
    kill(Pid::from_raw(pid.try_into().unwrap()), None).is_ok()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_child_answers_each_item_in_the_order_of_the_batch() {
    let mut child = node("parse-json", json!({}));
    let answers = child.process(&items([json!("[1]"), json!("{"), json!("2")])).await;
    assert_eq!(answers[0].as_ref().unwrap(), &[json!([1])]);
    assert!(matches!(&answers[1], Err(ProcessError::Item(why)) if why.starts_with("not JSON")));
    assert_eq!(answers[2].as_ref().unwrap(), &[json!(2)]);
    assert!(child.broken().is_none());
}

#[tokio::test]
async fn answers_may_come_in_any_order_and_a_batch_is_written_before_they_are_awaited() {
    let mut child = shell(
        r#"read a; read b; echo '{"id":2,"out":[]}'; echo '{"heartbeat":true}'; echo '{"id":1,"out":["x","y"]}'; cat >/dev/null"#,
    );
    let answers = child.process(&items([json!(1), json!(2)])).await;
    assert_eq!(answers[0].as_ref().unwrap(), &[json!("x"), json!("y")]);
    assert!(answers[1].as_ref().unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_larger_than_the_pipes_gets_through() {
    let mut child = node("map", json!({"template": "{{.}}"}));
    let body = json!("x".repeat(10_000));
    let answers = timeout(LIMIT, child.process(&items(vec![body.clone(); 200]))).await.unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap() == std::slice::from_ref(&body)));
}

#[tokio::test]
async fn killed_within_a_batch_it_leaves_the_answered_items_answered() {
    let mut child = shell(r#"read a; echo '{"id":1,"out":["done"]}'; echo 'out of luck' >&2; kill -9 $$"#);
    let answers = child.process(&items([json!(1), json!(2), json!(3)])).await;
    assert_eq!(answers[0].as_ref().unwrap(), &[json!("done")]);
    for answer in &answers[1..] {
        let expected = "the process was killed by signal 9 (SIGKILL): out of luck";
        assert!(matches!(answer, Err(ProcessError::Worker(why)) if why == expected), "{answer:?}");
    }
    assert!(matches!(child.broken(), Some(ChildError::Died { .. })));
    assert!(fails(&mut child).await.contains("SIGKILL"), "a dead child must stay dead");
}

#[tokio::test]
async fn killed_from_outside_while_it_works_it_is_noticed_at_once() {
    let mut child = node("wait", json!({"ms_per_unit": 60_000}));
    let vitals = child.vitals();
    let killer = async {
        let started = vitals.last_heartbeat();
        until("the child's first heartbeat", || vitals.last_heartbeat() > started).await;
        kill(Pid::from_raw(vitals.pid().try_into().unwrap()), Signal::SIGKILL).unwrap();
    };
    let asked = items([json!(1)]);
    let (answers, ()) = timeout(LIMIT, async { tokio::join!(child.process(&asked), killer) }).await.unwrap();
    assert!(matches!(&answers[0], Err(ProcessError::Worker(why)) if why.contains("signal 9 (SIGKILL)")));
    assert_eq!(child.vitals().exit().unwrap().signal, Some(9));
}

#[tokio::test]
async fn its_exit_code_and_its_last_words_are_told() {
    let mut child = shell("echo one >&2; echo 'two\u{1b}[2J' >&2; exit 137");
    assert_eq!(fails(&mut child).await, "the process exited with code 137: two\\u{1b}[2J");
    assert_eq!(child.vitals().exit().unwrap().code, Some(137));
    assert_eq!(child.vitals().log_lines(), ["one", "two\\u{1b}[2J"]);
}

#[tokio::test]
async fn a_grandchild_that_holds_the_pipe_does_not_hide_the_death() {
    let mut child = shell("sleep 30 & exit 3");
    assert!(timeout(LIMIT, fails(&mut child)).await.unwrap().contains("code 3"));
}

/// The item's error of the only item.
async fn item_fails(child: &mut ChildProcessor) -> String {
    match child.process(&items([json!(1)])).await.pop().unwrap() {
        Err(ProcessError::Item(why)) => why,
        other => panic!("expected the item to fail, but it was answered {other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_answer_fails_the_item_and_the_child_goes_on() {
    for (line, expected) in [
        ("hello", "wrote what is no answer"),
        (r#"{"id":1}"#, "wrote what is no answer"),
        (r#"{"id":1,"out":[{"score":NaN}]}"#, "wrote what is no answer"),
        (r#"{"id":1,"out":[Infinity]}"#, "wrote what is no answer"),
    ] {
        let mut child =
            shell(&format!(r#"read a; echo '{line}'; read b; echo '{{"id":2,"out":["fine"]}}'; cat"#));
        let why = item_fails(&mut child).await;
        assert!(why.contains(expected), "{line}: {why}");
        let next = child.process(&items([json!(2)])).await.pop().unwrap();
        assert_eq!(next.unwrap(), [json!("fine")], "{line}");
    }
}

#[tokio::test]
async fn second_answers_and_answers_to_what_was_not_asked_are_dropped() {
    let mut child = shell(
        r#"read a; read b; echo '{"id":7,"out":[]}'; echo '{"id":1,"out":[1]}'; echo '{"id":1,"out":[9]}'; echo '{"id":2,"out":[2]}'; cat >/dev/null"#,
    );
    let answers = child.process(&items([json!(1), json!(2)])).await;
    assert_eq!(answers[0].as_ref().unwrap(), &[json!(1)]);
    assert_eq!(answers[1].as_ref().unwrap(), &[json!(2)]);
    assert!(child.vitals().take_complaint().unwrap().contains("answered item 7"));
}

#[tokio::test]
async fn a_child_that_writes_nothing_but_nonsense_is_ended() {
    let mut child = shell("while :; do echo nonsense; done");
    let asked = items((0..200).map(|number| json!(number)));
    let answers = timeout(LIMIT, child.process(&asked)).await.unwrap();
    let why = answers[199].as_ref().unwrap_err().to_string();
    assert!(why.contains("101 wrong lines") && why.contains("nonsense"), "{why}");
    assert!(timeout(LIMIT, child.vitals().ended()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_child_that_ends_well_after_answering_is_recycled_and_one_that_never_answered_has_failed() {
    let mut child = shell(r#"read a; echo '{"id":1,"out":[]}'; exit 0"#);
    let answers = child.process(&items([json!(1), json!(2)])).await;
    assert!(answers[0].is_ok() && matches!(answers[1], Err(ProcessError::Worker(_))));
    assert_eq!(child.worker_end(), Some(WorkerEnd::Recycled));
    for (script, end) in [
        ("exit 0", WorkerEnd::Failed),
        (r#"read a; echo '{"id":1,"out":[]}'; exit 3"#, WorkerEnd::Failed),
        (r#"read a; echo '{"id":1,"out":[]}'; kill -9 $$"#, WorkerEnd::FromOutside),
    ] {
        let mut child = shell(script);
        child.process(&items([json!(1), json!(2)])).await;
        assert_eq!(child.worker_end(), Some(end), "{script}");
    }
}

fn small() -> ItemLimits {
    ItemLimits { encoded: 2_000, ..ItemLimits::default() }
}

#[tokio::test]
async fn an_endless_line_ends_the_child() {
    let options = ChildOptions { limits: small(), item_timeout: LIMIT, asks_again: false };
    let mut child = shell_with("tr '\\0' x </dev/zero", options);
    assert!(fails(&mut child).await.contains("more than 73536 bytes"));
}

#[tokio::test]
async fn a_child_that_keeps_silent_is_killed_however_often_its_heart_beats() {
    let options = ChildOptions { item_timeout: Duration::from_millis(200), ..ChildOptions::default() };
    let mut child = shell_with(r#"while :; do echo '{"heartbeat":true}'; sleep 0.02; done"#, options);
    let pid = child.pid().unwrap();
    assert_eq!(fails(&mut child).await, "the process gave no answer for 200 ms, and was killed");
    until("the silent child is reaped", || !alive(pid)).await;
}

#[tokio::test]
async fn its_heart_beats_while_it_works_and_while_it_idles() {
    let mut child = node("wait", json!({"ms_per_unit": 1_200}));
    let vitals = child.vitals();
    let asked = items([json!(1)]);
    let watch = async {
        let mut beats = Vec::new();
        while beats.len() < 3 {
            let before = vitals.last_heartbeat();
            until("another heartbeat", || vitals.last_heartbeat() > before).await;
            beats.push(vitals.last_heartbeat());
        }
        beats
    };
    let start = Instant::now();
    let (answers, beats) = tokio::join!(child.process(&asked), watch);
    assert!(answers[0].is_ok());
    assert!(beats[1] < start + Duration::from_millis(1_200), "no heartbeat while it worked");
    let before = vitals.last_heartbeat();
    until("a heartbeat while it idles", || vitals.last_heartbeat() > before).await;
}

#[tokio::test]
async fn a_dropped_child_is_killed_with_its_group_and_reaped() {
    let mut child = shell(r#"sleep 30 & echo "{\"id\":1,\"out\":[$!]}"; wait"#);
    let answers = child.process(&items([json!(1)])).await;
    let grandchild =
        u32::try_from(answers[0].as_ref().unwrap()[0].as_number().unwrap().to_u64().unwrap()).unwrap();
    let pid = child.pid().unwrap();
    assert!(alive(pid) && alive(grandchild));
    drop(child);
    until("the child is reaped", || !alive(pid)).await;
    until("the grandchild is gone", || UsageSampler::new(grandchild).sample().is_none()).await;
}

#[tokio::test]
async fn a_batch_that_nobody_awaits_is_not_mixed_up_with_the_next() {
    let mut child = node("wait", json!({"ms_per_unit": 60_000}));
    let asked = items([json!(1)]);
    assert!(timeout(Duration::from_millis(50), child.process(&asked)).await.is_err());
    assert!(fails(&mut child).await.contains("not awaited"));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let missing = ChildCommand::new("no-such-program", ["x"]);
    let error = ChildProcessor::spawn(&supervisor(), &missing, ChildOptions::default());
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("cannot start \"no-such-program\": "), "{error}");
}

#[tokio::test]
async fn a_node_child_tells_what_is_wrong_with_its_configuration() {
    let why = fails(&mut node("tokenise", json!({"field": "a..b"}))).await;
    assert!(why.contains("exited with code 1") && why.contains("a..b"), "{why}");
}

#[tokio::test]
async fn memory_and_cpu_of_a_child_are_read_from_the_system() {
    let mut child = node("work", json!({"us_per_unit": 300_000}));
    // Its first heartbeat: before it, the process may not be the program yet.
    let vitals = child.vitals();
    let started = vitals.last_heartbeat();
    until("the child's first heartbeat", || vitals.last_heartbeat() > started).await;
    let mut sampler = UsageSampler::new(vitals.pid());
    let first = sampler.sample().unwrap();
    assert!(first.memory_bytes > 100_000 && first.cpu_percent.is_none());
    assert!(child.process(&items([json!(1)])).await[0].is_ok());
    let busy = sampler.sample().unwrap().cpu_percent.unwrap();
    assert!(busy > 5.0 && busy < 400.0, "{busy}");
    drop(child);
    timeout(LIMIT, vitals.ended()).await.unwrap();
    assert!(sampler.sample().is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn a_child_and_the_host_tokenise_alike(texts in prop::collection::vec(".{0,40}", 1..40), lowercase: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let config = json!({"lowercase": lowercase});
            let batch = items(texts.iter().map(|text| json!({"text": text})));
            let here: Vec<_> = native("tokenise", &config, &ItemLimits::default()).unwrap().process(&batch).await;
            let there: Vec<_> = node("tokenise", config).process(&batch).await;
            for (here, there) in here.into_iter().zip(there) {
                assert_eq!(here.unwrap(), there.unwrap());
            }
        });
    }
}

#[tokio::test]
async fn a_serving_node_answers_until_its_input_ends_and_refuses_what_is_no_item() {
    let mut output = Vec::new();
    let input: &[u8] = b"{\"id\":9,\"body\":\"[1]\"}\n{\"id\":5,\"body\":\"{\"}\n";
    serve("parse-json", &json!({}), input, &mut output).await.unwrap();
    let lines: Vec<Value> =
        output.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    assert_eq!(lines[0], json!({"heartbeat": true}));
    assert_eq!(lines[1], json!({"id": 9, "out": [[1]]}));
    assert_eq!(lines[2]["id"], 5);
    assert!(lines[2]["error"].as_str().unwrap().starts_with("not JSON"));
    let input: &[u8] = b"{\"id\":\"x\"}\n";
    let error = serve("parse-json", &json!({}), input, &mut Vec::new()).await.unwrap_err();
    assert!(matches!(&error, ServeError::Input { line, .. } if line == "{\"id\":\"x\"}"), "{error}");
    let long = format!("\"{}\"\n", "\\f".repeat(10_000));
    let error = serve("parse-json", &json!({}), long.as_bytes(), &mut Vec::new()).await.unwrap_err();
    assert!(error.to_string().len() < 1_000, "{} bytes about a line", error.to_string().len());
}

/// A child that gives each body back as it is.
fn echo(limits: ItemLimits) -> ChildProcessor {
    let script = r#"sed -u 's/^{"id":\([0-9]*\),"body":\(.*\)}$/{"id":\1,"out":[\2]}/'"#;
    shell_with(script, ChildOptions { limits, item_timeout: LIMIT, asks_again: false })
}

#[tokio::test]
async fn what_passes_the_limit_of_an_item_passes_a_child() {
    let limits = ItemLimits { encoded: 1 << 20, ..ItemLimits::default() };
    let deep = "[".repeat(limits.depth) + &"]".repeat(limits.depth);
    let bodies = [
        deep,
        // As long as JSON can be: each of its bytes is six.
        format!("\"{}\"", "\\u0001".repeat((limits.encoded - 2) / 6)),
        "[1.10,-0,100000000000000000000000000,7e10,0.1e-400]".to_owned(),
    ];
    for node in [node("map", json!({"template": "{{.}}"})), echo(limits)] {
        let mut node = node;
        for body in &bodies {
            let item = Item { id: 1, body: flyball_nodes::Json::read(body.as_bytes(), &limits).unwrap() };
            let answers = node.process(&[item]).await;
            assert!(answers[0].as_ref().unwrap()[0].to_string() == *body, "{:.60}", body);
        }
        assert!(node.broken().is_none());
    }
}

#[tokio::test]
async fn an_answer_beyond_the_limits_fails_its_item_and_the_child_works_on() {
    let limits = ItemLimits { depth: 3, encoded: 1_000, decoded: 10_000 };
    let mut child = echo(limits);
    let bodies = [
        json!([[[[1]]]]),
        json!("x".repeat(2_000)),
        json!("x".repeat(100_000)),
        json!(vec![0; 900]),
        json!("fine"),
    ];
    for (body, good) in bodies.into_iter().zip([false, false, false, false, true]) {
        let answers = child.process(&items([body])).await;
        match &answers[0] {
            Ok(_) => assert!(good),
            Err(ProcessError::Item(_)) => assert!(!good),
            Err(other) => panic!("it is not the item that failed: {other}"),
        }
    }
    assert!(child.broken().is_none());
}

/// A child that answers each item with its own count, and does something else at the thirtieth line that it reads.
fn at_thirty(what: &str) -> ChildProcessor {
    let script = format!(
        r#"i=0; while read -r line; do
            i=$((i+1)); id=${{line#*\"id\":}}; id=${{id%%,*}}
            [ $i = 30 ] && {{ {what}; }}
            echo "{{\"id\":$id,\"out\":[$i]}}"
        done"#
    );
    let item_timeout = Duration::from_secs(600);
    shell_with(&script, ChildOptions { item_timeout, asks_again: true, ..ChildOptions::default() })
}

async fn ask_for(child: &mut ChildProcessor, count: usize) -> Vec<Value> {
    let mut said = Vec::new();
    for _ in 0..count {
        let answer = child.process(&items([json!(1)])).await.pop().unwrap().unwrap();
        said.extend(answer.iter().map(|out| serde_json::to_value(out).unwrap()));
    }
    said
}

#[tokio::test]
async fn an_item_that_a_child_leaves_out_is_asked_for_again_and_the_child_goes_on() {
    let mut child = at_thirty("continue");
    let said = timeout(Duration::from_secs(300), ask_for(&mut child, 60)).await.unwrap();
    assert!(
        said.iter().eq((1..=61).filter(|n| *n != 30).map(Value::from).collect::<Vec<_>>().iter()),
        "{said:?}"
    );
    assert!(child.broken().is_none());
    assert!(child.vitals().take_complaint().unwrap().contains("asked again"));
}

#[tokio::test]
async fn a_child_that_was_only_slow_answers_twice_and_the_second_answer_is_passed_over() {
    let mut child = at_thirty("sleep 3");
    let said = timeout(Duration::from_secs(300), ask_for(&mut child, 60)).await.unwrap();
    assert_eq!(said.len(), 60);
    assert_eq!(said[29], json!(30), "the first answer counts");
    assert!(child.broken().is_none());
    child.vitals().take_complaint();
    assert_eq!(ask_for(&mut child, 5).await.len(), 5);
    assert_eq!(child.vitals().take_complaint(), None, "no answer is one that was not asked for");
}
