//! Connections beyond what is allowed: in all, and from one address.

use std::net::SocketAddr;
use std::time::Duration;

use gateway::Settings;
use gateway::server::HttpLimits;
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

use super::{Client, Running, SOON};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

/// A connection from another address of this machine.
async fn connect_from(server: &Running, address: &str) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    Client { stream: socket.connect(server.address).await.unwrap(), left: Vec::new() }
}

async fn assert_served(client: &mut Client) {
    client.send(HEALTH).await;
    assert_eq!(client.answer(false).await.status(), 200);
}

async fn assert_refused(mut client: Client, code: &str) {
    let answer = client.answer(false).await;
    assert_eq!((answer.status(), answer.header("retry-after")), (503, Some("1")));
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(problem["code"], code);
    client.assert_closed().await;
}

/// Connects until a place is free.
async fn assert_recovers(server: &Running, from: &str) {
    let again = async {
        loop {
            let mut client = connect_from(server, from).await;
            client.send(HEALTH).await;
            if client.answer(false).await.status() == 200 {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, again).await.expect("the place of a gone client is free");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_refused_and_places_come_back() {
    let limits = HttpLimits { max_connections: 2, ..HttpLimits::default() };
    let server = Running::start(Settings::plain(), limits).await;
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    assert_served(&mut first).await;
    assert_served(&mut second).await;
    for _ in 0..20 {
        assert_refused(server.connect().await, "too_many_connections").await;
    }
    drop(first);
    assert_recovers(&server, "127.0.17.9").await;
    assert_served(&mut second).await;
    server.finish().await;
}

#[tokio::test]
async fn one_address_cannot_take_all_places() {
    let limits = HttpLimits { connections_per_address: 2, ..HttpLimits::default() };
    let server = Running::start(Settings::plain(), limits).await;
    let greedy = "127.0.17.7";
    let (mut first, mut second) = (connect_from(&server, greedy).await, connect_from(&server, greedy).await);
    assert_served(&mut first).await;
    assert_served(&mut second).await;
    for _ in 0..20 {
        assert_refused(connect_from(&server, greedy).await, "too_many_connections_of_address").await;
    }
    assert_served(&mut connect_from(&server, "127.0.17.8").await).await;
    drop(second);
    assert_recovers(&server, greedy).await;
    assert_served(&mut first).await;
    server.finish().await;
}
