//! Servers and requests that mean no good. The servers speak raw bytes, so that they can say anything.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use flyball_model::{HttpGrant, SecretGrant, SecretSource};
use flyball_outbound::{Failure, HttpRequest, Outbound, Permit, Response};

const SECRET: &str = "s3cret-token-0123456789";
const LONGER: &str = "s3cret-token-0123456789-and-more";

/// Answers every connection once, by this, and keeps the requests as they came.
struct Server {
    origin: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let request = read(&stream);
                    kept.lock().unwrap().push(request.clone());
                    answer(&request, &mut stream);
                });
            }
        });
        Self { origin, asked }
    }

    /// Answers everything with this.
    fn saying(answer: impl Into<String>) -> Self {
        let answer = answer.into();
        Self::start(move |_, stream| drop(stream.write_all(answer.as_bytes())))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

/// The head and the body of a request.
fn read(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) <= 2 {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    head + "\n" + &String::from_utf8(body).unwrap()
}

fn whole(head: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{head}content-length: {}\r\n\r\n{body}", body.len())
}

fn moved(status: u16, to: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nconnection: close\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
}

fn grant(servers: &[&Server]) -> HttpGrant {
    HttpGrant {
        origins: servers.iter().map(|server| server.origin.clone()).collect(),
        methods: vec!["GET".into(), "POST".into()],
        private: vec!["127.0.0.1".into()],
        max_kb: 64,
        time_ms: 5_000,
        secrets: Vec::new(),
    }
}

fn secret(name: &str, value: &str, towards: &[&Server]) -> SecretGrant {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{name}"));
    std::fs::write(&path, value).unwrap();
    SecretGrant {
        name: name.into(),
        from: SecretSource::File(path.display().to_string()),
        origins: towards.iter().map(|server| server.origin.clone()).collect(),
    }
}

fn permit(grant: &HttpGrant) -> Permit {
    Outbound::start().unwrap().permit(grant).unwrap()
}

fn get(url: &str, headers: &[(&str, &str)]) -> HttpRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    HttpRequest { method: "GET".into(), url: url.into(), headers, body: Vec::new() }
}

