//! One address is enough: two groups behind two trackers, uploads, reads and changes by way of a tracker with the real
//! curl, and what operators do.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::address::{self, TRACKER_HTTP_PORT};
use crate::cluster::{Config, Daemon, FEW_DIRECTORIES};
use crate::content::content;
use crate::one_store::get;
use crate::process::Process;
use crate::wait::until;

const SOON: Duration = Duration::from_secs(30);

/// Two trackers, and a node of each group.
struct Groups {
    // Before the directory, so that the daemons end first.
    nodes: [Daemon; 2],
    trackers: [Daemon; 2],
    dir: TempDir,
}

impl Groups {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let inside = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).expect("the scratch directory can be written");
            path
        };
        let ips = [address::fresh(), address::fresh()];
        let in_turn = |conf: Config| conf.set("store_lookup", 0);
        let trackers = [
            Daemon::tracker(&inside("first"), ips[0], in_turn).await,
            Daemon::tracker(&inside("second"), ips[1], in_turn).await,
        ];
        let nodes = [node(&inside("a"), "group1", ips).await, node(&inside("b"), "group2", ips).await];
        let groups = Self { nodes, trackers, dir };
        for tracker in &groups.trackers {
            until("both groups", SOON, async || {
                let found = json(&tracker.url("/v1/cluster")).await;
                let ready = found["totals"]["active"] == 2 && !found["leader"].is_null();
                if ready { Ok(()) } else { Err(found.to_string()) }
            })
            .await;
        }
        groups
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).expect("the scratch directory can be written");
        path.display().to_string()
    }
}

async fn node(dir: &Path, group: &str, trackers: [IpAddr; 2]) -> Daemon {
    let second = format!("tracker_server = {}", address::tracker(trackers[1]));
    Daemon::node(dir, address::fresh(), trackers[0], |conf| {
        conf.set("group_name", group).add(&second).add(FEW_DIRECTORIES)
    })
    .await
}

async fn json(url: &str) -> Value {
    let answer = reqwest::get(url).await.expect("the tracker answers");
    serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON")
}

/// What curl prints; it must succeed.
async fn curl(arguments: &[&str]) -> String {
    let mut process = Process::start(Command::new("curl").args(["-sS", "--fail-with-body"]).args(arguments));
    let ended = process.ended().await;
    assert!(ended.status.success(), "curl {arguments:?}: {}{}", ended.stdout, ended.stderr);
    ended.stdout
}

fn stored(text: &str) -> String {
    let stored: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    stored["file_id"].as_str().expect("an ID").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_needs_a_tracker_only() {
    let groups = Groups::start().await;
    let [tracker, other] = &groups.trackers;
    let (small, large) = (content(70_000, 1), content(30_000_000, 2));
    let (small_path, large_path) = (groups.file("a.txt", &small), groups.file("b.bin", &large));
    let url = tracker.url("/v1/files?filename=a.txt");
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(stored(&curl(&["-L", "--data-binary", &format!("@{small_path}"), &url]).await));
    }
    let in_group = other.url("/v1/upload/b.bin?group=group2");
    ids.push(stored(&curl(&["-L", "-T", &large_path, &in_group]).await));
    let mut names: Vec<_> = ids[..2].iter().filter_map(|id| id.split('/').next()).collect();
    names.sort_unstable();
    assert_eq!(
        (names, ids[2].starts_with("group2/")),
        (vec!["group1", "group2"], true),
        "groups take turns: {ids:?}"
    );

    for (id, bytes) in ids.iter().zip([&small, &small, &large]) {
        for tracker in &groups.trackers {
            let path = groups.dir.path().join("read").display().to_string();
            curl(&["-L", "-o", &path, &tracker.url(&format!("/{id}?filename=x"))]).await;
            assert!(std::fs::read(&path).expect("curl wrote it") == *bytes, "{id}");
        }
        let head = curl(&["-L", "-I", &tracker.url(&format!("/{id}"))]).await;
        assert!(head.contains(&format!("content-length: {}", bytes.len())), "{head}");
    }
    let [first, ..] = &ids[..] else { panic!("three were stored") };
    let holders = json(&tracker.url(&format!("/v1/schedule/holders/{first}"))).await;
    assert_eq!(
        (&holders["holders"][0]["has"], &holders["holders"][0]["is_source"]),
        (&"yes".into(), &true.into())
    );
    let places = json(&tracker.url(&format!("/v1/schedule/download/{first}"))).await;
    let url = places["places"][0]["url"].as_str().expect("a URL");
    assert!(get(url).await == (StatusCode::OK, small), "{url}");

    curl(&["-L", "-X", "DELETE", &tracker.url(&format!("/v1/files/{first}"))]).await;
    let gone = reqwest::get(tracker.url(&format!("/{first}"))).await.expect("the node answers");
    assert_eq!(gone.status(), StatusCode::NOT_FOUND, "the node says so, the tracker does not know");
}

