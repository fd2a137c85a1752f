//! `fdfs dev`: the first thing that a person sees.

use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::{START, ready};
use crate::content::content;
use crate::process::{Process, fdfs};
use crate::say::skipped;
use crate::wait::until;
use crate::{address, one_store};

/// A person waits no longer than this for the first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(3);

/// A running `fdfs dev` on an address of its own.
pub(crate) struct Dev {
    pub(crate) process: Process,
    pub(crate) ip: IpAddr,
    pub(crate) dir: TempDir,
}

impl Dev {
    /// Starts it with a new data directory; ready when this returns.
    pub(crate) async fn start() -> Self {
        let (ip, dir) = (address::fresh(), tempfile::tempdir().expect("a scratch directory"));
        let process =
            Process::start(fdfs().args(["dev", "--bind", &ip.to_string(), "--data"]).arg(dir.path()));
        let mut dev = Self { process, ip, dir };
        dev.wait_ready().await;
        dev
    }

    pub(crate) async fn wait_ready(&mut self) {
        for url in
            [self.url(address::STORAGE_HTTP_PORT, "/readyz"), self.url(address::TRACKER_HTTP_PORT, "/readyz")]
        {
            until(&format!("answer from {url}"), START, async || {
                self.process.assert_running();
                ready(&url).await
            })
            .await;
        }
    }

    pub(crate) fn url(&self, port: u16, path: &str) -> String {
        format!("http://{}:{port}{path}", self.ip)
    }

    /// The first printed line that begins with `curl`.
    pub(crate) async fn curl_line(&self) -> String {
        until("curl line", FIRST_ANSWER, async || {
            let text = self.process.stdout();
            let complete = text.rfind('\n').map_or("", |end| &text[..end]);
            let line = complete.lines().map(str::trim).find(|line| line.starts_with("curl "));
            line.map(str::to_owned).ok_or(text)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_answers_in_three_seconds_and_stops_clean() {
    let start = Instant::now();
    let mut dev = Dev::start().await;
    let line = dev.curl_line().await;
    let took = start.elapsed();
    assert!(took < FIRST_ANSWER, "ready after {took:?}");
    assert!(line.contains(&dev.ip.to_string()), "the line names the address: {line}");

    let bytes = content(70_000, 1);
    let stored =
        one_store::upload(&dev.url(address::STORAGE_HTTP_PORT, "/v1/files"), "a.bin", bytes.clone()).await;
    let ended = dev.process.stop().await;
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);

    let (ip, data) = (dev.ip.to_string(), dev.dir.path());
    dev.process = Process::start(fdfs().args(["dev", "--bind", &ip, "--data"]).arg(data));
    dev.wait_ready().await;
    let url = dev.url(address::STORAGE_HTTP_PORT, &format!("/{}", stored.file_id));
    assert_eq!(one_store::get(&url).await, (StatusCode::OK, bytes), "the data directory keeps files");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_printed_curl_line_works_as_pasted() {
    if Command::new("curl").arg("--version").output().is_err() {
        return skipped("the_printed_curl_line_works_as_pasted", "curl is not installed");
    }
    let dev = Dev::start().await;
    let line = dev.curl_line().await;
    let scratch = tempfile::tempdir().expect("a scratch directory");
    // As a person's shell: whatever the line names must be there or be made by the line itself.
    let output =
        Command::new("sh").arg("-c").arg(&line).current_dir(scratch.path()).output().expect("sh runs");
    assert!(output.status.success(), "{line}: {output:?}");
    let answer: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}"));
    let stored = if answer["url"].is_string() { &answer } else { &answer["files"][0] };
    let url = stored["url"].as_str().unwrap_or_else(|| panic!("a URL in {answer}"));
    let (status, body) = one_store::get(url).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(stored["size"].as_u64(), u64::try_from(body.len()).ok());
}
