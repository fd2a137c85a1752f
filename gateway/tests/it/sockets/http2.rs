//! HTTP/2: by TLS and in clear text, its limits, readers that stall, floods, and the drain.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use gateway::Settings;
use gateway::files::UploadKind;
use gateway::server::HttpLimits;
use h2::RecvStream;
use h2::client::{self, SendRequest};
use http::{HeaderMap, Request, Response, StatusCode};
use protocol::config::web_conf::{LimitsConf, TlsConf};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::tls::{Pems, conf, connect, start, trusting};
use super::{Client, Running, SOON};

const SHORT: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_secs(6);

/// A client of one connection.
struct Http2 {
    requests: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, connection) = client::handshake(stream).await.unwrap();
        Self { requests, connection: tokio::spawn(connection) }
    }

    async fn plain(server: &Running) -> Self {
        Self::over(server.connect().await.stream).await
    }

    async fn ask(&self, request: Request<()>) -> Result<Response<RecvStream>, h2::Error> {
        let mut ready = self.requests.clone().ready().await?;
        let (answer, _) = ready.send_request(request, true)?;
        timeout(SOON, answer).await.expect("an answer in time")
    }

    async fn get(&self, path: &str) -> Result<(StatusCode, HeaderMap, Bytes), h2::Error> {
        let (head, body) = self.ask(get(path)).await?.into_parts();
        Ok((head.status, head.headers, collect(body).await?))
    }

    /// The server ends the connection.
    async fn assert_ends(self) -> Result<(), h2::Error> {
        drop(self.requests);
        timeout(SOON, self.connection).await.expect("an end in time").unwrap()
    }
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("http://a.example{path}")).body(()).unwrap()
}

