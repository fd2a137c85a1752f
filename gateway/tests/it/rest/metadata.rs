//! Metadata: read, replaced, merged, one item at a time.

use axum::body::Body;
use gateway::Settings;
use protocol::metadata::Metadata;

use super::{assert_refused, call, normal};
use crate::ask::{ask_from, over, request};
use crate::fake::Fake;

#[tokio::test]
async fn items_are_replaced_and_merged() {
    let store = Fake::new();
    let id = normal(&store, "abc");
    let target = format!("/v1/files/{id}/metadata");
    for (method, body, expected) in [
        ("GET", "", "{}"),
        ("PUT", r#"{"b":"2","a":"1"}"#, r#"{"a":"1","b":"2"}"#),
        ("GET", "", r#"{"a":"1","b":"2"}"#),
        ("PATCH", r#"{"b":null,"c":"3","gone":null}"#, r#"{"a":"1","c":"3"}"#),
        ("PATCH", "{}", r#"{"a":"1","c":"3"}"#),
        ("PUT", r#"{"名":"值"}"#, r#"{"名":"值"}"#),
        ("PUT", "{}", "{}"),
    ] {
        let answer = call(&store, method, &target, &[], body).await;
        assert_eq!(answer.status, 200, "{method} {body}: {:?}", answer.body);
        assert_eq!(answer.body, expected, "{method} {body}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn one_item_is_read_set_and_taken_away() {
    let store = Fake::new();
    let id = normal(&store, "abc");
    let target = format!("/v1/files/{id}/metadata/width");
    assert_refused(&call(&store, "GET", &target, &[], "").await, 404, "no_such_item");
    assert_eq!(call(&store, "PUT", &target, &[], "120").await.status, 204);
    let answer = call(&store, "GET", &target, &[], "").await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"120"[..]));
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let answer = call(&store, "HEAD", &target, &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("content-length"), answer.body.len()), (200, "3", 0));
    assert_eq!(call(&store, "PUT", &format!("{target}%2Fmax"), &[], "").await.status, 204);
    let all = call(&store, "GET", &format!("/v1/files/{id}/metadata"), &[], "").await;
    assert_eq!(all.body, r#"{"width":"120","width/max":""}"#);
    assert_eq!(call(&store, "DELETE", &target, &[], "").await.status, 204);
    assert_refused(&call(&store, "DELETE", &target, &[], "").await, 404, "no_such_item");
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let store = Fake::new();
    let id = normal(&store, "abc");
    let target = format!("/v1/files/{id}/metadata");
    let long = format!(r#"{{"{}":"x"}}"#, "n".repeat(65));
    let long_value = format!(r#"{{"a":"{}"}}"#, "v".repeat(257));
    for body in [
        "",
        "[]",
        "7",
        "{",
        r#"{"a":1}"#,
        r#"{"a":{}}"#,
        r#"{"":"x"}"#,
        "{\"a\":\"\\u0001\"}",
        &long,
        &long_value,
    ] {
        for method in ["PUT", "PATCH"] {
            assert_refused(&call(&store, method, &target, &[], body).await, 400, "bad_metadata");
        }
    }
    assert_refused(&call(&store, "PUT", &target, &[], r#"{"a":null}"#).await, 400, "bad_metadata");
    assert_refused(&call(&store, "PATCH", &target, &[], r#"{"":null}"#).await, 400, "bad_metadata");
    let endless = " ".repeat(300_000);
    assert_refused(&call(&store, "PUT", &target, &[], &endless).await, 413, "body_too_large");
    let one = format!("{target}/a");
    assert_refused(&call(&store, "PUT", &one, &[], &"v".repeat(257)).await, 400, "bad_metadata");
    assert_refused(&call(&store, "PUT", &format!("{target}/a%01"), &[], "x").await, 400, "bad_metadata");
    let gone = normal(&store, "gone");
    store.lose(&gone);
    for (method, end) in [("GET", ""), ("PUT", ""), ("GET", "/a"), ("PUT", "/a")] {
        let target = format!("/v1/files/{gone}/metadata{end}");
        assert_refused(&call(&store, method, &target, &[], "{}").await, 404, "no_such_file");
    }
    assert_refused(&call(&store, "GET", "/v1/files/nonsense/metadata", &[], "").await, 404, "bad_file_id");
    for (method, end) in [("PUT", ""), ("PATCH", ""), ("PUT", "/a"), ("DELETE", "/a")] {
        let gateway = over(&store, Settings::plain());
        let foreign = request(method, &format!("{target}{end}"), &[], Body::from("{}"));
        assert_refused(&ask_from(&gateway, "192.0.2.7:4000", foreign).await, 403, "remote_write");
    }
}

#[tokio::test]
async fn names_of_ours_are_kept_and_refused() {
    let store = Fake::new();
    let id = normal(&store, "abc");
    let mut items = Metadata::default();
    items.insert("fdfs.filename", "photo.jpg").unwrap();
    store.0.metadata.lock().unwrap().insert(id.clone(), items);
    let target = format!("/v1/files/{id}/metadata");
    for (method, end, body) in [
        ("PUT", "", r#"{"fdfs.filename":"other.jpg"}"#),
        ("PATCH", "", r#"{"fdfs.filename":null}"#),
        ("PATCH", "", r#"{"fdfs.expires":"1"}"#),
        ("PUT", "/fdfs.filename", "other.jpg"),
        ("DELETE", "/fdfs.filename", ""),
    ] {
        let answer = call(&store, method, &format!("{target}{end}"), &[], body).await;
        assert_refused(&answer, 400, "reserved_name");
    }
    for body in ["{}", r#"{"fdfs.filename":"photo.jpg"}"#] {
        for method in ["PUT", "PATCH"] {
            let answer = call(&store, method, &target, &[], body).await;
            assert_eq!(answer.body, r#"{"fdfs.filename":"photo.jpg"}"#, "{method} {body}");
        }
    }
}
