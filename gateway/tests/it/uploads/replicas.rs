//! Uploads that other members have to confirm.

use axum::body::Body;

use super::repeats::Remembering;
use super::{assert_nothing_left, post};
use crate::ask::Answer;
use crate::fake::Fake;

const TWO: (&str, &str) = ("prefer", "durability=\"replica:2\"");

fn ids(json: &serde_json::Value) -> Vec<String> {
    json.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

fn assert_not_confirmed(answer: &Answer) -> Vec<String> {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (504, "not_confirmed"));
    assert_eq!(answer.header("preference-applied"), "");
    ids(&answer.json()["files"])
}

#[tokio::test]
async fn an_upload_is_answered_when_the_members_have_it() {
    for (prefer, configured, needed, applied) in [
        ("durability=replica:2", 0, 2, "durability=\"replica:2\""),
        ("durability=\"fsync+replica:1\"", 2, 2, "durability=\"fsync+replica:1\""),
        ("durability=write", 1, 1, "durability=write"),
        ("wait=5", 1, 1, ""),
    ] {
        let store = Fake::new();
        store.0.members.are(2, 2);
        store.0.members.have_to_confirm(configured);
        for len in ["3", ""] {
            let headers = [("prefer", prefer), ("content-length", len)];
            let headers = if len.is_empty() { &headers[..1] } else { &headers[..] };
            let answer = post(&store, "/v1/files", headers, Body::from("abc")).await;
            assert_eq!(answer.status, 201, "{prefer}");
            assert_eq!(answer.header("preference-applied"), applied);
            let id = answer.json()["file_id"].as_str().unwrap().to_owned();
            assert_eq!(store.0.members.waits().pop(), Some((vec![id], needed)));
        }
    }
    let store = Fake::new();
    store.0.members.are(2, 0);
    assert_eq!(post(&store, "/v1/files", &[], Body::from("abc")).await.status, 201);
    assert_eq!((store.0.members.begun(), store.0.members.waits()), (0, Vec::new()), "nobody wants it");
}

#[tokio::test]
async fn metadata_has_to_be_there_as_well_and_all_files_of_a_form_are_waited_for_at_once() {
    let store = Fake::new();
    store.0.members.are(2, 2);
    let answer = post(&store, "/v1/files?filename=a.txt", &[TWO], Body::from("abc")).await;
    let id = answer.json()["file_id"].as_str().unwrap().to_owned();
    assert_eq!(store.0.members.waits(), [(vec![id.clone(), format!("{id}-m")], 2)]);

    let store = Fake::new();
    store.0.members.are(2, 1);
    let part = "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nabc\r\n";
    let headers = [TWO, ("content-type", "multipart/form-data; boundary=XX")];
    let answer = post(&store, "/v1/files", &headers, Body::from(format!("{part}{part}--XX--\r\n"))).await;
    let made = assert_not_confirmed(&answer);
    assert_eq!((made.len(), store.count(), answer.header("location")), (2, 2, ""));
    let names: Vec<String> = made.iter().flat_map(|id| [id.clone(), format!("{id}-m")]).collect();
    assert_eq!(store.0.members.waits(), [(names, 2)]);
}

#[tokio::test]
async fn nothing_is_stored_that_too_few_members_could_confirm() {
    for (headers, configured) in [(&[TWO][..], 0), (&[], 2)] {
        let store = Fake::new();
        store.0.members.are(1, 1);
        store.0.members.have_to_confirm(configured);
        let answer = post(&store, "/v1/files", headers, Body::from("abc")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "not_enough_replicas"));
        assert!(answer.json()["detail"].as_str().unwrap().contains("and 1 are in service"));
        assert_nothing_left(&store, "too few members");
        assert_eq!(store.0.members.begun(), 0);
    }
}

#[tokio::test]
async fn what_is_not_confirmed_in_time_stays_and_is_named() {
    let store = Fake::new();
    store.0.members.are(2, 1);
    let answer = post(&store, "/v1/files", &[TWO], Body::from("abc")).await;
    let made = assert_not_confirmed(&answer);
    assert_eq!(made.len(), 1);
    assert_eq!(answer.header("location"), format!("/{}", made[0]));
    assert!(answer.json()["detail"].as_str().unwrap().contains("1 of the 2 members"));
    assert_eq!(store.content(&made[0]).unwrap(), "abc");
}

#[tokio::test]
async fn the_same_request_waits_on_for_the_same_file() {
    let node = Remembering::new();
    let send = async |node: &Remembering, prefer: (&str, &str)| {
        let headers = [("idempotency-key", "one"), ("content-length", "3"), prefer];
        post(&node.store, "/v1/files", &headers, Body::from("abc")).await
    };
    node.store.0.members.are(2, 1);
    let made = assert_not_confirmed(&send(&node, TWO).await);
    let after = node.begin_anew();
    for node in [&node, &after] {
        node.store.0.members.are(2, 1);
        let again = send(node, TWO).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(assert_not_confirmed(&again), made);
        let weaker = send(node, ("prefer", "durability=write")).await;
        assert_eq!((weaker.status.as_u16(), weaker.header("preference-applied")), (201, "durability=write"));
        node.store.0.members.are(0, 2);
        for _ in 0..2 {
            let again = send(node, TWO).await;
            assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
            assert_eq!(again.header("preference-applied"), "durability=\"replica:2\"");
            assert_eq!(again.json()["file_id"], made[0].as_str());
        }
        assert_eq!(node.store.count(), 1);
    }
}

/// As a kill during the wait leaves it.
#[tokio::test]
async fn what_was_stored_before_a_kill_has_to_be_confirmed_still() {
    let node = Remembering::new();
    node.store.0.members.are(2, 2);
    let headers = [("idempotency-key", "one"), ("content-length", "3"), TWO];
    let first = post(&node.store, "/v1/files", &headers, Body::from("abc")).await;
    assert_eq!(first.status, 201);
    node.forget_answers();
    let node = node.begin_anew();
    node.store.0.members.are(2, 1);
    let again = post(&node.store, "/v1/files", &headers, Body::from("abc")).await;
    assert_eq!(assert_not_confirmed(&again), [first.json()["file_id"].as_str().unwrap()]);
    node.store.0.members.are(2, 2);
    let again = post(&node.store, "/v1/files", &headers, Body::from("abc")).await;
    assert_eq!((again.status.as_u16(), node.store.count()), (201, 1));
    assert_eq!(again.json()["file_id"], first.json()["file_id"]);
}

#[tokio::test]
async fn a_free_key_is_what_a_refusal_leaves() {
    let node = Remembering::new();
    node.store.0.members.are(1, 1);
    let headers = [("idempotency-key", "one"), TWO];
    let answer = post(&node.store, "/v1/files", &headers, Body::from("abc")).await;
    assert_eq!(answer.code(), "not_enough_replicas");
    node.store.0.members.are(2, 2);
    let answer = post(&node.store, "/v1/files", &headers, Body::from("abc")).await;
    assert_eq!((answer.status.as_u16(), answer.header("idempotency-replayed")), (201, ""));
}
