//! What is said of files.

use gateway::files::UploadKind;
use protocol::metadata::Metadata;
use serde_json::{Value, json};

use super::{appender, assert_refused, call, normal};
use crate::fake::{Fake, MEMBER_URL, Others};

#[tokio::test]
async fn a_file_is_described_with_its_holders() {
    let store = Fake::new();
    let id = normal(&store, "hello");
    let mut items = Metadata::default();
    items.insert("fdfs.filename", "photo.jpg").unwrap();
    items.insert("fdfs.expires", "784111777").unwrap();
    store.0.metadata.lock().unwrap().insert(id.clone(), items);
    let answer = call(&store, "GET", &format!("/v1/files/{id}"), &[], "").await;
    assert_eq!(answer.status, 200);
    let etag = call(&store, "GET", &format!("/{id}"), &[], "").await.header("etag").to_owned();
    let expected = json!({
        "file_id": id,
        "group": "group1",
        "kind": "normal",
        "size": 5,
        "crc32": "3610a686",
        "etag": etag,
        "timestamp": 784_111_777,
        "created": "1994-11-06T08:49:37Z",
        "modified": "1994-11-06T08:49:37Z",
        "source": {"address": "127.0.17.1", "id": null},
        "filename": "photo.jpg",
        "expires": "1994-11-06T08:49:37Z",
        "holders": [
            {"id": "127.0.17.1", "address": "127.0.17.1:23000", "state": "ACTIVE", "has_file": true, "size": 5,
             "url": format!("{MEMBER_URL}/{id}")},
            {"id": "127.0.17.2", "address": "127.0.17.2:23000", "state": "ACTIVE", "has_file": null, "size": null,
             "url": null},
        ],
    });
    assert_eq!(answer.json(), expected);
    let head = call(&store, "HEAD", &format!("/v1/files/{id}"), &[], "").await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    let answer = call(&store, "GET", &format!("/v1/files/{id}?holders=false"), &[], "").await;
    assert!(answer.json().get("holders").is_none());
}

#[tokio::test]
async fn kinds_have_names_and_checksums_are_computed_when_asked_for() {
    let store = Fake::new();
    let file = normal(&store, "hello");
    let link = call(&store, "POST", &format!("/v1/files/{file}/links"), &[], "").await;
    let link = link.json()["file_id"].as_str().unwrap().to_owned();
    let slave =
        call(&store, "POST", &format!("/v1/files/{file}/slaves?prefix=_small&ext=jpg"), &[], "hello").await;
    let slave = slave.json()["file_id"].as_str().unwrap().to_owned();
    let trunk = store.add_in_trunk("jpg", b"hello").to_string();
    for (id, kind, known) in [
        (file, "normal", true),
        (link, "link", false),
        (slave, "slave", false),
        (appender(&store, "hello"), "appender", false),
        (trunk, "trunk", true),
    ] {
        let json = call(&store, "GET", &format!("/v1/files/{id}"), &[], "").await.json();
        assert_eq!(json["kind"], kind);
        assert_eq!(json["crc32"] == "3610a686", known, "{kind}");
        let json = call(&store, "GET", &format!("/v1/files/{id}?crc32=1"), &[], "").await.json();
        let expected = if kind == "link" { Value::Null } else { "3610a686".into() };
        assert_eq!(json["crc32"], expected, "{kind}");
    }
}

#[tokio::test]
async fn files_of_others_are_described_and_missing_ones_are_not() {
    let store = Fake::new();
    let id = store.add(&UploadKind::Normal, "jpg", b"hello").to_string();
    store.move_away(&id);
    let target = format!("/v1/files/{id}");
    let json = call(&store, "GET", &target, &[], "").await.json();
    assert_eq!((&json["size"], &json["holders"][0]["has_file"]), (&5.into(), &false.into()));
    *store.0.others.lock().unwrap() = Others::Silent;
    assert_refused(&call(&store, "GET", &target, &[], "").await, 502, "members_unreachable");
    *store.0.others.lock().unwrap() = Others::Answer;
    store.0.elsewhere.lock().unwrap().clear();
    assert_refused(&call(&store, "GET", &target, &[], "").await, 404, "no_such_file");
    assert_refused(&call(&store, "GET", "/v1/files/nonsense", &[], "").await, 404, "bad_file_id");
}
