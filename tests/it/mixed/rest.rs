//! REST through a node of ours to files whose home is a storage of FastDFS: beside it in one group, and alone in another.
//! What was written is read natively from every member.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::file_id::FileExt;
use protocol::storage::{FileCreated, Upload, UploadAppender, UploadHead};
use protocol::{FileId, GroupName, Status};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::address::{self, STORAGE_HTTP_PORT, TRACKER_HTTP_PORT};
use crate::content::content;
use crate::group::disk;
use crate::group::server::Make::{Ours, Theirs};
use crate::group::server::Server;
use crate::group::{Group, JOIN, head};
use crate::rest::{chunked, id_of, json_of, sent};
use crate::theirs::is_here;
use crate::wait::until;

/// FastDFS sends to the members of a group every second or so.
const SOON: Duration = Duration::from_secs(30);

/// A group of one storage of each kind, and `group2` of one of FastDFS; the tracker and the node that is asked are ours.
struct Site {
    group: Group,
    alone: Server,
    http: reqwest::Client,
}

impl Site {
    async fn start() -> Self {
        let mut group = Group::start(&[Ours], &[Theirs]).await;
        let dir = group.dir.as_ref().expect("not taken out").path().to_owned();
        let tracker = [group.trackers[0].ip];
        let mut door = Server::node(Ours, &dir, address::fresh(), &tracker);
        door.tell("http.allow_remote_writes = true");
        door.start();
        group.nodes.push(door);
        let mut alone = Server::node(Theirs, &dir, address::fresh(), &tracker);
        alone.belong_to("group2");
        alone.start();
        group.wait_active().await;
        let client = group.client();
        let group2 = GroupName::parse("group2").expect("a good name");
        until("a place in group2", JOIN, async || {
            alone.assert_running();
            client.trackers.query_store(Some(group2)).await.map_err(|error| error.to_string())
        })
        .await;
        Self { group, alone, http: reqwest::Client::new() }
    }

