//! SIGKILL at any moment: what was acknowledged is there, what was not has no name, and the binlog goes on.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;

use crate::cluster::{Cluster, wait_for_a_place};
use crate::content::{is_whole, labelled};
use crate::one_store::{self, get, native};
use crate::wait::until;

/// Uploads that were answered, as file IDs.
type Acknowledged = Arc<Mutex<Vec<String>>>;

const ROUNDS: u32 = 3;
const UPLOADERS: u32 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_uploads_survive_a_kill_and_nothing_partial_has_a_name() {
    let mut cluster = Cluster::start().await;
    let acknowledged = Acknowledged::default();
    for round in 0..ROUNDS {
        let before = acknowledged.lock().expect("no uploader panics").len();
        let mut uploaders = JoinSet::new();
        for uploader in 0..UPLOADERS {
            let seed = (round * UPLOADERS + uploader) * 1_000_000;
            let url = cluster.node.url("/v1/files");
            uploaders.spawn(upload_by_http(url, seed, Arc::clone(&acknowledged)));
            uploaders.spawn(upload_by_native(cluster.tracker.ip, seed + 500_000, Arc::clone(&acknowledged)));
        }
        until("twenty more uploads", Duration::from_secs(60), async || {
            let count = acknowledged.lock().expect("no uploader panics").len();
            if count >= before + 20 { Ok(()) } else { Err(format!("{} so far", count - before)) }
        })
        .await;
        cluster.node.process.crash();
        uploaders.abort_all();
        while uploaders.join_next().await.is_some() {}

        cluster.node.restart().await;
        wait_for_a_place(cluster.tracker.ip).await;
        let files = stored_files(&cluster.node.base);
        for path in &files {
            assert!(is_whole(&fs::read(path).expect("readable")), "{} is not whole", path.display());
        }
        let recorded = binlog_names(&cluster.node.base);
        for id in acknowledged.lock().expect("no uploader panics").iter() {
            let (_, name) = id.split_once('/').expect("group and name");
            assert!(recorded.contains(name), "{id} is acknowledged and not in the binlog");
        }
    }
    let client = native(cluster.tracker.ip);
    let ids = acknowledged.lock().expect("no uploader panics").clone();
    for id in ids {
        let (status, body) = get(&cluster.node.url(&format!("/{id}"))).await;
        assert_eq!(status, StatusCode::OK, "{id}");
        assert!(is_whole(&body), "{id} by HTTP");
        let body = client.download_file_buf(&one_store::id(&id), 0, 0).await.expect("native reads it");
        assert!(is_whole(&body), "{id} by native");
    }
}

/// Sizes from some bytes to a few MB, so that kills meet uploads in every state.
fn size(seed: u32) -> u32 {
    [8, 1_000, 70_000, 400_000, 3_000_000][usize::try_from(seed % 5).expect("small")]
}

async fn upload_by_http(url: String, first: u32, acknowledged: Acknowledged) {
    let client = Client::new();
    for seed in first.. {
        let Ok(answer) = client.post(&url).body(labelled(size(seed), seed)).send().await else { return };
        if answer.status() != StatusCode::CREATED {
            return;
        }
        // The status is the acknowledgement; the server may die before the rest of the answer.
        let location = answer.headers()["location"].to_str().expect("text");
        let id = location.split_once("/group1/").expect("a file URL").1;
        acknowledged.lock().expect("no uploader panics").push(format!("group1/{id}"));
    }
}

async fn upload_by_native(tracker: std::net::IpAddr, first: u32, acknowledged: Acknowledged) {
    let client = native(tracker);
    for seed in first.. {
        let body = labelled(size(seed), seed);
        let Ok(id) = client.upload_file_buf(&body, "bin", None, false).await else { return };
        acknowledged.lock().expect("no uploader panics").push(id.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_binlog_tail_is_cut_off_at_start() {
    let mut cluster = Cluster::start().await;
    let url = cluster.node.url("/v1/files");
    let before = one_store::upload(&url, "a.bin", labelled(100, 1)).await.file_id;
    cluster.node.process.crash();
    let binlog = cluster.node.base.join("data/sync/binlog.000");
    let mut file = OpenOptions::new().append(true).open(&binlog).expect("the binlog is there");
    file.write_all(b"1795383104 C M00/00/00/fwAAAW").expect("writable");
    drop(file);

    cluster.node.restart().await;
    let after = one_store::upload(&url, "b.bin", labelled(100, 2)).await.file_id;
    let names = binlog_names(&cluster.node.base);
    let expected = [before, after].map(|id| id.split_once('/').expect("group and name").1.to_owned());
    assert_eq!(names, HashSet::from(expected));
}

/// The names of files in the binlog; every line must be a whole record. Metadata, as `NAME-m`, is told of, too.
fn binlog_names(base: &Path) -> HashSet<String> {
    let text = fs::read_to_string(base.join("data/sync/binlog.000")).expect("the binlog is there");
    assert!(text.is_empty() || text.ends_with('\n'), "the last record is whole");
    let record = |line: &str| {
        let fields: Vec<_> = line.split(' ').collect();
        let [time, "C", name] = fields[..] else { panic!("not a record: {line:?}") };
        let file = name.strip_suffix("-m").unwrap_or(name);
        assert!(time.parse::<u32>().is_ok() && file.len() == 44, "not a record: {line:?}");
        name.to_owned()
    };
    text.lines().map(record).filter(|name| !name.ends_with("-m")).collect()
}

/// Everything below the store path's two-level directories: all final names, and nothing else may be there.
fn stored_files(base: &Path) -> Vec<PathBuf> {
    let entries = |dir: &Path| -> Vec<PathBuf> {
        fs::read_dir(dir).expect("readable").map(|entry| entry.expect("readable").path()).collect()
    };
    let is_level = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).expect("plain names");
        name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let first = entries(&base.join("data")).into_iter().filter(is_level);
    first.flat_map(|high| entries(&high)).flat_map(|low| entries(&low)).collect()
}
