//! Resident memory: small when idle, and not moved by the size of what is uploaded.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use reqwest::{Body, Client, StatusCode};
use tokio::io::{AsyncRead, ReadBuf};

use crate::cluster::Cluster;
use crate::one_store::{self, native};
use crate::process::Process;

/// Far more than a server may hold. `FDFS_TEST_LARGE_MIB=5120` makes it the 5 GB of the acceptance.
const LARGE_MIB: u64 = 300;
const MOVE_KIB: u64 = 16 * 1024;
const NODE_KIB: u64 = 16 * 1024;
const TRACKER_KIB: u64 = 8 * 1024;
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
