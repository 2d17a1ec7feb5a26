//! The grant `http`, against servers of this machine.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::response::Redirect;
use axum::routing::get;
use flyball_documents::DocumentText;
use flyball_engine::{Library, LibraryOptions, PluginJudge, PolicySource};
use flyball_model::{Grants, HttpGrant, Limits, PluginUse};
use flyball_ports::{Heuristic, Judges};
use serde_json::json;

use crate::guests::{engine, guest_importing, used};
use crate::sights::sight;

async fn serve(address: &str, app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

fn with_first_party(policy: String) -> Arc<Library> {
    let first_party =
        flyball_first_party::ALL.iter().map(|plugin| (plugin.name.to_owned(), plugin.wasm.into())).collect();
    Library::open(LibraryOptions {
        engine: engine(),
        first_party,
        plugins_dir: None,
        policies: PolicySource::Text(vec![DocumentText::new("policy.yaml", policy)]),
        versions: None,
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn http_catalog_lists_what_a_registry_answers_to_whoever_has_the_secret() {
    let registry = Router::new().route(
        "/types",
        get(|headers: HeaderMap| async move {
            let known = headers.get("authorization").is_some_and(|value| value == "Bearer open-sesame");
            let offers = json!([{ "executor": "native" }]);
            if known { json!([{ "name": "resample", "offers": offers }]).to_string() } else { "no".into() }
        }),
    );
    let address = serve("127.0.0.1:0", registry).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "open-sesame\n").unwrap();
    let policy = format!(
        "name: p\njudges:\n  catalogs:\n    - plugin: http-catalog\n      limits: {{ time_ms: 5000 }}\n      settings:\n        \
         url: http://{address}/types\n        authorization: 'Bearer {{{{secret:registry}}}}'\n      grants:\n        http:\n          \
         origins: [http://{address}]\n          private: [127.0.0.1]\n          secrets:\n            - \
         {{ name: registry, from: {{ file: {} }}, origins: [http://{address}] }}\n",
        secret.display()
    );
    let library = with_first_party(policy);
    let judged = library.panel("any").unwrap().catalogs[0].list().await.unwrap();
    assert_eq!(judged.said[0].name, "resample");
    assert!(judged.refused.is_empty() && judged.cost.host_bytes > 0);
}

#[test]
fn a_grant_that_is_not_sound_is_told_at_its_line() {
    let policy = "name: p\njudges:\n  catalogs:\n    - plugin: http-catalog\n      settings: { url: 'http://a.example' }\n      grants:\n        http:\n          origins:\n            - https://a.example\n            - https://a.example/path\n";
    let opened = std::panic::catch_unwind(|| with_first_party(policy.to_owned()));
    let said = *opened.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("line: 10") && said.contains("more than scheme, host and port"), "{said}");
}

/// A heuristic that asks these URLs, one after the other, minds no answer, and then does something else.
fn asking(urls: &[String], then: &str) -> Vec<u8> {
    let mut fields = r#"(import "flyball:plugin/http@0.1.0" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (data (i32.const 2700) "GET")"#
        .to_owned();
    let mut body = String::new();
    for (at, url) in (4000..).step_by(200).zip(urls) {
        fields.push_str(&format!("\n  (data (i32.const {at}) \"{url}\")"));
        body.push_str(&format!(
            "(call $send (i32.const 2700) (i32.const 3) (i32.const {at}) (i32.const {}) (i32.const 0) (i32.const 0) \
             (i32.const 0) (i32.const 0) (i32.const 3500))\n",
            url.len()
        ));
    }
    guest_importing("asking", "1.0.0", &fields, &format!("{body} {then}"))
}

fn bound(component: &[u8], http: HttpGrant, time_ms: u64) -> PluginJudge {
    let grants = Grants { http: Some(http), ..Grants::default() };
    let limits = Limits { time_ms, ..Limits::default() };
    let plugin = Arc::new(engine().load(component).unwrap());
    PluginJudge::new(plugin, &PluginUse { grants, ..used("asking", limits) }, 1).unwrap()
}

fn grant(origins: Vec<String>, private: &str) -> HttpGrant {
    HttpGrant {
        origins,
        methods: vec!["GET".into()],
        private: vec![private.into()],
        max_kb: 64,
        time_ms: 5_000,
        secrets: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_a_hostile_plugin_to_where_it_may_not_is_refused_and_told() {
    let secret = serve("127.0.0.1:0", Router::new().route("/", get(|| async { "secret" }))).await;
    let beyond = format!("http://{secret}/");
    let redirecting = Router::new().route("/", get(move || async move { Redirect::temporary(&beyond) }));
    // Every address of 127.0.0.0/8 is this machine's.
    let granted = serve("127.0.0.2:0", redirecting).await;
    let port = secret.port();
    let urls = [
        format!("http://127.0.0.2:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://{granted}/"),
    ];
    let origins =
        [format!("http://{granted}"), format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}")];
    let judge = bound(&asking(&urls, ""), grant(origins.to_vec(), "127.0.0.2"), 5_000);
    let judged = judge.assess(&sight(3, 1)).await.unwrap();
    let expected = ["not among `grants.http.origins`", "127.0.0.1 is at", "localhost is at", "redirects"];
    assert_eq!(judged.refused.len(), expected.len(), "{:?}", judged.refused);
    for (said, expected) in judged.refused.iter().zip(expected) {
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_call_that_waits_is_within_the_calls_time() {
    let app = Router::new().route(
        "/",
        get(|| async {
            tokio::time::sleep(std::time::Duration::from_secs(60)).await;
            "late"
        }),
    );
    let slow = serve("127.0.0.1:0", app).await;
    let url = format!("http://{slow}/");
    let http = grant(vec![format!("http://{slow}")], "127.0.0.1");
    let judge = bound(&asking(&[url.clone(), url], "(loop $again (br $again))"), http, 100);
    let begun = std::time::Instant::now();
    let said = judge.assess(&sight(3, 1)).await.unwrap_err().to_string();
    assert!(said.starts_with("stopped after 100 ms"), "{said}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
}
