//! The curl lines of gateway/README.md and tracker/README.md, executed as they are written, against a node and a tracker.
//!
//! Blocks of a document run in their order in one shell, with curl told to fail where a server refuses; a line that ends in
//! `# 409` must be refused so. Only addresses are replaced. `$ID` is a new file in each block, and what a line uploads is
//! there. A `json` block right behind shows the last answer: what it has, the answer must have.
//!
//! The access logs say what was asked: every operation of openapi.yaml, by some line, with success.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use gateway::contract::{JSON, Operation, Server, operations};
use serde_json::Value;

use crate::cluster::{Cluster, Config};
use crate::one_store::upload;
use crate::say::skipped;

const DOCUMENTS: [(&str, &str); 2] = [
    ("gateway", include_str!("../../gateway/README.md")),
    ("tracker", include_str!("../../tracker/README.md")),
];

/// Before the first block: a refusal is a failure, and nothing waits for ever.
const CURLRC: &str = "fail\nsilent\nshow-error\nmax-time = 60\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_curl_line_works_and_every_operation_has_one() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("every_curl_line_works_and_every_operation_has_one", "curl is not installed");
    }
    let logs = tempfile::tempdir().expect("a scratch directory");
    let log = |name: &str| format!("http.access_log = {} json", logs.path().join(name).display());
    let secret = logs.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef\n").expect("writable");
    let secret = format!("http.cluster_secret_file = {}", secret.display());
    let with = |line: String| {
        let secret = secret.clone();
        move |conf: Config| conf.add(&line).add(&secret)
    };
    let mut cluster = Cluster::start_with(with(log("tracker")), with(log("node"))).await;
    for (name, text) in DOCUMENTS {
        run(&cluster, name, &blocks(text)).await;
    }
    for daemon in [&mut cluster.node, &mut cluster.tracker] {
        let ended = daemon.process.stop().await;
        assert!(ended.status.success(), "{}", ended.stderr);
    }
    let document: Value = serde_json::from_str(JSON).expect("the build wrote it");
    let mut missing: BTreeMap<String, &str> = BTreeMap::new();
    let all = operations(&document);
    for operation in &all {
        let id = operation.value["operationId"].as_str().expect("a name");
        missing.insert(id.to_owned(), operation.path);
    }
    for (server, name) in [(Server::Node, "node"), (Server::Tracker, "tracker")] {
        let log = std::fs::read_to_string(logs.path().join(name)).expect("an access log");
        for asked in log.lines().map(Asked::read).filter(Asked::was_heard) {
            let of = all.iter().filter(|one| one.is_on(&document, server));
            if let Some(found) = of.filter(|one| asked.is_of(one)).max_by_key(|one| literal(one.path)) {
                missing.remove(found.value["operationId"].as_str().expect("a name"));
            }
        }
    }
    assert!(
        missing.is_empty(),
        "operations without a curl line in gateway/README.md or tracker/README.md: {missing:?}"
    );
}

/// How much of a path is not a parameter: of two that fit, the one with more is meant.
fn literal(path: &str) -> usize {
    path.split('/').filter(|segment| !segment.starts_with('{')).count()
}

/// A request that a server has logged.
#[derive(Debug)]
struct Asked {
    method: String,
    /// The segments of the path, a file ID behind a prefix being one.
    path: Vec<String>,
    status: u64,
}

impl Asked {
    fn read(line: &str) -> Self {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |key: &str| line[key].as_str().unwrap_or_else(|| panic!("no {key} in {line}")).to_owned();
        let uri = text("uri");
        let path = uri.split('?').next().unwrap_or_default().trim_start_matches('/');
        let mut segments: Vec<String> = Vec::new();
        let mut rest = path.split('/');
        while let Some(segment) = rest.next() {
            let is_path = |text: &str| text.len() == 3 && text.starts_with('M');
            let more: Vec<&str> = rest.clone().take(4).collect();
            if segments.len() > 1 && more.len() == 4 && is_path(more[0]) {
                rest.nth(3);
                segments.push(format!("{segment}/{}", more.join("/")));
            } else {
                segments.push(segment.to_owned());
            }
        }
        Self { method: text("method"), path: segments, status: line["status"].as_u64().expect("a number") }
    }

    /// It was done; or nothing but the state of the cluster was against it, as for a storage that is in service.
    fn was_heard(&self) -> bool {
        self.status < 400 || self.status == 409
    }

    fn is_of(&self, operation: &Operation<'_>) -> bool {
        let template: Vec<&str> = operation.path.trim_start_matches('/').split('/').collect();
        operation.method.as_str() == self.method
            && template.len() == self.path.len()
            && template.iter().zip(&self.path).all(|(one, other)| one.starts_with('{') || one == other)
    }
}

