//! Several listeners of one process, IPv6, and those behind a proxy.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use gateway::Settings;
use gateway::server::{App, Connection, Edge, HttpLimits};
use protocol::config::web_conf::{LimitsConf, ListenOn, TlsConf};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::{Client, Running};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

/// Answers who is told to be at the other end.
#[derive(Clone)]
struct WhoIsThere;

impl App for WhoIsThere {
    async fn call(&self, connection: &Connection, _: Request) -> Response<gateway::body::Body> {
        let text = format!("{} {:?}", connection.peer.ip(), connection.proxied);
        Response::new(Body::from(text)).map(gateway::body::Body::from)
    }
}

#[tokio::test]
async fn listeners_share_their_places_and_either_family_has_its_own() {
    let edge = Edge::new(HttpLimits { max_connections: 2, ..HttpLimits::default() });
    let v4 = Running::over(&edge, ListenOn::plain("127.0.17.1:0".parse().unwrap()), Settings::plain());
    // The same port of the other family is free, since an IPv6 socket is for IPv6 alone.
    let on = ListenOn::plain(format!("[::]:{}", v4.address.port()).parse().unwrap());
    let v6 = Running::over(&edge, on, Settings::plain());
    let mut first = v4.connect().await;
    let stream = TcpStream::connect(("::1", v6.address.port())).await.unwrap();
    let mut second = Client::over(stream);
    for client in [&mut first, &mut second] {
        client.send(HEALTH).await;
        assert_eq!(client.answer(false).await.status(), 200);
    }
    assert_eq!(v4.connect().await.answer(false).await.status(), 503);
    v4.finish().await;
    v6.finish().await;
}

#[tokio::test]
async fn a_reload_changes_limits_for_new_connections() {
    let edge = Edge::new(HttpLimits::default());
    let on = ListenOn::plain("127.0.17.1:0".parse().unwrap());
    let server = Running::over(&edge, on, Settings::plain());
    let mut old = server.connect().await;
    old.send(HEALTH).await;
    assert_eq!(old.answer(false).await.status(), 200);
    let limits =
        LimitsConf { max_uri: 5, send_timeout: std::time::Duration::from_secs(7), ..LimitsConf::default() };
    edge.reload(&limits, &TlsConf::default()).unwrap();
    for (client, status) in [(&mut old, 200), (&mut server.connect().await, 414)] {
        client.send(HEALTH).await;
        assert_eq!(client.answer(false).await.status(), status);
    }
    server.finish().await;
}

#[tokio::test]
async fn without_a_certificate_there_is_no_tls() {
    let on = ListenOn { ssl: true, ..ListenOn::plain("127.0.17.1:0".parse().unwrap()) };
    Edge::new(HttpLimits::default()).bind(on).expect_err("nothing to show");
}

#[tokio::test]
async fn a_proxy_tells_who_is_there() {
    let limits = HttpLimits { header_timeout: std::time::Duration::from_secs(1), ..HttpLimits::default() };
    let on = ListenOn { proxy_protocol: true, ..ListenOn::plain("127.0.17.1:0".parse().unwrap()) };
    let server = Edge::new(limits).bind(on).unwrap();
    let address = server.local_addr().unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(server.serve(WhoIsThere, stop.clone()));
    let v2 =
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0f"[..], &[192, 0, 2, 7, 10, 0, 0, 1, 0, 80, 1, 187], &[4, 0, 0]]
            .concat();
    let long_v2 = {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x08\x0c".to_vec();
        bytes.extend([192, 0, 2, 7, 10, 0, 0, 1, 0, 80, 1, 187]);
        bytes.resize(16 + 0x80c, 0);
        bytes
    };
    let v1 = b"PROXY TCP4 192.0.2.7 10.0.0.1 80 443\r\n".to_vec();
    let told = "127.0.0.1 Some(192.0.2.7:80)";
    let cases = [(v1, told), (v2, told), (long_v2, told), (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1 None")];
    for (header, expected) in &cases {
        // As a whole with the request, and byte by byte.
        for pieces in [vec![[header.as_slice(), HEALTH.as_bytes()].concat()], {
            let mut bytes: Vec<Vec<u8>> = header.iter().take(300).map(|byte| vec![*byte]).collect();
            bytes.push([&header[header.len().min(300)..], HEALTH.as_bytes()].concat());
            bytes
        }] {
            let mut client = Client::over(TcpStream::connect(address).await.unwrap());
            client.stream.set_nodelay(true).unwrap();
            for piece in pieces {
                client.stream.write_all(&piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            let answer = client.answer(false).await;
            assert_eq!(String::from_utf8(answer.body).unwrap(), *expected);
            client.send(HEALTH).await;
            assert_eq!(client.answer(false).await.body, expected.as_bytes(), "the next request as well");
        }
    }
    for bad in ["", "PROX", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "PROXY TCP4 x\r\n"] {
        let mut client = Client::over(TcpStream::connect(address).await.unwrap());
        client.send(bad).await;
        client.assert_closed().await;
    }
    stop.cancel();
    task.await.unwrap();
}

/// A header of the PROXY protocol is believed only where the configuration expects one.
#[tokio::test]
async fn elsewhere_such_a_header_is_no_request() {
    let server = Running::plain().await;
    let mut client = server.connect().await;
    client.send(&format!("PROXY TCP4 192.0.2.7 10.0.0.1 80 443\r\n{HEALTH}")).await;
    assert_eq!(client.answer(false).await.status(), 400);
    client.assert_closed().await;
    server.finish().await;
}

/// One listener each may be served by several runtimes.
#[test]
fn runtimes_may_have_a_listener_each() {
    let edge = Edge::new(HttpLimits::default());
    let stop = CancellationToken::new();
    let app = Router::new().route("/healthz", axum::routing::get(|| async { "ok" }));
    let mut threads = Vec::new();
    let (sender, addresses) = std::sync::mpsc::channel();
    for _ in 0..2 {
        let (edge, stop, app, sender) = (edge.clone(), stop.clone(), app.clone(), sender.clone());
        threads.push(std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = edge.bind(ListenOn::plain("127.0.17.1:0".parse().unwrap())).unwrap();
                sender.send(server.local_addr().unwrap()).unwrap();
                server.serve(app, stop).await;
            });
        }));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for address in addresses.iter().take(2) {
            let mut client = Client::over(TcpStream::connect(address).await.unwrap());
            client.send(HEALTH).await;
            assert_eq!(client.answer(false).await.body, b"ok");
        }
    });
    stop.cancel();
    for thread in threads {
        thread.join().unwrap();
    }
}
