//! Trackers that come late, go, come back, or do not want this node yet; and what `/readyz` makes of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::cluster::StorageStatus;

use crate::address::fresh;
use crate::fake_tracker::{Cluster, FakeTracker};
use crate::running::{Running, plain_cluster};

const READY: &str = "GET /readyz HTTP/1.0\r\n\r\n";

/// Waits until `/readyz` answers with this status, and gives the answer.
async fn wait_for(node: &Running, status: &str, says: &str) {
    let start = Instant::now();
    loop {
        let answer = node.http(READY).await;
        let head = answer.lines().next().unwrap_or_default();
        if head.contains(status) && answer.contains(says) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_may_come_late_and_go_and_come_back() {
    let tracker = SocketAddr::new(fresh(), 22122);
    let mut node = Running::start_with(fresh(), tracker, "").await;
    assert!(node.http("GET /healthz HTTP/1.0\r\n\r\n").await.contains(" 200 "));
    wait_for(&node, " 503 ", &tracker.to_string()).await;

    let running = FakeTracker::start(tracker, plain_cluster()).await;
    wait_for(&node, " 200 ", "").await;
    let id = node.upload(b"in time", "txt").await;

    drop(running);
    wait_for(&node, " 503 ", &tracker.to_string()).await;
    assert_eq!(node.client().download_bytes(node.address, &id, 10).await.unwrap(), "in time");
    node.upload(b"who it is is still known", "txt").await;

    let _running = FakeTracker::start(tracker, plain_cluster()).await;
    wait_for(&node, " 200 ", "").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lacks_old_files_is_not_ready() {
    let cluster = Cluster { status: StorageStatus::WAIT_SYNC, ..plain_cluster() };
    let node = Running::start(fresh(), cluster, "").await;
    wait_for(&node, " 503 ", "WAIT_SYNC").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_doors_lead_to_the_same_files() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let id = node.upload(b"by the native door", "txt").await;
    let answer = node.http(&format!("GET /{id} HTTP/1.0\r\n\r\n")).await;
    assert!(answer.contains(" 200 ") && answer.ends_with("\r\n\r\nby the native door"), "{answer}");

    let content = "by HTTP";
    let before = node.binlog();
    let post = format!(
        "POST /v1/files HTTP/1.0\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{content}",
        content.len()
    );
    let answer = node.http(&post).await;
    assert!(answer.contains(" 201 "), "{answer}");
    let location = answer.lines().find_map(|line| line.strip_prefix("location: /")).unwrap();
    let id = location.parse().unwrap();
    assert_eq!(node.client().download_bytes(node.address, &id, 100).await.unwrap(), content);
    let binlog = node.binlog();
    assert!(binlog.strip_prefix(&before).unwrap().ends_with(&format!(" C {}\n", id.name)), "{binlog}");

    let answer = node.http(&format!("DELETE /v1/files/{id} HTTP/1.0\r\n\r\n")).await;
    assert!(answer.contains(" 204 "), "{answer}");
    let gone = node.client().download_bytes(node.address, &id, 100).await;
    assert_eq!(gone.unwrap_err().errno(), 2);
}
