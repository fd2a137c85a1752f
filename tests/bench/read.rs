//! Any member is asked for a file 1 ms after its upload was acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::FileId;
use protocol::client::Client;
use protocol::storage::{FileCreated, Upload};
use reqwest::StatusCode;
use tokio::task::JoinSet;

use crate::address::STORAGE_HTTP_PORT;
use crate::group::server::Make;
use crate::group::{Group, head};
use crate::load::SIZE;
use crate::say::say;

const CLIENTS: u64 = 8;
const MEMBERS: usize = 3;

#[derive(Default)]
struct Counts {
    native: AtomicU64,
    http: AtomicU64,
    not_there: AtomicU64,
    wrong: AtomicU64,
    failed: AtomicU64,
}

/// A group of three of ours; `count` uploads, each read once from a random member.
pub(crate) async fn measure(count: u64) {
    let group = Arc::new(Group::start(&[Make::Ours], &[Make::Ours; MEMBERS]).await);
    let counts = Arc::new(Counts::default());
    let start = std::time::Instant::now();
    let mut tasks = JoinSet::new();
    for client in 0..CLIENTS {
        let share = count / CLIENTS + u64::from(client < count % CLIENTS);
        tasks.spawn(run(Arc::clone(&group), Arc::clone(&counts), client, share));
    }
    tasks.join_all().await;
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    say(&format!(
        "read 1 ms after upload: {} native and {} HTTP reads of random members in {:.0?}: {} not there, {} wrong, {} failed",
        of(&counts.native),
        of(&counts.http),
        start.elapsed(),
        of(&counts.not_there),
        of(&counts.wrong),
        of(&counts.failed)
    ));
}

async fn run(group: Arc<Group>, counts: Arc<Counts>, number: u64, count: u64) {
    let mut random = fastrand::Rng::with_seed(number);
    let client = group.client();
    let http = reqwest::Client::new();
    let mut bytes = vec![0; SIZE];
    for _ in 0..count {
        random.fill(&mut bytes);
        let to = group.native(random.usize(..MEMBERS));
        let sent = client.storages.send(to, &Upload(head(SIZE, "bin")), &mut bytes.as_slice(), |_| {}).await;
        let FileCreated(id) = sent.unwrap_or_else(|error| panic!("upload to {to}: {error:?}"));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let from = random.usize(..MEMBERS);
        let read = if random.bool() {
            counts.native.fetch_add(1, Ordering::Relaxed);
            natively(&client, &group, from, &id).await
        } else {
            counts.http.fetch_add(1, Ordering::Relaxed);
            by_http(&http, &group, from, &id).await
        };
        let problem = match read {
            Ok(Some(read)) if read == bytes => continue,
            Ok(Some(_)) => &counts.wrong,
            Ok(None) => &counts.not_there,
            Err(why) => {
                say(&format!("{id} uploaded to {to}, read from {}: {why}", group.nodes[from].ip));
                &counts.failed
            }
        };
        problem.fetch_add(1, Ordering::Relaxed);
    }
}

/// The content; `None` if the member says that there is no such file.
type Read = Result<Option<Vec<u8>>, String>;

async fn natively(client: &Client, group: &Group, from: usize, id: &FileId) -> Read {
    match client.storages.download_bytes(group.native(from), id, 1 << 20).await {
        Ok(bytes) => Ok(Some(bytes.to_vec())),
        Err(error) if error.status() == Some(protocol::Status::ENOENT) => Ok(None),
        Err(error) => Err(format!("{error:?}")),
    }
}

async fn by_http(http: &reqwest::Client, group: &Group, from: usize, id: &FileId) -> Read {
    let url = format!("http://{}:{STORAGE_HTTP_PORT}/{id}", group.nodes[from].ip);
    let answer = http.get(url).send().await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| format!("{error:?}"))?;
    match status {
        StatusCode::OK => Ok(Some(body.to_vec())),
        StatusCode::NOT_FOUND => Ok(None),
        other => Err(format!("{other}: {}", String::from_utf8_lossy(&body))),
    }
}
