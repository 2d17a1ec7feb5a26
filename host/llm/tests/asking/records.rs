//! What is kept of a question.

use std::time::Duration;

use flyball_llm::{Decimal, Kind, Llms, ModelExchange, Prices, Provider, QuestionOutcome, Stop, Tokens};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::server::{Reply, Server};
use crate::speaking::{ALL, KEY, Kept, fails, grant, question, says};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_question_is_kept_with_its_answer_its_tries_and_what_it_took() {
    for provider in ALL {
        let server = Server::saying([
            fails(provider, 500, "no").header("request-id", "req_1"),
            says(provider, &json!({ "act": "wait" })).header("request-id", "req_2"),
        ])
        .await;
        let (kept, llms) = (Kept::new(), Llms::new());
        let mut grant = grant(provider, &server);
        let price = Decimal::millionths(1_000_000);
        grant.prices = Some(Prices { input: price, output: price, cached_input: None });
        llms.permit(&grant)
            .unwrap()
            .kept_by(kept.clone())
            .ask("s", &question(), Instant::now() + LONG)
            .await
            .unwrap();
        let [exchange] = &kept.all()[..] else { panic!("{:?}", kept.all()) };
        assert_eq!((exchange.session.as_str(), exchange.model.as_str()), ("s", "model-1"));
        assert_eq!(exchange.provider, provider);
        assert!(exchange.url.starts_with(&server.origin));
        assert_eq!(serde_json::from_str::<Value>(&exchange.request).unwrap(), server.asked()[0].body);
        assert!(!exchange.request.contains(KEY));
        assert!(exchange.answer.as_deref().unwrap().contains("wait"));
        assert_eq!(exchange.status, Some(200));
        assert!(matches!(exchange.stop, Some(Stop::End | Stop::Tool)));
        assert_eq!(exchange.tokens, Some(Tokens { input: 100, output: 20, cached: 40 }));
        assert_eq!(exchange.cost, Some(Decimal::millionths(120)));
        assert_eq!(exchange.outcome, QuestionOutcome::Answered);
        let [failed, good] = &exchange.tries[..] else { panic!("{:?}", exchange.tries) };
        assert_eq!((failed.status, failed.request_id.as_deref()), (Some(500), Some("req_1")));
        assert_eq!(failed.failed.as_ref().unwrap().kind, Kind::Server);
        assert_eq!((good.status, good.request_id.as_deref()), (Some(200), Some("req_2")));
        assert_eq!(good.failed, None);
        let read: ModelExchange = serde_json::from_str(&serde_json::to_string(exchange).unwrap()).unwrap();
        assert_eq!(&read, exchange);
    }
}

#[tokio::test]
async fn the_same_question_has_the_same_digest_and_another_has_another() {
    let server = Server::saying([says(Provider::Openai, &json!({ "act": "wait" }))]).await;
    let (kept, llms) = (Kept::new(), Llms::new());
    let mut grant = grant(Provider::Openai, &server);
    let deadline = Instant::now() + LONG;
    let llm = llms.permit(&grant).unwrap().kept_by(kept.clone());
    llm.ask("s", &question(), deadline).await.unwrap();
    llm.ask("s", &question(), deadline).await.unwrap();
    grant.model = "model-2".into();
    llms.permit(&grant).unwrap().kept_by(kept.clone()).ask("s", &question(), deadline).await.unwrap();
    let [first, known, other] = &kept.all()[..] else { panic!("{:?}", kept.all()) };
    assert_eq!(first.digest, known.digest);
    assert_ne!(first.digest, other.digest);
    assert_eq!((&known.outcome, known.tries.len(), known.tokens), (&QuestionOutcome::Known, 0, None));
}

#[tokio::test]
async fn what_failed_and_what_was_not_sent_are_kept_with_the_cause() {
    let server = Server::saying([fails(Provider::Gemini, 404, "no such model")]).await;
    let (kept, llms) = (Kept::new(), Llms::new());
    let mut grant = grant(Provider::Gemini, &server);
    llms.permit(&grant)
        .unwrap()
        .kept_by(kept.clone())
        .ask("s", &question(), Instant::now() + LONG)
        .await
        .unwrap_err();
    grant.budgets.session.tokens = Some(1);
    llms.permit(&grant)
        .unwrap()
        .kept_by(kept.clone())
        .ask("s", &question(), Instant::now() + LONG)
        .await
        .unwrap_err();
    let [failed, unsent] = &kept.all()[..] else { panic!("{:?}", kept.all()) };
    let QuestionOutcome::Failed(why) = &failed.outcome else { panic!("{failed:?}") };
    assert_eq!((why.kind, why.cause.as_str()), (Kind::NotFound, "it answers 404: no such model"));
    assert_eq!(failed.status, Some(404));
    assert!(matches!(&unsent.outcome, QuestionOutcome::Failed(why) if why.kind == Kind::Budget));
    assert!(unsent.tries.is_empty());
}

#[tokio::test]
async fn what_nobody_waited_for_is_kept_as_that() {
    let mut server = Server::saying([Reply::Nothing]).await;
    let (kept, llms) = (Kept::new(), Llms::new());
    let llm = llms.permit(&grant(Provider::Openai, &server)).unwrap().kept_by(kept.clone());
    let question = question();
    tokio::select! {
        answer = llm.ask("s", &question, Instant::now() + LONG) => panic!("{answer:?}"),
        _ = server.arrived.recv() => {}
    }
    assert_eq!(kept.all()[0].outcome, QuestionOutcome::Abandoned);
}
