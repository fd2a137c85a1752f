//! Writes that belong to another member: passed on, or sent there.

use std::net::SocketAddr;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gateway::authority::Authority;
use gateway::files::{Carrier, HttpMember, UploadKind};
use gateway::server::HttpLimits;
use gateway::{ResponseMode, Settings};

use super::{appender, assert_refused};
use crate::ask::{Answer, OWN_ID, ask, over, request};
use crate::fake::Fake;
use crate::sockets::Running;

/// Where a member's native service would be.
const NATIVE: &str = "127.0.17.2:23000";

fn open() -> Settings {
    let mut settings = Settings::plain();
    settings.authority = Authority::open();
    settings
}

fn belongs_to(store: &Fake, url: Option<String>) {
    let native = NATIVE.parse().unwrap();
    let http = url.map(|url| HttpMember { id: OWN_ID.to_owned(), url });
    *store.0.carrier.lock().unwrap() = Some(Carrier::Member { native, http });
}

fn url(address: SocketAddr) -> Option<String> {
    Some(format!("http://{address}"))
}

async fn send(
    store: &Fake,
    settings: Settings,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Body,
) -> Answer {
    ask(&over(store, settings), request(method, target, headers, body)).await
}

/// The other member has appender files that this one does not have yet.
async fn other_member(settings: Settings) -> (Fake, Running) {
    let other = Running::start(settings, HttpLimits::default()).await;
    let store = Fake::new();
    belongs_to(&store, url(other.address));
    (store, other)
}