/// What a tracker answers to a head before the body that it announces has come.
fn answer_to_head(tracker: IpAddr, more: &str) -> String {
    let at = SocketAddr::new(tracker, TRACKER_HTTP_PORT);
    let mut stream = TcpStream::connect(at).expect("the tracker listens");
    stream.set_read_timeout(Some(SOON)).expect("a timeout can be set");
    let head = format!("POST /v1/files HTTP/1.1\r\nHost: {at}\r\nContent-Length: 1000000\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).expect("the tracker reads");
    let mut answer = [0; 1024];
    let len = stream.read(&mut answer).expect("the tracker answers");
    String::from_utf8_lossy(&answer[..len]).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_not_awaited_where_it_does_not_belong() {
    let groups = Groups::start().await;
    for more in ["", "Expect: 100-continue\r\n"] {
        let answer = answer_to_head(groups.trackers[0].ip, more);
        assert!(answer.starts_with("HTTP/1.1 307 "), "no 100 Continue, no wait: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_change_all_trackers_through_one() {
    let mut groups = Groups::start().await;
    let client = Client::new();
    let id = groups.nodes[1].ip.to_string();
    let storage = format!("/v1/groups/group2/storages/{id}");
    let first = groups.trackers[0].url("");
    let mode = |mode: &str| {
        client.put(format!("{first}{storage}/mode")).body(format!("{{\"mode\": \"{mode}\"}}")).send()
    };
    let answer = mode("r").await.expect("the tracker answers");
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
    let done: Vec<_> =
        answer["trackers"].as_array().expect("a list").iter().map(|one| &one["outcome"]).collect();
    assert_eq!(done, ["done", "done"]);
    for tracker in &groups.trackers {
        for _ in 0..2 {
            let place = json(&tracker.url("/v1/schedule/upload")).await;
            assert_eq!(place["places"][0]["group"], "group1", "group2 takes no uploads");
        }
        assert_eq!(json(&tracker.url(&storage)).await["mode"], "r");
    }
    groups.trackers[1].process.stop().await;
    groups.trackers[1].restart().await;
    assert_eq!(json(&groups.trackers[1].url(&storage)).await["mode"], "r", "it is kept");

    let delete = || client.delete(format!("{first}{storage}")).send();
    assert_eq!(
        delete().await.expect("the tracker answers").status(),
        StatusCode::CONFLICT,
        "it is in service"
    );
    groups.nodes[1].process.stop().await;
    for tracker in &groups.trackers {
        until("offline storage", SOON, async || {
            let found = json(&tracker.url(&storage)).await;
            if found["status"] == "OFFLINE" { Ok(()) } else { Err(found.to_string()) }
        })
        .await;
    }
    assert_eq!(delete().await.expect("the tracker answers").status(), StatusCode::OK);
    for tracker in &groups.trackers {
        assert_eq!(json(&tracker.url(&storage)).await["status"], "DELETED");
    }
    let group = client.delete(format!("{first}/v1/groups/group2")).send().await.expect("the tracker answers");
    assert_eq!(group.status(), StatusCode::OK);
    for tracker in &groups.trackers {
        assert_eq!(json(&tracker.url("/v1/groups")).await["groups"].as_array().map(Vec::len), Some(1));
    }
}
