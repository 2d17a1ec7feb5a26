use std::time::{Duration, Instant};

use flyball_model::Limits;
use flyball_ports::Heuristic;

use crate::guests::{guest, judge};
use crate::sights::sight;

async fn fails(body: &str, limits: Limits) -> String {
    let judge = judge(&guest("hostile", "1.0.0", body), limits);
    let said = judge.assess(&sight(3, 1)).await.map(|judged| judged.said);
    assert_eq!(judge.plugin().stats().figures().errors, 1);
    said.unwrap_err().to_string()
}

#[tokio::test]
async fn an_endless_loop_is_stopped_near_its_limit() {
    let begun = Instant::now();
    let said = fails("(loop $again (br $again))", Limits { time_ms: 50, ..Limits::default() }).await;
    assert_eq!(said, "stopped after 50 ms, its time limit (`limits.time_ms`)");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_memory_bomb_is_stopped_at_its_limit() {
    let said =
        fails("(loop $again (drop (memory.grow (i32.const 16))) (br $again))", Limits::default()).await;
    assert!(said.contains("over its limit of 16 MiB"), "{said}");
}

#[tokio::test]
async fn a_table_bomb_is_stopped() {
    let said =
        fails("(drop (table.grow $table (ref.null func) (i32.const 1000000)))", Limits::default()).await;
    assert!(said.contains("table of 1000001 elements"), "{said}");
}

#[tokio::test]
async fn endless_recursion_is_stopped() {
    let said = fails("(drop (call $deep (i32.const 0)))", Limits::default()).await;
    assert_eq!(said, "its calls went too deep for its stack");
}

#[tokio::test]
async fn a_panic_shows_its_message_and_no_addresses() {
    let said =
        fails("(call $log (i32.const 3) (i32.const 2448) (i32.const 12)) unreachable", Limits::default())
            .await;
    assert_eq!(said, "gave up: the sky fell");
}

#[tokio::test]
async fn a_trap_without_words_shows_its_kind_and_no_addresses() {
    let said = fails("(drop (i32.div_u (i32.const 1) (i32.const 0)))", Limits::default()).await;
    assert_eq!(said, "trapped: integer divide by zero");
}

#[tokio::test]
async fn an_answer_over_its_limit_is_refused() {
    // 100,000 findings, all of them where memory holds zeros.
    let body = "(i32.store (i32.const 1200) (i32.const 8)) (i32.store (i32.const 1204) (i32.const 3000))
                (drop (memory.grow (i32.const 10)))
                (i32.store (i32.const 1200) (i32.const 131072)) (i32.store (i32.const 1204) (i32.const 16000))";
    let said = fails(body, Limits::default()).await;
    assert!(said.contains("`limits.output_kb`"), "{said}");
}

/// What answers with a check at 3200, of which there are this many: its code is of that many bytes, its node of that number.
fn one_check(count: u32, code: u32, node: u32) -> String {
    format!(
        "(i32.store (i32.const 1208) (i32.const 3200)) (i32.store (i32.const 1212) (i32.const {count}))
        (i32.store (i32.const 3200) (i32.const 2048)) (i32.store (i32.const 3204) (i32.const {code}))
        (i32.store8 (i32.const 3208) (i32.const 1)) (i32.store (i32.const 3212) (i32.const {node}))
        (i32.store8 (i32.const 3224) (i32.const 1)) (f64.store (i32.const 3232) (f64.const nan))
        (f64.store (i32.const 3240) (f64.const 7))"
    )
}

#[tokio::test]
async fn a_number_that_is_none_is_one_that_was_not_read_and_a_limit_that_is_none_checks_nothing() {
    let looks = judge(&guest("looks", "1.0.0", &one_check(1, 3, 2)), Limits::default());
    let said = looks.assess(&sight(3, 1)).await.unwrap().said;
    assert_eq!((said.checks[0].node.as_deref(), said.checks[0].value), (Some("node-2"), None));
    assert_eq!((said.checks[0].code.as_str(), said.checks[0].limit), ("loo", 7.0));
    let limitless = one_check(1, 3, 2).replace("(f64.const 7)", "(f64.const inf)");
    let looks = judge(&guest("looks", "1.0.0", &limitless), Limits::default());
    assert_eq!(looks.assess(&sight(3, 1)).await.unwrap().said.checks, []);
}

#[tokio::test]
async fn checks_without_end_or_of_nodes_that_are_not_there_are_refused() {
    for (body, why) in [
        (one_check(65, 0, 0), "checks is not valid: 65 of them; at most 64"),
        (one_check(1, 101, 0), "checks.code is not valid: 101 bytes; at most 100"),
        (one_check(1, 0, 3), "checks.node is not valid: there is no node 3"),
    ] {
        let said = fails(&body, Limits::default()).await;
        assert!(said.contains(why), "{said}");
    }
}

#[tokio::test]
async fn a_pointer_out_of_memory_is_an_error_of_the_plugin() {
    let body = "(i32.store (i32.const 1200) (i32.const -8)) (i32.store (i32.const 1204) (i32.const 3))";
    let said = fails(body, Limits::default()).await;
    assert!(said.starts_with("failed: ") || said.starts_with("trapped: "), "{said}");
    assert!(!said.contains("0x"), "{said}");
}

#[tokio::test]
async fn a_plugin_that_failed_answers_again_at_the_next_call() {
    // It fails at tick 1 and is well at tick 2: nothing of the first call is left.
    let component = guest(
        "moody",
        "1.0.0",
        "(if (global.get $once) (then unreachable)) (global.set $once (i32.const 1))"
            .replace("(global.get $once)", "(i32.ne (global.get $next) (i32.const 65536))")
            .replace("(global.set $once (i32.const 1))", "(global.set $next (i32.const 70000))")
            .as_str(),
    );
    let judge = judge(&component, Limits::default());
    for tick in 1..=3 {
        assert!(judge.assess(&sight(3, tick)).await.unwrap().said.findings.is_empty());
    }
}

#[tokio::test]
async fn a_flood_of_the_host_is_stopped_by_bytes_and_by_calls() {
    let body = "(loop $again (call $log (i32.const 1) (i32.const 2048) (i32.const 60000)) (br $again))";
    let said = fails(body, Limits { host_kb: 512, time_ms: 10_000, ..Limits::default() }).await;
    assert_eq!(said, "more than 512 KiB passed between it and the host (`limits.host_kb`)");
    let body = "(loop $again (call $log (i32.const 1) (i32.const 2048) (i32.const 0)) (br $again))";
    let said = fails(body, Limits { host_calls: 700, time_ms: 10_000, ..Limits::default() }).await;
    assert_eq!(said, "called the host more often than 700 times (`limits.host_calls`)");
}

#[tokio::test]
async fn fuel_stops_an_endless_loop_and_is_the_same_for_the_same_call() {
    let limits = Limits { fuel: Some(100_000), time_ms: 10_000, ..Limits::default() };
    let said = fails("(loop $again (br $again))", limits).await;
    assert_eq!(said, "stopped after 100000 instructions (`limits.fuel`)");
    let judge = judge(&guest("steady", "1.0.0", ""), Limits::default());
    let mut costs = Vec::new();
    for _ in 0..3 {
        costs.push(judge.assess(&sight(50, 1)).await.unwrap().cost.fuel);
    }
    assert!(costs[0] > 0 && costs.iter().all(|cost| *cost == costs[0]), "{costs:?}");
}

#[tokio::test]
async fn a_plugin_that_keeps_failing_is_quarantined_with_a_reason() {
    let judge = judge(&guest("sick", "1.0.0", "unreachable"), Limits::default());
    for _ in 0..5 {
        assert!(judge.assess(&sight(3, 1)).await.is_err());
    }
    let said = judge.assess(&sight(3, 1)).await.unwrap_err().to_string();
    assert!(said.starts_with("in quarantine after 5 failures in a row"), "{said}");
    assert_eq!(judge.plugin().stats().figures().calls, 5, "it was not called again");
    assert_eq!(judge.quarantine().len(), 1);
}