fn send(permit: &Permit, request: HttpRequest) -> Result<Response, Failure> {
    permit.send(request, Duration::from_secs(20))
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
fn an_echo_cannot_be_had_compressed_or_in_pieces() {
    let server = Server::saying(whole("content-encoding: gzip\r\n", SECRET));
    let granted = HttpGrant { secrets: vec![secret("pieces", SECRET, &[&server])], ..grant(&[&server]) };
    let permit = permit(&granted);
    let key = ("x-key", "{{secret:pieces}}");
    let asked = send(&permit, get(&server.at("/"), &[key, ("accept-encoding", "gzip")]));
    assert!(refused(asked).contains("accept-encoding"));
    let asked = send(&permit, get(&server.at("/"), &[key, ("Range", "bytes=0-9")]));
    assert!(refused(asked).contains("range"));
    assert!(server.asked().is_empty(), "nothing was sent");

    let encoded = failed(send(&permit, get(&server.at("/"), &[key])));
    assert!(encoded.contains("encoded"), "{encoded}");
    assert!(server.asked()[0].contains("accept-encoding: identity"), "{:?}", server.asked());
}

#[test]
fn of_two_secrets_of_which_one_begins_the_other_nothing_is_left_over() {
    let server = Server::saying(whole(&format!("x-{LONGER}: 1\r\nx-both: {SECRET}{LONGER}\r\n"), LONGER));
    let secrets = vec![secret("short", SECRET, &[&server]), secret("long", LONGER, &[&server])];
    let permit = permit(&HttpGrant { secrets, ..grant(&[&server]) });
    let answer = send(&permit, get(&server.at("/"), &[])).unwrap();
    assert_eq!(String::from_utf8(answer.body).unwrap(), "{{secret:long}}");
    assert!(answer.headers.contains(&("x-both".into(), "{{secret:short}}{{secret:long}}".into())));
    assert!(!format!("{:?}", answer.headers).contains(SECRET), "{:?}", answer.headers);
}

#[test]
fn a_redirect_carries_no_secret_in_its_url_to_an_origin_that_may_not_have_it() {
    let other = Server::saying(whole("", "got it"));
    let home = Server::saying(moved(302, &other.at(&format!("/?stolen={SECRET}"))));
    let granted = HttpGrant { secrets: vec![secret("carried", SECRET, &[&home])], ..grant(&[&home, &other]) };
    let said = refused(send(&permit(&granted), get(&home.at("/"), &[])));
    assert!(said.contains("carried") && !said.contains(SECRET), "{said}");
    assert!(other.asked().is_empty());
}

#[test]
fn an_authorization_in_clear_text_does_not_follow_to_another_origin() {
    let other = Server::saying(whole("", "hello"));
    let home = Server::start({
        let to = other.at("/there");
        move |request, stream| {
            let to = if request.starts_with("GET /here") { &to } else { "/here" };
            drop(stream.write_all(moved(307, to).as_bytes()));
        }
    });
    let headers = [("Authorization", "Bearer plain"), ("x-kept", "yes")];
    send(&permit(&grant(&[&home, &other])), get(&home.at("/"), &headers)).unwrap();
    assert!(home.asked().iter().all(|asked| asked.contains("authorization: Bearer plain")));
    let there = other.asked().concat();
    assert!(there.contains("x-kept: yes") && !there.contains("authorization"), "{there}");
}

#[test]
fn a_307_repeats_the_request_and_a_302_asks_without_the_body() {
    let server = Server::start(|request, stream| {
        let answer = match request.split(' ').nth(1) {
            Some("/same") => moved(307, "/end"),
            Some("/other") => moved(302, "/end"),
            _ => whole("", "end"),
        };
        drop(stream.write_all(answer.as_bytes()));
    });
    let permit = permit(&grant(&[&server]));
    for path in ["/same", "/other"] {
        let headers = vec![("content-type".to_owned(), "text/plain".to_owned())];
        let posted =
            HttpRequest { method: "POST".into(), url: server.at(path), headers, body: b"body!".into() };
        assert_eq!(send(&permit, posted).unwrap().body, b"end");
    }
    let asked = server.asked();
    assert!(asked[1].starts_with("POST /end") && asked[1].ends_with("body!"), "{asked:?}");
    assert!(asked[3].starts_with("GET /end") && !asked[3].contains("content-type"), "{asked:?}");
}

#[test]
fn a_redirect_needs_the_method_that_it_leads_to() {
    let server = Server::saying(moved(303, "/end"));
    let only_post = HttpGrant { methods: vec!["POST".into()], ..grant(&[&server]) };
    let posted = HttpRequest { method: "POST".into(), ..get(&server.at("/"), &[]) };
    assert!(refused(send(&permit(&only_post), posted)).contains("GET is not among"));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn only_http_and_https_are_urls_of_an_origin() {
    let server = Server::saying(whole("", "hello"));
    let permit = permit(&grant(&[&server]));
    for scheme in ["blob:", "file:///", "data:", "ws:"] {
        let said = refused(send(&permit, get(&format!("{scheme}{}/x", server.origin), &[])));
        assert!(said.contains("not among"), "{scheme}: {said}");
    }
    assert!(server.asked().is_empty());
}

#[test]
fn no_error_shows_a_query() {
    let server = Server::saying("nonsense\r\n\r\n");
    let permit = permit(&grant(&[&server]));
    let long = format!("/?private={}", "x".repeat(70_000));
    for path in ["/?private=1", long.as_str()] {
        let said = failed(send(&permit, get(&server.at(path), &[])));
        assert!(said.starts_with(&server.origin) && !said.contains("private"), "{said}");
    }
}

#[test]
fn a_server_that_does_not_speak_tls_is_a_failure() {
    let server = Server::saying(whole("", "hello"));
    let origin = server.origin.replace("http:", "https:");
    let granted = HttpGrant { origins: vec![origin.clone()], ..grant(&[]) };
    assert!(failed(send(&permit(&granted), get(&origin, &[]))).contains("does not answer"));
}

#[test]
fn an_answer_that_trickles_ends_at_the_deadline() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n");
        while stream.write_all(b".").is_ok() {
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let begun = Instant::now();
    let said = failed(permit(&grant(&[&server])).send(get(&server.origin, &[]), Duration::from_millis(200)));
    assert!(said.contains("within 200 ms"), "{said}");
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn headers_without_end_are_given_up() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(format!("x-more: {}\r\n", "y".repeat(1_000)).as_bytes()).is_ok() {}
    });
    let begun = Instant::now();
    let said = failed(send(&permit(&grant(&[&server])), get(&server.origin, &[])));
    assert!(!said.contains("within"), "not by the clock: {said}");
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[test]
fn a_request_can_be_sent_from_inside_a_runtime() {
    let server = Server::saying(whole("", "hello"));
    let permit = permit(&grant(&[&server]));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answer = runtime.block_on(async { send(&permit, get(&server.origin, &[])) });
    assert_eq!(answer.unwrap().body, b"hello");
}

#[test]
fn without_time_nothing_is_sent() {
    let server = Server::saying(whole("", "hello"));
    let permit = permit(&grant(&[&server]));
    let said = failed(permit.send(get(&server.origin, &[]), Duration::ZERO));
    assert!(said.contains("no time is left"), "{said}");
    assert_eq!(send(&permit, get(&server.at("/later"), &[])).unwrap().body, b"hello");
    assert_eq!(server.asked().len(), 1, "{:?}", server.asked());
}

#[test]
fn two_secrets_of_one_name_are_a_fault() {
    let server = Server::saying(whole("", ""));
    let secrets = vec![secret("twice", SECRET, &[&server]), secret("twice", LONGER, &[&server])];
    let problems =
        Outbound::start().unwrap().permit(&HttpGrant { secrets, ..grant(&[&server]) }).unwrap_err();
    assert_eq!(problems[0].pointer, "/secrets/1/name");
}