/// A piece of shell with curl, and the answer that the document shows.
#[derive(Debug)]
struct Block<'a> {
    shell: &'a str,
    answer: Option<&'a str>,
}

fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    for part in document.split("```sh\n").skip(1) {
        let (shell, rest) = part.split_once("```").expect("blocks have an end");
        let answer = rest.trim_start().strip_prefix("```json\n").and_then(|json| json.split("```").next());
        // Tokens need a configuration of their own; access control is tested where it is.
        if shell.contains("curl ") && !shell.contains("fdfs token") {
            blocks.push(Block { shell, answer });
        }
    }
    blocks
}

/// Runs the blocks of a document.
async fn run(cluster: &Cluster, name: &str, blocks: &[Block<'_>]) {
    assert!(blocks.len() > 2, "{name}: {} blocks", blocks.len());
    let dir = tempfile::tempdir().expect("a scratch directory");
    let mut script = String::from("set -euo pipefail\n");
    for (number, block) in blocks.iter().enumerate() {
        let file =
            upload(&cluster.node.url("/v1/files"), "photo.jpg", format!("{name} {number}").into_bytes())
                .await;
        for word in block.shell.split([' ', '\'', '"', '\n', ';']) {
            if let Some(file) =
                word.split('@').nth(1).filter(|file| file.contains('.') && !file.contains('/'))
            {
                std::fs::write(dir.path().join(file), format!("content of {file}\n")).expect("writable");
            }
        }
        let lines: Vec<String> = block.shell.lines().map(refused).collect();
        let lines = lines.join("\n");
        script.push_str(&format!("ID={}\n{{\n{lines}\n}} >answer.{number}\n", file.file_id));
    }
    let script = script
        .replace("http://127.0.0.1:8888", &cluster.node.url(""))
        .replace("http://127.0.0.1:8080", &cluster.tracker.url(""))
        // Storages have their address for a name.
        .replace("127.0.0.1", &cluster.node.ip.to_string());
    std::fs::write(dir.path().join(".curlrc"), CURLRC).expect("writable");
    let mut command = Command::new("timeout");
    command.args(["120", "bash", "-xc", &script]).current_dir(dir.path()).env("CURL_HOME", dir.path());
    let output = tokio::task::spawn_blocking(move || command.output()).await.expect("it does not panic");
    let output = output.expect("bash runs");
    let trace = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}/README.md: {}\n{trace}", output.status);
    for (number, block) in blocks.iter().enumerate() {
        if let Some(shown) = block.answer {
            compare(&dir.path().join(format!("answer.{number}")), shown, name);
        }
    }
}

/// A line whose end says that it is refused, such as `# 409`: the script goes on if it is.
fn refused(line: &str) -> String {
    let status = line.rsplit_once("# ").and_then(|(_, status)| status.trim().parse::<u16>().ok());
    match status.filter(|status| *status >= 400) {
        Some(status) => format!(
            "if {{ {line}\n}} 2>refusal; then echo 'it was not refused' >&2; exit 1; fi; grep 'error: {status}' refusal"
        ),
        None => line.to_owned(),
    }
}

/// Whether the last answer in a file has all that is shown.
fn compare(answer: &Path, shown: &str, name: &str) {
    let text = std::fs::read_to_string(answer).expect("the block ran");
    let shown: Value = serde_json::from_str(shown).unwrap_or_else(|error| panic!("{name}: {error}: {shown}"));
    // Answers before it may be pages; JSON comes in one line.
    let line = text.lines().next_back().unwrap_or_default();
    let answers: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(line).into_iter().collect();
    let last = answers.ok().and_then(|all| all.into_iter().next_back());
    let last = last.unwrap_or_else(|| panic!("{name}: an answer in JSON: {line}"));
    let mut lacking = BTreeSet::new();
    lacks(&shown, &last, "", &mut lacking);
    assert!(lacking.is_empty(), "{name}: the answer lacks {lacking:?}: {last}");
}

/// Collects paths of what is shown and not answered, or of another type. `null` stands for anything.
fn lacks(shown: &Value, answered: &Value, path: &str, lacking: &mut BTreeSet<String>) {
    match (shown, answered) {
        (Value::Object(shown), Value::Object(answered)) => {
            for (key, value) in shown {
                lacks(value, answered.get(key).unwrap_or(&Value::Null), &format!("{path}/{key}"), lacking);
            }
        }
        (Value::Array(shown), Value::Array(answered)) => {
            for (index, value) in shown.iter().enumerate() {
                lacks(
                    value,
                    answered.get(index).unwrap_or(&Value::Null),
                    &format!("{path}/{index}"),
                    lacking,
                );
            }
        }
        (Value::Null, _) => {}
        (shown, answered) if std::mem::discriminant(shown) == std::mem::discriminant(answered) => {}
        _ => drop(lacking.insert(path.to_owned())),
    }
}
