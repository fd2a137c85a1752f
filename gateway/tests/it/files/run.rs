//! The table against the gateway: straight, and over a socket, where a second request on the same connection shows that
//! the first answer ended where it said (D1).

use std::path::Path;

use axum::body::Body;
use gateway::Settings;
use gateway::server::HttpLimits;
use http::{HeaderMap, StatusCode};
use protocol::config::local_facts::LocalFacts;
use protocol::config::storage_conf::StorageConf;

use super::case::{Case, Is, cases};
use super::sample::{Sample, State};
use super::{MINIMAL_CONF, SITE};
use crate::ask::{Answer, ask, over, request};
use crate::fake::Fake;
use crate::sockets::Running;

/// What answers about files may say. Anything else would be a leak, or needs a word here.
const KNOWN_HEADERS: [&str; 16] = [
    "accept-ranges",
    "allow",
    "cache-control",
    "connection",
    "content-disposition",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "vary",
    "content-security-policy",
    "x-content-type-options",
];

#[tokio::test]
async fn every_case_holds() {
    let mut wrong = Vec::new();
    for case in cases() {
        for state in case.states.clone() {
            let store = Fake::new();
            let sample = Sample::new(&store, &case.kind, state);
            let gateway = over(&store, settings(&case));
            let (target, headers) = (sample.fill(&case.target), headers(&case, &sample));
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (&**name, &**value)).collect();
            let mut answer = ask(&gateway, request(&case.method, &target, &headers, Body::empty())).await;
            // hyper says it where nothing else does.
            if !matches!(answer.status.as_u16(), 204 | 304) {
                answer.headers.entry("content-length").or_insert(answer.body.len().into());
            }
            let found = differences(&case, &sample, &answer);
            wrong.extend(found.into_iter().map(|what| named(&case, state, &what)));
            if case.method == "GET" && !headers.iter().any(|(name, _)| *name == "range") {
                let head = ask(&gateway, request("HEAD", &target, &headers, Body::empty())).await;
                if (head.status, &head.headers) != (answer.status, &answer.headers) || !head.body.is_empty() {
                    let what = format!("9.3.2: HEAD answers {head:?}, GET {answer:?}");
                    wrong.push(named(&case, state, &what));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_case_holds_over_a_socket() {
    hold_over_a_socket(Before::Nothing).await;
}

/// A file that is kept ready, and a connection that is not hyper's, make no difference.
#[tokio::test]
async fn every_case_holds_for_what_was_asked_for_before() {
    hold_over_a_socket(Before::Asked).await;
}

/// What came before a case.
#[derive(Clone, Copy, PartialEq)]
enum Before {
    Nothing,
    /// Its file was asked for twice, on another connection.
    Asked,
}

async fn hold_over_a_socket(before: Before) {
    let mut wrong = Vec::new();
    for case in cases() {
        for state in case.states.clone() {
            let server = Running::start(settings(&case), HttpLimits::default()).await;
            let sample = Sample::new(&server.store, &case.kind, state);
            let mut text =
                format!("{} {} HTTP/1.1\r\nHost: files.example\r\n", case.method, sample.fill(&case.target));
            for (name, value) in headers(&case, &sample) {
                text += &format!("{name}: {value}\r\n");
            }
            if before == Before::Asked {
                let mut other = server.connect().await;
                for _ in 0..2 {
                    let target = sample.fill("/{id}");
                    other.send(&format!("GET {target} HTTP/1.1\r\nHost: files.example\r\n\r\n")).await;
                    other.answer(false).await;
                }
            }
            let mut client = server.connect().await;
            client.send(&format!("{text}\r\nGET /healthz HTTP/1.1\r\nHost: files.example\r\n\r\n")).await;
            let raw = client.answer(case.method == "HEAD").await;
            let mut headers = HeaderMap::new();
            for line in raw.head.lines().filter(|line| !line.is_empty()) {
                let (name, value) = line.split_once(':').unwrap();
                let name: http::HeaderName = name.parse().unwrap();
                headers.append(name, value.trim().parse().unwrap());
            }
            let status = StatusCode::from_u16(raw.status()).unwrap();
            let answer = Answer { status, headers, body: raw.body.into() };
            let mut found = differences(&case, &sample, &answer);
            if answer.header("date").is_empty() {
                found.push("6.6.1: no Date".to_owned());
            }
            let next = client.answer(false).await;
            if next.body != br#"{"status":"ok"}"# || !client.left.is_empty() {
                found.push(format!("D1: the next answer is {next:?}"));
            }
            wrong.extend(found.into_iter().map(|what| named(&case, state, &what)));
            server.finish().await;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(super) fn named(case: &Case, state: State, what: &str) -> String {
    let Case { rules, about, method, target, kind, headers, .. } = case;
    format!("{rules:?} {about}: {method} {target} of {kind:?} {state:?} {headers:?}: {what}")
}

/// The settings that a storage.conf with the case's lines gives.
pub(super) fn settings(case: &Case) -> Settings {
    let text = format!("{MINIMAL_CONF}{}", case.settings.replace("{site}", SITE));
    let read = StorageConf::parse(&text, Path::new("storage.conf"), &LocalFacts::none());
    let (conf, found) = read.unwrap_or_else(|error| panic!("{}: {error}", case.about));
    assert!(found.is_empty(), "{}: {found:?}", case.about);
    Settings::load(&conf.web, std::time::Duration::from_secs(5)).unwrap()
}

pub(super) fn headers(case: &Case, sample: &Sample) -> Vec<(String, String)> {
    case.headers.iter().map(|(name, value)| (name.clone(), sample.fill(value))).collect()
}

/// All that is wrong with an answer.
pub(super) fn differences(case: &Case, sample: &Sample, answer: &Answer) -> Vec<String> {
    let mut wrong = Vec::new();
    if answer.status != case.status {
        wrong.push(format!("status {}", answer.status));
    }
    for (name, value) in &case.facts {
        if answer.header(name) != sample.fill(value) {
            wrong.push(format!("{name}: '{}', not '{}'", answer.header(name), sample.fill(value)));
        }
    }
    let unknown = answer.headers.keys().filter(|name| !KNOWN_HEADERS.contains(&name.as_str()));
    wrong.extend(unknown.map(|name| format!("the header {name} is none of those that answers have")));
    let has_no_length = matches!(case.status, 204 | 304);
    if has_no_length != answer.header("content-length").is_empty() {
        wrong.push(format!("8.6: content-length: '{}'", answer.header("content-length")));
    }
    if case.method == "HEAD" {
        if !answer.body.is_empty() {
            wrong.push("9.3.2: a body".to_owned());
        }
        return wrong;
    }
    if let Is::Refusal(code) = &case.body {
        if answer.header("content-type") != "application/problem+json" || answer.code() != *code {
            wrong.push(format!("not the problem {code} but {:?}", answer.body));
        }
        if answer.header("cache-control") != "no-store" {
            wrong.push("a refusal that caches keep".to_owned());
        }
    } else if let Some(expected) = expected(&case.body, sample, answer) {
        if answer.body != expected {
            wrong.push(format!("the body is {:?}", String::from_utf8_lossy(&answer.body)));
        }
        if !has_no_length && answer.header("content-length") != expected.len().to_string() {
            wrong.push(format!("content-length: {}", answer.header("content-length")));
        }
    }
    wrong
}

fn expected(body: &Is, sample: &Sample, answer: &Answer) -> Option<Vec<u8>> {
    Some(match body {
        Is::Whole => sample.content.clone(),
        Is::Nothing => Vec::new(),
        Is::Page(name) => std::fs::read(format!("{SITE}/{name}")).unwrap(),
        Is::Flv(first, last) => {
            let mut content = b"FLV\x01\x01\0\0\0\x09\0\0\0\x09".to_vec();
            content.extend_from_slice(&sample.content[*first..=*last]);
            content
        }
        Is::Parts(parts) => match parts.as_slice() {
            [(first, last)] => sample.content[*first..=*last].to_vec(),
            parts => byte_ranges(parts, sample, answer),
        },
        Is::Any | Is::Refusal(_) => return None,
    })
}

/// The multipart body that has exactly these parts (14.6).
fn byte_ranges(parts: &[(usize, usize)], sample: &Sample, answer: &Answer) -> Vec<u8> {
    let Some(boundary) = answer.header("content-type").strip_prefix("multipart/byteranges; boundary=") else {
        return Vec::new();
    };
    assert!(!boundary.is_empty() && boundary.len() <= 70, "RFC 2046, 5.1.1");
    assert_eq!(answer.header("content-range"), "", "14.4: a multipart answer has none of its own");
    let kind = if sample.id.ends_with("jpg") { "image/jpeg" } else { "text/plain" };
    let whole = sample.content.len();
    let mut body = Vec::new();
    for (first, last) in parts {
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: bytes {first}-{last}/{whole}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&sample.content[*first..=*last]);
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    body
}
