//! Files that are asked for over and over by HTTP: they are kept ready, and what is gone is gone at once.

use std::fs;
use std::time::{Duration, Instant};

use protocol::FileId;

use crate::address::fresh;
use crate::running::{Running, plain_cluster};

/// One that is kept with its content, and one that is kept open.
const LENS: [usize; 2] = [3_000, 300_000];

const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";

fn content(len: usize, from: usize) -> String {
    (0..len).map(|at| char::from(LETTERS[(at * 7 + at / 26 + from) % LETTERS.len()])).collect()
}

async fn get(node: &Running, id: &FileId) -> (u16, String) {
    let answer = node.http(&format!("GET /{id} HTTP/1.0\r\n\r\n")).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a head has a status"), body.to_owned())
}

/// Looks at the disk each time.
const ALWAYS_LOOK: &str = "http.open_file_cache_valid = 0";

/// Uploads a file and asks for it until it must be ready.
async fn warm(node: &Running, content: &str) -> FileId {
    let id = node.upload(content.as_bytes(), "txt").await;
    for _ in 0..3 {
        assert_eq!(get(node, &id).await, (200, content.to_owned()));
    }
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_deleted_is_not_served_again() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    for len in LENS {
        let content = content(len, 0);
        let by_http = warm(&node, &content).await;
        let answer = node.http(&format!("DELETE /v1/files/{by_http} HTTP/1.0\r\n\r\n")).await;
        assert!(answer.contains(" 204 "), "{answer}");
        assert_eq!(get(&node, &by_http).await.0, 404, "{len}");

        let natively = warm(&node, &content).await;
        node.client().delete(node.address, &natively).await.unwrap();
        assert_eq!(get(&node, &natively).await.0, 404, "{len}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_somebody_removes_is_served_for_a_second_at_most() {
    for (more, longest) in [(ALWAYS_LOOK, Duration::ZERO), ("", Duration::from_secs(1))] {
        let node = Running::start(fresh(), plain_cluster(), more).await;
        for len in LENS {
            let id = warm(&node, &content(len, 0)).await;
            fs::remove_file(node.path(&id)).unwrap();
            let removed = Instant::now();
            loop {
                let asked = removed.elapsed();
                if get(&node, &id).await.0 == 404 {
                    break;
                }
                assert!(asked <= longest, "{len}: after {asked:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_replaced_is_served_as_it_is_now() {
    let node = Running::start(fresh(), plain_cluster(), ALWAYS_LOOK).await;
    for len in LENS {
        let id = warm(&node, &content(len, 0)).await;
        let other = content(len, 13);
        let beside = node.path(&id).with_extension("new");
        fs::write(&beside, &other).unwrap();
        fs::rename(&beside, node.path(&id)).unwrap();
        assert_eq!(get(&node, &id).await, (200, other), "{len}");
        // Shorter than its name says, so it is no longer what the name describes.
        fs::write(node.path(&id), "short").unwrap();
        assert_eq!(get(&node, &id).await, (200, "short".to_owned()), "{len}");
        fs::write(node.path(&id), "other").unwrap();
        assert_eq!(get(&node, &id).await, (200, "other".to_owned()), "{len}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_and_conditions_of_a_ready_file_are_its_own() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    for len in LENS {
        let content = content(len, 0);
        let id = warm(&node, &content).await;
        let part = node.http(&format!("GET /{id} HTTP/1.0\r\nRange: bytes=100-199\r\n\r\n")).await;
        assert!(
            part.contains(" 206 ") && part.ends_with(&format!("\r\n\r\n{}", &content[100..200])),
            "{part}"
        );
        let same = node.http(&format!("GET /{id} HTTP/1.0\r\nIf-None-Match: *\r\n\r\n")).await;
        assert!(same.contains(" 304 "), "{same}");
        let head = node.http(&format!("HEAD /{id} HTTP/1.0\r\n\r\n")).await;
        assert!(head.contains(&format!("content-length: {len}\r\n")) && head.ends_with("\r\n\r\n"), "{head}");
        let named = node.http(&format!("GET /{id}?filename=x.txt HTTP/1.0\r\n\r\n")).await;
        assert!(named.contains("content-disposition: attachment"), "{named}");
        let plain = node.http(&format!("GET /{id} HTTP/1.0\r\n\r\n")).await;
        assert!(!plain.contains("content-disposition"), "{plain}");
    }
}
