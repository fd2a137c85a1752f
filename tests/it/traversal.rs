//! Ways out of the store, tried in every parameter of every operation that the servers' own document names.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::address::{STORAGE_HTTP_PORT, TRACKER_HTTP_PORT};
use crate::cluster::Cluster;
use crate::one_store;
use crate::say::say;

/// Lies beside the stores' directories, and must come out nowhere.
const CANARY: &str = "canary-that-sings-in-no-answer";
const METHODS: [&str; 6] = ["get", "put", "post", "patch", "delete", "options"];
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_parameter_leads_out_of_the_store() {
    let mut cluster = Cluster::start().await;
    let outside = cluster.node.base.parent().expect("the scratch directory").to_owned();
    let canary = outside.join("canary.txt");
    std::fs::write(&canary, CANARY).expect("the scratch directory can be written");
    let stored = one_store::upload(&cluster.node.url("/v1/files"), "a.txt", b"inside".to_vec()).await;
    let before = listing(&outside);

    let mut tried = 0;
    for (server, port) in [(cluster.node.ip, STORAGE_HTTP_PORT), (cluster.tracker.ip, TRACKER_HTTP_PORT)] {
        let at = SocketAddr::new(server, port);
        let document = one_store::get(&format!("http://{at}/openapi.json")).await.1;
        let document: Value = serde_json::from_slice(&document).expect("the document is JSON");
        for request in requests(&document, &stored.file_id, &canary) {
            let answer = ask(at, &request).await;
            let line = request.lines().next().unwrap_or_default();
            assert!(!answer.contains(CANARY), "{request} sings: {answer}");
            let status = answer.split(' ').nth(1).unwrap_or("none");
            assert!(!matches!(status, "500" | "none"), "{line} gets {answer}");
            tried += 1;
        }
    }
    say(&format!("{tried} ways out of the store led nowhere"));
    assert!(tried > 500, "only {tried}: does the document name its parameters?");
    assert_eq!(std::fs::read_to_string(&canary).expect("the canary is there"), CANARY);
    assert_eq!(listing(&outside), before, "what lies beside the stores");
    cluster.node.process.assert_running();
    cluster.tracker.process.assert_running();
}

/// Files and directories beside those of the daemons, which change.
fn listing(outside: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(outside).expect("the scratch directory can be read");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Names of the canary, from where files, metadata and uploads lie, as they are and encoded.
fn payloads(canary: &Path) -> Vec<String> {
    let mut plain = vec![canary.display().to_string(), format!("group1/M00{}", canary.display())];
    for depth in 1..7 {
        plain.push(format!("{}canary.txt", "../".repeat(depth)));
        plain.push(format!("group1/M00/00/00/{}canary.txt", "../".repeat(depth)));
    }
    plain.push("....//....//....//canary.txt".to_owned());
    plain.push("..\\..\\..\\canary.txt".to_owned());
    plain.push("%c0%ae%c0%ae/%c0%ae%c0%ae/canary.txt".to_owned());
    let encode = |text: &str| text.replace('/', "%2f").replace("..", "%2e%2e");
    let encoded: Vec<String> = plain.iter().map(|text| encode(text)).collect();
    let twice = encode(&plain[5]).replace('%', "%25");
    let ended = format!("{}%00.jpg", encode(&plain[5]));
    plain.into_iter().chain(encoded).chain([twice, ended]).collect()
}

/// Each operation with each parameter in turn at each payload, the others at what is fit.
fn requests(document: &Value, file_id: &str, canary: &Path) -> Vec<String> {
    let mut requests = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in METHODS.iter().filter(|method| item.get(*method).is_some()) {
            let parameters = parameters(document, item, &item[*method]);
            for (wild, place) in &parameters {
                for payload in payloads(canary) {
                    requests.push(request(method, path, &parameters, (wild, place, &payload), file_id));
                }
            }
        }
    }
    requests
}

/// Names of the parameters and where they stand.
fn parameters(document: &Value, item: &Value, operation: &Value) -> BTreeMap<String, String> {
    let lists = [&item["parameters"], &operation["parameters"]];
    let all = lists.into_iter().filter_map(Value::as_array).flatten();
    let resolved = all.map(|parameter| match parameter["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect("it resolves"),
        None => parameter,
    });
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    resolved.map(|parameter| (text(&parameter["name"]), text(&parameter["in"]))).collect()
}

fn request(
    method: &str,
    path: &str,
    parameters: &BTreeMap<String, String>,
    (wild, place, payload): (&str, &str, &str),
    file_id: &str,
) -> String {
    let segments: Vec<&str> = file_id.split('/').collect();
    let mut path = path.to_owned();
    for name in parameters.iter().filter(|(_, place)| *place == "path").map(|(name, _)| name) {
        let fit = match name.as_str() {
            "file_id" => file_id,
            "group" => segments[0],
            "store_path" => segments[1],
            "high" => segments[2],
            "low" => segments[3],
            "name" => segments[4],
            _ => "1",
        };
        path = path.replace(&format!("{{{name}}}"), if name == wild { payload } else { fit });
    }
    let method = method.to_ascii_uppercase();
    let query = if place == "query" { format!("?{wild}={payload}") } else { String::new() };
    let header = if place == "header" { format!("{wild}: {payload}\r\n") } else { String::new() };
    // What bodies name is tried with the parameters.
    let body = format!("{{\"files\":[\"{payload}\"],\"file_ids\":[\"{payload}\"]}}");
    let len = body.len();
    format!(
        "{method} {path}{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}Content-Type: application/json\r\n\
         Content-Length: {len}\r\n\r\n{body}"
    )
}

async fn ask(at: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(at).await.expect("the server accepts");
    let mut answer = Vec::new();
    let exchange = async {
        // The server may answer, and close, before it has read all.
        let _ = stream.write_all(request.as_bytes()).await;
        let _ = stream.read_to_end(&mut answer).await;
    };
    tokio::time::timeout(LIMIT, exchange)
        .await
        .unwrap_or_else(|_| panic!("no end of an answer to {request}"));
    String::from_utf8_lossy(&answer).into_owned()
}
