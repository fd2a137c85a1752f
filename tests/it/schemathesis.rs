//! Schemathesis (PyPI) tries what openapi.yaml says of node and tracker: every operation with good and bad values, and
//! chains of them. An answer that the document does not have, or that is not as it says, is a fault; so is a server error.
//!
//! `FDFS_SCHEMATHESIS_SECONDS` is how long each of both is tried, `FDFS_SCHEMATHESIS_SEED` how.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Daemon};
use crate::conformance::{clients, scripts};
use crate::say::{say, skipped};

/// What a tracker refuses while its only storage is in service, and while there are no trunk files.
const REFUSED: [&str; 3] = ["deleteGroup", "deleteStorage", "setTrunkServer"];

/// Answers of each operation, by status.
type Answers = BTreeMap<String, BTreeMap<String, u64>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_answers_as_the_document_says() {
    let Some(program) = program("a_node_answers_as_the_document_says") else { return };
    let (cluster, _secret) = cluster().await;
    // The node has more operations, and those that do more.
    check(&program, &cluster, &cluster.node, "http://127.0.0.1:8888", 220).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_answers_as_the_document_says() {
    let Some(program) = program("a_tracker_answers_as_the_document_says") else { return };
    let (cluster, _secret) = cluster().await;
    check(&program, &cluster, &cluster.tracker, "http://127.0.0.1:8080", 100).await;
}

/// A cluster that makes tickets, and the directory of its secret.
async fn cluster() -> (Cluster, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let file = dir.path().join("secret");
    std::fs::write(&file, "0123456789abcdef0123456789abcdef\n").expect("writable");
    let line = format!("http.cluster_secret_file = {}", file.display());
    let cluster = Cluster::start_with(|conf| conf.add(&line), |conf| conf.add(&line)).await;
    (cluster, dir)
}

fn program(test: &str) -> Option<PathBuf> {
    let program = clients().join("venv/bin/schemathesis");
    if !program.exists() {
        skipped(test, "schemathesis is not installed (tests/clients/install)");
        return None;
    }
    Some(program)
}

/// Runs it against `server`, which the document knows by `name`.
async fn check(program: &Path, cluster: &Cluster, server: &Daemon, name: &str, seconds: u64) {
    let seconds = setting("FDFS_SCHEMATHESIS_SECONDS").unwrap_or(seconds);
    let seed = setting("FDFS_SCHEMATHESIS_SEED").unwrap_or(1);
    let counts = cluster.dir.path().join("answers.json");
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi.yaml");
    let mut command = Command::new("timeout");
    command
        // What has begun is finished when the time is over.
        .arg((seconds * 2 + 60).to_string())
        .arg(program)
        .arg("--config-file")
        .arg(scripts().join("schemathesis.toml"))
        .arg("run")
        .arg(document)
        .args(["--url", &server.url(""), "--no-color"])
        .args(["--max-time", &seconds.to_string(), "--seed", &seed.to_string()])
        .current_dir(cluster.dir.path())
        .env("PYTHONPATH", scripts())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("FDFS_SERVER", name)
        .env("FDFS_NODE", cluster.node.url(""))
        .env("FDFS_ANSWERS", &counts);
    let start = Instant::now();
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it does not panic");
    let output = output.expect("timeout runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}\n{text}\n{errors}", output.status);

    let counts = std::fs::read(&counts).expect("the hooks write it");
    let answers: Answers = serde_json::from_slice(&counts).expect("counts by status");
    let requests: u64 = answers.values().flat_map(BTreeMap::values).sum();
    let took = start.elapsed();
    say(&format!("schemathesis: {requests} requests to {name} in {} s, seed {seed}", took.as_secs()));
    assert!(took >= Duration::from_secs(seconds), "it ended after {took:?}:\n{text}");
    // What was always refused was not tried.
    let was_tried = |name: &str, by: &BTreeMap<String, u64>| {
        let good = |status: &String| status.starts_with(['2', '3']);
        by.keys().any(good) || (REFUSED.contains(&name) && by.contains_key("409"))
    };
    let never: Vec<_> = answers.iter().filter(|(name, by)| !was_tried(name, by)).collect();
    assert!(never.is_empty(), "nothing but refusals of {name}: {never:?}");
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
