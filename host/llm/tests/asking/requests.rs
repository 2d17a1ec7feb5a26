//! What is sent, in each provider's own words.

use flyball_llm::{AnswerBy, LlmGrant, Provider, Question, TokenLimit};
use serde_json::{Value, json};

use crate::server::{Asked, Server};
use crate::speaking::{ALL, KEY, ask, ask_for, grant, question, says, says_by, schema, writes};

async fn sent(provider: Provider, change: impl FnOnce(&mut LlmGrant)) -> Asked {
    let server = Server::saying([]).await;
    let mut grant = grant(provider, &server);
    change(&mut grant);
    let by = grant.answer_by.unwrap_or(AnswerBy::Plain);
    let reply = if grant.answer_by.is_some() {
        says_by(provider, by, &json!({ "act": "scale" }))
    } else {
        says(provider, &json!({ "act": "scale" }))
    };
    server.then_says([reply]);
    ask(&grant).await.unwrap();
    server.asked().pop().unwrap()
}

#[tokio::test]
async fn anthropic_is_asked_by_a_tool_that_it_must_call() {
    let asked = sent(Provider::Anthropic, |_| {}).await;
    assert_eq!(asked.path, "/v1/messages");
    assert_eq!(asked.headers["x-api-key"], KEY);
    assert_eq!(asked.headers["anthropic-version"], "2023-06-01");
    assert!(!asked.headers.contains_key("authorization"));
    let tool = &asked.body["tools"][0];
    assert_eq!((&tool["name"], &tool["input_schema"]), (&json!("answer"), &schema()));
    let choice = json!({ "type": "tool", "name": "answer", "disable_parallel_tool_use": true });
    assert_eq!(asked.body["tool_choice"], choice);
    assert_eq!(asked.body["model"], "model-1");
    assert_eq!(asked.body["max_tokens"], 200);
    assert_eq!(asked.body["system"], question().system);
    assert_eq!(asked.body["messages"], json!([{ "role": "user", "content": question().user }]));
}

#[tokio::test]
async fn anthropic_can_be_asked_by_its_own_format() {
    let asked = sent(Provider::Anthropic, |grant| grant.answer_by = Some(AnswerBy::Schema)).await;
    assert_eq!(asked.body["output_config"]["format"], json!({ "type": "json_schema", "schema": schema() }));
    assert_eq!(asked.body.get("tools"), None);
}

#[tokio::test]
async fn openai_is_asked_by_a_schema_and_strictly_where_the_schema_allows_it() {
    let asked = sent(Provider::Openai, |_| {}).await;
    assert_eq!(asked.path, "/chat/completions");
    assert_eq!(asked.headers["authorization"], format!("Bearer {KEY}"));
    let form = json!({ "name": "answer", "schema": schema(), "strict": true });
    assert_eq!(asked.body["response_format"], json!({ "type": "json_schema", "json_schema": form }));
    let messages = json!([
        { "role": "system", "content": question().system },
        { "role": "user", "content": question().user },
    ]);
    assert_eq!(asked.body["messages"], messages);
}

#[tokio::test]
async fn openai_can_be_asked_by_a_tool_as_local_servers_take_it() {
    let asked = sent(Provider::Openai, |grant| grant.answer_by = Some(AnswerBy::Tool)).await;
    assert_eq!(asked.body["tool_choice"], "required");
    assert_eq!(asked.body["tools"][0]["function"]["parameters"], schema());
    assert_eq!(asked.body.get("response_format"), None);
}

#[tokio::test]
async fn other_servers_are_told_the_longest_answer_in_the_older_word_unless_the_policy_says_otherwise() {
    let asked = sent(Provider::Openai, |_| {}).await;
    assert_eq!((&asked.body["max_tokens"], asked.body.get("max_completion_tokens")), (&json!(200), None));
    let newer = TokenLimit::MaxCompletionTokens;
    let asked = sent(Provider::Openai, |grant| grant.token_limit = Some(newer)).await;
    assert_eq!((&asked.body["max_completion_tokens"], asked.body.get("max_tokens")), (&json!(200), None));
}

#[tokio::test]
async fn gemini_is_asked_by_a_json_schema() {
    let asked = sent(Provider::Gemini, |_| {}).await;
    assert_eq!(asked.path, "/models/model-1:generateContent");
    assert_eq!(asked.headers["x-goog-api-key"], KEY);
    let config = json!({
        "maxOutputTokens": 200, "responseMimeType": "application/json", "responseJsonSchema": schema(),
    });
    assert_eq!(asked.body["generationConfig"], config);
    assert_eq!(asked.body["systemInstruction"]["parts"][0]["text"], question().system);
    assert_eq!(asked.body["contents"], json!([{ "role": "user", "parts": [{ "text": question().user }] }]));
}

#[tokio::test]
async fn gemini_can_be_asked_by_a_tool() {
    let asked = sent(Provider::Gemini, |grant| grant.answer_by = Some(AnswerBy::Tool)).await;
    let calling = json!({ "mode": "ANY", "allowedFunctionNames": ["answer"] });
    assert_eq!(asked.body["toolConfig"]["functionCallingConfig"], calling);
    assert_eq!(asked.body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"], schema());
    assert_eq!(asked.body["generationConfig"], json!({ "maxOutputTokens": 200 }));
}

#[tokio::test]
async fn a_server_that_knows_no_forms_is_asked_in_words() {
    for (provider, at) in [
        (Provider::Anthropic, "/system"),
        (Provider::Openai, "/messages/0/content"),
        (Provider::Gemini, "/systemInstruction/parts/0/text"),
    ] {
        let asked = sent(provider, |grant| grant.answer_by = Some(AnswerBy::Plain)).await;
        let system = asked.body.pointer(at).and_then(Value::as_str).unwrap();
        assert!(system.starts_with(&question().system), "{system}");
        assert!(system.contains("one JSON object") && system.contains(&schema().to_string()), "{system}");
        assert_eq!(asked.body.get("tools"), None);
        assert_eq!(asked.body.get("response_format"), None);
    }
}

#[tokio::test]
async fn a_temperature_is_sent_only_where_the_policy_has_one() {
    let places = [
        (Provider::Anthropic, "/temperature"),
        (Provider::Openai, "/temperature"),
        (Provider::Gemini, "/generationConfig/temperature"),
    ];
    for (provider, at) in places {
        assert_eq!(sent(provider, |_| {}).await.body.pointer(at), None);
        let warm = |grant: &mut LlmGrant| grant.temperature = Some(0.5.try_into().unwrap());
        assert_eq!(sent(provider, warm).await.body.pointer(at), Some(&json!(0.5)));
    }
}

#[tokio::test]
async fn without_a_form_and_a_system_text_a_question_is_just_that() {
    for provider in ALL {
        let server = Server::saying([writes(provider, "Wait.")]).await;
        let plain = Question { user: "And now?".into(), max_tokens: 9, ..Question::default() };
        let time = std::time::Duration::from_secs(20);
        let answer = ask_for(&grant(provider, &server), &plain, time).await.unwrap();
        assert_eq!(answer.content, flyball_llm::Content::Text("Wait.".into()));
        let body = server.asked().pop().unwrap().body;
        for absent in ["system", "systemInstruction", "tools", "response_format", "output_config"] {
            assert_eq!(body.get(absent), None, "{provider:?}");
        }
    }
}

#[tokio::test]
async fn a_server_without_a_key_is_sent_none() {
    let asked = sent(Provider::Openai, |grant| grant.key = None).await;
    assert!(!asked.headers.contains_key("authorization"));
}
