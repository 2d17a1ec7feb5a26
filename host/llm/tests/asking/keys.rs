//! A key goes to the provider and comes back in nothing.

use flyball_llm::{Content, Llms, Provider};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::server::{Reply, Server};
use crate::speaking::{ALL, KEY, Kept, fails, grant, question, says, writes};

/// What the crate gives out: the result, its record, and the grant itself. The key is in none of it.
async fn given_out(provider: Provider, reply: Reply) -> (String, Option<Content>) {
    let server = Server::saying([reply]).await;
    let (kept, llms) = (Kept::new(), Llms::new());
    let mut grant = grant(provider, &server);
    grant.limits.tries = 2;
    let llm = llms.permit(&grant).unwrap().kept_by(kept.clone());
    let deadline = Instant::now() + std::time::Duration::from_secs(20);
    let result = llm.ask("s", &question(), deadline).await;
    let mut said = format!("{result:?} {llm:?} {llms:?} {:?}", kept.all());
    said.push_str(&serde_json::to_string(&kept.all()).unwrap());
    let content = match result {
        Ok(answer) => {
            said.push_str(&serde_json::to_string(&answer).unwrap());
            Some(answer.content)
        }
        Err(error) => {
            said.push_str(&error.to_string());
            None
        }
    };
    assert!(!server.asked().is_empty());
    (said, content)
}

/// As JSON may write it.
fn escaped(text: &str) -> String {
    text.chars().map(|letter| format!("\\u{:04x}", u32::from(letter))).collect()
}

#[tokio::test]
async fn a_server_that_says_the_key_again_in_an_error_is_masked() {
    for provider in ALL {
        for status in [200, 302, 400, 401, 429, 500] {
            let message = format!("Incorrect API key provided: {KEY}. See {KEY}{KEY}.");
            let replies = [
                fails(provider, status, &message).header("request-id", KEY).header("location", &message),
                Reply::text(status, &message),
                Reply::text(status, &format!("{{\"error\": {{\"message\": \"{}\"}}}}", escaped(KEY))),
            ];
            for reply in replies {
                let (said, _) = given_out(provider, reply).await;
                assert!(!said.contains(KEY), "{provider:?} {status}: {said}");
                assert!(said.contains("{{key}}"), "{provider:?} {status}: {said}");
            }
        }
    }
}

#[tokio::test]
async fn a_key_at_the_edge_of_what_is_told_leaves_no_part_of_it() {
    for before in 270..310 {
        let message = format!("{}{KEY}", "x".repeat(before));
        let (said, _) = given_out(Provider::Openai, fails(Provider::Openai, 400, &message)).await;
        assert!(!said.contains("sk-test"), "{before}: {said}");
    }
}

#[tokio::test]
async fn a_model_that_says_the_key_again_is_masked() {
    for provider in ALL {
        let object: Value = json!({ "act": format!("use {KEY}"), KEY: [KEY] });
        let masked = json!({ "act": "use {{key}}", "{{key}}": ["{{key}}"] });
        let (said, content) = given_out(provider, says(provider, &object)).await;
        assert_eq!(content, Some(Content::Json(masked)), "{provider:?}");
        assert!(!said.contains(KEY));
        let hidden = format!("Here: {{\"act\": \"{}\"}}", escaped(KEY));
        let (said, content) = given_out(provider, writes(provider, &hidden)).await;
        assert_eq!(content, Some(Content::Json(json!({ "act": "{{key}}" }))), "{provider:?}");
        assert!(!said.contains(KEY));
    }
}

#[tokio::test]
async fn a_key_that_is_escaped_in_what_a_tool_is_given_is_masked() {
    let function = json!({ "name": "answer", "arguments": format!("{{\"act\": \"{}\"}}", escaped(KEY)) });
    let message =
        json!({ "role": "assistant", "tool_calls": [{ "type": "function", "function": function }] });
    let body = json!({ "choices": [{ "message": message, "finish_reason": "tool_calls" }] });
    let (said, content) = given_out(Provider::Openai, Reply::json(200, &body)).await;
    assert_eq!(content, Some(Content::Json(json!({ "act": "{{key}}" }))));
    assert!(!said.contains(KEY));
}

#[tokio::test]
async fn an_answer_that_could_hide_a_key_by_compression_is_refused() {
    let reply = says(Provider::Openai, &json!({ "act": "wait" })).header("content-encoding", "gzip");
    let (said, content) = given_out(Provider::Openai, reply).await;
    assert_eq!(content, None);
    assert!(said.contains("encoded, which was not asked for"), "{said}");
}
