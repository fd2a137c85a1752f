//! Appender files change: appended to, overwritten, truncated, finished.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gateway::Settings;

use super::{appender, assert_refused, call, normal};
use crate::ask::{ask, ask_from, over, request};
use crate::fake::{Fake, Mood};

#[tokio::test]
async fn bodies_are_appended_or_overwrite() {
    for (query, headers, body, content, offset) in [
        ("", &[][..], "def", "abcdef", 3),
        ("", &[("upload-offset", "3")], "def", "abcdef", 3),
        ("", &[("content-length", "0")], "", "abc", 3),
        ("?offset=0", &[], "X", "Xbc", 0),
        ("?offset=2", &[], "XY", "abXY", 2),
        ("?offset=3", &[], "XY", "abcXY", 3),
        ("?offset=1", &[("upload-offset", "3")], "X", "aXc", 1),
    ] {
        let store = Fake::new();
        let id = appender(&store, "abc");
        let answer = call(&store, "PATCH", &format!("/v1/files/{id}{query}"), headers, body).await;
        assert_eq!(answer.status, 200, "{query} {headers:?} {:?}", answer.body);
        let json = answer.json();
        assert_eq!(json["file_id"], id);
        assert_eq!(json["size"], content.len());
        assert_eq!(json["offset"], offset);
        assert_eq!(json["written"], body.len());
        assert_eq!(answer.header("upload-offset"), content.len().to_string());
        assert_eq!(store.content(&id).unwrap(), content, "{query} {headers:?}");
        let read = call(&store, "GET", &format!("/{id}"), &[], "").await;
        assert_eq!(answer.header("etag"), read.header("etag"), "the tag is that of the file's URL");
    }
}

#[tokio::test]
async fn long_bodies_without_a_length_stream() {
    let store = Fake::new();
    let id = appender(&store, "start");
    let content = vec![b'x'; 1_000_000];
    let pieces: Vec<std::io::Result<Bytes>> =
        content.chunks(70_001).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let gateway = over(&store, Settings::plain());
    let body = Body::from_stream(stream::iter(pieces));
    let answer = ask(&gateway, request("PATCH", &format!("/v1/files/{id}"), &[], body)).await;
    assert_eq!((answer.status.as_u16(), answer.json()["size"].as_u64()), (200, Some(1_000_005)));
    assert_eq!(store.content(&id).unwrap().len(), 1_000_005);
}

