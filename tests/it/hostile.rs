//! Hostile bytes on every port: each connection gets a clean answer or a close, the servers stay up, their memory stays flat.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::address::{self, STORAGE_HTTP_PORT, TRACKER_HTTP_PORT};
use crate::cluster::Cluster;
use crate::content::content;
use crate::one_store;
use crate::process::Process;

/// Set as network_timeout, so that a server gives up on announced bytes within the test.
const NETWORK_TIMEOUT_S: u8 = 2;
/// A server that neither answers nor closes by then hangs.
const LIMIT: Duration = Duration::from_secs(15);
const MEMORY_KIB: u64 = 16 * 1024;
/// Commands of clients of either server, and some that nobody has.
const COMMANDS: [u8; 31] = [
    0, 1, 9, 11, 12, 13, 14, 15, 16, 20, 21, 22, 23, 24, 34, 36, 38, 59, 60, 75, 81, 82, 83, 91, 101, 103,
    107, 111, 127, 200, 255,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_frames_do_no_harm() {
    let quick = |conf: crate::cluster::Config| conf.set("network_timeout", NETWORK_TIMEOUT_S);
    let mut cluster = Cluster::start_with(quick, quick).await;
    let stored = one_store::upload(&cluster.node.url("/v1/files"), "a.bin", content(5_000, 1)).await;
    let servers = [address::tracker(cluster.tracker.ip), address::storage(cluster.node.ip)];
    let before = memory(&cluster);
    for server in servers {
        attack(server, hostile_frames()).await;
        attack(server, random_bytes()).await;
    }
    assert_flat(&before, &memory(&cluster));
    for server in servers {
        assert_eq!(active_test(server).await, [0, 0, 0, 0, 0, 0, 0, 0, 100, 0], "{server} still answers");
    }
    cluster.node.process.assert_running();
    cluster.tracker.process.assert_running();
    let read = one_store::get(&cluster.node.url(&format!("/{}", stored.file_id))).await;
    assert_eq!(read, (StatusCode::OK, content(5_000, 1)));
    let again = one_store::native(cluster.tracker.ip).upload_file_buf(b"as before", "txt", None, false).await;
    again.expect("native uploads work as before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_on_http_does_no_harm() {
    let cluster = Cluster::start().await;
    let stored = one_store::upload(&cluster.node.url("/v1/files"), "a.bin", content(5_000, 1)).await;
    let before = memory(&cluster);
    for server in [
        SocketAddr::new(cluster.tracker.ip, TRACKER_HTTP_PORT),
        SocketAddr::new(cluster.node.ip, STORAGE_HTTP_PORT),
    ] {
        attack(server, hostile_requests()).await;
        attack(server, random_bytes()).await;
        assert_eq!(one_store::get(&format!("http://{server}/healthz")).await.0, StatusCode::OK);
    }
    assert_flat(&before, &memory(&cluster));
    for path in ["/group1/M00/../../../../etc/passwd", "/group1/M00/00/00/..%2f..%2f..%2fetc%2fpasswd"] {
        let answer = exchange(
            SocketAddr::new(cluster.node.ip, STORAGE_HTTP_PORT),
            format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
        )
        .await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
    let read = one_store::get(&cluster.node.url(&format!("/{}", stored.file_id))).await;
    assert_eq!(read, (StatusCode::OK, content(5_000, 1)));
}

/// Sends each of `messages` on a connection of its own, some at a time, and waits until the server closes it.
async fn attack(server: SocketAddr, messages: Vec<Vec<u8>>) {
    let mut messages = messages.into_iter();
    loop {
        let batch: Vec<_> = messages.by_ref().take(100).collect();
        if batch.is_empty() {
            return;
        }
        let mut connections = tokio::task::JoinSet::new();
        for message in batch {
            connections.spawn(async move {
                let name = name_of(&message);
                let end = tokio::time::timeout(LIMIT, exchange(server, &message)).await;
                end.unwrap_or_else(|_| panic!("{server} neither ends nor answers {name}"));
            });
        }
        while let Some(connection) = connections.join_next().await {
            connection.expect("a clean end");
        }
    }
}

/// The head of a message, to find it again.
fn name_of(message: &[u8]) -> String {
    format!("{} bytes, {}", message.len(), message[..message.len().min(40)].escape_ascii())
}

/// Sends `message` and the end of our side; gives what comes until the server closes. A refusal to take all of it is an
/// answer, too.
async fn exchange(server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).await.expect("the server accepts");
    let mut answer = Vec::new();
    if stream.write_all(message).await.is_ok() && stream.shutdown().await.is_ok() {
        let _ = stream.read_to_end(&mut answer).await;
    }
    answer
}

/// Asks whether a native server lives.
async fn active_test(server: SocketAddr) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).await.expect("the server accepts");
    stream.write_all(&frame(0, 111, &[])).await.expect("it reads");
    let mut answer = vec![0; 10];
    stream.read_exact(&mut answer).await.expect("it answers");
    answer
}

