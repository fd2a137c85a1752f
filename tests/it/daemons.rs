//! Separate daemons from the sample configurations: start, serve, stop, start again.

use reqwest::StatusCode;

use crate::cluster::Cluster;
use crate::one_store::{self, upload};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sample_configurations_start_a_cluster_that_keeps_its_files() {
    let mut cluster = Cluster::start_exactly_with(|conf| conf, |conf| conf).await;
    let stored = upload(&cluster.node.url("/v1/files"), "note.txt", b"kept over a restart".to_vec()).await;

    for daemon in [&mut cluster.node, &mut cluster.tracker] {
        let ended = daemon.process.stop().await;
        assert!(ended.status.success(), "SIGTERM ends with {}: {}", ended.status, ended.stderr);
        let pids = std::fs::read_dir(daemon.base.join("data")).expect("there is data").filter(|entry| {
            entry.as_ref().is_ok_and(|entry| entry.path().extension().is_some_and(|ext| ext == "pid"))
        });
        assert_eq!(pids.count(), 0, "the pid file goes with a clean end");
    }

    cluster.tracker.restart().await;
    cluster.node.restart().await;
    let url = cluster.node.url(&format!("/{}", stored.file_id));
    assert_eq!(one_store::get(&url).await, (StatusCode::OK, b"kept over a restart".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_serves_files_while_its_tracker_is_down() {
    let mut cluster = Cluster::start().await;
    let stored = upload(&cluster.node.url("/v1/files"), "a.txt", b"read me".to_vec()).await;
    let url = cluster.node.url(&format!("/{}", stored.file_id));

    cluster.tracker.process.crash();
    cluster.node.process.stop().await;
    cluster.node.start_unready().await;
    assert_eq!(one_store::get(&url).await, (StatusCode::OK, b"read me".to_vec()));
    let (status, why) = one_store::get(&cluster.node.url("/readyz")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(String::from_utf8_lossy(&why).contains("tracker"), "readyz says why: {why:?}");

    cluster.tracker.restart().await;
    cluster.node.wait_ready().await;
}
