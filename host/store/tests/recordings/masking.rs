use std::sync::Arc;

use flyball_model::{Action, Decision, Exchange, HttpAnswer, HttpExchange, Proposal};
use flyball_ports::{CallInput, CallRecord, Decided, Said};
use flyball_store::{MASKED, RecordingsOptions};
use serde_json::json;

use crate::calls::{all, call, graph, recorded, sight, situation, used};

const SECRET: &str = "hunter2hunter2";

/// A call that meets a secret wherever a configured field may be.
fn telling() -> CallRecord {
    let config = json!({ "url": "https://example.com", "auth": [{ "db_password": SECRET, "user": "me" }] });
    let patch = Action::UpdateNodeConfig { node: "index".to_owned(), patch: json!({ "apiKey": SECRET }) };
    let proposal = Proposal { action: patch, reason: "r".to_owned(), confidence: None, rests_on: Vec::new() };
    let decided = Decided::For(Decision { analysis: String::new(), issues: Vec::new(), proposal });
    let mut used = used();
    used.settings.insert("token".to_owned(), SECRET.into());
    let body = json!({ "access_key": SECRET }).to_string().into_bytes();
    let headers = || vec![("Authorization".to_owned(), format!("Bearer {SECRET}"))];
    CallRecord {
        used: Arc::new(used),
        kept: Some(Arc::new([("refresh-token".to_owned(), SECRET.into())].into())),
        http: vec![HttpExchange {
            method: "POST".to_owned(),
            url: format!("https://me:{SECRET}@example.com/types?api_key={SECRET}&page=2"),
            headers: headers(),
            body: body.clone(),
            answer: HttpAnswer::Answered { status: 200, headers: headers(), body },
        }],
        ..call(CallInput::Decide(sight(3), situation(graph(config))), Ok(decided.into()))
    }
}

#[test]
fn no_secret_reaches_the_disk_and_the_call_says_that_it_was_masked() {
    let directory = tempfile::tempdir().unwrap();
    let found = recorded(directory.path(), all(), vec![telling()]);
    assert_eq!(found[0].masked, 9);
    let read = format!("{:?}", found[0]);
    assert!(!read.contains(SECRET), "{read}");
    assert!(read.contains(MASKED) && read.contains("page=2") && read.contains("\"me\""), "{read}");
    let body = json!({ "access_key": MASKED }).to_string().into_bytes();
    assert_eq!(found[0].call.http[0].body, body);
    assert!(!format!("{:?}", found[0].call.kept).contains(&format!("{:?}", SECRET.as_bytes())));
}

#[test]
fn placeholders_of_secrets_are_no_secrets_and_stay() {
    let directory = tempfile::tempdir().unwrap();
    let exchange = HttpExchange {
        method: "GET".to_owned(),
        url: "https://example.com".to_owned(),
        headers: vec![("Authorization".to_owned(), "Bearer {{secret:registry}}".to_owned())],
        body: b"max_tokens=3".to_vec(),
        answer: HttpAnswer::Refused("no".to_owned()),
    };
    let asked =
        CallRecord { http: vec![exchange.clone()], ..call(CallInput::List, Ok(Said::NodeTypes(Vec::new()))) };
    let found = recorded(directory.path(), all(), vec![asked]);
    assert_eq!((found[0].masked, &found[0].call.http), (0, &vec![exchange]));
}

#[test]
fn fields_that_an_operator_names_are_masked_too() {
    let directory = tempfile::tempdir().unwrap();
    let config = json!({ "customer-number": 4711, "size": 3, "max_tokens": 5 });
    let asked = CallInput::Reverse {
        action: Action::NoOp,
        before: graph(config).into(),
        after: graph(json!({})).into(),
    };
    let options = RecordingsOptions { mask: vec!["customer_number".to_owned()], ..all() };
    let found = recorded(directory.path(), options, vec![call(asked, Err("no".to_owned()))]);
    let CallInput::Reverse { before, .. } = &found[0].call.asked else { panic!("not a reversal") };
    assert_eq!(before.nodes[0].config, json!({ "customer-number": MASKED, "size": 3, "max_tokens": 5 }));
    assert_eq!(found[0].masked, 1);
}

#[test]
fn what_passes_between_the_host_and_kinds_and_capabilities_of_somebody_elses_is_masked_like_settings() {
    let directory = tempfile::tempdir().unwrap();
    let secret = || json!({ "place": "here", "password": "hunter2" });
    let exchange = Exchange { capability: "dice".to_owned(), question: secret(), answer: secret() };
    let asked = CallInput::Other { sight: None, question: secret() };
    let mut used = used();
    used.grants.others.insert("dice".to_owned(), secret());
    let used = Arc::new(used);
    let call = CallRecord { others: vec![exchange], used, ..call(asked, Ok(Said::Other(secret()))) };
    let found = recorded(directory.path(), all(), vec![call]);
    assert_eq!(found[0].masked, 5);
    assert!(!format!("{:?}", found[0].call).contains("hunter2"));
    assert!(format!("{:?}", found[0].call).contains("here"));
}