    /// A request to our node.
    fn to(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}:{STORAGE_HTTP_PORT}{path}", self.group.nodes[1].ip))
    }

    /// The storage of FastDFS of a group.
    fn home(&self, group: &str) -> SocketAddr {
        if group == "group1" { self.group.native(0) } else { address::storage(self.alone.ip) }
    }

    /// The members of the group of a file.
    fn members(&self, id: &FileId) -> Vec<SocketAddr> {
        let group = id.group.to_string();
        let ours = (group == "group1").then(|| self.group.native(1));
        [self.home(&group)].into_iter().chain(ours).collect()
    }

    async fn upload(&self, group: &str, is_appender: bool, bytes: &[u8]) -> String {
        let storages = self.group.client().storages;
        let head = UploadHead { ext: FileExt::parse("bin").expect("a good one"), ..head(bytes.len(), "bin") };
        let (at, mut content) = (self.home(group), bytes);
        let FileCreated(id) = if is_appender {
            storages.send(at, &UploadAppender(head), &mut content, |_| {}).await
        } else {
            storages.send(at, &Upload(head), &mut content, |_| {}).await
        }
        .expect("FastDFS takes it");
        id.to_string()
    }

    /// Every member of its group gives this content.
    async fn assert_content(&self, id: &str, expected: &[u8]) {
        let (id, storages) = (FileId::parse(id).expect("an ID"), self.group.client().storages);
        for at in self.members(&id) {
            until(&format!("{id} at {at}"), SOON, async || {
                match storages.download_bytes(at, &id, 10 << 20).await {
                    Ok(bytes) if bytes == expected => Ok(()),
                    Ok(bytes) => Err(format!("{} bytes, not {}", bytes.len(), expected.len())),
                    Err(error) => Err(error.to_string()),
                }
            })
            .await;
        }
    }

    /// Every member of its group has this metadata.
    async fn assert_metadata(&self, id: &str, expected: &[u8]) {
        let (id, storages) = (FileId::parse(id).expect("an ID"), self.group.client().storages);
        for at in self.members(&id) {
            until(&format!("metadata of {id} at {at}"), SOON, async || {
                match storages.metadata(at, &id).await {
                    Ok(text) if text == expected => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
            .await;
        }
    }

    /// No member of its group has it, nor metadata of it.
    async fn assert_gone(&self, id: &str) {
        let (id, storages) = (FileId::parse(id).expect("an ID"), self.group.client().storages);
        let metadata = FileId { group: id.group, name: id.name.metadata_name().expect("short enough") };
        for at in self.members(&id) {
            for id in [&id, &metadata] {
                until(&format!("no {id} at {at}"), SOON, async || {
                    match storages.download_bytes(at, id, 10 << 20).await {
                        Err(error) if error.status() == Some(Status::ENOENT) => Ok(()),
                        other => Err(format!("{other:?}")),
                    }
                })
                .await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rest_reaches_files_of_their_storages() {
    if !is_here("rest_reaches_files_of_their_storages") {
        return;
    }
    let site = Site::start().await;
    for group in ["group1", "group2"] {
        changes(&site, group).await;
        metadata(&site, group).await;
        finish_slave_and_link(&site, group).await;
        deletes(&site, group).await;
    }
    uploads(&site).await;
    until("the same on both disks of group1", SOON, async || {
        let [theirs, ours] = [0, 1].map(|index| disk::files(&site.group.nodes[index].base));
        let differences = disk::differences(&theirs, &ours);
        if differences.is_empty() { Ok(()) } else { Err(format!("{differences:#?}")) }
    })
    .await;
}

async fn changes(site: &Site, group: &str) {
    let (first, more) = (content(300_000, 7), content(500_000, 8));
    let id = site.upload(group, true, &first).await;
    let target = format!("/v1/files/{id}");
    // With and without an announced length.
    let append = site.to(Method::PATCH, &target).header("Upload-Offset", "300000").body(more.clone());
    let changed = json_of(append, 200).await;
    assert_eq!((&changed["offset"], &changed["size"]), (&300_000.into(), &800_000.into()));
    let append = site.to(Method::PATCH, &target).body(chunked(more.clone()));
    assert_eq!(json_of(append, 200).await["size"], 1_300_000);
    let mut expected = [first, more.clone(), more].concat();
    let again = sent(site.to(Method::PATCH, &target).header("Upload-Offset", "300000").body("x")).await;
    assert_eq!(
        (again.status().as_u16(), again.headers()["upload-offset"].as_bytes()),
        (409, &b"1300000"[..])
    );
    let beyond = site.to(Method::PATCH, &format!("{target}?offset=1300001")).body("x");
    assert_eq!(json_of(beyond, 409).await["code"], "offset_mismatch");
    json_of(site.to(Method::PATCH, &format!("{target}?offset=10")).body("0123456789"), 200).await;
    json_of(site.to(Method::PATCH, &format!("{target}?offset=30")).body(chunked(b"abc".to_vec())), 200).await;
    expected[10..20].copy_from_slice(b"0123456789");
    expected[30..33].copy_from_slice(b"abc");
    for nothing in
        [site.to(Method::PATCH, &target).body(""), site.to(Method::PATCH, &target).body(chunked(vec![]))]
    {
        assert_eq!(json_of(nothing, 200).await["written"], 0);
    }
    site.assert_content(&id, &expected).await;
    for _ in 0..2 {
        let cut = json_of(site.to(Method::POST, &format!("{target}/truncate?size=400000")), 200).await;
        assert_eq!(cut["size"], 400_000);
    }
    expected.truncate(400_000);
    site.assert_content(&id, &expected).await;
    let normal = site.upload(group, false, b"never changes").await;
    let refused = site.to(Method::PATCH, &format!("/v1/files/{normal}")).body("x");
    assert_eq!(json_of(refused, 409).await["code"], "not_appender");
}

async fn metadata(site: &Site, group: &str) {
    let id = site.upload(group, false, b"described").await;
    let all = format!("/v1/files/{id}/metadata");
    let items = json!({"author": "bob", "width": "120"});
    assert_eq!(json_of(site.to(Method::PUT, &all).body(items.to_string()), 200).await, items);
    site.assert_metadata(&id, b"author\x02bob\x01width\x02120").await;
    let patch = json!({"author": null, "height": "90"});
    json_of(site.to(Method::PATCH, &all).body(patch.to_string()), 200).await;
    assert_eq!(sent(site.to(Method::PUT, &format!("{all}/width")).body("60")).await.status(), 204);
    site.assert_metadata(&id, b"height\x0290\x01width\x0260").await;
    assert_eq!(sent(site.to(Method::DELETE, &format!("{all}/height"))).await.status(), 204);
    let unknown = site.to(Method::DELETE, &format!("{all}/height"));
    assert_eq!(json_of(unknown, 404).await["code"], "no_such_item");
    site.assert_metadata(&id, b"width\x0260").await;
    let lost = id.replace(".bin", ".non");
    let nobody = site.to(Method::PUT, &format!("/v1/files/{lost}/metadata/a")).body("b");
    assert_eq!(json_of(nobody, 404).await["code"], "no_such_file");
}

async fn finish_slave_and_link(site: &Site, group: &str) {
    let bytes = content(70_000, 9);
    let id = site.upload(group, true, &bytes).await;
    let target = format!("/v1/files/{id}");
    json_of(site.to(Method::PUT, &format!("{target}/metadata")).body(r#"{"kept":"yes"}"#), 200).await;
    site.assert_metadata(&id, b"kept\x02yes").await;
    let made = json_of(site.to(Method::POST, &format!("{target}/finish")), 201).await;
    assert_eq!(
        (&made["size"], &made["crc32"]),
        (&70_000.into(), &format!("{:08x}", crc32fast::hash(&bytes)).into())
    );
    let finished = id_of(&made);
    site.assert_content(&finished, &bytes).await;
    site.assert_metadata(&finished, b"kept\x02yes").await;
    site.assert_gone(&id).await;

    let slaves =
        |prefix: &str| site.to(Method::POST, &format!("/v1/files/{finished}/slaves?prefix={prefix}&ext=bin"));
    let slave = id_of(&json_of(slaves("_a").body("small"), 201).await);
    assert_eq!(slave, finished.replace(".bin", "_a.bin"));
    site.assert_content(&slave, b"small").await;
    let streamed = id_of(&json_of(slaves("_b").body(chunked(bytes.clone())), 201).await);
    site.assert_content(&streamed, &bytes).await;
    assert_eq!(json_of(slaves("_a").body("again"), 409).await["code"], "exists");

    let links = || site.to(Method::POST, &format!("/v1/files/{finished}/links"));
    if group == "group1" {
        // A link is made where the file is.
        let (_, name) = finished.split_once('/').expect("an ID");
        let here = disk::path(&site.group.nodes[1].base, name);
        until("the file on our disk", SOON, async || here.exists().then_some(()).ok_or_else(String::new))
            .await;
        let link = id_of(&json_of(links(), 201).await);
        site.assert_content(&link, &bytes).await;
    } else {
        assert_eq!(json_of(links(), 502).await["code"], "no_link");
    }
}

async fn deletes(site: &Site, group: &str) {
    let mut ids = Vec::new();
    for at in 0..3 {
        ids.push(site.upload(group, at == 1, b"soon gone").await);
    }
    let one = format!("/v1/files/{}", ids[0]);
    assert_eq!(sent(site.to(Method::DELETE, &one)).await.status(), 204);
    let results =
        json_of(site.to(Method::POST, "/v1/batch/delete").body(json!(ids[1..]).to_string()), 200).await;
    assert_eq!(
        (&results["results"][0]["status"], &results["results"][1]["status"]),
        (&204.into(), &204.into())
    );
    for id in &ids {
        site.assert_gone(id).await;
    }
    assert_eq!(json_of(site.to(Method::DELETE, &one), 404).await["code"], "no_such_file");
}

/// Uploads for a group that has members of FastDFS only.
async fn uploads(site: &Site) {
    let post = |query: &str| site.to(Method::POST, &format!("/v1/files?group=group2{query}"));
    for (length, seed) in [(1, 1), (4_096, 2), (700_001, 3)] {
        let bytes = content(length, seed);
        for body in [bytes.clone().into(), chunked(bytes.clone())] {
            let made = json_of(post("&ext=bin").body(body), 201).await;
            let crc32 = format!("{:08x}", crc32fast::hash(&bytes));
            assert_eq!(
                (&made["size"], &made["crc32"], &made["group"]),
                (&length.into(), &crc32.into(), &"group2".into())
            );
            site.assert_content(&id_of(&made), &bytes).await;
        }
    }
    let named = site.to(Method::PUT, "/v1/upload/a.txt?group=group2").body("named");
    let named = id_of(&json_of(named, 201).await);
    site.assert_metadata(&named, b"fdfs.filename\x02a.txt").await;
    // Its bytes come from the storage of FastDFS, and so does its name.
    let read = sent(site.to(Method::GET, &format!("/{named}"))).await;
    assert_eq!(read.headers()["content-disposition"], "inline; filename=\"a.txt\"");
    assert_eq!(read.text().await.expect("a body"), "named");
    let tracker = format!("http://{}:{TRACKER_HTTP_PORT}/v1", site.group.trackers[0].ip);
    let sent_on = site.http.post(format!("{tracker}/files?group=group2&ext=txt")).body("by the tracker");
    let sent_on = id_of(&json_of(sent_on, 201).await);
    site.assert_content(&sent_on, b"by the tracker").await;
    assert_eq!(sent(site.http.delete(format!("{tracker}/files/{sent_on}"))).await.status(), 204);
    site.assert_gone(&sent_on).await;
    let appender = id_of(&json_of(post("&ext=log&kind=appender").body("a"), 201).await);
    json_of(site.to(Method::PATCH, &format!("/v1/files/{appender}")).body("b"), 200).await;
    site.assert_content(&appender, b"ab").await;

    let boundary = "--x\r\nContent-Disposition: form-data; name=\"author\"\r\n\r\nbob\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b.txt\"\r\n\r\nin a form\r\n--x--\r\n";
    let form = post("").header("content-type", "multipart/form-data; boundary=x").body(boundary);
    let form = id_of(&json_of(form, 201).await);
    site.assert_content(&form, b"in a form").await;
    site.assert_metadata(&form, b"author\x02bob\x01fdfs.filename\x02b.txt").await;

    let before = disk::files(&site.alone.base).len();
    for body in [content(3_000, 4).into(), content(700_000, 4).into(), chunked(content(700_000, 4))] {
        let wrong = post("").header("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==").body::<reqwest::Body>(body);
        assert_eq!(sent(wrong).await.status().as_u16(), 400);
    }
    assert_eq!(json_of(post("").header("Expires-In", "60").body("x"), 400).await["code"], "no_expiry");
    assert_eq!(disk::files(&site.alone.base).len(), before, "nothing was stored");
    let once =
        || post("").header("Idempotency-Key", "\"one\"").header("Prefer", "durability=fsync").body("once");
    let first = sent(once()).await;
    assert!(!first.headers().contains_key("preference-applied"), "{:?}", first.headers());
    let first = first.text().await.expect("a body");
    let first: serde_json::Value = serde_json::from_str(&first).expect("JSON");
    assert_eq!(json_of(once(), 201).await, first);
    assert_eq!(disk::files(&site.alone.base).len(), before + 1);
}
