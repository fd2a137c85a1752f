//! REST over a real store: what it does is what the native protocol would have done, down to the binlog.

use protocol::storage::MetadataMode;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::address::fresh;
use crate::running::{Running, plain_cluster};

const HTTP_PORT: u16 = 8888;

/// A node and how far its binlog was read.
struct Rest {
    node: Running,
    read: usize,
}

impl Rest {
    async fn start() -> Self {
        Self { node: Running::start(fresh(), plain_cluster(), "").await, read: 0 }
    }

    /// Status, head and body of an answer.
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, Value) {
        let len = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {len}\r\n\r\n{body}"
        );
        let answer = self.node.http(&request).await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, head.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    async fn id(&self, method: &str, path: &str, body: &str) -> String {
        let (status, head, json) = self.ask(method, path, "", body).await;
        assert_eq!(status, 201, "{head} {json}");
        json["file_id"].as_str().expect("an ID").to_owned()
    }

    /// The next lines of the binlog are these, without their times.
    fn assert_logged(&mut self, expected: &[String]) {
        let binlog = self.node.binlog();
        let lines: Vec<&str> = binlog.lines().skip(self.read).collect();
        let lines: Vec<&str> = lines.iter().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
        assert_eq!(lines, expected);
        self.read += lines.len();
    }

    fn content(&self, id: &str) -> Vec<u8> {
        let id = protocol::FileId::parse(id).expect("an ID");
        std::fs::read(self.node.path(&id)).expect("the file is there")
    }
}

