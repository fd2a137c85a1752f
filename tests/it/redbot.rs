//! REDbot (PyPI `redbot`) examines resources of every kind as a cautious cache would: it has nothing to say against them.
//!
//! It asks for each resource, and besides with a range, with its validators, and for other encodings.

use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use protocol::HostPort;
use protocol::client::Client;
use protocol::file_id::{FileExt, SlavePrefix};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::cluster::{Cluster, Config, Daemon, FEW_DIRECTORIES, START};
use crate::conformance::{clients, scripts};
use crate::group::limits;
use crate::say::skipped;
use crate::wait::until;
use crate::{address, one_store};

/// What REDbot warns of although it is as it must be: the note, and of which resources if not of all.
const NOT_OURS: &[(&str, Option<&str>)] = &[
    // Sites may keep it from others by `http.cache_control`; with it, caches store answers to requests with credentials,
    // which a picture's are where a site has logins (RFC 9111, 5.2.2.9).
    ("STORE_PUBLIC_UNNECESSARY", None),
    // An answer with several parts has a Content-Range in each and must have none itself (RFC 9110, 15.3.7.2).
    ("PARTIAL_WITHOUT_RANGE", Some("several ranges")),
    // The resource is a refusal of that name.
    ("STATUS_BAD_REQUEST", Some("a refusal")),
];

/// What REDbot is to find good about files.
const GOOD: [&str; 5] = ["RANGE_CORRECT", "INM_304", "IMS_304", "CL_CORRECT", "DATE_CORRECT"];

/// A resource that is examined.
#[derive(Debug, Serialize)]
struct Resource {
    #[serde(skip)]
    name: &'static str,
    #[serde(skip)]
    status: u16,
    url: String,
    method: &'static str,
    headers: Vec<(&'static str, &'static str)>,
}

impl Resource {
    fn new(name: &'static str, status: u16, url: &str) -> Self {
        Self { name, status, url: url.to_owned(), method: "GET", headers: Vec::new() }
    }

    fn by(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Whether it is a whole file.
    fn is_file(&self) -> bool {
        self.status == 200 && self.method == "GET" && !self.url.contains("/healthz")
    }
}

#[derive(Debug, Deserialize)]
struct Report {
    status: Option<u16>,
    notes: Vec<Note>,
}

#[derive(Debug, Deserialize)]
struct Note {
    check: String,
    level: String,
    note: String,
    subject: String,
    summary: String,
}

impl Note {
    fn is_fault(&self) -> bool {
        matches!(self.level.as_str(), "bad" | "warning")
    }

