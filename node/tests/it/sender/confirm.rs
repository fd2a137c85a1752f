//! Uploads that other members have to confirm before they are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::cluster::StorageStatus;
use protocol::{FileId, Status};
use serde_json::Value;

use crate::address::fresh;
use crate::running::try_upload;
use crate::sending::{Sending, wait, wait_file};
use crate::taker::{Do, Kind, Taker};

/// Members that keep all requests waiting as long as this says so.
fn hold(takers: &[&Taker]) -> Arc<AtomicBool> {
    let holds = Arc::new(AtomicBool::new(true));
    for taker in takers {
        let held = Arc::clone(&holds);
        taker.script(move |_| if held.load(Ordering::SeqCst) { Do::Hold } else { Do::Apply });
    }
    holds
}

async fn all_active(sending: &Sending, takers: &[&Taker]) {
    let members: Vec<_> = takers.iter().map(|taker| (taker.ip, StorageStatus::ACTIVE)).collect();
    sending.members(&members);
    wait(|| takers.iter().all(|taker| taker.connections() > 0), || "a member is not sent to".to_owned())
        .await;
}

/// Status, head and body of the answer to an upload of `abc`.
async fn post(sending: &Sending, query: &str, headers: &str) -> (u16, String, Value) {
    let request = format!(
        "POST /v1/files{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: 3\r\n\r\nabc"
    );
    let answer = sending.node.http(&request).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, head.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn count_files(sending: &Sending) -> usize {
    let binlog = sending.node.binlog();
    let made = binlog.lines().filter(|line| line.contains(" C ")).count();
    made - binlog.lines().filter(|line| line.contains(" D ")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_is_answered_by_either_protocol_when_members_of_either_kind_have_it() {
    let sending = Arc::new(Sending::start_with("durability = replica:2").await);
    let (ours, theirs) =
        (Taker::start(fresh(), Kind::Fdfs).await, Taker::start(fresh(), Kind::FastDfs).await);
    all_active(&sending, &[&ours, &theirs]).await;
    let large = vec![b'x'; 300 * 1024];
    for content in [&b"small"[..], &large] {
        let id = sending.node.upload(content, "txt").await;
        assert!(ours.has(&id.name, content) && theirs.has(&id.name, content));
    }
    let (status, head, json) = post(&sending, "?filename=a.txt", "").await;
    assert_eq!(status, 201, "{head} {json}");
    let id = FileId::parse(json["file_id"].as_str().expect("an ID")).expect("an ID");
    for taker in [&ours, &theirs] {
        assert!(taker.has(&id.name, b"abc"));
        assert!(taker.held(&id.name.metadata_name().expect("it is short")).is_some());
    }

    let holds = hold(&[&theirs]);
    let waiting = tokio::spawn({
        let sending = Arc::clone(&sending);
        async move { sending.node.upload(b"waits", "txt").await }
    });
    wait(|| count_files(&sending) == 5, || sending.node.binlog()).await;
    wait(|| ours.files().len() == 5, || format!("{:?}", ours.files().keys())).await;
    assert!(!waiting.is_finished(), "one of two members has it");
    holds.store(false, Ordering::SeqCst);
    let id = waiting.await.expect("it does not panic");
    wait_file(&theirs, &id.name, b"waits").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_confirmed_in_time_is_told_by_rest_and_taken_back_natively() {
    let sending = Sending::start_with("durability_timeout = 1\nhttp.idempotency_key_lifetime = 1000").await;
    let (one, other) = (Taker::start(fresh(), Kind::Fdfs).await, Taker::start(fresh(), Kind::Fdfs).await);
    all_active(&sending, &[&one, &other]).await;
    let holds = hold(&[&other]);
    let headers = "Prefer: durability=\"replica:2\"\r\nIdempotency-Key: \"k\"\r\n";
    let (status, head, json) = post(&sending, "", headers).await;
    assert_eq!((status, json["code"].as_str()), (504, Some("not_confirmed")), "{head} {json}");
    assert!(json["detail"].as_str().expect("a sentence").contains("1 of the 2 members"), "{json}");
    let id = json["files"][0].as_str().expect("an ID").to_owned();
    let name = FileId::parse(&id).expect("an ID").name;
    assert!(one.has(&name, b"abc"));
    let (status, _, json) = post(&sending, "", headers).await;
    assert_eq!((status, json["files"][0].as_str()), (504, Some(id.as_str())));
    assert!(json["detail"].as_str().expect("a sentence").contains("1 of the 2 members"), "{json}");

    holds.store(false, Ordering::SeqCst);
    wait_file(&other, &name, b"abc").await;
    let (status, head, json) = post(&sending, "", headers).await;
    assert_eq!((status, json["file_id"].as_str()), (201, Some(id.as_str())), "{head}");
    assert!(head.to_ascii_lowercase().contains("idempotency-replayed: true"), "{head}");

    // Without success, and without a word about the file, none stays.
    drop(sending);
    let sending = Sending::start_with("durability = replica:1\ndurability_timeout = 1").await;
    let taker = Taker::start(fresh(), Kind::FastDfs).await;
    all_active(&sending, &[&taker]).await;
    let holds = hold(&[&taker]);
    let refused = try_upload(&sending.node.client(), sending.node.address, b"abc", "txt").await;
    assert_eq!(refused, Err(Status::ETIMEDOUT));
    assert_eq!(count_files(&sending), 0, "{}", sending.node.binlog());
    holds.store(false, Ordering::SeqCst);
    sending.wait_in_step(taker.ip).await;
    assert!(taker.files().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_stored_that_too_few_members_in_service_could_confirm() {
    let sending = Sending::start_with("durability = replica:1").await;
    let taker = Taker::start(fresh(), Kind::Fdfs).await;
    let refused = async |sending: &Sending, headers: &str, there: &str| {
        let (status, _, json) = post(sending, "", headers).await;
        assert_eq!((status, json["code"].as_str()), (503, Some("not_enough_replicas")), "{json}");
        assert!(json["detail"].as_str().expect("a sentence").contains(there), "{json}");
    };
    refused(&sending, "", "0 are in service").await;
    let large = vec![b'x'; 300 * 1024];
    for content in [&b"small"[..], &large] {
        let refused = try_upload(&sending.node.client(), sending.node.address, content, "txt").await;
        assert_eq!(refused, Err(Status::EBUSY));
    }
    all_active(&sending, &[&taker]).await;
    refused(&sending, "Prefer: durability=replica:2\r\n", "1 are in service").await;
    assert_eq!(sending.node.binlog(), "");
    let id = sending.node.upload(b"abc", "txt").await;
    assert!(taker.has(&id.name, b"abc"));
    sending.members(&[(taker.ip, StorageStatus::OFFLINE)]);
    let client = sending.node.client();
    let start = std::time::Instant::now();
    while try_upload(&client, sending.node.address, b"abc", "txt").await != Err(Status::EBUSY) {
        assert!(start.elapsed() < crate::noting::PATIENCE, "an offline member counts");
    }
}
