//! A running node takes a changed configuration and moved logs, and no connection notices.

use std::net::SocketAddr;
use std::process::Output;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::address::STORAGE_HTTP_PORT;
use crate::cluster::{Cluster, Daemon, FEW_DIRECTORIES, node_config};
use crate::content::content;
use crate::one_store::upload;
use crate::process::fdfs;
use crate::wait::until;

const SOON: Duration = Duration::from_secs(20);
/// More than sockets and pipes between the two ends can hold.
const LARGE: usize = 24 << 20;

/// A connection that is kept.
struct Kept {
    stream: TcpStream,
    left: Vec<u8>,
}

impl Kept {
    async fn open(node: &Daemon) -> Self {
        let address = SocketAddr::new(node.ip, STORAGE_HTTP_PORT);
        Self { stream: TcpStream::connect(address).await.expect("the node listens"), left: Vec::new() }
    }

    async fn ask(&mut self, id: &str) {
        let text = format!("GET /{id} HTTP/1.1\r\nHost: a\r\n\r\n");
        self.stream.write_all(text.as_bytes()).await.expect("the connection lives");
    }

    async fn fill(&mut self) {
        self.left.reserve(64 << 10);
        let read = tokio::time::timeout(SOON, self.stream.read_buf(&mut self.left)).await;
        let len = read.expect("an answer in time").expect("the connection lives");
        assert!(len > 0, "the connection was closed");
    }

    /// The head of the next answer, lower case.
    async fn head(&mut self) -> String {
        loop {
            if let Some(at) = self.left.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.left.drain(..at + 4).collect();
                return String::from_utf8(head).expect("ASCII").to_ascii_lowercase();
            }
            self.fill().await;
        }
    }

    async fn body(&mut self, len: usize) -> Vec<u8> {
        while self.left.len() < len {
            self.fill().await;
        }
        self.left.drain(..len).collect()
    }

    /// The type that a file of `len` bytes has now.
    async fn kind_of(&mut self, id: &str, len: usize) -> String {
        self.ask(id).await;
        let head = self.head().await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        self.body(len).await;
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: "));
        kind.expect("a type").to_owned()
    }
}

fn act(node: &Daemon, action: &str) -> Output {
    fdfs().arg("node").arg(&node.conf).arg(action).output().expect("fdfs runs")
}

/// Waits for a line of the node's log.
async fn wait_said(node: &Daemon, line: &str) {
    until(line, SOON, async || {
        let said = node.process.stderr();
        if said.contains(line) { Ok(()) } else { Err(said) }
    })
    .await;
}

/// Waits until a log in the base path has these lines.
async fn wait_log(node: &Daemon, name: &str, expected: &str) {
    let path = node.base.join(name);
    until(name, SOON, async || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        // Before them come those of the start and of uploads.
        if text.ends_with(expected) {
            Ok(())
        } else {
            Err(format!("{text:?} does not end with {expected:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_configuration_comes_into_force_under_open_connections() {
    let mut cluster = Cluster::start_with(
        |conf| conf,
        |conf| {
            conf.add("http.default_content_type = application/x-before")
                .add("http.access_log = logs/before.log short")
                .add("http.log_format = short $request_method $status $body_bytes_sent")
        },
    )
    .await;
    let node = &mut cluster.node;
    let small = upload(&node.url("/v1/files"), "a.zzz", b"small".to_vec()).await.file_id;
    let large = upload(&node.url("/v1/files"), "b.zzz", content(LARGE, 1)).await.file_id;
    let mut kept = Kept::open(node).await;
    assert_eq!(kept.kind_of(&small, 5).await, "application/x-before");
    let mut download = Kept::open(node).await;
    download.ask(&large).await;
    assert!(download.head().await.contains("application/x-before"));

    let changed = node_config(&node.base, node.ip, cluster.tracker.ip)
        .add(FEW_DIRECTORIES)
        .set("heart_beat_interval", 7)
        .add("http.default_content_type = application/x-after")
        .add("http.access_log = logs/after.log short")
        .add("http.log_format = short $status after");
    changed.write(&node.conf);
    let output = act(node, "reload");
    assert!(output.status.success(), "{output:?}");
    wait_said(node, "configuration read again").await;
    wait_said(node, "changed keys take effect at the next start keys=\"heart_beat_interval\"").await;

    assert_eq!(kept.kind_of(&small, 5).await, "application/x-after", "on the same connection");
    wait_log(node, "logs/after.log", "200 after\n").await;
    let expected = content(LARGE, 1);
    assert!(download.body(LARGE).await == expected, "the download goes on where it was");
    assert_eq!(download.kind_of(&small, 5).await, "application/x-after");
    node.process.assert_running();
    // The download ended under the settings that it began with.
    wait_log(node, "logs/before.log", &format!("GET 200 5\nGET 200 {LARGE}\n")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_configuration_changes_nothing() {
    let mut cluster =
        Cluster::start_with(|conf| conf, |conf| conf.add("http.default_content_type = application/x-before"))
            .await;
    let node = &mut cluster.node;
    let id = upload(&node.url("/v1/files"), "a.zzz", b"small".to_vec()).await.file_id;
    let conf = node_config(&node.base, node.ip, cluster.tracker.ip).add(FEW_DIRECTORIES);
    let changed = conf.add("http.default_content_type = application/x-after");
    changed.clone().add("http.access_log = /tmp/a.log nobody").write(&node.conf);
    let output = act(node, "reload");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no http.log_format is called nobody"), "{said}");

    let mut kept = Kept::open(node).await;
    node.process.signal(Signal::HUP);
    wait_said(node, "is refused, the settings in force stay").await;
    assert!(node.process.stderr().contains("no http.log_format is called nobody"));
    assert_eq!(kept.kind_of(&id, 5).await, "application/x-before");

    // What reads well and cannot be used: a log where none can be.
    changed.clone().add("http.access_log = /proc/none/a.log").write(&node.conf);
    node.process.signal(Signal::HUP);
    wait_said(
        node,
        "cannot be used, the settings in force stay: http.access_log: cannot open /proc/none/a.log",
    )
    .await;
    assert_eq!(kept.kind_of(&id, 5).await, "application/x-before");

    changed.write(&node.conf);
    node.process.signal(Signal::HUP);
    wait_said(node, "configuration read again").await;
    assert_eq!(kept.kind_of(&id, 5).await, "application/x-after");
    node.process.assert_running();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_moved_away_is_begun_anew_and_a_stop_loses_no_line() {
    let mut cluster = Cluster::start_with(
        |conf| conf,
        |conf| {
            conf.add("http.access_log = logs/a.log uri")
                .add("http.log_format = uri $uri")
                .add("http.access_log_flush = 1h")
        },
    )
    .await;
    let node = &mut cluster.node;
    let path = node.base.join("logs/a.log");
    let mut kept = Kept::open(node).await;
    let mut get = async |uri| {
        kept.ask(uri).await;
        let head = kept.head().await;
        let len = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        kept.body(len.expect("a length").parse().expect("a number")).await;
    };
    get("one").await;
    std::fs::rename(&path, path.with_extension("1")).expect("the log is there");
    let output = act(node, "reopen");
    assert!(output.status.success(), "{output:?}");
    wait_said(node, "access log opened anew").await;
    get("two").await;
    let ended = node.process.stop().await;
    assert!(ended.status.success(), "{}", ended.stderr);
    let of = |path| std::fs::read_to_string(path).expect("a log");
    let first = of(path.with_extension("1"));
    assert!(first.ends_with("/one\n"), "{first}");
    assert_eq!(of(path), "/two\n");
}
