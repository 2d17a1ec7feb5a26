//! Requests against real servers on this machine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{any, get};
use flyball_model::{HttpGrant, SecretGrant, SecretSource};
use flyball_outbound::{Failure, HttpRequest, Outbound, Permit, Response};

const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SECRET: &str = "s3cret-token-0123456789";

fn outbound() -> Outbound {
    static ONE: OnceLock<Outbound> = OnceLock::new();
    ONE.get_or_init(|| Outbound::start().unwrap()).clone()
}

/// A server on a port of its own; it counts what reaches it.
struct Server {
    origin: String,
    port: u16,
    reached: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

fn server(elsewhere: &str) -> Server {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let reached = Arc::new(AtomicUsize::new(0));
    let (elsewhere, count) = (elsewhere.to_owned(), reached.clone());
    let port = runtime.block_on(async {
        let redirects = move |State(to): State<String>| async move { Redirect::temporary(&to) };
        let app = Router::new()
            .route("/hello", get(|| async { ([("set-cookie", "a=b"), ("x-kind", "greeting")], "hello") }))
            .route(
                "/echo",
                any(|headers: HeaderMap, body: String| async move {
                    let shown = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
                    (
                        [("x-echo", shown.clone().unwrap_or_default())],
                        format!("{}|{body}", shown.unwrap_or_default()),
                    )
                }),
            )
            .route(
                "/endless",
                get(|| async {
                    let chunks = futures::stream::repeat(Ok::<_, std::convert::Infallible>(vec![b'x'; 1024]));
                    axum::body::Body::from_stream(chunks)
                }),
            )
            .route(
                "/slow",
                get(|| async {
                    tokio::time::sleep(Duration::from_secs(30)).await;
                    "late"
                }),
            )
            .route("/elsewhere", get(redirects))
            .route("/home", get(|| async { Redirect::temporary("/hello") }))
            .route("/round", get(|| async { Redirect::temporary("/round") }))
            .route(
                "/seen-other",
                any(|| async { (StatusCode::SEE_OTHER, [(header::LOCATION, "/hello")]).into_response() }),
            )
            .with_state(elsewhere)
            .layer(axum::middleware::from_fn(
                move |request: axum::extract::Request, next: axum::middleware::Next| {
                    count.fetch_add(1, Ordering::SeqCst);
                    next.run(request)
                },
            ));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, app).await });
        port
    });
    Server { origin: format!("http://127.0.0.1:{port}"), port, reached, _runtime: runtime }
}

fn grant(origins: &[&str]) -> HttpGrant {
    HttpGrant {
        origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
        methods: vec!["GET".into(), "POST".into()],
        private: vec!["127.0.0.1".into()],
        max_kb: 64,
        time_ms: 5_000,
        secrets: Vec::new(),
    }
}

fn with_secret(origins: &[&str], towards: &str) -> HttpGrant {
    let file = tempfile(SECRET);
    let secret = SecretGrant {
        name: "token".into(),
        from: SecretSource::File(file),
        origins: vec![towards.to_owned()],
    };
    HttpGrant { secrets: vec![secret], ..grant(origins) }
}

fn tempfile(text: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("secret");
    std::fs::write(&path, format!("{text}\n")).unwrap();
    path.display().to_string()
}

fn permit(grant: &HttpGrant) -> Permit {
    outbound().permit(grant).unwrap()
}

fn request(url: &str) -> HttpRequest {
    HttpRequest { method: "GET".into(), url: url.to_owned(), headers: Vec::new(), body: Vec::new() }
}

fn ask(permit: &Permit, url: &str) -> Result<Response, Failure> {
    permit.send(request(url), Duration::from_secs(20))
}

