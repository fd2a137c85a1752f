//! Starting, being refused a start, going on after a stop.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use protocol::Status;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::fresh;
use crate::running::{Running, build, conf_text, plain_cluster, try_upload};
use crate::wire::{Heard, Wire, request};

const PATIENCE: Duration = Duration::from_secs(20);

/// Why a node with this configuration does not start.
async fn refused(text: &str) -> String {
    match build(text).await {
        Ok(_) => panic!("it starts"),
        Err(error) => error.to_string(),
    }
}

/// Configuration of a node that will find no tracker.
fn text(base: &Path, ip: std::net::IpAddr, more: &str) -> String {
    conf_text(base, ip, SocketAddr::new(fresh(), 22122), more)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_base_path_has_one_node() {
    let first = Running::start(fresh(), plain_cluster(), "").await;
    let why = refused(&text(first.directory.path(), fresh(), "")).await;
    let expected = format!("{} is in use by pid {}", first.directory.path().display(), std::process::id());
    assert!(why.starts_with(&expected), "{why}");
    first.upload(b"the first goes on", "txt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let address = SocketAddr::new(fresh(), 23000);
    let _taken = std::net::TcpListener::bind(address).unwrap();
    let why = refused(&text(directory.path(), address.ip(), "")).await;
    assert!(why.contains(&address.to_string()) && why.contains("the port is in use"), "{why}");
}

/// Most likely a disk that is not mounted: files must not go to where it should be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_store_path_that_is_missing_is_named_and_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("not-mounted");
    let paths = format!(
        "store_path_count = 2\nstore_path0 = {}\nstore_path1 = {}",
        directory.path().display(),
        missing.display()
    );
    let why = refused(&text(directory.path(), fresh(), &paths)).await;
    assert!(why.contains(&missing.display().to_string()), "{why}");
    assert!(!missing.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_tracker_files_are_served_and_uploads_refused() {
    let mut node = Running::start(fresh(), plain_cluster(), "").await;
    let id = node.upload(b"already here", "txt").await;
    node.stop().await;
    node.start_without_tracker().await;
    let client = node.client();
    assert_eq!(client.download_bytes(node.address, &id, 100).await.unwrap(), "already here");
    let refused = try_upload(&client, node.address, b"new", "txt").await;
    assert_eq!(refused.unwrap_err(), Status::EBUSY);
    let streamed = vec![0; 1 << 20];
    let refused = try_upload(&client, node.address, &streamed, "txt").await;
    assert_eq!(refused.unwrap_err(), Status::EBUSY);
    node.stop().await;
}

/// A line of `storage_stat.dat`.
fn counter(node: &Running, key: &str) -> u64 {
    let text = fs::read_to_string(node.data().join("storage_stat.dat")).expect("it was saved");
    let lines = text.lines().filter_map(|line| line.split_once('='));
    let mut values =
        lines.filter(|(name, _)| *name == key).map(|(_, value)| value.parse().expect("a number"));
    values.next().unwrap_or_else(|| panic!("{key} is missing in {text}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_go_on_after_a_restart() {
    let mut node = Running::start(fresh(), plain_cluster(), "").await;
    for round in 1..=3 {
        let id = node.upload(b"counted", "txt").await;
        node.client().download_bytes(node.address, &id, 100).await.unwrap();
        node.client().delete(node.address, &id).await.unwrap();
        node.stop().await;
        for key in ["success_upload_count", "success_download_count", "success_delete_count"] {
            assert_eq!(counter(&node, key), round, "{key}");
        }
        assert_eq!(counter(&node, "success_download_bytes"), round * 7);
        node.start_again().await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_torn_line_of_the_binlog_is_cut_off() {
    let mut node = Running::start(fresh(), plain_cluster(), "").await;
    let id = node.upload(b"whole", "txt").await;
    node.stop().await;
    let before = node.binlog();
    let path = node.data().join("sync/binlog.000");
    let mut file = fs::File::options().append(true).open(path).unwrap();
    file.write_all(b"1700000000 C M00/00/00/torn").unwrap();
    node.start_again().await;
    assert_eq!(node.binlog(), before);
    let next = node.upload(b"next", "txt").await;
    let after = node.binlog();
    let lines: Vec<&str> = after.lines().collect();
    let [first, second] = lines[..] else { panic!("{after}") };
    assert!(first.ends_with(&format!(" C {}", id.name.as_str())), "{first}");
    assert!(second.ends_with(&format!(" C {}", next.name.as_str())), "{second}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_node_left_half_written_goes() {
    let mut node = Running::start(fresh(), plain_cluster(), "").await;
    let id = node.upload(b"kept", "txt").await;
    node.stop().await;
    let (left, foreign) = (node.data().join(".up7.tmp"), node.data().join("notes.tmp"));
    fs::write(&left, b"half").unwrap();
    fs::write(&foreign, b"somebody's").unwrap();
    node.start_again().await;
    assert!(!left.exists());
    assert_eq!(fs::read(&foreign).unwrap(), b"somebody's");
    assert_eq!(fs::read(node.path(&id)).unwrap(), b"kept");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_lets_an_upload_finish_and_takes_no_new_connection() {
    const LEN: usize = 1 << 20;
    let mut node = Running::start(fresh(), plain_cluster(), "").await;
    let (address, before) = (node.address, node.binlog());
    let mut idle = Wire::open(address).await;
    idle.lives(PATIENCE).await;
    let mut wire = Wire::open(address).await;
    wire.lives(PATIENCE).await;
    let head = [&[0xFF][..], &LEN.to_be_bytes(), b"bin\0\0\0"].concat();
    wire.send(&request(11, i64::try_from(head.len() + LEN).unwrap(), &head)).await;
    wire.send(&vec![b'x'; LEN / 2]).await;
    node.wait_for_temporaries(1).await;

    let (ended, answer) = tokio::join!(timeout(PATIENCE, node.stop()), async {
        assert_eq!(idle.hear(PATIENCE).await, Heard::Closed, "who asks for nothing is not waited for");
        let start = Instant::now();
        while TcpStream::connect(address).await.is_ok() {
            assert!(start.elapsed() < PATIENCE, "new connections are taken");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        wire.send(&vec![b'y'; LEN - LEN / 2]).await;
        wire.hear(PATIENCE).await
    });
    ended.unwrap();
    let Heard::Frame(created) = answer else { panic!("{answer:?}") };
    assert_eq!((created.len(), created[9]), (70, 0));
    let name = std::str::from_utf8(&created[26..]).unwrap();
    assert_eq!(fs::metadata(node.data().join(&name[4..])).unwrap().len(), 1 << 20);
    assert!(node.binlog().strip_prefix(&before).unwrap().ends_with(&format!(" C {name}\n")));
}
