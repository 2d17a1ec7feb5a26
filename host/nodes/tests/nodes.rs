#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by failing"
)]

use flyball_nodes::{Item, ItemLimits, Json, Processed, Processor, native};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

fn items(bodies: impl IntoIterator<Item = Value>) -> Vec<Item> {
    bodies.into_iter().zip(1..).map(|(body, id)| Item { id, body: body.into() }).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn run(node_type: &str, config: Value, bodies: impl IntoIterator<Item = Value>) -> Vec<Processed> {
    let mut node: Box<dyn Processor> = native(node_type, &config, &ItemLimits::default()).unwrap();
    block_on(node.process(&items(bodies)))
}

fn one(node_type: &str, config: Value, body: Value) -> Result<Vec<Value>, String> {
    let made = run(node_type, config, [body]).pop().unwrap().map_err(|error| error.to_string())?;
    Ok(made.iter().map(|body| serde_json::from_str(&body.to_string()).unwrap()).collect())
}

#[test]
fn parse_json_reads_the_item_or_one_field_of_it() {
    assert_eq!(one("parse-json", json!({}), json!("{\"a\":[1]}")), Ok(vec![json!({"a": [1]})]));
    assert_eq!(
        one("parse-json", json!({"field": "raw"}), json!({"raw": "[1]", "k": 2})),
        Ok(vec![json!({"raw": [1], "k": 2})])
    );
    assert!(one("parse-json", json!({}), json!("{")).unwrap_err().starts_with("not JSON:"));
    assert_eq!(one("parse-json", json!({}), json!(5)), Err("\".\" is a number, not a text".to_owned()));
}

#[test]
fn regex_extract_makes_fields_of_named_groups_and_does_as_told_without_a_match() {
    let config = |mismatch: &str| json!({"pattern": r"(?<word>\w+)=(?<number>\d+)(?<rest>x)?", "on_mismatch": mismatch});
    assert_eq!(
        one("regex-extract", config("fail"), json!("a=1")),
        Ok(vec![json!({"word": "a", "number": "1"})])
    );
    assert!(one("regex-extract", config("fail"), json!("nothing")).is_err());
    assert_eq!(one("regex-extract", config("filter"), json!("nothing")), Ok(vec![]));
    assert_eq!(one("regex-extract", config("pass"), json!("nothing")), Ok(vec![json!("nothing")]));
    let of_field = json!({"pattern": r"(?<n>\d+)", "field": "/text"});
    assert_eq!(
        one("regex-extract", of_field, json!({"text": "n 7"})),
        Ok(vec![json!({"text": "n 7", "n": "7"})])
    );
}

#[test]
fn filter_keeps_what_meets_its_conditions() {
    let keeps = |config: Value, body: Value| !one("filter", config, body).unwrap().is_empty();
    assert!(keeps(json!({"field": "n", "equals": 1}), json!({"n": 1.0})));
    assert!(keeps(json!({"field": "n", "equals": 1.1}), json!({"n": "1.10"})));
    assert!(!keeps(json!({"field": "n", "equals": 1}), json!({"n": "one"})));
    assert!(keeps(json!({"field": "n", "equals": "80331"}), json!({"n": 80331})));
    assert!(!keeps(json!({"field": "n", "equals": "80331"}), json!({"n": 80331.0})));
    assert!(keeps(json!({"field": "n", "min": 2}), json!({"n": "2.50"})));
    assert!(!keeps(
        json!({"field": "n", "min": 9_007_199_254_740_993_u64}),
        json!({"n": 9_007_199_254_740_992_u64})
    ));
    assert!(keeps(
        json!({"field": "n", "not_equals": 9_007_199_254_740_993_u64}),
        json!({"n": 9_007_199_254_740_992_u64})
    ));
    assert!(!keeps(json!({"field": "n", "max": 1e300}), json!({"n": "1e400"})));
    assert!(keeps(json!({"field": "n", "equals": null}), json!({"n": null})));
    assert!(!keeps(json!({"field": "n", "equals": null}), json!({})));
    assert!(keeps(json!({"field": "n", "not_equals": 1}), json!({})));
    assert!(keeps(json!({"field": "a.b", "matches": "^x"}), json!({"a": {"b": "xy"}})));
    assert!(!keeps(json!({"field": "a.b", "matches": "^x"}), json!({"a": {"b": 5}})));
    assert!(keeps(json!({"field": "n", "exists": false}), json!({})));
    assert!(keeps(json!({"field": ".", "equals": "x"}), json!("x")));
}

#[test]
fn map_copies_and_writes_and_fails_for_a_field_that_is_missing() {
    let config = json!({"template": {"id": "{{n}}", "say": "no {{n}}"}});
    assert_eq!(one("map", config.clone(), json!({"n": 4})), Ok(vec![json!({"id": 4, "say": "no 4"})]));
    assert_eq!(one("map", config, json!({})), Err("the item (an object) has no \"n\"".to_owned()));
    let lenient = json!({"template": "{{n}}", "on_missing": "null"});
    assert_eq!(one("map", lenient, json!({})), Ok(vec![Value::Null]));
}

#[test]
fn tokenise_splits_at_what_is_not_alphanumeric_in_unicode() {
    let body = json!({"text": "Über-Maß, 東京 2x!"});
    let expected = json!({"text": "Über-Maß, 東京 2x!", "tokens": ["über", "maß", "東京", "2x"], "count": 4});
    assert_eq!(one("tokenise", json!({}), body.clone()), Ok(vec![expected]));
    let kept = one("tokenise", json!({"lowercase": false}), body).unwrap();
    assert_eq!(kept[0]["tokens"][0], "Über");
    assert!(one("tokenise", json!({}), json!({"text": 1})).is_err());
    assert!(one("tokenise", json!({}), json!("bare")).is_err());
}

#[test]
fn batch_makes_one_item_of_those_it_is_given() {
    let answers = run("batch", json!({"size": 3, "linger_ms": 5}), [json!(1), json!(2)]);
    let answers: Vec<Vec<Json>> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [vec![json!({"items": [1, 2], "count": 2})], vec![]]);
    let gathering = native("batch", &json!({"size": 3, "linger_ms": 5}), &ItemLimits::default())
        .unwrap()
        .gathers()
        .unwrap();
    assert_eq!((gathering.size, gathering.linger), (3, Duration::from_millis(5)));
}

