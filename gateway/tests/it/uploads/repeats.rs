//! Uploads that are sent again under one idempotency key.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use gateway::idempotency::Keys;
use protocol::config::storage_conf::Durability;

use super::{assert_nothing_left, broken, post};
use crate::ask::Answer;
use crate::fake::{Fake, Mood};

/// A store that remembers keys.
pub(super) struct Remembering {
    pub(super) store: Fake,
    directory: tempfile::TempDir,
}

impl Remembering {
    pub(super) fn new() -> Self {
        let new = Self { store: Fake::new(), directory: tempfile::tempdir().unwrap() };
        new.store.0.keys.set(new.keys()).unwrap();
        new
    }

    fn keys(&self) -> Keys {
        let path = self.directory.path().join("idempotency.log");
        Keys::open(path, Duration::from_secs(100), Durability::Write, SystemTime::now()).unwrap()
    }

    /// What is stored stays, and the process begins anew.
    pub(super) fn begin_anew(&self) -> Self {
        let store = Fake::new();
        *store.0.stored.lock().unwrap() = self.store.0.stored.lock().unwrap().clone();
        *store.0.metadata.lock().unwrap() = self.store.0.metadata.lock().unwrap().clone();
        store.0.keys.set(self.keys()).unwrap();
        Self { store, directory: tempfile::tempdir().unwrap() }
    }

    /// As a kill leaves it: stored, and not noted.
    pub(super) fn forget_answers(&self) {
        let log = self.directory.path().join("idempotency.log");
        let text = std::fs::read_to_string(&log).unwrap();
        let begun: String =
            text.lines().filter(|line| line.starts_with("B ")).map(|line| format!("{line}\n")).collect();
        assert_eq!(begun.lines().count(), 1);
        std::fs::write(&log, begun).unwrap();
    }

    async fn send(&self, key: &str, target: &str, body: &'static str) -> Answer {
        let len = body.len().to_string();
        let headers = [("idempotency-key", key), ("content-length", len.as_str()), ("host", "a:1")];
        post(&self.store, target, &headers, Body::from(body)).await
    }
}

#[tokio::test]
async fn a_repeated_upload_makes_one_file_also_after_a_restart() {
    let node = Remembering::new();
    let first = node.send("\"one\"", "/v1/files?filename=a.txt", "abc").await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
    let node_again = node.begin_anew();
    for node in [&node, &node_again] {
        let again = node.send("one", "/v1/files?filename=a.txt", "abc").await;
        assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("location"), first.header("location"));
        assert_eq!(again.header("content-type"), "application/json");
        for (target, body) in [("/v1/files?filename=b.txt", "abc"), ("/v1/files?filename=a.txt", "abcd")] {
            let other = node.send("one", target, body).await;
            assert_eq!((other.status.as_u16(), other.code().as_str()), (422, "idempotency_mismatch"));
        }
        assert_eq!(node.store.count(), 1);
    }
    assert_eq!(node.send("two", "/v1/files?filename=a.txt", "abc").await.status, 201);
    assert_eq!(node.store.count(), 2);
}

#[tokio::test]
async fn what_stored_nothing_leaves_the_key_free() {
    let node = Remembering::new();
    let headers = [("idempotency-key", "one")];
    let answer = post(&node.store, "/v1/files", &headers, broken(b"abc")).await;
    assert_eq!(answer.code(), "body_broken");
    node.store.set_mood(Mood::Full);
    assert_eq!(node.send("one", "/v1/files", "abc").await.code(), "no_space");
    assert_nothing_left(&node.store, "full");
    node.store.set_mood(Mood::Willing);
    let answer = node.send("one", "/v1/files", "abc").await;
    assert_eq!((answer.status.as_u16(), answer.header("idempotency-replayed")), (201, ""));
}

#[tokio::test]
async fn what_was_stored_and_not_noted_is_found() {
    let node = Remembering::new();
    let first = node.send("one", "/v1/files?filename=a.txt", "abc").await;
    // A store that has a log has positions in it.
    node.forget_answers();
    let node = node.begin_anew();
    for _ in 0..2 {
        let again = node.send("one", "/v1/files?filename=a.txt", "abc").await;
        assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
        assert_eq!(again.body, first.body);
        assert_eq!(node.store.count(), 1);
    }
}

#[tokio::test]
async fn one_request_with_a_key_is_under_way_at_a_time() {
    let node = Remembering::new();
    let stalled = super::stalled(b"abc");
    let headers = [("idempotency-key", "one")];
    let waiting = post(&node.store, "/v1/files", &headers, stalled);
    tokio::pin!(waiting);
    let limit = Duration::from_millis(50);
    assert!(tokio::time::timeout(limit, &mut waiting).await.is_err(), "its body does not end");
    let answer = post(&node.store, "/v1/files", &headers, Body::from("abc")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (409, "idempotency_under_way"));
}

#[tokio::test]
async fn odd_keys_are_refused() {
    let long = "k".repeat(256);
    for key in ["", "\"\"", "a\"b", long.as_str()] {
        let node = Remembering::new();
        let answer = node.send(key, "/v1/files", "abc").await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "bad_idempotency_key"), "{key}");
        assert_nothing_left(&node.store, key);
    }
    let store = Fake::new();
    let answer = post(&store, "/v1/files", &[("idempotency-key", "one")], Body::from("abc")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "no_idempotency"));
    assert_nothing_left(&store, "no keys");
}
