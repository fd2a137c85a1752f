//! How long clients are waited for between requests and while they take an answer, and how much one connection may ask.

use std::time::{Duration, Instant};

use gateway::Settings;
use gateway::files::UploadKind;
use gateway::server::HttpLimits;
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

use super::{Client, Running, SOON};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(5);

async fn with(limits: HttpLimits) -> Running {
    Running::start(Settings::plain(), limits).await
}

/// A client with a receive buffer so small that the server soon has to wait for it.
async fn slow_reader(server: &Running) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    Client { stream: socket.connect(server.address).await.unwrap(), left: Vec::new() }
}

#[tokio::test]
async fn idle_connections_end_silently_after_their_own_timeout() {
    let server = with(HttpLimits { keepalive_timeout: Some(SHORT), ..HttpLimits::default() }).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.send(HEALTH).await;
        assert_eq!(client.answer(false).await.status(), 200);
        sleep(SHORT / 3).await;
    }
    let began = Instant::now();
    client.assert_closed().await;
    assert!((SHORT / 3..LONG).contains(&began.elapsed()), "{:?}", began.elapsed());
    server.finish().await;
}

/// The first byte of a head ends the wait for a request, and starts that for the head.
#[tokio::test]
async fn a_head_after_a_wait_has_its_own_time() {
    let limits =
        HttpLimits { keepalive_timeout: Some(LONG * 10), header_timeout: SHORT, ..HttpLimits::default() };
    let server = with(limits).await;
    let mut client = server.connect().await;
    client.send(HEALTH).await;
    assert_eq!(client.answer(false).await.status(), 200);
    sleep(SHORT * 2).await;
    client.send(HEALTH).await;
    assert_eq!(client.answer(false).await.status(), 200, "an idle connection is not in a head");
    let began = Instant::now();
    client.send("GET /hea").await;
    assert_eq!(client.answer(false).await.status(), 408);
    client.assert_closed().await;
    assert!((SHORT..LONG).contains(&began.elapsed()), "{:?}", began.elapsed());
    server.finish().await;
}

#[tokio::test]
async fn an_answer_may_take_longer_than_any_wait_between_requests() {
    let limits =
        HttpLimits { keepalive_timeout: Some(SHORT), header_timeout: SHORT, ..HttpLimits::default() };
    let server = with(limits).await;
    // More than the buffers of both ends hold by far, and as much as they do hold, so that the last bytes wait as well.
    for len in [200_000, 9_000_000] {
        let content = "0123456789".repeat(len / 10);
        let id = server.store.add(&UploadKind::Normal, "bin", content.as_bytes());
        let mut client = slow_reader(&server).await;
        client.send(&format!("GET /{id} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        sleep(SHORT * 4).await;
        let answer = client.answer(false).await;
        assert!(answer.status() == 200 && answer.body == content.as_bytes(), "{len}");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_dropped_and_a_slow_one_is_not() {
    let timeout_of_server = Duration::from_secs(1);
    let server = with(HttpLimits { send_timeout: timeout_of_server, ..HttpLimits::default() }).await;
    let content = "0123456789".repeat(2_000_000);
    let id = server.store.add(&UploadKind::Normal, "bin", content.as_bytes());
    let request = format!("GET /{id} HTTP/1.1\r\nHost: a\r\n\r\n");
    let (mut dead, mut slow) = (slow_reader(&server).await, slow_reader(&server).await);
    dead.send(&request).await;
    slow.send(&request).await;
    let began = Instant::now();
    let mut piece = vec![0; 30_000];
    let mut taken = 0;
    while began.elapsed() < timeout_of_server * 4 {
        sleep(timeout_of_server / 10).await;
        taken += slow.stream.read(&mut piece).await.unwrap();
    }
    assert!(taken > 100_000, "{taken}");
    let rest = async {
        loop {
            match dead.stream.read(&mut piece).await {
                Ok(0) => break "an end",
                Ok(_) => {}
                Err(_) => break "a reset",
            }
        }
    };
    let end = timeout(SOON, rest).await.expect("the server gave up long ago");
    assert_eq!(end, "a reset", "a body that is not whole must not look so");
    let mut left = content.len() - taken;
    while let Ok(len @ 1..) = timeout(SOON, slow.stream.read(&mut piece)).await.unwrap() {
        left = left.saturating_sub(len);
        if left == 0 {
            break;
        }
    }
    assert_eq!(left, 0, "the slow reader got all");
    server.finish().await;
}

#[tokio::test]
async fn a_connection_ends_with_its_last_request() {
    for (limits, requests) in [
        (HttpLimits { keepalive_requests: 3, ..HttpLimits::default() }, 3),
        (HttpLimits { keepalive_timeout: None, ..HttpLimits::default() }, 1),
    ] {
        let server = with(limits).await;
        let mut client = server.connect().await;
        client.send(&HEALTH.repeat(requests + 1)).await;
        for at in 1..=requests {
            let answer = client.answer(false).await;
            let last = at == requests;
            assert_eq!((answer.status(), answer.header("connection")), (200, last.then_some("close")));
        }
        client.assert_closed().await;
        server.finish().await;
    }
}
