//! Heads that are slow or long, bodies that stall, and the drain.

use std::time::{Duration, Instant};

use gateway::Settings;
use gateway::server::HttpLimits;
use tokio::time::sleep;

use super::Running;

const SHORT: Duration = Duration::from_millis(200);
/// A wait that would be far too long.
const LONG: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_slow_head_meets_its_timeout() {
    let limits = HttpLimits { header_timeout: SHORT, ..HttpLimits::default() };
    let server = Running::start(Settings::plain(), limits).await;
    for start in ["", "GET /healthz HTTP/1.1\r\nHost:"] {
        let began = Instant::now();
        let mut client = server.connect().await;
        client.send(start).await;
        if !start.is_empty() {
            assert_eq!(client.answer(false).await.status(), 408, "who has begun is told");
        }
        client.assert_closed().await;
        assert!((SHORT..LONG).contains(&began.elapsed()), "{start:?} {:?}", began.elapsed());
    }
    // A byte now and then does not help.
    let mut client = server.connect().await;
    let began = Instant::now();
    client.send("GET /healthz HTTP/1.1\r\n").await;
    let drip = async {
        loop {
            if tokio::io::AsyncWriteExt::write_all(&mut client.stream, b"A: b\r\n").await.is_err() {
                break;
            }
            sleep(Duration::from_millis(30)).await;
        }
    };
    tokio::time::timeout(LONG, drip).await.expect("the server ends the connection");
    assert!(began.elapsed() >= SHORT);
    server.finish().await;
}

#[tokio::test]
async fn a_stalled_body_meets_its_timeout_and_its_connection_ends() {
    let mut settings = Settings::plain();
    settings.body_timeout = SHORT;
    let server = Running::start(settings, HttpLimits::default()).await;
    for head in [
        "Content-Length: 1000\r\n\r\nabc",
        "Content-Length: 1000000\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        "Content-Type: multipart/form-data; boundary=X\r\nContent-Length: 1000\r\n\r\n--X\r\nContent-Disp",
    ] {
        let mut client = server.connect().await;
        client.send(&format!("POST /v1/files HTTP/1.1\r\nHost: a\r\n{head}")).await;
        let answer = client.answer(false).await;
        assert_eq!((answer.status(), answer.header("connection")), (408, Some("close")), "{head}");
        client.assert_closed().await;
    }
    assert_eq!(server.store.count(), 0);
    assert_eq!(server.store.0.live.load(std::sync::atomic::Ordering::SeqCst), 0);
    server.finish().await;
}

/// A refused upload does not leave its body where the next request is expected.
#[tokio::test]
async fn the_body_of_a_refused_upload_is_no_request() {
    let server = Running::plain().await;
    let body = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    for len in [body.len(), 5_000_000] {
        let mut client = server.connect().await;
        client
            .send(&format!(
                "POST /v1/files?group=other HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n{body}"
            ))
            .await;
        assert_eq!(client.answer(false).await.status(), 409);
        if len == body.len() {
            // The body was whole: the connection goes on or ends, but answers nothing to it.
            let more = tokio::time::timeout(SHORT, client.fill()).await;
            assert!(!matches!(more, Ok(true)), "{:?}", String::from_utf8_lossy(&client.left));
        } else {
            client.assert_closed().await;
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn long_heads_are_refused_and_long_bodies_are_not() {
    let limits = HttpLimits { max_head: 16 * 1024, ..HttpLimits::default() };
    let server = Running::start(Settings::plain(), limits).await;
    let mut client = server.connect().await;
    client.send(&format!("GET /healthz?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(12_000))).await;
    assert_eq!(client.answer(false).await.status(), 200, "queries of 8 KB and more are usual");
    let body = "y".repeat(3_000_000);
    client
        .send(&format!("POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
        .await;
    let answer = client.answer(false).await;
    assert_eq!(answer.status(), 201);
    let id = answer.header("location").unwrap().trim_start_matches('/');
    assert_eq!(server.store.content(id).unwrap(), body);

    let mut client = server.connect().await;
    client.send(&format!("GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: {}", "x".repeat(20_000))).await;
    assert_eq!(client.answer(false).await.status(), 431);
    client.assert_closed().await;
    let mut client = server.connect().await;
    client.send(&format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(500))).await;
    assert_eq!(client.answer(false).await.status(), 431, "many headers");
    server.finish().await;
}

#[tokio::test]
async fn the_drain_finishes_a_request_under_way() {
    let server = Running::plain().await;
    let mut idle = server.connect().await;
    idle.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(idle.answer(false).await.status(), 200);
    let mut busy = server.connect().await;
    busy.send("POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n").await;
    busy.send(&"a".repeat(300_000)).await;
    while server.store.0.live.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    server.stop.cancel();
    idle.assert_closed().await;
    let refused = async {
        while tokio::net::TcpStream::connect(server.address).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, refused).await.expect("no new connections");
    busy.send(&"b".repeat(300_000)).await;
    let answer = busy.answer(false).await;
    assert_eq!((answer.status(), answer.header("connection")), (201, Some("close")));
    busy.assert_closed().await;
    assert_eq!(server.store.count(), 1);
    server.finish().await;
}

#[tokio::test]
async fn the_drain_ends_at_its_deadline() {
    let limits = HttpLimits { drain_timeout: SHORT, ..HttpLimits::default() };
    let server = Running::start(Settings::plain(), limits).await;
    let mut busy = server.connect().await;
    busy.send("POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\nabc").await;
    while server.store.0.live.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    let store = server.store.clone();
    let began = Instant::now();
    server.finish().await;
    assert!((SHORT..LONG).contains(&began.elapsed()), "{:?}", began.elapsed());
    busy.assert_closed().await;
    assert_eq!(store.count(), 0);
    assert_eq!(store.0.live.load(std::sync::atomic::Ordering::SeqCst), 0);
}