#[tokio::test(start_paused = true)]
async fn rate_limit_gives_every_item_its_slot() {
    let mut node = native("rate-limit", &json!({"per_second": 10}), &ItemLimits::default()).unwrap();
    let start = Instant::now();
    node.process(&items((0..11).map(|n| json!(n)))).await;
    assert!(
        start.elapsed().abs_diff(Duration::from_secs(1)) < Duration::from_millis(20),
        "{:?}",
        start.elapsed()
    );
    tokio::time::advance(Duration::from_secs(60)).await;
    let later = Instant::now();
    node.process(&items((0..11).map(|n| json!(n)))).await;
    assert!(later.elapsed() >= Duration::from_millis(980), "idle time was saved up: {:?}", later.elapsed());
}

#[tokio::test(start_paused = true)]
async fn wait_takes_as_long_as_the_item_says() {
    let mut node =
        native("wait", &json!({"ms_per_unit": 2.0, "field": "cost"}), &ItemLimits::default()).unwrap();
    let start = Instant::now();
    let answers = node.process(&items([json!({"cost": 100}), json!({}), json!({"cost": -1})])).await;
    assert!(start.elapsed().abs_diff(Duration::from_millis(200)) < Duration::from_millis(5));
    assert!(answers[0].is_ok());
    assert_eq!(answers[1].as_ref().unwrap_err().to_string(), "\"cost\" holds no number of units");
    assert!(answers[2].as_ref().unwrap_err().to_string().contains("negative"));
}

#[tokio::test]
async fn work_uses_the_time_and_lets_others_run_meanwhile() {
    let mut node = native("work", &json!({"us_per_unit": 20_000}), &ItemLimits::default()).unwrap();
    let start = Instant::now();
    let turns = async {
        let mut turns = 0_u32;
        loop {
            tokio::task::yield_now().await;
            turns += 1;
            if turns == 20 {
                break start.elapsed();
            }
        }
    };
    let one = items([json!(1)]);
    let (answers, turned) = tokio::join!(node.process(&one), turns);
    assert!(answers[0].is_ok());
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert!(turned < start.elapsed(), "nobody else ran before the work was done");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn keeping_and_dropping_part_any_items_without_a_rest(bodies in prop::collection::vec(json_value(), 0..12), min in -9i32..9) {
        let kept = run("filter", json!({"field": "a", "min": min}), bodies.clone());
        let dropped = run("filter", json!({"field": "a", "min": min, "then": "drop"}), bodies.clone());
        for ((body, kept), dropped) in bodies.iter().zip(kept).zip(dropped) {
            let both: Vec<Json> = kept.unwrap().into_iter().chain(dropped.unwrap()).collect();
            prop_assert_eq!(&both, &vec![body.clone()]);
        }
    }

    #[test]
    fn every_node_answers_every_item_whatever_it_holds(bodies in prop::collection::vec(json_value(), 0..8)) {
        for (node_type, config) in [
            ("parse-json", json!({})),
            ("regex-extract", json!({"pattern": "(?<x>a)"})),
            ("map", json!({"template": {"whole": "{{.}}", "a": "{{a}}"}})),
            ("tokenise", json!({"field": "a"})),
        ] {
            prop_assert_eq!(run(node_type, config, bodies.clone()).len(), bodies.len());
        }
    }

    #[test]
    fn tokens_hold_every_alphanumeric_character_and_no_other(text in ".{0,60}") {
        let out = one("tokenise", json!({"lowercase": false}), json!({"text": text})).unwrap();
        let tokens: Vec<&str> = out[0]["tokens"].as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect();
        prop_assert!(tokens.iter().all(|token| !token.is_empty()));
        let wanted: String = text.chars().filter(|character| character.is_alphanumeric()).collect();
        prop_assert_eq!(tokens.concat(), wanted);
        prop_assert_eq!(out[0]["count"].as_u64(), Some(tokens.len() as u64));
    }
}