/// A native message that announces `length` bytes and has `body`.
fn frame(length: i64, command: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend([command, 0]);
    frame.extend(body);
    frame
}

/// For each command: lengths that lie, bodies that are too short or of rubbish, and names that are far too long.
fn hostile_frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for (seed, command) in (1..).zip(COMMANDS) {
        for length in [i64::MIN, -1, 1 << 20, 1 << 31, 1 << 40, i64::MAX] {
            frames.push(frame(length, command, &[]));
            frames.push(frame(length, command, &[0; 100]));
        }
        for length in [1, 7, 15, 16, 17, 25, 40, 129, 1_000, 65_536] {
            let long = i64::try_from(length).expect("small");
            frames.push(frame(long, command, &content(length, seed)));
            frames.push(frame(long, command, &vec![0; length]));
            frames.push(frame(long, command, &vec![0xff; length]));
            let name = b"group1\0\0\0\0\0\0\0\0\0\0".iter().copied().chain(std::iter::repeat(b'M'));
            frames.push(frame(long, command, &name.take(length).collect::<Vec<_>>()));
            frames.push(frame(long + 1, command, &vec![b'/'; length]));
        }
    }
    frames
}

/// Bytes of no protocol.
fn random_bytes() -> Vec<Vec<u8>> {
    (1_000..1_300).map(|seed| content(usize::try_from(seed % 97 * 37).expect("small"), seed)).collect()
}

fn hostile_requests() -> Vec<Vec<u8>> {
    let heads = [
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "GET /\r\n\r\n".to_owned(),
        "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n".to_owned(),
        "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999999999999\r\n\r\n".to_owned(),
        "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 9223372036854775807\r\n\r\nshort".to_owned(),
        "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello".to_owned(),
        "POST /v1/files HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        "POST /v1/files HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n".to_owned(),
        "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data\r\ncontent-length: 4\r\n\r\nabcd".to_owned(),
        "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\ncontent-length: 9\r\n\r\n--b\r\n\r\n\r\n".to_owned(),
        "GET /group1/M00/%zz%00%ff HTTP/1.1\r\nhost: x\r\nrange: bytes=9-1,--,x\r\nconnection: close\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000)),
        format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(1_000_000)),
        format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(10_000)),
        format!("GET / HTTP/1.1\r\nhost: x\r\nrange: bytes={}\r\nconnection: close\r\n\r\n", "0-0,".repeat(5_000)),
        format!("DELETE /v1/files/{} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "%2e%2e%2f".repeat(500)),
    ];
    heads.into_iter().map(String::into_bytes).collect()
}

fn memory(cluster: &Cluster) -> [u64; 2] {
    [&cluster.tracker, &cluster.node].map(|daemon| Process::resident_kib(&daemon.process))
}

fn assert_flat(before: &[u64], after: &[u64]) {
    for (before, after) in before.iter().zip(after) {
        assert!(*after <= before + MEMORY_KIB, "from {before} to {after} KiB");
    }
}