    fn text(&self) -> String {
        let Self { check, level, note, subject, summary } = self;
        format!("{level} {note} of {subject} by {check}: {summary}")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redbot_finds_no_fault() {
    let Some(python) = python() else {
        return skipped("redbot_finds_no_fault", "redbot is not installed (tests/clients/install)");
    };
    let cluster = Cluster::start().await;
    let mut resources = files(&cluster).await;
    resources.extend(answers(&cluster).await);
    let other = tempfile::tempdir().expect("a scratch directory");
    let (_other, more) = of_another(&cluster, other.path()).await;
    resources.extend(more);

    let reports = examine(&python, &resources);
    let mut faults = Vec::new();
    let mut excused = Vec::new();
    for (resource, report) in resources.iter().zip(&reports) {
        let name = resource.name;
        if report.status != Some(resource.status) {
            faults.push(format!("{name}: {:?}, not {}", report.status, resource.status));
        }
        for note in report.notes.iter().filter(|note| note.is_fault()) {
            let excuse =
                NOT_OURS.iter().find(|(what, of)| *what == note.note && of.is_none_or(|of| of == name));
            match excuse {
                Some((what, _)) => excused.push(*what),
                None => faults.push(format!("{name}: {}", note.text())),
            }
        }
        for good in GOOD.iter().filter(|_| resource.is_file()) {
            if !report.notes.iter().any(|note| note.level == "good" && note.note == *good) {
                faults.push(format!("{name}: nothing is said of {good}"));
            }
        }
    }
    for (what, _) in NOT_OURS {
        if !excused.contains(what) {
            faults.push(format!("the excuse for {what} is needed no more"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What finds nothing wrong here finds it elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redbot_finds_the_faults_of_a_bad_server() {
    let Some(python) = python() else {
        return skipped(
            "redbot_finds_the_faults_of_a_bad_server",
            "redbot is not installed (tests/clients/install)",
        );
    };
    let listener = TcpListener::bind((address::fresh(), 0)).await.expect("a loopback address");
    let at = listener.local_addr().expect("it is bound");
    let server = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: unquoted\r\nLast-Modified: yesterday\r\n\
                          Content-Range: bytes 0-2/3\r\nCache-Control: max-age=soon\r\nConnection: close\r\n\r\nabc";
            if stream.read(&mut request).await.is_ok() {
                // A client that has seen enough may be gone.
                stream.write_all(answer.as_bytes()).await.ok();
            }
        }
    });
    let resources = [Resource::new("bad", 200, &format!("http://{at}/"))];
    let reports =
        tokio::task::spawn_blocking(move || examine(&python, &resources)).await.expect("it is examined");
    server.abort();
    let faults: Vec<&str> =
        reports[0].notes.iter().filter(|note| note.is_fault()).map(|note| note.subject.as_str()).collect();
    for subject in ["field-etag", "field-last-modified"] {
        assert!(faults.contains(&subject), "{subject}: {reports:?}");
    }
}

/// One of each kind of file, and of each kind of content that REDbot looks into.
async fn files(cluster: &Cluster) -> Vec<Resource> {
    let uploads = cluster.node.url("/v1/files");
    let text = "A line of text.\n".repeat(400);
    let page = format!("<!doctype html><html lang=en><title>A page</title><p>{text}</html>");
    let style = "p { color: black; }\n".repeat(100);
    let large = crate::content::content(700_000, 3);
    let mut resources = Vec::new();
    for (name, file_name, content) in [
        ("a text", "a.txt", text.clone().into_bytes()),
        ("a page", "a.html", page.into_bytes()),
        ("a style", "a.css", style.into_bytes()),
        ("a large file", "a.bin", large),
        ("a file without extension", "a", text.clone().into_bytes()),
        ("an appender", "a.log&kind=appender", text.clone().into_bytes()),
    ] {
        let stored = one_store::upload(&uploads, file_name, content).await;
        if name == "a text" {
            resources.push(slave(cluster.tracker.ip, &stored.file_id, text.as_bytes(), cluster).await);
            resources.push(Resource::new(
                "a download",
                200,
                &format!("{}?filename=%E5%9B%BE.txt", stored.url),
            ));
        }
        resources.push(Resource::new(name, 200, &stored.url));
    }
    resources
}

async fn slave(tracker: IpAddr, master: &str, content: &[u8], cluster: &Cluster) -> Resource {
    let trackers = HostPort::parse(&tracker.to_string(), address::TRACKER_PORT).expect("an address");
    let client = Client::new(vec![trackers], limits());
    let master = protocol::FileId::parse(master).expect("it was answered");
    let prefix = SlavePrefix::parse("_small").expect("a prefix");
    let ext = FileExt::parse("txt").expect("an extension");
    let len = content.len() as u64;
    let id = client.upload_slave(&master, prefix, ext, &mut &*content, len).await.expect("a slave");
    Resource::new("a slave", 200, &cluster.node.url(&format!("/{id}")))
}

/// Answers that are no whole file.
async fn answers(cluster: &Cluster) -> Vec<Resource> {
    let uploads = cluster.node.url("/v1/files");
    let stored = one_store::upload(&uploads, "b.txt", "Another line.\n".repeat(400).into_bytes()).await;
    let file = |name, status| Resource::new(name, status, &stored.url);
    vec![
        file("a range", 206).with("Range", "bytes=100-199"),
        file("several ranges", 206).with("Range", "bytes=0-9,1000-1009"),
        file("a range that misses", 416).with("Range", "bytes=100000-"),
        file("nothing new", 304).with("If-None-Match", "*"),
        file("a failed condition", 412).with("If-Match", "\"x\""),
        file("a HEAD", 200).by("HEAD"),
        file("its methods", 204).by("OPTIONS"),
        file("a method that it lacks", 405).by("PUT"),
        Resource::new("a refusal", 400, &format!("{}?filename=%00", stored.url)),
        Resource::new("a missing file", 404, &stored.url.replace(".txt", ".png")),
        Resource::new("no file's name", 404, &cluster.node.url("/favicon.ico")),
        Resource::new("health", 200, &cluster.node.url("/healthz")),
    ]
}

/// What a storage with settings of its own answers, which sends visitors to the first for a file that it has lost.
async fn of_another(cluster: &Cluster, dir: &Path) -> (Daemon, Vec<Resource>) {
    let page = dir.join("404.html");
    std::fs::write(&page, "<!doctype html><title>Gone</title><p>Not here.</p>").expect("a scratch directory");
    let settings = |conf: Config| {
        conf.add("response_mode = redirect")
            .add("http.charset = utf-8")
            .add(&format!("http.error_page = 404 {}", page.display()))
            .add(FEW_DIRECTORIES)
    };
    let other = Daemon::node(dir, address::fresh(), cluster.tracker.ip, settings).await;
    let stored =
        one_store::upload(&cluster.node.url("/v1/files"), "c.txt", b"Lost there.\n".repeat(10)).await;
    let name = stored.file_id.strip_prefix("group1/M00/").expect("an ID of the only path");
    let copy = other.base.join("data").join(name);
    until("the copy", START, async || {
        std::fs::remove_file(&copy).map_err(|error| format!("{}: {error}", copy.display()))
    })
    .await;
    let text = "A line with its character set.\n".repeat(400).into_bytes();
    let text = one_store::upload(&other.url("/v1/files"), "d.txt", text).await;
    let resources = vec![
        Resource::new("a redirect", 307, &other.url(&format!("/{}", stored.file_id))),
        Resource::new("a text with a character set", 200, &text.url),
        Resource::new("the site's page", 404, &other.url("/nothing")),
        Resource::new("the problem beside it", 404, &other.url("/nothing"))
            .with("Accept", "application/json"),
    ];
    (other, resources)
}

/// Python with REDbot.
fn python() -> Option<std::path::PathBuf> {
    let python = clients().join("venv/bin/python");
    let has_redbot = Command::new(&python).args(["-c", "import redbot"]).output();
    has_redbot.is_ok_and(|output| output.status.success()).then_some(python)
}

/// What REDbot says about each.
fn examine(python: &Path, resources: &[Resource]) -> Vec<Report> {
    let mut child = Command::new("timeout")
        .args(["120"])
        .arg(python)
        .arg(scripts().join("redbot_notes.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("timeout runs");
    let text = serde_json::to_vec(resources).expect("plain values");
    child.stdin.take().expect("it is piped").write_all(&text).expect("the script reads");
    let output = child.wait_with_output().expect("the script ends");
    assert!(output.status.success(), "{}", output.status);
    let reports: Vec<Report> = serde_json::from_slice(&output.stdout).expect("a report of each");
    assert_eq!(reports.len(), resources.len());
    reports
}