async fn collect(mut body: RecvStream) -> Result<Bytes, h2::Error> {
    let mut all = BytesMut::new();
    while let Some(piece) = timeout(SOON, body.data()).await.expect("a piece in time") {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

async fn with(limits: HttpLimits) -> Running {
    Running::start(Settings::plain(), limits).await
}

#[tokio::test]
async fn it_is_spoken_by_tls_where_both_want() {
    let pems = Pems::new();
    let pair = pems.make("a", "a.example");
    let content = "0123456789".repeat(300_000);
    for (offers, http2, expected) in [
        (&["h2", "http/1.1"][..], true, "h2"),
        (&["h2", "http/1.1"], false, "http/1.1"),
        (&["http/1.1"], true, "http/1.1"),
    ] {
        let tls = TlsConf { http2, ..conf(vec![pair.clone()]) };
        let (server, _edge) = start(&LimitsConf::default(), &tls);
        let id = server.store.add(&UploadKind::Normal, "bin", content.as_bytes());
        let config = Arc::new(trusting(std::slice::from_ref(&pair), offers));
        let stream = connect(&server, &config, "a.example").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(expected.as_bytes()));
        if expected == "h2" {
            let client = Http2::over(stream).await;
            let all = futures_util::future::join_all((0..20).map(|_| client.get("/healthz"))).await;
            assert!(all.into_iter().all(|answer| answer.unwrap().0 == 200));
            let (status, headers, body) = client.get(&format!("/{id}")).await.unwrap();
            assert_eq!((status, headers["content-length"].to_str().unwrap()), (StatusCode::OK, "3000000"));
            assert!(body == content.as_bytes());
        } else {
            let mut client = Client::over(stream);
            client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
            assert_eq!(client.answer(false).await.status(), 200);
        }
        server.finish().await;
    }
}

#[tokio::test]
async fn clients_that_know_speak_it_in_clear_text() {
    let server = Running::plain().await;
    let content = "0123456789".repeat(300_000);
    let id = server.store.add(&UploadKind::Normal, "bin", content.as_bytes());
    let client = Http2::plain(&server).await;
    for _ in 0..2 {
        let (status, headers, body) = client.get(&format!("/{id}")).await.unwrap();
        assert!(status == 200 && body == content.as_bytes());
        assert!(!headers.contains_key("connection"), "RFC 9113, 8.2.2");
    }
    let (status, _, body) = client.get(&format!("/{id}x")).await.unwrap();
    assert_eq!((status, body.is_empty()), (StatusCode::NOT_FOUND, false));
    let head = Request::head(format!("http://a.example/{id}")).body(()).unwrap();
    let answer = client.ask(head).await.unwrap();
    assert_eq!(answer.headers()["content-length"], "3000000");
    server.finish().await;

    let server = with(HttpLimits { http2: false, ..HttpLimits::default() }).await;
    let mut client = server.connect().await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.assert_closed().await;
    server.finish().await;
}

#[tokio::test]
async fn uploads_arrive_whole_and_large_ones_are_refused() {
    let server = with(HttpLimits { max_body: 3_000_000, ..HttpLimits::default() }).await;
    let client = Http2::plain(&server).await;
    for (len, status) in [(3_000_000_usize, 201), (3_000_001, 413)] {
        let request = Request::post("http://a.example/v1/files?ext=bin").body(()).unwrap();
        let mut ready = client.requests.clone().ready().await.unwrap();
        let (answer, mut body) = ready.send_request(request, false).unwrap();
        let send = async {
            let mut left = len;
            while left > 0 {
                body.reserve_capacity(left);
                let Some(Ok(room)) = std::future::poll_fn(|context| body.poll_capacity(context)).await else {
                    return;
                };
                if body.send_data(vec![b'x'; room].into(), room == left).is_err() {
                    return;
                }
                left -= room;
            }
        };
        let (answer, ()) = tokio::join!(answer, send);
        assert_eq!(answer.unwrap().status(), status, "{len}");
    }
    assert_eq!(server.store.count(), 1);
    assert_eq!(client.get("/healthz").await.unwrap().0, 200, "the connection is kept");
    server.finish().await;
}

#[tokio::test]
async fn long_targets_and_heads_are_refused_on_their_stream() {
    let server = with(HttpLimits { max_uri: 1000, max_head: 8192, ..HttpLimits::default() }).await;
    let client = Http2::plain(&server).await;
    let (status, _, body) = client.get(&format!("/healthz?{}", "x".repeat(1000))).await.unwrap();
    assert_eq!(status, 414);
    assert!(String::from_utf8_lossy(&body).contains("uri_too_long"));
    let mut request = get("/healthz");
    request.headers_mut().insert("x-long", "x".repeat(9000).parse().unwrap());
    assert_eq!(client.ask(request).await.unwrap().status(), 431);
    assert_eq!(client.get("/healthz").await.unwrap().0, 200, "the connection is kept");
    server.finish().await;
}

#[tokio::test]
async fn idle_connections_end_and_pings_do_not_keep_them() {
    let server = with(HttpLimits { keepalive_timeout: Some(SHORT), ..HttpLimits::default() }).await;
    let (mut requests, mut connection) = client::handshake(server.connect().await.stream).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let connection = tokio::spawn(connection);
    let (answer, _) = requests.send_request(get("/healthz"), true).unwrap();
    collect(answer.await.unwrap().into_body()).await.unwrap();
    let began = Instant::now();
    while pings.ping(h2::Ping::opaque()).await.is_ok() {
        assert!(began.elapsed() < LONG, "the pings keep it");
        tokio::time::sleep(SHORT / 10).await;
    }
    assert!(began.elapsed() >= SHORT / 2, "{:?}", began.elapsed());
    drop(requests);
    let _ = timeout(SOON, connection).await.expect("an end");
    server.finish().await;
}

/// The socket is not full, so neither kernel nor nginx's timer for sockets sees it.
#[tokio::test]
async fn a_reader_that_opens_no_window_is_dropped_and_a_slow_one_is_not() {
    let server = with(HttpLimits { send_timeout: SHORT, ..HttpLimits::default() }).await;
    let content = "0123456789".repeat(100_000);
    let id = server.store.add(&UploadKind::Normal, "bin", content.as_bytes());
    let dead = Http2::plain(&server).await;
    let answer = dead.ask(get(&format!("/{id}"))).await.unwrap();
    let began = Instant::now();

    let slow = Http2::plain(&server).await;
    let mut body = slow.ask(get(&format!("/{id}"))).await.unwrap().into_body();
    let mut taken = 0;
    while let Some(piece) = timeout(SOON, body.data()).await.unwrap() {
        let len = piece.expect("a slow reader is served").len();
        taken += len;
        body.flow_control().release_capacity(len).unwrap();
        if began.elapsed() < SHORT * 3 {
            tokio::time::sleep(SHORT / 4).await;
        }
    }
    assert_eq!(taken, content.len());
    assert!(began.elapsed() > SHORT * 3, "it was slow");
    let _ = dead.assert_ends().await;
    drop(answer);
    server.finish().await;
}

#[tokio::test]
async fn a_connection_ends_with_its_last_request() {
    let server = with(HttpLimits { keepalive_requests: 3, ..HttpLimits::default() }).await;
    let client = Http2::plain(&server).await;
    for _ in 0..3 {
        assert_eq!(client.get("/healthz").await.unwrap().0, 200);
    }
    client.assert_ends().await.expect("a proper end");
    server.finish().await;
}

/// CVE-2023-44487 and its kin: streams that are opened and reset at once.
#[tokio::test]
async fn floods_of_resets_end_the_connection_and_nothing_else() {
    let server = Running::plain().await;
    let mut client = server.connect().await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    client.stream.write_all(&settings).await.unwrap();
    let flood = async {
        for at in 0..100_000_u32 {
            if at == 5 {
                // A few are nothing: the server answers pings.
                client.stream.write_all(b"\0\0\x08\x06\0\0\0\0\0pingping").await.unwrap();
                while !client.left.windows(8).any(|eight| eight == b"pingping") {
                    assert!(client.fill().await, "a few resets end the connection");
                }
            }
            let id = (2 * at + 1).to_be_bytes();
            // GET / of a, as static entries of HPACK; and CANCEL.
            let headers = [&[0, 0, 6, 1, 5][..], &id, &[0x82, 0x86, 0x84, 0x41, 1, b'a']].concat();
            let reset = [&[0, 0, 4, 3, 0][..], &id, &[0, 0, 0, 8]].concat();
            if client.stream.write_all(&[headers, reset].concat()).await.is_err() {
                return;
            }
        }
        panic!("the flood is taken");
    };
    timeout(SOON, flood).await.expect("the server ends it");
    let other = Http2::plain(&server).await;
    assert_eq!(other.get("/healthz").await.unwrap().0, 200);
    server.finish().await;
}

#[tokio::test]
async fn the_drain_finishes_streams_and_refuses_new_ones() {
    let server = Running::plain().await;
    let client = Http2::plain(&server).await;
    let request = Request::post("http://a.example/v1/files?ext=txt").body(()).unwrap();
    let mut ready = client.requests.clone().ready().await.unwrap();
    let (answer, mut body) = ready.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(b"half "), false).unwrap();
    while server.store.0.live.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let idle = Http2::plain(&server).await;
    assert_eq!(idle.get("/healthz").await.unwrap().0, 200);
    server.stop.cancel();
    idle.assert_ends().await.expect("a proper end");
    let refused = async { while client.get("/healthz").await.is_ok() {} };
    timeout(SOON, refused).await.expect("no new streams");
    body.send_data(Bytes::from_static(b"and half"), true).unwrap();
    assert_eq!(timeout(SOON, answer).await.unwrap().unwrap().status(), 201);
    client.assert_ends().await.expect("a proper end");
    assert_eq!(server.store.count(), 1);
    server.finish().await;
}

/// Garbage after the preface, and settings without an end.
#[tokio::test]
async fn what_is_no_http2_ends_the_connection() {
    let server = Running::plain().await;
    for garbage in [vec![0xff; 2000], [&[0, 0, 0, 4, 0, 0, 0, 0, 0][..]; 1].concat().repeat(200_000)] {
        let mut client = server.connect().await;
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let flood = async {
            for piece in garbage.chunks(9000) {
                if client.stream.write_all(piece).await.is_err() {
                    break;
                }
            }
        };
        let _ = timeout(LONG, flood).await;
        // Whatever it was, others are served.
        let other = Http2::plain(&server).await;
        assert_eq!(other.get("/healthz").await.unwrap().0, 200);
    }
    server.finish().await;
}
