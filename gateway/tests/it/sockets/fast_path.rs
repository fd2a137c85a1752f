//! Answers that are at hand: the client sees the same as from hyper, whatever comes in between.

use gateway::Settings;
use gateway::files::UploadKind;
use gateway::server::{App, HttpLimits, Plain};
use tokio::io::AsyncWriteExt;

use super::{Client, Raw, Running};
use crate::ask::{ask, here, over, request};
use crate::fake::Fake;

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// The same, as only hyper reads it.
fn odd_get(target: &str, more: &str) -> String {
    format!("GET  {target} HTTP/1.1\r\nHost: a\r\n{more}\r\n")
}

async fn answer(client: &mut Client, request: &str) -> Raw {
    client.send(request).await;
    client.answer(false).await
}

fn lines(answer: &Raw) -> Vec<String> {
    let lines = answer.head.lines().filter(|line| !line.is_empty() && !line.starts_with("date: "));
    let mut lines: Vec<String> = lines.map(str::to_owned).chain([answer.line.clone()]).collect();
    lines.sort();
    lines
}

/// With a boundary that all have, which is as long.
fn without_boundary(mut answer: Raw) -> Raw {
    const SAME: &str = "01234567890123456789012345678901";
    let Some((_, boundary)) = answer.head.split_once("boundary=") else { return answer };
    let boundary = boundary[..SAME.len()].to_owned();
    answer.head = answer.head.replace(&boundary, SAME);
    let found: Vec<usize> =
        (0..answer.body.len()).filter(|at| answer.body[*at..].starts_with(boundary.as_bytes())).collect();
    assert!(found.len() > 2, "one before each part and one at the end");
    found.into_iter().for_each(|at| answer.body[at..at + SAME.len()].copy_from_slice(SAME.as_bytes()));
    answer
}

#[tokio::test]
async fn what_was_sent_is_at_hand_until_it_is_gone() {
    let store = Fake::new();
    let gateway = over(&store, Settings::plain());
    let id = store.add(&UploadKind::Normal, "txt", b"content");
    let changing = store.add(&UploadKind::Appender, "txt", b"content");
    let is_at_hand =
        |path: &str, range| gateway.at_hand(&here(), Plain { path, range, ..Plain::default() }).is_some();
    let path = format!("/{id}");
    assert!(!is_at_hand(&path, None));
    for id in [&id, &changing] {
        ask(&gateway, request("GET", &format!("/{id}"), &[], axum::body::Body::empty())).await;
    }
    assert!(is_at_hand(&path, None) && is_at_hand(&path, Some("bytes=1-2")));
    let long = format!("/{}", store.add(&UploadKind::Normal, "txt", &[b'x'; 5000]));
    let parts = "bytes=0-0,200-201";
    ask(&gateway, request("GET", &long, &[("range", parts)], axum::body::Body::empty())).await;
    assert!(is_at_hand(&long, Some(parts)) && is_at_hand(&long, None));
    assert!(!is_at_hand(&path, Some("bytes=7-")), "a refusal is for the whole gateway");
    assert!(!is_at_hand(&format!("/{changing}"), None));
    store.lose(&id.to_string());
    assert!(!is_at_hand(&path, None));
}

