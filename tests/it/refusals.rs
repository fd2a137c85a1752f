//! What cannot work is said in one clear line with a non-zero exit, and leaves nothing behind.

use std::net::{IpAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::{Client, StatusCode};
use rustix::process::geteuid;

use crate::cluster::{Cluster, Config, FEW_DIRECTORIES, made, node_config};
use crate::content::content;
use crate::process::{Ended, Process, fdfs};
use crate::say::skipped;
use crate::{address, one_store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_names_the_owner() {
    let cluster = Cluster::start().await;
    for (role, daemon) in [("node", &cluster.node), ("tracker", &cluster.tracker)] {
        // Another address, so that only the data directory is in the way.
        let conf = cluster.dir.path().join(format!("second-{role}.conf"));
        let text = std::fs::read_to_string(&daemon.conf).expect("readable");
        let elsewhere = format!("bind_addr = {}", address::fresh());
        std::fs::write(&conf, text.replace(&format!("bind_addr = {}", daemon.ip), &elsewhere))
            .expect("writable");
        refused(role, &conf, &[&format!("pid {}", daemon.process.id())]).await;
    }
    assert_eq!(
        one_store::get(&cluster.node.url("/healthz")).await.0,
        StatusCode::OK,
        "the first one lives on"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_port_is_named() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let cases = [
        ("tracker", address::TRACKER_PORT, "port"),
        ("tracker", address::TRACKER_HTTP_PORT, "http.server_port"),
        ("node", address::STORAGE_PORT, "port"),
        ("node", address::STORAGE_HTTP_PORT, "http.server_port"),
    ];
    for (index, (role, port, key)) in cases.into_iter().enumerate() {
        let ip = address::fresh();
        let _taken = TcpListener::bind((ip, port)).expect("a fresh address");
        let conf = dir.path().join(format!("{index}.conf"));
        config(role, &made(dir.path().join(index.to_string())), ip).write(&conf);
        refused(role, &conf, &[&format!("{ip}:{port}"), key]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_directory_and_a_bad_value_are_named() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let base = made(dir.path().join("base"));
    let good = |role| config(role, &base, address::fresh());
    let a_file = dir.path().join("a-file");
    std::fs::write(&a_file, "").expect("writable");
    let a_file = a_file.to_str().expect("text");
    let missing = dir.path().join("missing/store");
    let missing = missing.to_str().expect("text");

    let cases = [
        ("tracker", good("tracker").set("base_path", a_file), vec![a_file]),
        (
            "node",
            good("node").set("store_path_count", 2).add(&format!("store_path1 = {missing}")),
            vec![missing],
        ),
        ("tracker", good("tracker").set("store_lookup", 7), vec!["bad.conf", "store_lookup", "7"]),
        ("node", good("node").set("group_name", "no/slashes"), vec!["bad.conf", "group_name", "no/slashes"]),
        ("node", good("node").set("store_path_count", 0), vec!["bad.conf", "store_path_count"]),
        ("node", good("node").set("sync_start_time", "25:00"), vec!["bad.conf", "sync_start_time", "25:00"]),
    ];
    let conf = dir.path().join("bad.conf");
    for (role, config, expected) in cases {
        config.write(&conf);
        refused(role, &conf, &expected).await;
    }
    let nowhere = dir.path().join("no-such.conf");
    refused("node", &nowhere, &["no-such.conf"]).await;
    refused("tracker", &nowhere, &["no-such.conf"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_uploads_and_leaves_no_rest() {
    const TEST: &str = "a_full_disk_refuses_uploads_and_leaves_no_rest";
    let dir = tempfile::tempdir().expect("a scratch directory");
    let Some(disk) = SmallDisk::mount(made(dir.path().join("disk")), "size=24m") else {
        return skipped(TEST, "a small file system can be mounted by root only");
    };
    let small = |conf: Config| conf.set("store_path0", disk.path().display());
    let cluster = Cluster::start_with(|conf| conf, small).await;
    let url = cluster.node.url("/v1/files");

    let kept = content(4_000_000, 1);
    let stored = one_store::upload(&url, "kept.bin", kept.clone()).await;
    let answer = Client::new().post(&url).body(content(30_000_000, 2)).send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::INSUFFICIENT_STORAGE, "{:?}", answer.text().await);
    let native = one_store::native(cluster.tracker.ip);
    let refused = native.upload_file_buf(&content(30_000_000, 3), "bin", None, false).await;
    let refused = refused.expect_err("there is no room").to_string();
    assert!(!refused.is_empty(), "an error with words");

    one_store::upload(&url, "small.bin", content(1_000_000, 4)).await;
    let read = one_store::get(&cluster.node.url(&format!("/{}", stored.file_id))).await;
    assert_eq!(
        read,
        (StatusCode::OK, kept),
        "the room of refused uploads is free again, and old files are whole"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_room_refuses_to_start() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let Some(disk) = SmallDisk::mount(made(dir.path().join("disk")), "size=256k,nr_inodes=40") else {
        return skipped(
            "a_disk_without_room_refuses_to_start",
            "a small file system can be mounted by root only",
        );
    };
    let conf = dir.path().join("full.conf");
    config("node", disk.path(), address::fresh()).write(&conf);
    refused("node", &conf, &[disk.path().to_str().expect("text"), "No space left on device"]).await;
}

/// A sample configuration for either daemon with everything in `base`. The storage's tracker is nobody: a start that must
/// fail never asks it.
fn config(role: &str, base: &Path, ip: IpAddr) -> Config {
    if role == "node" {
        return node_config(base, ip, address::fresh()).add(FEW_DIRECTORIES);
    }
    Config::sample("tracker.conf").set("base_path", base.display()).set("bind_addr", ip)
}

/// Starting `role` from `conf` fails at once with one line on stderr that holds all of `words`.
async fn refused(role: &str, conf: &Path, words: &[&str]) {
    let Ended { status, stdout, stderr } = Process::start(fdfs().arg(role).arg(conf)).ended().await;
    assert!(!status.success() && status.code().is_some(), "{role} {words:?}: {status}\n{stderr}");
    // What it was about to do may stand before.
    let lines: Vec<_> = stderr.lines().filter(|line| !line.contains("] INFO - ")).collect();
    assert_eq!(lines.len(), 1, "{role} {words:?} is told in one line:\n{stderr}");
    assert_eq!(stdout, "", "errors belong on stderr");
    for word in words {
        assert!(stderr.contains(word), "{role}: {word:?} is missing in {stderr:?}");
    }
}

/// A tmpfs that goes away with its guard.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf, options: &str) -> Option<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path);
        let mounted = geteuid().is_root() && command.output().is_ok_and(|output| output.status.success());
        mounted.then_some(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because a failed test drops this before the daemon that uses it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
