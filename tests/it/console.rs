//! The tracker's console in a browser: `tests/clients/console.js` is the person before the screen, this runs the servers.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cluster::Cluster;
use crate::conformance::{clients, scripts};
use crate::group::Group;
use crate::group::server::Make;
use crate::say::skipped;
use crate::{address, browser, dev};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_the_cluster_in_both_languages() {
    let cluster = Cluster::start().await;
    visit("page", &cluster.tracker.url(""), &[], async |what| panic!("nobody does this: {what}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_text_is_there_in_both_languages() {
    let dev = dev::Dev::start().await;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tracker/console");
    let sources = sources.to_str().expect("a path of text").to_owned();
    let tracker = dev.url(address::TRACKER_HTTP_PORT, "");
    visit("texts", &tracker, &[&sources], async |what| panic!("nobody does this: {what}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_can_be_done_without_a_mouse() {
    let dev = dev::Dev::start().await;
    let tracker = dev.url(address::TRACKER_HTTP_PORT, "");
    visit("keyboard", &tracker, &[], async |what| panic!("nobody does this: {what}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_servers_say_is_text() {
    let dev = dev::Dev::start().await;
    let tracker = dev.url(address::TRACKER_HTTP_PORT, "");
    visit("hostile", &tracker, &[], async |what| panic!("nobody does this: {what}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_asked_for_where_one_is_wanted() {
    let dev = dev::Dev::start().await;
    let tracker = dev.url(address::TRACKER_HTTP_PORT, "");
    visit("access", &tracker, &[], async |what| panic!("nobody does this: {what}")).await;
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
    visit("empty", &url, &[], async |what| panic!("nobody does this: {what}")).await;
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

/// Runs a scenario of the script against the tracker at `url`; `oblige` does what it asks for, and answers it.
async fn visit(scenario: &str, url: &str, arguments: &[&str], mut oblige: impl AsyncFnMut(&str) -> String) {
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