fn name(id: &str) -> &str {
    id.split_once('/').expect("a group first").1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appender_files_change_and_are_finished() {
    let mut rest = Rest::start().await;
    let id = rest.id("POST", "/v1/files?kind=appender&ext=log", "0123456789").await;
    let (target, old) = (format!("/v1/files/{id}"), name(&id).to_owned());
    rest.assert_logged(&[format!("C {old}")]);
    let (status, head, json) = rest.ask("PATCH", &target, "Upload-Offset: 10\r\n", "ABC").await;
    assert_eq!((status, &json["size"]), (200, &13.into()), "{head}");
    let (status, head, _) = rest.ask("PATCH", &target, "Upload-Offset: 10\r\n", "ABC").await;
    assert!(status == 409 && head.contains("upload-offset: 13"), "{head}");
    assert_eq!(rest.ask("PATCH", &format!("{target}?offset=2"), "", "wxyz").await.0, 200);
    assert_eq!(rest.ask("PATCH", &format!("{target}?offset=14"), "", "x").await.0, 409);
    assert_eq!(rest.ask("PATCH", &target, "", "").await.0, 200);
    rest.assert_logged(&[format!("A {old} 10 3"), format!("M {old} 2 4")]);
    assert_eq!(rest.content(&id), b"01wxyz6789ABC");

    let (status, head, _) = rest.ask("GET", &format!("/{id}"), "", "").await;
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).expect("a tag").to_owned();
    assert_eq!(status, 200);
    let when = format!("If-Match: {etag}\r\n");
    assert_eq!(rest.ask("POST", &format!("{target}/truncate?size=5"), &when, "").await.0, 200);
    assert_eq!(rest.ask("POST", &format!("{target}/truncate?size=6"), &when, "").await.0, 412);
    assert_eq!(rest.ask("POST", &format!("{target}/truncate?size=7"), "", "").await.0, 200);
    let too_large = format!("{target}/truncate?size={}", i64::MAX);
    let (status, head, json) = rest.ask("POST", &too_large, "", "").await;
    assert!(matches!(status, 400 | 507), "{head} {json}");
    rest.assert_logged(&[format!("T {old} 13 5"), format!("T {old} 5 7")]);
    assert_eq!(rest.content(&id), b"01wxy\0\0");

    assert_eq!(rest.ask("PUT", &format!("{target}/metadata"), "", r#"{"k":"v"}"#).await.0, 200);
    let new = rest.id("POST", &format!("{target}/finish"), "").await;
    let fixed = name(&new).to_owned();
    rest.assert_logged(&[
        format!("C {old}-m"),
        format!("R {fixed} {old}"),
        format!("C {fixed}-m"),
        format!("D {old}-m"),
    ]);
    let (status, _, json) = rest.ask("GET", &format!("/v1/files/{new}"), "", "").await;
    assert_eq!((status, &json["kind"], &json["size"]), (200, &"normal".into(), &7.into()));
    assert_eq!(json["crc32"], format!("{:08x}", crc32fast::hash(b"01wxy\0\0")));
    assert_eq!(json["source"]["address"], rest.node.ip.to_string());
    assert_eq!(rest.ask("GET", &format!("/v1/files/{new}/metadata"), "", "").await.2["k"], "v");
    assert_eq!(rest.ask("PATCH", &format!("/v1/files/{new}"), "", "x").await.0, 409);
    assert_eq!(rest.ask("DELETE", &format!("/v1/files/{new}"), "", "").await.0, 204);
    rest.assert_logged(&[format!("D {fixed}"), format!("D {fixed}-m")]);
}

/// A body without a length whose sender goes away: the file is as it was, nothing is logged, and the next one may change it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_that_breaks_off_leaves_nothing() {
    let mut rest = Rest::start().await;
    let id = rest.id("POST", "/v1/files?kind=appender&ext=log", "abc").await;
    rest.read = rest.node.binlog().lines().count();
    let mut stream = TcpStream::connect((rest.node.ip, HTTP_PORT)).await.expect("HTTP is served");
    let piece = "x".repeat(400_000);
    let start = format!(
        "PATCH /v1/files/{id} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n61a80\r\n{piece}\r\n5\r\nab"
    );
    stream.write_all(start.as_bytes()).await.expect("the node listens");
    while rest.content(&id).len() == 3 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    let (status, head, json) =
        rest.ask("PATCH", &format!("/v1/files/{id}"), "Upload-Offset: 3\r\n", "def").await;
    assert_eq!((status, &json["size"]), (200, &6.into()), "{head} {json}");
    assert_eq!(rest.content(&id), b"abcdef");
    rest.assert_logged(&[format!("A {} 3 3", name(&id))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_in_another_coding_keeps_its_bytes() {
    let rest = Rest::start().await;
    let id = rest.node.upload(b"picture", "jpg").await;
    let client = rest.node.client();
    let text = &b"author\x02\xd6\xd0\x01width\x02120"[..];
    client.set_metadata(rest.node.address, &id, MetadataMode::Overwrite, text.into()).await.unwrap();
    let target = format!("/v1/files/{id}/metadata");
    assert_eq!(rest.ask("PATCH", &target, "", r#"{"height":"90","width":null}"#).await.0, 200);
    let stored = client.metadata(rest.node.address, &id).await.unwrap();
    assert_eq!(&stored[..], b"author\x02\xd6\xd0\x01height\x0290");
    assert_eq!(rest.ask("PUT", &target, "", "{}").await.0, 200);
    assert!(!rest.node.data().join(format!("{}-m", id.name.true_name())).exists(), "no metadata, no file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slaves_and_links_have_names_of_their_master() {
    let mut rest = Rest::start().await;
    let master = rest.id("POST", "/v1/files?ext=jpg", "picture").await;
    let target = format!("/v1/files/{master}");
    let slave = rest.id("POST", &format!("{target}/slaves?prefix=_small&ext=jpg"), "small").await;
    assert_eq!(slave, master.replace(".jpg", "_small.jpg"));
    assert_eq!(rest.ask("POST", &format!("{target}/slaves?prefix=_small&ext=jpg"), "", "x").await.0, 409);
    let link = rest.id("POST", &format!("{target}/links"), "").await;
    let named = rest.id("POST", &format!("{target}/links?master={master}&prefix=_l"), "").await;
    assert_eq!(named, master.replace(".jpg", "_l.jpg"));
    rest.assert_logged(&[
        format!("C {}", name(&master)),
        format!("C {}", name(&slave)),
        format!("L {} {}", name(&link), name(&master)),
        format!("L {} {}", name(&named), name(&master)),
    ]);
    for (id, kind, size) in
        [(&master, "normal", 7), (&slave, "slave", 5), (&link, "link", 7), (&named, "link", 7)]
    {
        let (status, _, json) = rest.ask("GET", &format!("/v1/files/{id}"), "", "").await;
        assert_eq!((status, &json["kind"], &json["size"]), (200, &kind.into(), &size.into()), "{json}");
        assert_eq!(json["holders"][0]["has_file"], true, "{json}");
    }
    let list = serde_json::json!([slave, link, named, "nonsense"]).to_string();
    let (_, _, json) = rest.ask("POST", "/v1/batch/delete", "", &list).await;
    let seen: Vec<_> = (0..4).map(|at| json["results"][at]["status"].as_u64()).collect();
    assert_eq!(seen, [Some(204), Some(204), Some(204), Some(404)], "{json}");
    assert_eq!(rest.content(&master), b"picture", "a link is deleted, not its file");
}