#[tokio::test]
async fn changes_are_passed_on_with_their_bodies() {
    let (store, other) = other_member(open()).await;
    let id = appender(&other.store, "abc");
    let long = vec![b'x'; 700_000];
    let pieces: Vec<std::io::Result<Bytes>> =
        long.chunks(70_001).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let target = format!("/v1/files/{id}");
    let body = Body::from_stream(stream::iter(pieces));
    let answer = send(&store, open(), "PATCH", &target, &[("upload-offset", "3")], body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("upload-offset")),
        (200, "700003"),
        "{:?}",
        answer.body
    );
    assert!(!answer.header("etag").is_empty());
    let headers = [("content-length", "3"), ("upload-offset", "9")];
    let answer = send(&store, open(), "PATCH", &target, &headers, Body::from("def")).await;
    assert_refused(&answer, 409, "offset_mismatch");
    assert_eq!(answer.header("upload-offset"), "700003");
    let answer = send(&store, open(), "POST", &format!("{target}/truncate?size=2"), &[], Body::empty()).await;
    assert_eq!(answer.json()["size"], 2);
    let answer =
        send(&store, open(), "PUT", &format!("{target}/metadata"), &[], Body::from(r#"{"a":"1"}"#)).await;
    assert_eq!(answer.body, r#"{"a":"1"}"#);
    let answer = send(&store, open(), "POST", &format!("{target}/finish"), &[], Body::empty()).await;
    assert_eq!(answer.status, 201);
    let new = answer.json()["file_id"].as_str().unwrap().to_owned();
    assert_eq!(other.store.content(&new).unwrap(), "ab");
    let list = Body::from(serde_json::json!([new, id]).to_string());
    let answer = send(&store, open(), "POST", "/v1/batch/delete", &[], list).await;
    let json = answer.json();
    assert_eq!((&json["results"][0]["status"], &json["results"][1]["status"]), (&204.into(), &404.into()));
    assert_eq!(json["results"][1]["code"], "no_such_file");
    assert_eq!((store.count(), other.store.count()), (0, 0));
    other.finish().await;
}

#[tokio::test]
async fn uploads_go_to_their_group() {
    let (store, other) = other_member(open()).await;
    // The other member is of group1, too, and says so: the loop guard let it look no further.
    for target in ["/v1/files?group=group2&ext=txt", "/v1/files?ext=txt&group=group2"] {
        let answer = send(&store, open(), "POST", target, &[], Body::from("abc")).await;
        assert_refused(&answer, 409, "other_group");
    }
    let answer = send(&store, open(), "POST", "/v1/files?group=nowhere", &[], Body::from("abc")).await;
    assert_refused(&answer, 503, "no_member");
    *store.0.carrier.lock().unwrap() = None;
    let answer = send(&store, open(), "PUT", "/v1/upload/a.txt?group=group2", &[], Body::from("abc")).await;
    assert_refused(&answer, 503, "no_tracker");
    assert_eq!((store.count(), other.store.count()), (0, 0));
    other.finish().await;
}

#[tokio::test]
async fn clients_are_sent_to_the_member_where_the_site_wants_it() {
    let store = Fake::new();
    let id = store.add(&UploadKind::Appender, "txt", b"abc").to_string();
    store.lose(&id);
    for (mode, url) in [
        (ResponseMode::Redirect, "http://127.0.17.2:8888"),
        // This node speaks no TLS to others.
        (ResponseMode::Proxy, "https://files2.example"),
    ] {
        belongs_to(&store, Some(url.to_owned()));
        let mut settings = open();
        settings.response_mode = mode;
        let target = format!("/v1/files/{id}?offset=1");
        let answer = send(&store, settings, "PATCH", &target, &[], Body::from("abc")).await;
        assert_eq!(answer.status, 307);
        assert_eq!(answer.header("cache-control"), "no-store");
        let path = format!("/v1/files/{}?offset=1&redirect=1", id.replace('/', "%2F"));
        assert_eq!(answer.header("location"), format!("{url}{path}"));
    }
}

#[tokio::test]
async fn what_was_passed_on_stays_where_it_is() {
    let store = Fake::new();
    let id = store.add(&UploadKind::Appender, "txt", b"abc").to_string();
    store.lose(&id);
    belongs_to(&store, url("127.0.17.2:1".parse().unwrap()));
    let target = format!("/v1/files/{id}");
    let answer = send(&store, open(), "PATCH", &target, &[("fdfs-hop", "1")], Body::from("abc")).await;
    assert_refused(&answer, 404, "no_such_file");
    let answer = send(&store, open(), "DELETE", &format!("{target}?redirect=1"), &[], Body::empty()).await;
    assert_refused(&answer, 404, "no_such_file");
    let answer = send(&store, open(), "DELETE", &target, &[], Body::empty()).await;
    assert_refused(&answer, 502, "member_unreachable");
    belongs_to(&store, None);
    let answer = send(&store, open(), "DELETE", &target, &[], Body::empty()).await;
    assert_refused(&answer, 502, "no_http");
    assert!(answer.json()["detail"].as_str().unwrap().contains(NATIVE));
}

/// The member sees a proxy's headers, so it does not take who is on its machine for a local client.
#[tokio::test]
async fn what_is_passed_on_is_not_trusted_for_its_address() {
    let (store, other) = other_member(Settings::plain()).await;
    let id = appender(&other.store, "abc");
    for headers in [&[][..], &[("forwarded", "for=127.0.0.1")], &[("x-forwarded-for", "127.0.0.1")]] {
        let answer =
            send(&store, open(), "PATCH", &format!("/v1/files/{id}"), headers, Body::from("x")).await;
        assert_refused(&answer, 403, "remote_write");
    }
    assert_eq!(other.store.content(&id).unwrap(), "abc");
    other.finish().await;
}

#[tokio::test]
async fn a_body_that_stalls_is_given_up_on_both_sides() {
    let (store, other) = other_member(open()).await;
    let id = appender(&other.store, "abc");
    let mut settings = open();
    settings.body_timeout = std::time::Duration::from_millis(80);
    let start = stream::iter([Ok::<_, std::io::Error>(Bytes::from_static(b"x"))]);
    let body = Body::from_stream(start.chain(stream::pending()));
    let answer = send(&store, settings, "PATCH", &format!("/v1/files/{id}"), &[], body).await;
    assert_refused(&answer, 408, "body_timeout");
    assert_eq!(other.store.content(&id).unwrap(), "abc");
    other.finish().await;
}
