//! The tracker's console in a browser: `tests/clients/console.js` is the person before the screen, this runs the servers.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::{Method, StatusCode};

use crate::cluster::Cluster;
use crate::conformance::{clients, scripts};
use crate::content::content;
use crate::group::Group;
use crate::group::server::Make;
use crate::say::skipped;
use crate::{address, browser, dev, one_store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_the_cluster_in_both_languages() {
    let cluster = Cluster::start().await;
    visit("page", &cluster.tracker.url(""), &[], nobody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_text_is_there_in_both_languages() {
    let dev = dev::Dev::start().await;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tracker/console");
    let sources = sources.to_str().expect("a path of text").to_owned();
    let tracker = dev.url(address::TRACKER_HTTP_PORT, "");
    visit("texts", &tracker, &[&sources], nobody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_read_as_fastdfs_reads_them() {
    let dev = dev::Dev::start().await;
    let names = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/file-ids.jsonl");
    let names = names.to_str().expect("a path of text").to_owned();
    visit("names", &dev.url(address::TRACKER_HTTP_PORT, ""), &[&names], nobody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_can_be_done_without_a_mouse() {
    let dev = dev::Dev::start().await;
    let tracker = dev.url(address::TRACKER_HTTP_PORT, "");
    visit("keyboard", &tracker, &[], nobody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_servers_say_is_text() {
    let dev = dev::Dev::start().await;
    let tracker = dev.url(address::TRACKER_HTTP_PORT, "");
    visit("hostile", &tracker, &[], nobody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_asked_for_where_one_is_wanted() {
    let dev = dev::Dev::start().await;
    let tracker = dev.url(address::TRACKER_HTTP_PORT, "");
    visit("access", &tracker, &[], nobody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_that_stops_is_noticed_and_found_again() {
    let mut cluster = Cluster::start().await;
    let url = cluster.tracker.url("");
    visit("trouble", &url, &[], async |what| {
        match what {
            "stop the tracker" => cluster.tracker.process.crash(),
            "start the tracker" => cluster.tracker.restart().await,
            other => panic!("nobody does this: {other}"),
        }
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_cluster_says_what_to_do() {
    let group = Group::start(&[Make::Ours], &[]).await;
    let url = format!("http://{}:{}", group.trackers[0].ip, address::TRACKER_HTTP_PORT);
    visit("empty", &url, &[], nobody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_dies_is_said() {
    let mut group = Group::start(&[Make::Ours], &[Make::Ours, Make::Ours]).await;
    let url = format!("http://{}:{}", group.trackers[0].ip, address::TRACKER_HTTP_PORT);
    visit("offline", &url, &[], async |what| {
        assert_eq!(what, "kill a member");
        group.nodes[1].kill();
        group.nodes[1].ip.to_string()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_looked_up_and_deleted() {
    // What pages of other origins may do to the storage, as a site writes it.
    let cors = "http.cors_allow_origin = *\nhttp.cors_allow_methods = GET, HEAD, POST, DELETE";
    let cluster = Cluster::start_with(|conf| conf, |conf| conf.add(cors)).await;
    let name = "%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E.gif";
    let stored = one_store::upload(&cluster.node.url("/v1/files"), name, browser::PICTURE.to_vec()).await;
    let evil = "<script>alert(2)</script>";
    let items = serde_json::json!({ "note": evil, evil: "a name" }).to_string();
    let metadata = cluster.node.url(&format!("/v1/files/{}/metadata", stored.file_id));
    let request = reqwest::Client::new().put(metadata).header("content-type", "application/json").body(items);
    let answer = request.send().await.expect("an answer");
    assert!(answer.status().is_success(), "{}", answer.status());
    visit("lookup", &cluster.tracker.url(""), &[&stored.url, evil, &host(&cluster)], nobody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_file_outlives_three_deaths_of_its_storage() {
    let mut cluster = Cluster::start().await;
    if !takes_resumable(&cluster).await {
        return skipped("a_dropped_file_outlives_three_deaths_of_its_storage", NOT_RESUMABLE);
    }
    let (file, bytes) = large_file(cluster.dir.path(), "<img src=x onerror=alert(1)>.bin", 200_000_000);
    let (tracker, node) = (cluster.tracker.url(""), host(&cluster));
    visit("upload", &tracker, &[&file, &node], async |what| {
        match what.split_once(' ') {
            Some(("compare", url)) => {
                assert!(one_store::get(url).await == (StatusCode::OK, bytes.clone()), "{url}")
            }
            Some(("restart", _)) => {
                cluster.node.process.crash();
                cluster.node.restart().await;
            }
            _ => panic!("nobody does this: {what}"),
        }
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_outlives_a_reload_of_the_page() {
    let cluster = Cluster::start().await;
    if !takes_resumable(&cluster).await {
        return skipped("an_upload_outlives_a_reload_of_the_page", NOT_RESUMABLE);
    }
    let (file, bytes) = large_file(cluster.dir.path(), "video.bin", 60_000_000);
    visit("reload", &cluster.tracker.url(""), &[&file, &host(&cluster)], async |what| {
        let Some(("compare", url)) = what.split_once(' ') else { panic!("nobody does this: {what}") };
        assert!(one_store::get(url).await == (StatusCode::OK, bytes.clone()), "{url}");
        String::new()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_changes_the_cluster() {
    let cluster = Cluster::start().await;
    visit("admin", &cluster.tracker.url(""), &[&cluster.node.ip.to_string()], nobody).await;
}

const NOT_RESUMABLE: &str = "this node has no /v1/uploads";

/// Whether the node takes uploads that are continued.
async fn takes_resumable(cluster: &Cluster) -> bool {
    let answer =
        reqwest::Client::new().request(Method::OPTIONS, cluster.node.url("/v1/uploads")).send().await;
    answer.expect("an answer").status() != StatusCode::NOT_FOUND
}

/// A file on the disk, and what is in it.
fn large_file(dir: &Path, name: &str, length: usize) -> (String, Vec<u8>) {
    let (path, bytes) = (dir.join(name), content(length, 5));
    std::fs::write(&path, &bytes).expect("the scratch directory can be written");
    (path.to_str().expect("a path of text").to_owned(), bytes)
}

/// Host and port at which the storage serves HTTP.
fn host(cluster: &Cluster) -> String {
    format!("{}:{}", cluster.node.ip, address::STORAGE_HTTP_PORT)
}

/// For scenarios that ask for nothing.
pub(crate) async fn nobody(what: &str) -> String {
    panic!("nobody does this: {what}")
}

/// Runs a scenario of the script against the tracker at `url`; `oblige` does what it asks for, and answers it.
pub(crate) async fn visit(
    scenario: &str,
    url: &str,
    arguments: &[&str],
    mut oblige: impl AsyncFnMut(&str) -> String,
) {
    let installed = clients().join("node_modules/playwright-core/package.json").exists();
    let Some(browser) = browser::installed().filter(|_| installed) else {
        return skipped(scenario, "needs chromium, node and npm playwright-core (tests/clients/install)");
    };
    let mut child = Command::new("timeout")
        .args(["300", "node"])
        .arg(scripts().join("console.js"))
        .args([scenario, url])
        .args(arguments)
        .env("FDFS_CLIENTS_DIR", clients())
        .env("FDFS_BROWSER", browser)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("timeout runs");
    let mut input = child.stdin.take().expect("it is piped");
    let output = BufReader::new(child.stdout.take().expect("it is piped"));
    // The script writes a line and waits, so no more than that is ever in the pipe.
    for line in output.lines() {
        let line = line.expect("text");
        if let Some(what) = line.strip_prefix("please ") {
            let answer = oblige(what).await;
            writeln!(input, "{answer}").expect("the script waits");
        }
    }
    let mut said = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut said).expect("text");
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{scenario}: {status}: {said}");
}
