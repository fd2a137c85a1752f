//! REST in a cluster of two groups with two members each: every operation through a member that it does not belong to, read
//! back by the native protocol from both members.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use protocol::FileId;
use protocol::client::{ClientLimits, Pool, StorageClient};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::address;
use crate::cluster::{Daemon, FEW_DIRECTORIES};
use crate::content::content;
use crate::wait::until;

/// Replication is a matter of milliseconds, the machine's load is not.
const SOON: Duration = Duration::from_secs(30);

struct Cluster {
    // Before the directory, so that the processes end first.
    _tracker: Daemon,
    /// Two members of group1, then two of group2.
    nodes: Vec<Daemon>,
    _dir: TempDir,
    http: reqwest::Client,
    native: StorageClient,
}

impl Cluster {
    async fn start(mode: &str) -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let tracker = Daemon::tracker(dir.path(), address::fresh(), |conf| conf).await;
        let mut nodes = Vec::new();
        for (name, group) in [("a", "group1"), ("b", "group1"), ("c", "group2"), ("d", "group2")] {
            let own = dir.path().join(name);
            std::fs::create_dir(&own).expect("the scratch directory can be written");
            let node = Daemon::node(&own, address::fresh(), tracker.ip, |conf| {
                conf.set("group_name", group)
                    .add(FEW_DIRECTORIES)
                    .add("http.allow_remote_writes = true")
                    .add(&format!("response_mode = {mode}"))
            });
            nodes.push(node.await);
        }
        let http = reqwest::Client::builder().build().expect("a client");
        let native = StorageClient::new(Pool::new(ClientLimits::default()));
        Self { _tracker: tracker, nodes, _dir: dir, http, native }
    }

    /// A request to a member.
    fn to(&self, node: usize, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.nodes[node].url(path))
    }

    /// Where the members of a file's group answer native clients.
    fn members(&self, id: &FileId) -> Vec<SocketAddr> {
        let first = if id.group.to_string() == "group1" { 0 } else { 2 };
        let at = |node: &Daemon| address::storage(node.ip);
        self.nodes[first..first + 2].iter().map(at).collect()
    }

    /// Both members of its group give this content, natively.
    async fn assert_content(&self, id: &str, expected: &[u8]) {
        let id = FileId::parse(id).expect("an ID");
        for at in self.members(&id) {
            until(&format!("{id} at {at}"), SOON, async || {
                match self.native.download_bytes(at, &id, 10 << 20).await {
                    Ok(bytes) if bytes == expected => Ok(()),
                    Ok(bytes) => Err(format!("{} bytes, not {}", bytes.len(), expected.len())),
                    Err(error) => Err(error.to_string()),
                }
            })
            .await;
        }
    }

    /// Both members of its group say so, natively: members ask each other, so this is not about one disk.
    async fn assert_gone(&self, id: &str) {
        let id = FileId::parse(id).expect("an ID");
        for at in self.members(&id) {
            until(&format!("no {id} at {at}"), SOON, async || {
                match self.native.download_bytes(at, &id, 10 << 20).await {
                    Ok(_) => Err("still there".to_owned()),
                    Err(error) if error.status() == Some(protocol::Status::ENOENT) => Ok(()),
                    Err(error) => Err(error.to_string()),
                }
            })
            .await;
        }
    }

    /// Both members of its group give this metadata, natively.
    async fn assert_metadata(&self, id: &str, expected: &[u8]) {
        let id = FileId::parse(id).expect("an ID");
        for at in self.members(&id) {
            until(&format!("metadata of {id} at {at}"), SOON, async || {
                match self.native.metadata(at, &id).await {
                    Ok(text) if text == expected => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
            .await;
        }
    }
}

/// An answer of that status, as JSON.
pub(crate) async fn json_of(request: RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.expect("an answer");
    let (seen, text) = (answer.status(), answer.text().await.expect("a body"));
    assert_eq!(seen.as_u16(), status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub(crate) fn id_of(json: &Value) -> String {
    json["file_id"].as_str().unwrap_or_else(|| panic!("an ID in {json}")).to_owned()
}

/// A body without a length.
pub(crate) fn chunked(bytes: Vec<u8>) -> reqwest::Body {
    let pieces: Vec<std::io::Result<Bytes>> =
        bytes.chunks(70_001).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
}

pub(crate) async fn sent(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_is_carried_out_wherever_it_arrives() {
    let cluster = Cluster::start("proxy").await;
    for (door, group) in [(0, "group1"), (1, "group1"), (0, "group2"), (3, "group2")] {
        every_operation(&cluster, door, group).await;
    }
}

/// All operations on files of `group`, through the node `door`.
async fn every_operation(cluster: &Cluster, door: usize, group: &str) {
    // The member that makes the files.
    let maker = if group == "group1" { 0 } else { 2 };
    let first = content(300_000, 7);
    let upload = cluster.to(maker, Method::POST, "/v1/files?kind=appender&ext=bin");
    let appender = id_of(&json_of(upload.body(first.clone()), 201).await);
    let target = format!("/v1/files/{appender}");

    let more = content(500_000, 8);
    let append = cluster.to(door, Method::PATCH, &target).header("Upload-Offset", "300000");
    let changed = json_of(append.body(chunked(more.clone())), 200).await;
    assert_eq!((&changed["offset"], &changed["size"]), (&300_000.into(), &800_000.into()));
    let mut expected = [first, more].concat();
    let again =
        sent(cluster.to(door, Method::PATCH, &target).header("Upload-Offset", "300000").body("x")).await;
    assert_eq!(
        (again.status(), &again.headers()["upload-offset"]),
        (StatusCode::CONFLICT, &"800000".parse().expect("a header"))
    );
    json_of(cluster.to(door, Method::PATCH, &format!("{target}?offset=10")).body("0123456789"), 200).await;
    expected[10..20].copy_from_slice(b"0123456789");
    cluster.assert_content(&appender, &expected).await;
    json_of(cluster.to(door, Method::POST, &format!("{target}/truncate?size=400000")), 200).await;
    expected.truncate(400_000);
    cluster.assert_content(&appender, &expected).await;

    let metadata = format!("{target}/metadata");
    let items = json!({"author": "bob", "width": "120"});
    assert_eq!(json_of(cluster.to(door, Method::PUT, &metadata).body(items.to_string()), 200).await, items);
    cluster.assert_metadata(&appender, b"author\x02bob\x01width\x02120").await;
    let patch = json!({"author": null, "height": "90"});
    json_of(cluster.to(door, Method::PATCH, &metadata).body(patch.to_string()), 200).await;
    let item = format!("{metadata}/width");
    assert_eq!(sent(cluster.to(door, Method::PUT, &item).body("60")).await.status(), 204);
    cluster.assert_metadata(&appender, b"height\x0290\x01width\x0260").await;
    assert_eq!(sent(cluster.to(door, Method::DELETE, &format!("{metadata}/height"))).await.status(), 204);
    assert_eq!(json_of(cluster.to(door, Method::GET, &metadata), 200).await, json!({"width": "60"}));
    assert_eq!(sent(cluster.to(door, Method::GET, &item)).await.text().await.expect("text"), "60");

    let finished = id_of(&json_of(cluster.to(door, Method::POST, &format!("{target}/finish")), 201).await);
    cluster.assert_content(&finished, &expected).await;
    cluster.assert_metadata(&finished, b"width\x0260").await;
    cluster.assert_gone(&appender).await;

    let target = format!("/v1/files/{finished}");
    let slave = cluster.to(door, Method::POST, &format!("{target}/slaves?prefix=_small&ext=bin"));
    let slave = id_of(&json_of(slave.body("small"), 201).await);
    assert_eq!(slave, finished.replace(".bin", "_small.bin"));
    cluster.assert_content(&slave, b"small").await;
    let twice = cluster.to(door, Method::POST, &format!("{target}/slaves?prefix=_small&ext=bin"));
    assert_eq!(json_of(twice.body("again"), 409).await["code"], "exists");
    let link = id_of(&json_of(cluster.to(door, Method::POST, &format!("{target}/links")), 201).await);
    cluster.assert_content(&link, &expected).await;

    assert_described(cluster, door, &finished, expected.len()).await;
    let list = json!([slave, link, "nonsense"]);
    let results = json_of(cluster.to(door, Method::POST, "/v1/batch/info").body(list.to_string()), 200).await;
    assert_eq!(
        (&results["results"][0]["file"]["size"], &results["results"][2]["status"]),
        (&5.into(), &404.into())
    );
    let results =
        json_of(cluster.to(door, Method::POST, "/v1/batch/delete").body(list.to_string()), 200).await;
    let seen: Vec<_> = (0..3).map(|at| results["results"][at]["status"].as_u64()).collect();
    assert_eq!(seen, [Some(204), Some(204), Some(404)], "{results}");
    for id in [&slave, &link] {
        cluster.assert_gone(id).await;
    }
    cluster.assert_content(&finished, &expected).await;
    assert_eq!(sent(cluster.to(door, Method::DELETE, &target)).await.status(), 204);
    cluster.assert_gone(&finished).await;

    let upload = cluster.to(door, Method::PUT, &format!("/v1/upload/a.txt?group={group}"));
    let named = id_of(&json_of(upload.body("a named file"), 201).await);
    assert!(named.starts_with(group) && named.ends_with(".txt"), "{named}");
    cluster.assert_content(&named, b"a named file").await;
    let upload = cluster.to(door, Method::POST, &format!("/v1/files?group={group}"));
    let raw = id_of(&json_of(upload.body(chunked(content(600_000, 9))), 201).await);
    cluster.assert_content(&raw, &content(600_000, 9)).await;
}

/// The file's description says that both members have it, each on its own disk, with URLs that give it.
async fn assert_described(cluster: &Cluster, door: usize, id: &str, len: usize) {
    let path = format!("/v1/files/{id}");
    let described = until(&format!("both members have {id}"), SOON, async || {
        let described = json_of(cluster.to(door, Method::GET, &path), 200).await;
        let holders = described["holders"].as_array().expect("a list");
        let is_everywhere = holders.iter().all(|holder| holder["has_file"] == true && holder["size"] == len);
        if is_everywhere { Ok(described) } else { Err(described.to_string()) }
    })
    .await;
    assert_eq!((&described["kind"], &described["size"]), (&"normal".into(), &len.into()));
    let mut ips: Vec<IpAddr> = Vec::new();
    for holder in described["holders"].as_array().expect("a list") {
        assert_eq!(holder["state"], "ACTIVE", "{described}");
        let url = holder["url"].as_str().unwrap_or_else(|| panic!("a URL in {described}"));
        let answer = sent(cluster.http.get(url)).await;
        assert_eq!(answer.headers()["etag"], described["etag"].as_str().expect("a tag"));
        assert_eq!(answer.bytes().await.expect("a body").len(), len);
        let at: SocketAddr = holder["address"].as_str().expect("text").parse().expect("an address");
        ips.push(at.ip());
    }
    let id = FileId::parse(id).expect("an ID");
    let mut members: Vec<IpAddr> = cluster.members(&id).iter().map(SocketAddr::ip).collect();
    ips.sort();
    members.sort();
    assert_eq!(ips, members, "{described}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_follow_where_the_site_redirects() {
    let cluster = Cluster::start("redirect").await;
    let upload = cluster.to(0, Method::POST, "/v1/files?kind=appender&ext=txt&group=group2");
    // The client sends the same request again, to the member of the other group.
    let id = id_of(&json_of(upload.body("abc"), 201).await);
    assert!(id.starts_with("group2/"), "{id}");
    let target = format!("/v1/files/{id}");
    json_of(cluster.to(0, Method::PATCH, &target).body("def"), 200).await;
    json_of(cluster.to(1, Method::PUT, &format!("{target}/metadata")).body(r#"{"a":"1"}"#), 200).await;
    cluster.assert_content(&id, b"abcdef").await;
    cluster.assert_metadata(&id, b"a\x021").await;
    let straight = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let url = cluster.nodes[0].url(&target);
    let answer = sent(straight.expect("a client").delete(url)).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["cache-control"]),
        (307, &"no-store".parse().expect("a header"))
    );
    assert_eq!(sent(cluster.to(0, Method::DELETE, &target)).await.status(), 204);
    cluster.assert_gone(&id).await;
}