#[tokio::test]
async fn heads_and_bodies_are_those_of_hyper() {
    let server = Running::plain().await;
    let several = odd_get("@", "Range: bytes=0-0,200-201\r\n");
    for (len, first) in [(0, get("@")), (1, get("@")), (5000, get("@")), (300_000, get("@")), (5000, several)]
    {
        let content: Vec<u8> = (0..len).map(|at: u32| at.to_le_bytes()[1]).collect();
        let target = format!("/{}", server.store.add(&UploadKind::Normal, "html", &content));
        let mut client = server.connect().await;
        answer(&mut client, &first.replace('@', &target)).await;
        let conditions = [
            "If-None-Match: *\r\n",
            "If-None-Match: \"a\"\r\nIf-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT\r\n",
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\nRange: bytes=0-0\r\n",
        ];
        let ranges = [
            "Range: bytes=0-0, 200-201\r\n",
            "Range: bytes=4000-4999, 9-,-3\r\n",
            "Range: bytes=0-9, 100000-100999, 200-30000\r\n",
            "",
            "Range: bytes=0-0\r\n",
            "Range: bytes=-3\r\n",
            "Range: bytes=9-\r\n",
            "Range: x\r\n",
        ];
        for more in ranges.iter().chain(&conditions) {
            let mut client = server.connect().await;
            let fast = answer(&mut client, &odd_get(&target, more).replacen("  ", " ", 1)).await;
            let slow = answer(&mut client, &odd_get(&target, more)).await;
            let (fast, slow) = (without_boundary(fast), without_boundary(slow));
            if fast.status() != 416 {
                assert_eq!(lines(&fast), lines(&slow), "{len} {more}");
            }
            assert_eq!(fast.status(), slow.status());
            assert!(fast.status() == 416 || fast.body == slow.body, "{len} {more}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn requests_of_both_kinds_follow_each_other_in_any_way() {
    let server = Running::plain().await;
    let content = "x".repeat(20_000);
    let (small, large) = (
        server.store.add(&UploadKind::Normal, "txt", b"small"),
        server.store.add(&UploadKind::Normal, "txt", content.as_bytes()),
    );
    let (small, large) = (format!("/{small}"), format!("/{large}"));
    let kinds = [
        (get(&small), 5),
        (get(&large), 20_000),
        (odd_get(&small, ""), 5),
        (get("/healthz"), 15),
        (get(&large).replace("\r\n\r\n", "\r\nRange: bytes=5-6\r\n\r\n"), 2),
    ];
    let mut client = server.connect().await;
    // All at once, then each in two halves; three times, as which way a connection takes depends on what came before.
    for _ in 0..3 {
        let orders = [0, 0, 0, 0, 1, 1, 1, 2, 0, 0, 3, 1, 0, 4, 4, 2, 2, 2, 2, 0, 3, 1, 0];
        let all: String = orders.iter().map(|kind: &usize| kinds[*kind].0.as_str()).collect();
        client.send(&all).await;
        for kind in orders {
            assert_eq!(client.answer(false).await.body.len(), kinds[kind].1);
        }
        for kind in orders {
            let (first, rest) = kinds[kind].0.split_at(20);
            client.send(first).await;
            tokio::task::yield_now().await;
            client.send(rest).await;
            assert_eq!(client.answer(false).await.body.len(), kinds[kind].1);
        }
    }
    server.store.lose(&small[1..]);
    assert_eq!(answer(&mut client, &get(&small)).await.status(), 404);
    assert_eq!(answer(&mut client, &get(&large)).await.status(), 200);
    server.finish().await;
}

#[tokio::test]
async fn a_connection_ends_when_it_has_to() {
    let limits = HttpLimits { keepalive_requests: 5, ..HttpLimits::default() };
    let server = Running::start(Settings::plain(), limits).await;
    let target = format!("/{}", server.store.add(&UploadKind::Normal, "txt", b"content"));
    answer(&mut server.connect().await, &get(&target)).await;
    let mut client = server.connect().await;
    for number in 1..=5 {
        let answer = answer(&mut client, &get(&target)).await;
        assert_eq!(answer.header("connection"), (number == 5).then_some("close"), "{number}");
    }
    client.assert_closed().await;
    let mut client = server.connect().await;
    let last = get(&target).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    assert_eq!(answer(&mut client, &last).await.header("connection"), Some("close"));
    client.assert_closed().await;
    // A client that ends its side has its answers all the same.
    let mut client = server.connect().await;
    client.send(&format!("{0}{0}", get(&target))).await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.answer(false).await.body, b"content");
    assert_eq!(client.answer(false).await.body, b"content");
    client.assert_closed().await;
    server.finish().await;
}
