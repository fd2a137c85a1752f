//! Requests that are too large: targets, heads, bodies.

use gateway::Settings;
use gateway::server::HttpLimits;

use super::Running;

#[tokio::test]
async fn long_targets_are_refused_with_414() {
    let limits = HttpLimits { max_uri: 1000, ..HttpLimits::default() };
    let server = Running::start(Settings::plain(), limits).await;
    let mut client = server.connect().await;
    for (len, status) in [(1000, 200), (1001, 414), (20_000, 414)] {
        let query = "x".repeat(len - "/healthz?".len());
        client.send(&format!("GET /healthz?{query} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let answer = client.answer(false).await;
        assert_eq!(answer.status(), status, "{len}");
        if status == 414 {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(answer.header("connection"), Some("close"));
            client.assert_closed().await;
            client = server.connect().await;
        }
    }
    server.finish().await;
}

/// The client gets the answer even while it sends on, which a connection that is simply closed would not give it.
#[tokio::test]
async fn large_bodies_are_refused_with_413_and_the_client_learns_it() {
    let limits = HttpLimits { max_body: 1000, ..HttpLimits::default() };
    let server = Running::start(Settings::plain(), limits).await;
    let chunked =
        |len: usize| format!("Transfer-Encoding: chunked\r\n\r\n{len:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(len));
    let sized = |len: usize| format!("Content-Length: {len}\r\n\r\n{}", "x".repeat(len));
    for (rest, status) in [
        (sized(1000), 201),
        (chunked(1000), 201),
        (sized(1001), 413),
        (chunked(1001), 413),
        (sized(6_000_000), 413),
        (chunked(6_000_000), 413),
    ] {
        let mut client = server.connect().await;
        client.send(&format!("POST /v1/files?ext=txt HTTP/1.1\r\nHost: a\r\n{rest}")).await;
        let answer = client.answer(false).await;
        assert_eq!(answer.status(), status, "{}", &rest[..40]);
        if status == 413 {
            let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(
                (&problem["code"], answer.header("connection")),
                (&"body_too_large".into(), Some("close"))
            );
            client.assert_closed().await;
        }
    }
    assert_eq!(server.store.count(), 2);
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_asks_first_sends_no_body_in_vain() {
    let limits = HttpLimits { max_body: 1000, ..HttpLimits::default() };
    let server = Running::start(Settings::plain(), limits).await;
    let mut client = server.connect().await;
    client
        .send("POST /v1/files HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n")
        .await;
    assert_eq!(client.answer(false).await.status(), 413, "not 100");
    server.finish().await;
}
