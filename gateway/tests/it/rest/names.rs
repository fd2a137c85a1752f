//! Slaves, links, and uploads whose URL says the name.

use super::{appender, assert_refused, call, normal};
use crate::fake::Fake;

#[tokio::test]
async fn slaves_are_named_after_their_master() {
    let store = Fake::new();
    let master = normal(&store, "picture");
    let target = format!("/v1/files/{master}/slaves?prefix=_150x150&ext=jpg");
    let headers = [("host", "files.example"), ("content-length", "5")];
    let answer = call(&store, "POST", &target, &headers, "small").await;
    assert_eq!(answer.status, 201);
    let id = master.replace(".jpg", "_150x150.jpg");
    assert_eq!(answer.json()["file_id"], id);
    assert_eq!(answer.header("location"), format!("/{id}"));
    assert_eq!(store.content(&id).unwrap(), "small");
    assert_refused(&call(&store, "POST", &target, &headers, "again").await, 409, "exists");
    assert_refused(&call(&store, "POST", &target, &[], "again").await, 409, "exists");
    assert_eq!(store.content(&id).unwrap(), "small");
    let slaves = format!("/v1/files/{master}/slaves");
    for query in ["", "?prefix=", "?prefix=a%2Fb&ext=jpg", "?prefix=seventeen_letters&ext=jpg"] {
        assert_refused(&call(&store, "POST", &format!("{slaves}{query}"), &[], "x").await, 400, "bad_prefix");
    }
    let answer = call(&store, "POST", &format!("{slaves}?prefix=_a&ext=toolong"), &[], "x").await;
    assert_refused(&answer, 400, "bad_extension");
    let form = [("content-type", "multipart/form-data; boundary=x")];
    let answer = call(&store, "POST", &format!("{slaves}?prefix=_a&ext=jpg"), &form, "x").await;
    assert_refused(&answer, 415, "slave_form");
    let gone = normal(&store, "gone");
    store.lose(&gone);
    let answer = call(&store, "POST", &format!("/v1/files/{gone}/slaves?prefix=_a&ext=jpg"), &[], "x").await;
    assert_refused(&answer, 404, "no_such_file");
}

#[tokio::test]
async fn links_lead_to_their_file() {
    let store = Fake::new();
    let file = normal(&store, "content");
    let target = format!("/v1/files/{file}/links");
    let answer = call(&store, "POST", &target, &[("host", "files.example")], "").await;
    assert_eq!(answer.status, 201);
    let json = answer.json();
    let id = json["file_id"].as_str().unwrap();
    assert!(id.ends_with(".jpg") && id != file, "{id}");
    assert_eq!((&json["target"], &json["size"]), (&file.as_str().into(), &7.into()));
    assert_eq!(json["url"], format!("http://files.example/{id}"));
    assert_eq!(answer.header("location"), format!("/{id}"));
    assert_eq!(call(&store, "GET", &format!("/{id}"), &[], "").await.body, "content");
    let named = format!("{target}?master={file}&prefix=_l&ext=png");
    let answer = call(&store, "POST", &named, &[], "").await;
    assert_eq!(answer.json()["file_id"], file.replace(".jpg", "_l.png"));
    assert_refused(&call(&store, "POST", &named, &[], "").await, 409, "exists");
    for (query, status, code) in [
        ("?ext=toolong", 400, "bad_extension"),
        ("?master=nonsense&prefix=_l", 404, "bad_file_id"),
        ("?master=group2/M00/00/00/fwARAS4ApeGAJCIUAAAABTYQpoY468.jpg&prefix=_l", 400, "other_group"),
    ] {
        assert_refused(&call(&store, "POST", &format!("{target}{query}"), &[], "").await, status, code);
    }
    let answer = call(&store, "POST", &format!("{target}?master={file}"), &[], "").await;
    assert_refused(&answer, 400, "bad_prefix");
}

#[tokio::test]
async fn the_end_of_a_path_names_an_upload() {
    for (path, query, filename, ext) in [
        ("photo.jpg", "", "photo.jpg", "jpg"),
        ("%E7%85%A7%E7%89%87.png", "", "照片.png", "png"),
        ("a%26b%3Dc.txt", "", "a&b=c.txt", "txt"),
        ("photo.jpg", "?filename=other.png&ext=gif", "photo.jpg", "gif"),
    ] {
        let store = Fake::new();
        let answer = call(&store, "PUT", &format!("/v1/upload/{path}{query}"), &[], "content").await;
        assert_eq!(answer.status, 201, "{path}{query}: {:?}", answer.body);
        let json = answer.json();
        assert_eq!(json["filename"], filename);
        let id = json["file_id"].as_str().unwrap();
        assert!(id.ends_with(&format!(".{ext}")), "{id}");
        assert_eq!(store.content(id).unwrap(), "content");
    }
    let store = Fake::new();
    let id = appender(&store, "abc");
    for (method, path) in [
        ("PUT", format!("/v1/files/{id}")),
        ("POST", format!("/v1/files/{id}")),
        ("GET", format!("/v1/files/{id}/finish")),
        ("DELETE", format!("/v1/files/{id}/metadata")),
        ("GET", "/v1/upload/a.jpg".to_owned()),
    ] {
        assert_refused(&call(&store, method, &path, &[], "").await, 405, "method_not_allowed");
    }
}

/// Files that have no mode of their own to carry a mark: of those the metadata is looked at each time.
#[tokio::test]
async fn files_without_a_mark_give_their_names_too() {
    let store = Fake::new();
    let trunk = store.add_in_trunk("jpg", b"content").to_string();
    let (away, target) = (normal(&store, "content"), normal(&store, "content"));
    store.move_away(&away);
    let link = call(&store, "POST", &format!("/v1/files/{target}/links"), &[], "").await.json();
    let link = link["file_id"].as_str().unwrap();
    for id in [&*trunk, &*away, link] {
        let bare = call(&store, "GET", &format!("/{id}"), &[], "").await;
        assert_eq!((bare.status.as_u16(), bare.header("content-disposition")), (200, ""), "{id}");
        store.describe(id, "fdfs.filename", "a.jpg");
        for (query, expected) in [("", "inline"), ("?attname=", "attachment")] {
            let named = call(&store, "GET", &format!("/{id}{query}"), &[], "").await;
            let expected = format!("{expected}; filename=\"a.jpg\"");
            assert_eq!(
                (named.status.as_u16(), named.header("content-disposition")),
                (200, &*expected),
                "{id}"
            );
            assert_eq!(named.body, "content");
        }
        store.describe(id, "fdfs.expires", "1");
        assert_refused(&call(&store, "GET", &format!("/{id}"), &[], "").await, 404, "no_such_file");
    }
}
