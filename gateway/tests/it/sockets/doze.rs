//! Connections that sleep between requests: no client can tell.

use std::time::{Duration, Instant};

use gateway::Settings;
use gateway::server::HttpLimits;
use tokio::time::sleep;

use super::Running;

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
/// Longer than a silent connection stays awake.
const NAP: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn requests_are_answered_after_any_silence() {
    let server = Running::plain().await;
    let mut client = server.connect().await;
    // Before the first request too.
    for _ in 0..3 {
        sleep(NAP).await;
        client.send(HEALTH).await;
        assert_eq!(client.answer(false).await.status(), 200);
        client.send(HEALTH).await;
        assert_eq!(client.answer(false).await.status(), 200, "and the next one at once");
    }
    server.finish().await;
}

#[tokio::test]
async fn half_a_head_that_came_with_the_request_before_is_kept() {
    let server = Running::plain().await;
    let mut client = server.connect().await;
    let (first, rest) = HEALTH.split_at(9);
    client.send(&format!("{HEALTH}{first}")).await;
    assert_eq!(client.answer(false).await.status(), 200);
    sleep(NAP).await;
    client.send(rest).await;
    assert_eq!(client.answer(false).await.status(), 200);
    server.finish().await;
}

#[tokio::test]
async fn half_a_head_after_a_silence_has_its_timeout() {
    let limits = HttpLimits { header_timeout: NAP, ..HttpLimits::default() };
    let server = Running::start(Settings::plain(), limits).await;
    let mut client = server.connect().await;
    client.send(&format!("{HEALTH}GET /he")).await;
    assert_eq!(client.answer(false).await.status(), 200);
    assert_eq!(client.answer(false).await.status(), 408);
    client.assert_closed().await;
    server.finish().await;
}

#[tokio::test]
async fn sleep_does_not_lengthen_the_wait_for_a_request() {
    let limits = HttpLimits { keepalive_timeout: Some(NAP), ..HttpLimits::default() };
    let server = Running::start(Settings::plain(), limits).await;
    let mut client = server.connect().await;
    client.send(HEALTH).await;
    assert_eq!(client.answer(false).await.status(), 200);
    let began = Instant::now();
    client.assert_closed().await;
    let took = began.elapsed();
    assert!(took > NAP / 2 && took < NAP * 4, "{took:?}");
    server.finish().await;
}

#[tokio::test]
async fn a_stop_ends_sleeping_connections_at_once() {
    let server = Running::plain().await;
    let mut clients = [server.connect().await, server.connect().await];
    clients[0].send(HEALTH).await;
    assert_eq!(clients[0].answer(false).await.status(), 200);
    sleep(NAP).await;
    let began = Instant::now();
    server.finish().await;
    assert!(began.elapsed() < NAP, "{:?}", began.elapsed());
    for client in &mut clients {
        client.assert_closed().await;
    }
}
