//! Uploads of 4 KB at a steady pace or as fast as they go, natively, with the time of each acknowledgement.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use protocol::FileId;
use protocol::client::{Client, ClientLimits};
use protocol::storage::{FileCreated, Upload};
use tokio::task::JoinSet;

use crate::group::head;

/// Bytes of a file.
pub(crate) const SIZE: usize = 4_096;

/// An acknowledged upload.
pub(crate) struct Made {
    pub(crate) id: FileId,
    /// When it was asked for and acknowledged.
    pub(crate) asked: Instant,
    pub(crate) acknowledged: Instant,
}

/// How uploads follow each other.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// So many a second, whether or not the earlier ones are answered.
    PerSecond(u32),
    /// Each connection at once after its answer.
    Full,
}

/// Uploads to `at` over `connections` until `count` are made or `time` has passed.
pub(crate) async fn upload(
    at: SocketAddr,
    connections: u32,
    pace: Pace,
    count: u64,
    time: Duration,
) -> Vec<Made> {
    let client = Client::new(
        Vec::new(),
        ClientLimits { max_idle: 64, network_timeout: Duration::from_secs(60), ..ClientLimits::default() },
    );
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn(one(client.clone(), at, pace, Arc::clone(&next), count, start, time));
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

async fn one(
    client: Client,
    at: SocketAddr,
    pace: Pace,
    next: Arc<AtomicU64>,
    count: u64,
    start: Instant,
    time: Duration,
) -> Vec<Made> {
    let mut made = Vec::new();
    let mut bytes = vec![0; SIZE];
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count || start.elapsed() >= time {
            return made;
        }
        if let Pace::PerSecond(rate) = pace {
            let due = start + Duration::from_secs_f64(float(number) / f64::from(rate));
            tokio::time::sleep_until(due.into()).await;
        }
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let asked = Instant::now();
        let sent = client.storages.send(at, &Upload(head(SIZE, "bin")), &mut bytes.as_slice(), |_| {}).await;
        let FileCreated(id) = sent.unwrap_or_else(|error| panic!("upload {number}: {error:?}"));
        made.push(Made { id, asked, acknowledged: Instant::now() });
    }
}

/// For rates that people read.
pub(crate) fn float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// p50, p99 and the greatest, in milliseconds, as text.
pub(crate) fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let Some(last) = times.len().checked_sub(1) else { return "nothing".to_owned() };
    let at = |per_cent: usize| times[(last * per_cent).div_ceil(100)].as_secs_f64() * 1e3;
    format!("p50 {:.2} ms, p90 {:.2}, p99 {:.2}, max {:.2}", at(50), at(90), at(99), at(100))
}
