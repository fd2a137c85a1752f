//! `durability = replica:N`: an answer of success means copies on other members, whatever happens to the node afterwards.

use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::RequestBuilder;
use serde_json::Value;

use crate::address::STORAGE_HTTP_PORT;
use crate::content;
use crate::group::server::Make::{Ours, Theirs};
use crate::group::{Group, JOIN, disk, disk_name};
use crate::theirs::is_here;
use crate::wait::until;

fn post(group: &Group, replicas: u8, key: &str, body: &[u8]) -> RequestBuilder {
    let url = format!("http://{}:{STORAGE_HTTP_PORT}/v1/files?filename=a.bin", group.nodes[0].ip);
    reqwest::Client::new()
        .post(url)
        .header("prefer", format!("durability=\"replica:{replicas}\""))
        .header("idempotency-key", key)
        .body(body.to_vec())
}

async fn answer(request: RequestBuilder) -> (u16, Value) {
    let response = request.send().await.expect("the node answers");
    let status = response.status().as_u16();
    let body = response.bytes().await.expect("the answer is whole");
    (status, serde_json::from_slice(&body).expect("every answer is JSON"))
}

fn id(json: &Value) -> String {
    json["file_id"].as_str().unwrap_or_else(|| panic!("no ID: {json}")).to_owned()
}

/// The node hears from a tracker, with one of its next beats, who is in service.
async fn wait_for_members(group: &Group, replicas: u8) {
    until("enough members in service", JOIN, async || {
        match answer(post(group, replicas, "ready", b"ready")).await {
            (201, _) => Ok(()),
            (503, json) if json["code"] == "not_enough_replicas" => Err(json.to_string()),
            (status, json) => panic!("{status}: {json}"),
        }
    })
    .await;
}

/// Metadata included.
fn has(base: &Path, id: &str, body: &[u8]) -> bool {
    let file = base.join("data").join(disk_name(id));
    let metadata = base.join("data").join(format!("{}-m", disk_name(id)));
    std::fs::read(file).is_ok_and(|copy| copy == body) && metadata.is_file()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_are_there_when_the_answer_is_and_a_frozen_member_is_told() {
    let group = Group::start(&[Ours], &[Ours; 3]).await;
    wait_for_members(&group, 2).await;
    for (number, length) in [0, 1_000, 300_000, 5_000_000].into_iter().enumerate() {
        let body = content::content(length, 7);
        let (status, json) = answer(post(&group, 2, &format!("whole-{number}"), &body)).await;
        assert_eq!(status, 201, "{json}");
        for node in &group.nodes {
            assert!(has(&node.base, &id(&json), &body), "{} lacks {json}", node.ip);
        }
    }
    let (status, json) = answer(post(&group, 3, "three", b"abc")).await;
    assert_eq!((status, json["code"].as_str()), (503, Some("not_enough_replicas")), "{json}");

    group.nodes[2].freeze();
    let start = Instant::now();
    let waited = tokio::spawn(answer(post(&group, 2, "frozen", b"frozen")));
    let (status, json) = answer(post(&group, 1, "one", b"one")).await;
    assert_eq!(status, 201, "one member is well: {json}");
    assert!(has(&group.nodes[1].base, &id(&json), b"one"));
    assert!(start.elapsed() < Duration::from_secs(5), "the frozen one held it up: {:?}", start.elapsed());

    let (status, json) = waited.await.expect("it does not panic");
    assert_eq!((status, json["code"].as_str()), (504, Some("not_confirmed")), "{json}");
    let made = json["files"][0].as_str().expect("it is named").to_owned();
    assert!(has(&group.nodes[0].base, &made, b"frozen") && has(&group.nodes[1].base, &made, b"frozen"));

    group.nodes[2].thaw();
    until("the same request is answered with the same file", JOIN, async || {
        match answer(post(&group, 2, "frozen", b"frozen")).await {
            (201, json) if id(&json) == made => Ok(()),
            (504, json) if json["files"][0] == made.as_str() => Err(json.to_string()),
            (status, json) => panic!("{status}: {json}"),
        }
    })
    .await;
    assert!(has(&group.nodes[2].base, &made, b"frozen"));
    let all = |node: &crate::group::server::Server| {
        let bases = disk::files(&node.base);
        bases.keys().filter(|name| !name.ends_with("-m")).count()
    };
    until("seven files each", JOIN, async || {
        let counts: Vec<usize> = group.nodes.iter().map(all).collect();
        if counts == [7; 3] { Ok(()) } else { Err(format!("{counts:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_fastdfs_confirm_as_well() {
    if !is_here("members_of_fastdfs_confirm_as_well") {
        return;
    }
    let group = Group::start(&[Ours], &[Ours, Theirs, Theirs]).await;
    wait_for_members(&group, 2).await;
    for length in [1_000, 3_000_000] {
        let body = content::content(length, 7);
        let (status, json) = answer(post(&group, 2, &length.to_string(), &body)).await;
        assert_eq!(status, 201, "{json}");
        for node in &group.nodes {
            assert!(has(&node.base, &id(&json), &body), "{} lacks {json}", node.ip);
        }
    }
}