#[tokio::test]
async fn preconditions_that_do_not_hold_change_nothing() {
    let store = Fake::new();
    let id = appender(&store, "abc");
    let etag = call(&store, "GET", &format!("/{id}"), &[], "").await.header("etag").to_owned();
    let target = format!("/v1/files/{id}");
    for (query, headers, status, code, size) in [
        ("", &[("upload-offset", "2")][..], 409, "offset_mismatch", Some(3)),
        ("", &[("upload-offset", "4")], 409, "offset_mismatch", Some(3)),
        ("?offset=4", &[], 409, "offset_mismatch", Some(3)),
        ("", &[("if-match", "\"other\"")], 412, "precondition_failed", Some(3)),
        ("", &[("if-none-match", "*")], 412, "precondition_failed", Some(3)),
        (
            "",
            &[("if-unmodified-since", "Sun, 06 Nov 1994 08:49:36 GMT")],
            412,
            "precondition_failed",
            Some(3),
        ),
        ("", &[("upload-offset", "x")], 400, "bad_offset", None),
        ("", &[("upload-offset", "-1")], 400, "bad_offset", None),
        ("?offset=x", &[], 400, "bad_number", None),
        ("?offset", &[], 400, "bad_number", None),
        ("?offset=99999999999999999999", &[], 400, "bad_number", None),
        ("", &[("content-range", "bytes 0-2/3")], 400, "content_range", None),
    ] {
        let answer = call(&store, "PATCH", &format!("{target}{query}"), headers, "def").await;
        assert_refused(&answer, status, code);
        assert_eq!(answer.json()["size"].as_u64(), size, "{query} {headers:?}");
        let header = size.map(|size| size.to_string()).unwrap_or_default();
        assert_eq!(answer.header("upload-offset"), header, "{query} {headers:?}");
        assert_eq!(store.content(&id).unwrap(), "abc", "{query} {headers:?}");
    }
    let answer = call(&store, "PATCH", &target, &[("if-match", &etag)], "def").await;
    assert_eq!(answer.status, 200);
    let answer = call(&store, "PATCH", &target, &[("if-match", &etag)], "def").await;
    assert_refused(&answer, 412, "precondition_failed");
    assert_eq!(store.content(&id).unwrap(), "abcdef");
    assert_eq!(store.0.live.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_or_stalls_changes_nothing() {
    for (sent, status, code) in
        [(3, 400, "body_broken"), (600_000, 400, "body_broken"), (0, 408, "body_timeout")]
    {
        let store = Fake::new();
        let id = appender(&store, "abc");
        let mut settings = Settings::plain();
        settings.body_timeout = Duration::from_millis(80);
        let gateway = over(&store, settings);
        let start = stream::iter([Ok(Bytes::from(vec![b'x'; sent]))]);
        let body = if sent == 0 {
            Body::from_stream(start.chain(stream::pending::<std::io::Result<Bytes>>()))
        } else {
            let end = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
            Body::from_stream(start.chain(stream::iter([end])))
        };
        let answer = ask(&gateway, request("PATCH", &format!("/v1/files/{id}"), &[], body)).await;
        assert_refused(&answer, status, code);
        assert_eq!(store.content(&id).unwrap(), "abc");
        assert_eq!(store.0.live.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn files_are_truncated() {
    let store = Fake::new();
    let id = appender(&store, "abcdef");
    let target = format!("/v1/files/{id}/truncate");
    for (query, headers, size, content) in [
        ("?size=4", &[][..], 4, "abcd"),
        ("?size=4", &[], 4, "abcd"),
        ("?size=5", &[("upload-offset", "4")], 5, "abcd\0"),
        ("?size=0", &[], 0, ""),
    ] {
        let answer = call(&store, "POST", &format!("{target}{query}"), headers, "").await;
        assert_eq!((answer.status.as_u16(), answer.json()["size"].as_u64()), (200, Some(size)), "{query}");
        assert_eq!(answer.header("upload-offset"), size.to_string());
        assert_eq!(store.content(&id).unwrap(), content, "{query}");
    }
    for (query, headers, status, code) in [
        ("", &[][..], 400, "bad_size"),
        ("?size=", &[], 400, "bad_number"),
        ("?size=-1", &[], 400, "bad_number"),
        ("?size=3", &[("upload-offset", "9")], 409, "offset_mismatch"),
        ("?size=3", &[("if-match", "\"x\"")], 412, "precondition_failed"),
    ] {
        assert_refused(&call(&store, "POST", &format!("{target}{query}"), headers, "").await, status, code);
    }
}

#[tokio::test]
async fn appender_files_become_normal_ones_with_their_metadata() {
    let store = Fake::new();
    let id = appender(&store, "abc");
    let answer = call(&store, "PUT", &format!("/v1/files/{id}/metadata"), &[], r#"{"a":"1"}"#).await;
    assert_eq!(answer.status, 200);
    let target = format!("/v1/files/{id}/finish");
    let answer = call(&store, "POST", &target, &[("host", "files.example")], "").await;
    assert_eq!(answer.status, 201);
    let json = answer.json();
    let new = json["file_id"].as_str().unwrap();
    assert_ne!(new, id);
    assert_eq!(json["size"], 3);
    assert_eq!(json["url"], format!("http://files.example/{new}"));
    assert_eq!(answer.header("location"), format!("/{new}"));
    assert_eq!(store.content(new).unwrap(), "abc");
    assert!(store.content(&id).is_none());
    let answer = call(&store, "GET", &format!("/v1/files/{new}/metadata"), &[], "").await;
    assert_eq!(answer.body, r#"{"a":"1"}"#);
    assert_refused(&call(&store, "POST", &target, &[], "").await, 404, "no_such_file");
}

#[tokio::test]
async fn other_kinds_and_other_people_change_nothing() {
    let store = Fake::new();
    let (id, fixed) = (appender(&store, "abc"), normal(&store, "abc"));
    for (method, end) in [("PATCH", ""), ("POST", "/truncate?size=1"), ("POST", "/finish")] {
        let answer = call(&store, method, &format!("/v1/files/{fixed}{end}"), &[], "x").await;
        assert_refused(&answer, 409, "not_appender");
        let answer = call(&store, method, &format!("/v1/files/nonsense{end}"), &[], "x").await;
        assert_refused(&answer, 404, "bad_file_id");
        let gateway = over(&store, Settings::plain());
        let foreign = request(method, &format!("/v1/files/{id}{end}"), &[], Body::from("x"));
        let answer = ask_from(&gateway, "192.0.2.7:4000", foreign).await;
        assert_refused(&answer, 403, "remote_write");
    }
    assert_eq!(store.content(&id).unwrap(), "abc");
    store.set_mood(Mood::FullLater);
    let answer = call(&store, "PATCH", &format!("/v1/files/{id}"), &[], "x").await;
    assert_refused(&answer, 507, "no_space");
    assert_eq!(store.content(&id).unwrap(), "abc");
}
