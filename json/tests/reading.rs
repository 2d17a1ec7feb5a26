#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test says what is wrong by failing"
)]

use flyball_json::{ItemLimits, Json, JsonError, Number, OverLimit, Values};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(text: &str) -> Result<Json, JsonError> {
    Json::read(text.as_bytes(), &ItemLimits::default())
}

fn number(text: &str) -> Number {
    Number::parse(text).unwrap_or_else(|| panic!("{text} is a number"))
}

#[test]
fn numbers_are_written_as_they_were_read() {
    for text in [
        "100000000000000000000000000",
        "9223372036854775808",
        "1.10",
        "-0",
        "7e10",
        "1E+400",
        "0.1e-7",
        "3.14159265358979323846",
        "[1.0,{\"b\":1.00,\"a\":-0.0}]",
    ] {
        assert_eq!(read(text).unwrap().to_string(), text);
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Json>(text).unwrap()).unwrap(), text);
    }
}

#[test]
fn numbers_are_compared_by_their_exact_value() {
    for (less, more) in [
        ("9007199254740992", "9007199254740993"),
        ("9223372036854775807", "9223372036854775808"),
        ("-9223372036854775809", "-9223372036854775808"),
        ("0.1", "0.10000000000000000001"),
        ("-1", "0"),
        ("-2", "-1.5"),
        ("9e99", "1e100"),
        ("1e-5", "0.0001"),
        ("0", "1e-400"),
        ("1e400", "1e401"),
    ] {
        assert!(number(less) < number(more), "{less} {more}");
    }
    for (one, same) in [
        ("1", "1.0"),
        ("1.10", "1.1"),
        ("100", "1e2"),
        ("0.01", "1E-02"),
        ("-0", "0.00e7"),
        ("120.5", "1205e-1"),
    ] {
        assert_eq!(number(one), number(same));
    }
    let huge = format!("1e{}", "9".repeat(10_000));
    assert!(number("1e999") < number(&huge));
}

#[test]
fn what_is_no_number_in_json_is_none() {
    for text in ["", "007", "+1", ".5", "1.", "1e", "NaN", "Infinity", "0x10", "1_000", " 1", "1 ", "--1"] {
        assert!(Number::parse(text).is_none(), "{text}");
    }
}

#[test]
fn a_field_that_is_there_twice_is_named_and_none_is_dropped() {
    assert_eq!(read("{\"a\":1,\"b\":2,\"a\":3}").unwrap_err().to_string(), "the field \"a\" is there twice");
    let many: String = (0..5_000).map(|n| format!("\"k{n}\":0,")).collect();
    assert!(read(&format!("{{{many}\"z\":1}}")).is_ok());
    assert_eq!(
        read(&format!("{{{many}\"k77\":1}}")).unwrap_err().to_string(),
        "the field \"k77\" is there twice"
    );
}

#[test]
fn each_limit_is_met_while_reading() {
    let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(read(&deep(60)).is_ok());
    assert_eq!(read(&deep(61)).unwrap_err(), JsonError::Limit(OverLimit::Depth { limit: 60 }));
    assert_eq!(read(&deep(1_000_000)).unwrap_err(), JsonError::Limit(OverLimit::Depth { limit: 60 }));
    let limits = ItemLimits { depth: 5, encoded: 20, decoded: 1_000 };
    let read = |text: &str| Json::read(text.as_bytes(), &limits);
    assert!(matches!(
        read(&format!("[{}0]", "0,".repeat(10_000))),
        Err(JsonError::Limit(OverLimit::Decoded { limit: 1_000 }))
    ));
    assert!(matches!(
        read("\"\\u0001\\u0001\\u0001\\u0001\""),
        Err(JsonError::Limit(OverLimit::Encoded { bytes: 26, limit: 20 }))
    ));
    assert!(read(&format!("{}1", " ".repeat(1_000))).is_ok(), "spaces are not passed on");
}

#[test]
fn values_behind_each_other_are_read_one_by_one_and_no_number_is_taken_for_three() {
    let limits = ItemLimits::default();
    let all = |text: &str| Values::new(text.as_bytes(), &limits).collect::<Vec<_>>();
    assert_eq!(all("1 [2]{}\"x\"null\n").len(), 5);
    assert_eq!(all("007").len(), 1);
    assert!(all("007")[0].is_err());
    assert!(all("1 2 nul 3").last().unwrap().is_err());
    assert!(all(" \n").is_empty());
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    assert_eq!(read("{\"a\" 1}").unwrap_err().to_string(), "expected a colon at line 1 column 5");
    for text in [
        "",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "[1 2]",
        "tru",
        "nulll",
        "'a'",
        "\"\u{1}\"",
        "\"\\ud800\"",
        "1 2",
        "NaN",
    ] {
        assert!(matches!(read(text), Err(JsonError::Syntax { .. })), "{text}");
    }
    assert!(Json::read(b"\"\xff\"", &ItemLimits::default()).is_err());
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::collection::vec(0u8..40, 0..20)
            .prop_map(|bytes| { bytes.into_iter().map(char::from).collect() })
    ]
}

fn numerals() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?"
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        numerals(),
        texts().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(6, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::btree_map(texts(), inner, 0..8).prop_map(|fields| {
                let fields: Vec<String> = fields
                    .into_iter()
                    .map(|(name, value)| format!("{}:{value}", serde_json::to_string(&name).unwrap()))
                    .collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_written_as_it_was_read_and_its_size_is_known(text in any_json()) {
        let value = read(&text).unwrap();
        prop_assert_eq!(value.to_string(), text.clone());
        let size = ItemLimits::default().check(&value).unwrap();
        prop_assert_eq!(size.encoded, text.len());
        prop_assert!(size.decoded <= 32 + text.len() * ItemLimits::GROWTH);
        let just = ItemLimits { decoded: size.decoded, ..ItemLimits::default() };
        prop_assert!(Json::read(text.as_bytes(), &just).is_ok());
        let less = ItemLimits { decoded: size.decoded - 1, ..ItemLimits::default() };
        prop_assert!(Json::read(text.as_bytes(), &less).is_err());
    }

    #[test]
    fn any_bytes_are_read_as_serde_json_reads_them_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let ours = Json::read(&bytes, &ItemLimits::default());
        let theirs = serde_json::from_slice::<Value>(&bytes);
        if let (Ok(ours), Ok(theirs)) = (&ours, &theirs) {
            prop_assert_eq!(ours.to_string(), theirs.to_string());
        } else {
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
        }
    }

    #[test]
    fn the_order_of_numbers_is_that_of_their_values(a in -1_000_000i64..1_000_000, b in -1_000_000i64..1_000_000, shift in 0usize..6) {
        let written = |n: i64| {
            let digits = format!("{:07}", n.abs());
            let (whole, fraction) = digits.split_at(digits.len() - shift);
            let whole = whole.trim_start_matches('0');
            let whole = if whole.is_empty() { "0" } else { whole };
            let sign = if n < 0 { "-" } else { "" };
            if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
        };
        prop_assert_eq!(number(&written(a)).cmp(&number(&written(b))), a.cmp(&b));
        prop_assert_eq!(number(&format!("{}e-{shift}", a)), number(&written(a)));
    }
}

#[test]
fn a_value_of_serde_json_is_the_same_value() {
    let value = json!({"b": [1, 2.5, null, "x"], "a": {"c": true}});
    assert_eq!(Json::from(&value), value);
    assert_eq!(read(&value.to_string()).unwrap(), value);
}
