//! Resident memory: small when idle, and not moved by the size of what is uploaded.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Body, Client, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

use crate::address::STORAGE_HTTP_PORT;
use crate::cluster::Cluster;
use crate::one_store::{self, native};
use crate::process::Process;
use crate::say::say;
use crate::wait::until;

/// Far more than a server may hold. `FDFS_TEST_LARGE_MIB=5120` makes it the 5 GB of the acceptance.
const LARGE_MIB: u64 = 300;
const MOVE_KIB: u64 = 16 * 1024;
const NODE_KIB: u64 = 16 * 1024;
const TRACKER_KIB: u64 = 8 * 1024;
const SLOW_CLIENTS: usize = 200;
const SLOW_KIB: u64 = 64 * 1024;
/// What stays of a crowd: pages of the allocator.
const IDLE_AGAIN_KIB: u64 = 8 * 1024;
const DRIPPING_CLIENTS: usize = 10;
const DRIPPED: usize = 1000;
/// Each byte had 8 KiB when the buffers were kept that it was read into.
const DRIPPED_KIB: u64 = 4 * 1024;
static PIECE: [u8; 1 << 16] = [0x5a; 1 << 16];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_upload_does_not_move_memory() {
    let large_mib =
        std::env::var("FDFS_TEST_LARGE_MIB").map_or(LARGE_MIB, |text| text.parse().expect("a number"));
    let length = large_mib << 20;
    let cluster = Cluster::start().await;
    let client = native(cluster.tracker.ip);
    let url = cluster.node.url("/v1/files");
    // What a first upload brings in once (code, buffers, threads) is no growth.
    one_store::upload(&url, "warm.bin", PIECE.to_vec()).await;
    client.upload_file_buf(&PIECE, "bin", None, false).await.expect("native takes it");

    let before = cluster.node.process.peak_kib();
    let pieces = (0..length / 65_536).map(|_| Ok::<_, io::Error>(Bytes::from_static(&PIECE)));
    let body = Body::wrap_stream(futures_util::stream::iter(pieces));
    let answer = Client::new().post(&url).header("content-length", length).body(body).send().await;
    let answer = answer.expect("the server answers");
    assert_eq!(answer.status(), StatusCode::CREATED);
    let stored: one_store::Stored =
        serde_json::from_str(&answer.text().await.expect("a body")).expect("the documented JSON");
    assert_eq!(stored.size, length);
    assert_grew_little("HTTP", before, &cluster.node.process);

    let mut stream = Repeated { left: length };
    let id = client.upload_file(&mut stream, length, "bin", None, false).await.expect("native takes it");
    let info = client.get_file_info(&id).await.expect("native knows it");
    assert_eq!(info.file_size, length);
    assert_eq!(format!("{:08x}", info.crc32), stored.crc32, "the same bytes by both ways");
    assert_grew_little("native", before, &cluster.node.process);
}

/// 200 clients upload a file each, slowly, in small chunks. `FDFS_TEST_SLOW_MIB=50` makes it the 50 MB of the acceptance.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_uploads_of_many_take_little_memory() {
    let mib = std::env::var("FDFS_TEST_SLOW_MIB").map_or(2, |text| text.parse().expect("a number"));
    let cluster = Cluster::start().await;
    let at = SocketAddr::new(cluster.node.ip, STORAGE_HTTP_PORT);
    one_store::upload(&cluster.node.url("/v1/files"), "warm.bin", PIECE.to_vec()).await;
    let idle = cluster.node.process.resident_kib();
    let uploads: Vec<_> = (0..SLOW_CLIENTS).map(|_| tokio::spawn(upload_slowly(at, mib << 20))).collect();
    let mut peak = 0;
    while !uploads.iter().all(tokio::task::JoinHandle::is_finished) {
        peak = peak.max(cluster.node.process.resident_kib());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for upload in uploads {
        upload.await.expect("an upload that succeeds");
    }
    say(&format!("{SLOW_CLIENTS} slow uploads of {mib} MiB: {idle} KiB idle, {peak} KiB at most"));
    assert!(peak < SLOW_KIB, "{peak} KiB resident while {SLOW_CLIENTS} clients upload slowly");
    until("memory that the uploads had is given back", Duration::from_secs(20), async || {
        let resident = cluster.node.process.resident_kib();
        if resident <= idle + IDLE_AGAIN_KIB { Ok(()) } else { Err(format!("{resident} KiB, {idle} before")) }
    })
    .await;
}

/// A chunk of 1 KiB every few milliseconds.
async fn upload_slowly(at: SocketAddr, len: usize) {
    const CHUNK: usize = 1024;
    let mut stream = TcpStream::connect(at).await.expect("the node accepts");
    let head = "POST /v1/files?ext=bin HTTP/1.1\r\nHost: slow\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("the node reads");
    let chunk = [b"400\r\n".as_slice(), &PIECE[..CHUNK], b"\r\n"].concat();
    for _ in 0..len / CHUNK {
        stream.write_all(&chunk).await.expect("the node reads");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    stream.write_all(b"0\r\n\r\n").await.expect("the node reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the node answers");
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

/// Each byte comes in a packet of its own, so that the server reads it alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_byte_by_byte_take_what_they_are() {
    let cluster = Cluster::start().await;
    let at = SocketAddr::new(cluster.node.ip, STORAGE_HTTP_PORT);
    one_store::upload(&cluster.node.url("/v1/files"), "warm.bin", PIECE.to_vec()).await;
    let before = cluster.node.process.resident_kib();
    let uploads: Vec<_> = (0..DRIPPING_CLIENTS).map(|_| tokio::spawn(upload_dripping(at))).collect();
    let mut streams = Vec::new();
    for upload in uploads {
        streams.push(upload.await.expect("an upload under way"));
    }
    let grown = cluster.node.process.resident_kib().saturating_sub(before);
    say(&format!("{DRIPPING_CLIENTS} uploads of {DRIPPED} single bytes: {grown} KiB"));
    assert!(grown < DRIPPED_KIB, "{grown} KiB more with {DRIPPED} bytes of each upload");
}

/// Sends some bytes of an upload whose length is announced, so that it is stored in one go.
async fn upload_dripping(at: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.expect("the node accepts");
    stream.set_nodelay(true).expect("the option exists");
    let head = "POST /v1/files?ext=bin HTTP/1.1\r\nHost: drip\r\nContent-Length: 200000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("the node reads");
    for _ in 0..DRIPPED {
        stream.write_all(b"x").await.expect("the node reads");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_daemons_are_small() {
    let cluster = Cluster::start().await;
    for (daemon, limit) in [(&cluster.node, NODE_KIB), (&cluster.tracker, TRACKER_KIB)] {
        let resident = daemon.process.resident_kib();
        assert!(resident < limit, "{resident} KiB resident, {limit} KiB allowed, {}", daemon.conf.display());
    }
}

fn assert_grew_little(way: &str, before: u64, process: &Process) {
    let peak = process.peak_kib();
    assert!(peak <= before + MOVE_KIB, "{way}: peak from {before} to {peak} KiB");
}

/// `left` more bytes of [`PIECE`].
struct Repeated {
    left: u64,
}

impl AsyncRead for Repeated {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining().min(PIECE.len());
        let count = usize::try_from(self.left).map_or(room, |left| room.min(left));
        buffer.put_slice(&PIECE[..count]);
        self.left -= u64::try_from(count).expect("a piece fits");
        Poll::Ready(Ok(()))
    }
}