fn refused(answer: Result<Response, Failure>) -> String {
    match answer {
        Err(Failure::Refused(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

fn failed(answer: Result<Response, Failure>) -> String {
    match answer {
        Err(Failure::Failed(why)) => why,
        other => panic!("not failed: {other:?}"),
    }
}

#[test]
fn a_granted_origin_answers_whole_and_without_cookies() {
    let server = server("");
    let answer = ask(&permit(&grant(&[&server.origin])), &format!("{}/hello", server.origin)).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"hello"[..]));
    assert!(answer.headers.contains(&("x-kind".into(), "greeting".into())));
    assert!(answer.headers.iter().all(|(name, _)| name != "set-cookie"), "{:?}", answer.headers);
}

#[test]
fn another_port_scheme_host_or_method_is_refused_and_nothing_is_sent() {
    let (granted, other) = (server(""), server(""));
    let permit = permit(&grant(&[&granted.origin]));
    for url in [
        format!("{}/hello", other.origin),
        format!("https://127.0.0.1:{}/hello", granted.port),
        format!("http://localhost:{}/hello", granted.port),
        format!("http://127.0.0.2:{}/hello", granted.port),
        format!("http://127.0.0.1@127.0.0.2:{}/hello", granted.port),
    ] {
        assert!(refused(ask(&permit, &url)).contains("not among `grants.http.origins`"), "{url}");
    }
    let url = format!("{}/hello", granted.origin);
    let deleting =
        permit.send(HttpRequest { method: "DELETE".into(), ..request(&url) }, Duration::from_secs(5));
    assert!(refused(deleting).contains("DELETE is not among"));
    let named = format!("http://me:pass@127.0.0.1:{}/hello", granted.port);
    assert!(refused(ask(&permit, &named)).contains("user or a password"));
    assert_eq!(granted.reached.load(Ordering::SeqCst) + other.reached.load(Ordering::SeqCst), 0);
}

#[test]
fn an_address_that_is_not_public_is_refused_in_every_spelling_unless_it_is_named() {
    let server = server("");
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]"] {
        let origin = format!("http://{host}:{}", server.port);
        let nothing = HttpGrant { private: Vec::new(), ..grant(&[&origin]) };
        let said = refused(ask(&permit(&nothing), &format!("{origin}/hello")));
        assert!(said.contains("not public"), "{host}: {said}");
    }
    assert_eq!(server.reached.load(Ordering::SeqCst), 0);
}

#[test]
fn a_name_that_resolves_to_a_private_address_is_refused() {
    let server = server("");
    let origin = format!("http://registry.example:{}", server.port);
    let nothing = HttpGrant { private: Vec::new(), ..grant(&[&origin]) };
    let permit = outbound().permit_with_names(&nothing, &[("registry.example", LOCAL)]).unwrap();
    let said = refused(ask(&permit, &format!("{origin}/hello")));
    assert!(said.contains("registry.example is at 127.0.0.1"), "{said}");
    assert_eq!(server.reached.load(Ordering::SeqCst), 0);

    let granted = outbound().permit_with_names(&grant(&[&origin]), &[("registry.example", LOCAL)]).unwrap();
    assert_eq!(ask(&granted, &format!("{origin}/hello")).unwrap().status, 200);
}

#[test]
fn a_name_of_which_one_address_is_private_is_refused() {
    let public = IpAddr::V4(Ipv4Addr::new(93, 184, 216, 34));
    let nothing = HttpGrant { private: Vec::new(), ..grant(&["http://mixed.example"]) };
    let names = [("mixed.example", public), ("mixed.example", LOCAL)];
    let permit = outbound().permit_with_names(&nothing, &names).unwrap();
    assert!(refused(ask(&permit, "http://mixed.example/")).contains("not public"));
}

#[test]
fn a_redirect_is_followed_within_the_grant_and_refused_beyond_it() {
    let other = server("");
    let server = server(&format!("{}/hello", other.origin));
    let permit = permit(&grant(&[&server.origin]));
    assert_eq!(ask(&permit, &format!("{}/home", server.origin)).unwrap().body, b"hello");
    let said = refused(ask(&permit, &format!("{}/elsewhere", server.origin)));
    assert!(said.contains("redirects") && said.contains(&other.origin), "{said}");
    assert_eq!(other.reached.load(Ordering::SeqCst), 0);
    assert!(failed(ask(&permit, &format!("{}/round", server.origin))).contains("more than 5 times"));
    let posted = HttpRequest {
        method: "POST".into(),
        body: b"x".to_vec(),
        ..request(&format!("{}/seen-other", server.origin))
    };
    assert_eq!(permit.send(posted, Duration::from_secs(5)).unwrap().body, b"hello");
}

#[test]
fn a_redirect_to_a_private_address_is_refused() {
    let server = server("http://169.254.169.254/latest/meta-data");
    let permit = permit(&grant(&[&server.origin, "http://169.254.169.254"]));
    let said = refused(ask(&permit, &format!("{}/elsewhere", server.origin)));
    assert!(said.contains("169.254.169.254") && said.contains("not public"), "{said}");
}

