//! A component's golden cases: where a failing one stands, and what it was asked that the case does not have.

use std::sync::Arc;

use flyball_engine::LoadError;
use serde_json::{Value, json};

use crate::guests::{engine, guest};

/// As the SDK writes cases into a component: each file's name before what it holds.
fn with_cases(component: &[u8], files: &[(&str, String)]) -> Vec<u8> {
    let text: String = files
        .iter()
        .map(|(name, text)| format!("{}\n{text}\n", json!({ "flyball-case-file": format!("../{name}") })))
        .collect();
    with_section(component, text.as_bytes())
}

fn with_section(component: &[u8], content: &[u8]) -> Vec<u8> {
    let name = b"flyball:cases";
    let body = [leb128(name.len()).as_slice(), name, content].concat();
    [component, &[0], &leb128(body.len()), &body].concat()
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

fn first_party(name: &str) -> &'static [u8] {
    flyball_first_party::ALL.iter().find(|plugin| plugin.name == name).unwrap().wasm
}

fn failing(component: &[u8]) -> Vec<LoadError> {
    Arc::new(engine().load(component).unwrap()).failing_cases(10)
}

#[test]
fn every_failing_case_is_told_with_its_file_and_line() {
    let well = r#"{ "about": "all is well", "expect": { "findings": [] } }"#.to_owned();
    let lost =
        "\n\n{\n  \"about\": \"all is lost\",\n  \"expect\": { \"findings\": [\"critical doom a\"] }\n}"
            .to_owned();
    let files = [("cases/well.json", well), ("cases/lost.json", lost.clone()), ("cases/again.json", lost)];
    let said = failing(&with_cases(&guest("probe", "1.0.0", ""), &files));
    let places: Vec<&str> = said
        .iter()
        .map(|error| match error {
            LoadError::Case { place, .. } => place.as_str(),
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(places, ["cases/lost.json:3", "cases/again.json:3"]);
    let text = said[0].to_string();
    assert!(text.contains("all is lost") && text.contains("critical doom a"), "{text}");
}

#[test]
fn a_case_that_cannot_be_read_is_told_with_its_file_line_and_the_nearest_key() {
    let typo =
        "{\n  \"about\": \"x\",\n  \"observaton\": {},\n  \"expect\": { \"findings\": [] }\n}".to_owned();
    let component = with_cases(&guest("probe", "1.0.0", ""), &[("cases/typo.json", typo)]);
    let said = engine().load(&component).unwrap_err().to_string();
    assert!(said.contains("cases/typo.json:3:") && said.contains("did you mean \"observation\"?"), "{said}");
}

fn registry_case(url: &str, response: Value) -> String {
    json!({
        "about": "What the registry lists is offered.",
        "settings": { "url": "https://registry.example.com/types" },
        "http": [{ "request": { "url": url }, "response": response }],
        "expect": { "types": ["resample"] }
    })
    .to_string()
}

#[test]
fn a_request_that_does_not_match_is_shown_beside_the_one_that_the_case_has() {
    let listed = r#"[{"name": "resample", "offers": [{"executor": "wasm"}]}]"#;
    let right = registry_case("https://registry.example.com/types", json!({ "body": listed }));
    let wrong = registry_case("https://registry.example.com/typos", json!({ "body": listed }));
    let files = [("cases/right.json", right), ("cases/wrong.json", wrong)];
    let said = failing(&with_cases(first_party("http-catalog"), &files));
    assert_eq!(said.len(), 1, "a body may be text: {said:?}");
    let text = said[0].to_string();
    assert!(text.contains("cases/wrong.json:1"), "{text}");
    assert!(
        text.contains(
            "request 1 is GET https://registry.example.com/types, and the case has GET \
                       https://registry.example.com/typos"
        ),
        "{text}"
    );
}

#[test]
fn a_request_that_no_case_has_fails_it_even_where_the_answer_happens_to_fit() {
    let case = json!({
        "about": "Nothing comes.",
        "settings": { "url": "https://registry.example.com/types" },
        "expect": { "failure": "" }
    });
    let said = failing(&with_cases(first_party("http-catalog"), &[("cases/none.json", case.to_string())]));
    let text = said[0].to_string();
    assert!(text.contains("request 1 is not in the case: GET https://registry.example.com/types"), "{text}");
}

#[test]
fn a_node_of_a_graph_need_not_be_given_whole() {
    let case = json!({
        "about": "A failing optional node is bypassed.",
        "observation": { "nodes": [
            { "id": "in" }, { "id": "work", "items-per-second": 15, "errors-per-second": 85 }, { "id": "out" }
        ] },
        "findings": [
            { "code": "errors-high", "severity": "critical", "target": "work", "message": "it fails" }
        ],
        "allowed": ["no-op", "bypass-node"],
        "graph": {
            "nodes": [{ "id": "in" }, { "id": "work", "type": "http-enrich", "optional": true }, { "id": "out" }],
            "edges": [["in", "work"], ["work", "out"]]
        },
        "expect": { "action": { "kind": "bypass-node", "node": "work", "active": true } }
    });
    let files = [("cases/partial.json", case.to_string())];
    assert_eq!(failing(&with_cases(first_party("rule-decider"), &files)), []);
}
