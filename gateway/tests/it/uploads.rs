//! Uploads and deletions.

mod digests;
mod forms;
mod promises;
mod repeats;
mod replicas;

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gateway::Settings;
use gateway::files::{UploadKind, UploadSpec};

use crate::ask::{Answer, ask, ask_from, over, request};
use crate::fake::{Fake, Mood, TIME};

async fn post(store: &Fake, target: &str, headers: &[(&str, &str)], body: Body) -> Answer {
    let gateway = over(store, Settings::plain());
    ask(&gateway, request("POST", target, headers, body)).await
}

fn specs(store: &Fake) -> Vec<UploadSpec> {
    store.0.specs.lock().unwrap().clone()
}

/// Nothing was stored, and no upload is still open.
fn assert_nothing_left(store: &Fake, case: &str) {
    assert_eq!(store.count(), 0, "{case}");
    assert_eq!(store.0.live.load(Ordering::SeqCst), 0, "{case}");
}

/// A body without a length, in pieces.
fn pieces(content: &[u8], piece: usize) -> Body {
    let pieces: Vec<std::io::Result<Bytes>> =
        content.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Body::from_stream(stream::iter(pieces))
}

/// A body that breaks off.
fn broken(content: &[u8]) -> Body {
    let start = Bytes::copy_from_slice(content);
    let pieces = [Ok(start), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
    Body::from_stream(stream::iter(pieces))
}

/// A body that stalls for ever.
fn stalled(content: &[u8]) -> Body {
    let start = stream::iter([Ok::<_, std::io::Error>(Bytes::copy_from_slice(content))]);
    Body::from_stream(start.chain(stream::pending()))
}

#[tokio::test]
async fn raw_bodies_of_all_lengths_are_stored() {
    for len in [0usize, 1, 1000, 262_144, 262_145, 1_000_000] {
        let content: Vec<u8> = (0..len).map(|at| (at % 253).to_le_bytes()[0]).collect();
        for announced in [true, false] {
            let store = Fake::new();
            let text = len.to_string();
            let headers = [("host", "files.example:8888"), ("content-length", text.as_str())];
            let headers = if announced { &headers[..] } else { &headers[..1] };
            let answer = post(&store, "/v1/files?ext=bin", headers, pieces(&content, 7001)).await;
            assert_eq!(answer.status, 201, "{len} {announced}: {:?}", answer.body);
            let json = answer.json();
            let id = json["file_id"].as_str().unwrap();
            assert!(store.content(id).unwrap() == content, "{len} {announced}");
            assert_eq!(answer.header("location"), format!("/{id}"));
            assert_eq!(json["url"], format!("http://files.example:8888/{id}"));
            assert_eq!(json["group"], "group1");
            assert_eq!(json["size"], len);
            assert_eq!(json["crc32"], format!("{:08x}", crc32fast::hash(&content)));
            assert_eq!(json["timestamp"], TIME);
            assert!(json.get("filename").is_none());
            let expected = announced.then_some(len as u64);
            assert_eq!(specs(&store)[0].len, expected, "the space test sees the announced length");
            assert_eq!(store.0.live.load(Ordering::SeqCst), 0);
        }
    }
}

#[tokio::test]
async fn extensions_come_from_the_first_source_that_names_one() {
    for (query, kind, ext) in [
        ("?ext=jpg", "image/png", "jpg"),
        ("?ext=.jpg", "", "jpg"),
        ("?ext=", "image/png", ""),
        ("?ext=jpg&filename=a.txt", "", "jpg"),
        ("?filename=a.txt", "image/png", "txt"),
        ("?filename=a.tar.gz", "", "tar.gz"),
        ("?filename=noext", "image/png", ""),
        ("?filename=a.toolong7", "", ""),
        ("?filename=..%2F..%2Fetc%2Fpasswd.d%2Fx", "", ""),
        ("", "image/jpeg", "jpg"),
        ("", "text/plain; charset=utf-8", "txt"),
        ("", "application/octet-stream", ""),
        ("", "nonsense", ""),
        ("", "", ""),
    ] {
        let store = Fake::new();
        let headers = [("content-type", kind), ("content-length", "3")];
        let headers = if kind.is_empty() { &headers[1..] } else { &headers[..] };
        let answer = post(&store, &format!("/v1/files{query}"), headers, Body::from("abc")).await;
        assert_eq!(answer.status, 201, "{query} {kind}");
        assert_eq!(specs(&store)[0].ext.as_str(), ext, "{query} {kind}");
    }
}

#[tokio::test]
async fn parameters_choose_kind_and_group() {
    for (query, status, code, kind) in [
        ("kind=normal", 201, "", UploadKind::Normal),
        ("kind=appender&group=group1", 201, "", UploadKind::Appender),
        ("kind=slave", 400, "bad_kind", UploadKind::Normal),
        ("kind=", 400, "bad_kind", UploadKind::Normal),
        ("group=group2", 409, "other_group", UploadKind::Normal),
        ("ext=a%2Fb", 400, "bad_extension", UploadKind::Normal),
        ("ext=toolong", 400, "bad_extension", UploadKind::Normal),
        ("ext=..%2F", 400, "bad_extension", UploadKind::Normal),
    ] {
        let store = Fake::new();
        let answer = post(&store, &format!("/v1/files?{query}"), &[], Body::from("abc")).await;
        assert_eq!(answer.status, status, "{query}");
        if status == 201 {
            assert_eq!(specs(&store)[0].kind, kind, "{query}");
        } else {
            assert_eq!(answer.code(), code, "{query}");
            assert_nothing_left(&store, query);
        }
    }
    let store = Fake::new();
    let answer = post(&store, "/v1/files?filename=a%22b.txt", &[], Body::from("abc")).await;
    assert_eq!(answer.json()["filename"], "a\"b.txt");
}

/// The `url` of an answer never holds what a `Host` header smuggles in.
#[tokio::test]
async fn odd_hosts_make_no_url() {
    for host in ["", "a b", "evil/..", "a\"><script>", "user@host"] {
        let store = Fake::new();
        let answer = post(&store, "/v1/files", &[("host", host)], Body::from("abc")).await;
        let json = answer.json();
        assert_eq!(json["url"], format!("/{}", json["file_id"].as_str().unwrap()), "{host}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    for headers in [&[][..], &[("content-length", "1000")], &[("content-length", "1000000")]] {
        for sent in [0, 10, 300_000] {
            let store = Fake::new();
            let answer = post(&store, "/v1/files", headers, broken(&vec![b'x'; sent])).await;
            assert_eq!((answer.status.as_u16(), answer.code()), (400, "body_broken".to_owned()));
            assert_nothing_left(&store, &format!("{headers:?} {sent}"));
        }
    }
}

#[tokio::test]
async fn a_stalled_body_is_given_up() {
    for headers in [&[][..], &[("content-length", "1000")], &[("content-length", "1000000")]] {
        let store = Fake::new();
        let mut settings = Settings::plain();
        settings.body_timeout = Duration::from_millis(80);
        let gateway = over(&store, settings);
        let answer = ask(&gateway, request("POST", "/v1/files", headers, stalled(b"abc"))).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (408, "body_timeout".to_owned()));
        assert_eq!(answer.header("connection"), "close", "the rest of the body is not awaited");
        assert_nothing_left(&store, &format!("{headers:?}"));
    }
}

#[tokio::test]
async fn stores_that_take_nothing_say_why() {
    for (mood, status, code) in
        [(Mood::Busy, 503, "not_ready"), (Mood::Full, 507, "no_space"), (Mood::FullLater, 507, "no_space")]
    {
        for headers in [&[][..], &[("content-length", "3")]] {
            if mood == Mood::FullLater && !headers.is_empty() {
                continue;
            }
            let store = Fake::new();
            store.set_mood(mood);
            let answer = post(&store, "/v1/files", headers, Body::from("abc")).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{headers:?}");
            let wait = if status == 503 { "1" } else { "" };
            assert_eq!(answer.header("retry-after"), wait);
            assert_nothing_left(&store, code);
        }
    }
}

#[tokio::test]
async fn only_this_machine_writes_unless_the_site_says_otherwise() {
    for (peer, header, status) in [
        ("127.0.17.1:4000", "", 201),
        ("[::1]:4000", "", 201),
        ("[::ffff:127.0.0.1]:4000", "", 201),
        ("192.0.2.7:4000", "", 403),
        ("[2001:db8::1]:4000", "", 403),
        ("127.0.0.1:4000", "x-forwarded-for", 403),
        ("127.0.0.1:4000", "forwarded", 403),
        ("127.0.0.1:4000", "x-real-ip", 403),
        ("127.0.0.1:4000", "via", 403),
    ] {
        let headers = [(header, "127.0.0.1")];
        let headers = if header.is_empty() { &[][..] } else { &headers[..] };
        let store = Fake::new();
        let gateway = over(&store, Settings::plain());
        let answer = ask_from(&gateway, peer, request("POST", "/v1/files", headers, Body::from("abc"))).await;
        assert_eq!(answer.status, status, "{peer} {header}");
        if status == 403 {
            assert_eq!(answer.code(), "remote_write");
            assert_nothing_left(&store, peer);
        }
        let id = store.add(&UploadKind::Normal, "txt", b"here");
        let answer =
            ask_from(&gateway, peer, request("DELETE", &format!("/v1/files/{id}"), headers, Body::empty()))
                .await;
        assert_eq!(answer.status, if status == 403 { 403 } else { 204 }, "{peer} {header}");
        assert_eq!(store.content(&id.to_string()).is_some(), status == 403);

        let mut settings = Settings::plain();
        settings.authority = gateway::authority::Authority::open();
        let gateway = over(&store, settings);
        let answer = ask_from(&gateway, peer, request("POST", "/v1/files", headers, Body::from("abc"))).await;
        assert_eq!(answer.status, 201, "{peer} {header}");
    }
}

#[tokio::test]
async fn files_are_deleted_once() {
    let store = Fake::new();
    let id = store.add(&UploadKind::Normal, "txt", b"here");
    let gateway = over(&store, Settings::plain());
    let target = format!("/v1/files/{id}");
    let answer = ask(&gateway, request("DELETE", &target, &[], Body::empty())).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    assert_eq!(store.count(), 0);
    for (target, code) in [
        (target.as_str(), "no_such_file"),
        ("/v1/files/group1/M00/00/00/..", "bad_file_id"),
        ("/v1/files/group1/M00/00/00/..%2f..%2fx", "bad_file_id"),
        ("/v1/files/nonsense", "bad_file_id"),
    ] {
        let answer = ask(&gateway, request("DELETE", target, &[], Body::empty())).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, code), "{target}");
    }
    let answer = ask(&gateway, request("PUT", &target, &[], Body::empty())).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "DELETE,PATCH,GET,HEAD"));
}