#[test]
fn a_slow_server_and_an_endless_answer_are_given_up() {
    let server = server("");
    let quick = HttpGrant { time_ms: 100, ..grant(&[&server.origin]) };
    let begun = Instant::now();
    let said = failed(ask(&permit(&quick), &format!("{}/slow", server.origin)));
    assert!(said.contains("within 100 ms"), "{said}");
    let patient = permit(&grant(&[&server.origin]));
    let left = patient.send(request(&format!("{}/slow", server.origin)), Duration::from_millis(50));
    assert!(failed(left).contains("within 50 ms"), "what is left of the call bounds it too");
    assert!(begun.elapsed() < Duration::from_secs(10));
    let said = failed(ask(&patient, &format!("{}/endless", server.origin)));
    assert!(said.contains("more than 64 KiB"), "{said}");
}

#[test]
fn a_secret_reaches_the_server_and_never_comes_back() {
    let server = server("");
    let permit = permit(&with_secret(&[&server.origin], &server.origin));
    let headers = vec![("authorization".to_owned(), "Bearer {{secret:token}}".to_owned())];
    let asking = HttpRequest { headers, ..request(&format!("{}/echo", server.origin)) };
    let answer = permit.send(asking, Duration::from_secs(5)).unwrap();
    assert_eq!(String::from_utf8(answer.body).unwrap(), "Bearer {{secret:token}}|");
    assert!(
        answer.headers.contains(&("x-echo".into(), "Bearer {{secret:token}}".into())),
        "{:?}",
        answer.headers
    );
    assert!(!format!("{permit:?}").contains(SECRET));
}

#[test]
fn a_secret_goes_to_no_origin_but_its_own_by_no_way() {
    let other = server("");
    let home = server(&format!("{}/echo", other.origin));
    let permit = permit(&with_secret(&[&home.origin, &other.origin], &home.origin));
    let headers = vec![("x-key".to_owned(), "{{secret:token}}".to_owned())];
    for url in [format!("{}/echo", other.origin), format!("{}/elsewhere", home.origin)] {
        let answer =
            permit.send(HttpRequest { headers: headers.clone(), ..request(&url) }, Duration::from_secs(5));
        assert!(refused(answer).contains("may not be sent to"), "{url}");
    }
    assert_eq!(other.reached.load(Ordering::SeqCst), 0);
    let unknown = vec![("x-key".to_owned(), "{{secret:other}}".to_owned())];
    let answer = permit.send(
        HttpRequest { headers: unknown, ..request(&format!("{}/echo", home.origin)) },
        Duration::from_secs(5),
    );
    assert!(refused(answer).contains("no secret \"other\""));
}

#[test]
fn headers_that_say_how_a_message_travels_are_the_hosts() {
    let server = server("");
    let permit = permit(&grant(&[&server.origin]));
    for header in ["Host", "content-length", "Transfer-Encoding", "connection", "cookie"] {
        let headers = vec![(header.to_owned(), "1".to_owned())];
        let answer = permit.send(
            HttpRequest { headers, ..request(&format!("{}/echo", server.origin)) },
            Duration::from_secs(5),
        );
        assert!(refused(answer).contains("the host's to set"), "{header}");
    }
    let split = vec![("x-a".to_owned(), "1\r\nhost: evil".to_owned())];
    let answer = permit.send(
        HttpRequest { headers: split, ..request(&format!("{}/echo", server.origin)) },
        Duration::from_secs(5),
    );
    assert!(refused(answer).contains("no header can carry"));
}

#[test]
fn what_is_wrong_with_a_grant_is_told_at_its_place() {
    let mut grant =
        with_secret(&["https://a.example/path", "ftp://b.example", "https://c.example"], "https://d.example");
    grant.methods.push("TRACE".into());
    grant.private.push("everywhere".into());
    grant.secrets[0].from = SecretSource::Env("FLYBALL_NOT_SET".into());
    let problems = outbound().permit(&grant).unwrap_err();
    let places: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(
        places,
        [
            "/origins/0",
            "/origins/1",
            "/methods/2",
            "/private/1",
            "/secrets/0/origins/0",
            "/secrets/0/from/env"
        ]
    );
}
