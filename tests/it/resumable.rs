//! Real tus clients go on after the server was killed; crowds of slow clients cost little memory.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::address::STORAGE_HTTP_PORT;
use crate::browser;
use crate::cluster::{Cluster, Daemon};
use crate::conformance::{clients, scripts};
use crate::content::content;
use crate::one_store::{id, native};
use crate::process::Process;
use crate::say::skipped;

/// As the issue has it.
const LEN: usize = 200 << 20;
/// How much is there when the server is killed.
const KILLS: [u64; 3] = [20 << 20, 60 << 20, 110 << 20];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tuspy_goes_on_after_kills() {
    let program = clients().join("venv/bin/python");
    if !program.exists() {
        return skipped("tuspy", "no virtual environment of Python");
    }
    survive(Command::new(program).arg(scripts().join("tuspy_upload.py")), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tus_js_client_goes_on_after_kills() {
    if !clients().join("node_modules/tus-js-client/package.json").exists() {
        return skipped("tus-js-client", "no node or npm");
    }
    survive(Command::new("node").arg(scripts().join("tus-upload.js")), &[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tus_js_client_joins_parts_after_kills() {
    if !clients().join("node_modules/tus-js-client/package.json").exists() {
        return skipped("tus-js-client", "no node or npm");
    }
    survive(Command::new("node").arg(scripts().join("tus-upload.js")), &["3"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tuspy_begins_at_the_tracker() {
    let program = clients().join("venv/bin/python");
    if !program.exists() {
        return skipped("tuspy_begins_at_the_tracker", "no virtual environment of Python");
    }
    begin_at_the_tracker(|tracker, file| {
        let mut client = Command::new(program);
        client.arg(scripts().join("tuspy_upload.py")).arg(format!("{tracker}/v1/uploads")).arg(file);
        client
    })
    .await;
}

/// As browsers do; outside of them tus-js-client follows no redirects.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tus_js_client_begins_at_the_tracker() {
    let is_here = |name: &str| clients().join("node_modules").join(name).join("package.json").exists();
    let browser = browser::installed().filter(|_| is_here("tus-js-client") && is_here("playwright-core"));
    let Some(browser) = browser else {
        return skipped("tus_js_client_begins_at_the_tracker", "needs chromium, node and npm");
    };
    begin_at_the_tracker(|tracker, file| {
        let mut client = Command::new("node");
        client.arg(scripts().join("tus-browser.js")).arg(tracker).arg(file).env("FDFS_BROWSER", browser);
        client
    })
    .await;
}

/// Lets a client upload a file that knows the tracker's address only.
async fn begin_at_the_tracker(client: impl FnOnce(&str, &Path) -> Command) {
    let cluster = Cluster::start().await;
    let bytes = content(10 << 20, 3);
    let file = cluster.dir.path().join("file.bin");
    std::fs::write(&file, &bytes).expect("the scratch directory can be written");
    let mut client = client(&cluster.tracker.url(""), &file);
    let ended = Process::start(client.env("FDFS_CLIENTS_DIR", clients()))
        .ended_within(Duration::from_secs(120))
        .await;
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    let url = ended.stdout.trim();
    assert!(url.starts_with(&cluster.node.url("/v1/uploads/")), "{url}");
    assert_stored(&cluster, url, &bytes).await;
}

/// Lets a client upload a file while the node is killed three times, and reads the file back in two ways.
async fn survive(client: &mut Command, more: &[&str]) {
    let mut cluster = Cluster::start().await;
    let bytes = content(LEN, 3);
    let file = cluster.dir.path().join("file.bin");
    std::fs::write(&file, &bytes).expect("the scratch directory can be written");
    let endpoint = cluster.node.url("/v1/uploads");
    client.arg(endpoint).arg(&file).args(more).env("FDFS_CLIENTS_DIR", clients());
    let mut client = Process::start(client);
    for at in KILLS {
        arrived(&cluster.node, &mut client, at).await;
        cluster.node.process.crash();
        let before = here(&cluster.node.base);
        assert!(before < LEN as u64, "killed on the way: {before}");
        cluster.node.restart().await;
    }
    let ended = client.ended_within(Duration::from_secs(120)).await;
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);

    assert_stored(&cluster, ended.stdout.trim(), &bytes).await;
}

/// The upload at this URL is a file of these bytes, by HTTP and natively.
async fn assert_stored(cluster: &Cluster, url: &str, bytes: &[u8]) {
    let answer = Client::new().head(url).header("tus-resumable", "1.0.0").send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK);
    let file_id = answer.headers()["fdfs-file-id"].to_str().expect("text").to_owned();
    let answer = reqwest::get(cluster.node.url(&format!("/{file_id}"))).await.expect("an answer");
    assert!(answer.bytes().await.expect("a whole body") == bytes, "by HTTP the same bytes");
    let read = native(cluster.tracker.ip).download_file_buf(&id(&file_id), 0, 0).await;
    assert!(read.expect("native reads it") == bytes, "natively the same bytes");
}

/// Waits until so much of all uploads is on the node's disk.
async fn arrived(node: &Daemon, client: &mut Process, at: u64) {
    let start = Instant::now();
    while here(&node.base) < at {
        client.assert_running();
        assert!(start.elapsed() < Duration::from_secs(60), "only {} bytes arrive", here(&node.base));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Bytes of uploads under way.
fn here(base: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(base.join("data/.uploads")) else { return 0 };
    let parts = entries.flatten().map(|entry| entry.path()).filter(|path| is_part(path));
    parts.filter_map(|path| std::fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}

fn is_part(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "part")
}

const CROWD: usize = 200;
/// `FDFS_TEST_SLOW_MIB=50` makes it the 50 MB of the acceptance.
const EACH_MIB: usize = 4;
const PIECE: [u8; 1024] = [0x5a; 1024];
const LIMIT_KIB: u64 = 64 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_slow_uploads_takes_little_memory() {
    let each =
        std::env::var("FDFS_TEST_SLOW_MIB").map_or(EACH_MIB, |text| text.parse().expect("a number")) << 20;
    let cluster = Cluster::start().await;
    let idle = cluster.node.process.resident_kib();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..CROWD {
        let address = std::net::SocketAddr::new(cluster.node.ip, STORAGE_HTTP_PORT);
        crowd.spawn(slow_upload(address, each));
    }
    let mut most = 0;
    while !crowd.is_empty() {
        let ended = tokio::time::timeout(Duration::from_millis(100), crowd.join_next()).await;
        most = most.max(cluster.node.process.resident_kib());
        if let Ok(Some(ended)) = ended {
            let answer = ended.expect("no client fails");
            assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
            assert!(answer.contains("fdfs-file-id: "), "{answer}");
        }
    }
    assert!(most < LIMIT_KIB, "{most} KiB with {CROWD} slow uploads, {idle} KiB before");
    crate::wait::until("memory as before", Duration::from_secs(30), async || {
        let now = cluster.node.process.resident_kib();
        if now < idle + 8 * 1024 { Ok(()) } else { Err(format!("{now} KiB now, {idle} KiB before")) }
    })
    .await;
    println!("{CROWD} uploads of {each} bytes: {idle} KiB idle, {most} KiB at most");
}

/// An upload in pieces of 1 KiB, each sent by itself; gives the answer.
async fn slow_upload(address: std::net::SocketAddr, len: usize) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the node listens");
    stream.set_nodelay(true).expect("an option of TCP");
    let head = format!(
        "POST /v1/uploads HTTP/1.1\r\nhost: a\r\ntus-resumable: 1.0.0\r\nupload-length: {len}\r\n\
         content-type: application/offset+octet-stream\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("the node reads");
    for _ in 0..len / PIECE.len() {
        stream.write_all(&PIECE).await.expect("the node reads");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the node answers");
    answer
}
