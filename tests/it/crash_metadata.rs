//! SIGKILL between an upload and its metadata: what was acknowledged has both, and nothing of what was not stays.
//!
//! `FDFS_CRASH_SEED` is when the kills come.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::cluster::{Cluster, wait_for_a_place};
use crate::content::{is_whole, labelled};
use crate::one_store::get;
use crate::say::say;
use crate::wait::until;

const ROUNDS: u32 = 8;
/// Seconds that an upload in pieces is remembered, in this test; the documents say 24 hours.
const REMEMBERED: u64 = 4;

/// An upload that was answered.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    number: u32,
    /// Whether the answer covers the metadata `author`, too.
    has_author: bool,
}

type Acknowledged = Arc<Mutex<Vec<Known>>>;

/// A client that uploads one file after the other until the node is gone.
struct Uploader {
    client: Client,
    base: String,
    acknowledged: Acknowledged,
}

/// How it does that.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// A form with a file and a field.
    Form,
    /// By name, and then the metadata.
    Then,
    /// In two pieces.
    Pieces,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_files_keep_their_metadata_and_nothing_else_stays() {
    let seed = std::env::var("FDFS_CRASH_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    let mut random = fastrand::Rng::with_seed(seed);
    let expiration = format!("http.upload_expiration = {REMEMBERED}");
    let mut cluster = Cluster::start_with(|conf| conf, |conf| conf.add(&expiration)).await;
    let acknowledged = Acknowledged::default();
    let mut kills = Vec::new();
    for round in 0..ROUNDS {
        let before = acknowledged.lock().expect("no uploader panics").len();
        let mut uploaders = JoinSet::new();
        for (at, way) in (0..).zip([Way::Form, Way::Form, Way::Then, Way::Then, Way::Pieces, Way::Pieces]) {
            let uploader = Uploader {
                client: Client::new(),
                base: cluster.node.url(""),
                acknowledged: Arc::clone(&acknowledged),
            };
            uploaders.spawn(async move { uploader.run(way, (round * 10 + at) * 100_000).await });
        }
        until("more uploads", Duration::from_secs(60), async || {
            let count = acknowledged.lock().expect("no uploader panics").len();
            if count >= before + 12 { Ok(()) } else { Err(format!("{} so far", count - before)) }
        })
        .await;
        // Not to wait for anything: this is when the kill comes.
        let moment = random.u64(0..120);
        kills.push(moment);
        tokio::time::sleep(Duration::from_millis(moment)).await;
        cluster.node.process.crash();
        uploaders.abort_all();
        while uploaders.join_next().await.is_some() {}
        cluster.node.restart().await;
        wait_for_a_place(cluster.tracker.ip).await;
        nothing_is_left(&cluster.node.base);
        let known = acknowledged.lock().expect("no uploader panics").clone();
        for upload in &known[before..] {
            check(&cluster, upload).await;
        }
    }
    let known = acknowledged.lock().expect("no uploader panics").clone();
    say(&format!("{} uploads, {ROUNDS} kills after {kills:?} ms, seed {seed}", known.len()));
    for upload in &known {
        check(&cluster, upload).await;
    }
    let uploads = cluster.node.base.join("data/.uploads");
    until("end of abandoned uploads", Duration::from_secs(REMEMBERED * 5), async || {
        let left = names(&uploads);
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

impl Uploader {
    async fn run(&self, way: Way, first: u32) -> Option<()> {
        for number in first.. {
            match way {
                Way::Form => self.form(number).await?,
                Way::Then => self.then(number).await?,
                Way::Pieces => self.pieces(number).await?,
            }
        }
        Some(())
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    fn know(&self, id: &str, number: u32, has_author: bool) {
        let known = Known { id: id.to_owned(), number, has_author };
        self.acknowledged.lock().expect("no uploader panics").push(known);
    }

    async fn form(&self, number: u32) -> Option<()> {
        let head = |name: &str| format!("--XX\r\nContent-Disposition: form-data; name={name}\r\n\r\n");
        let mut body = head(&format!("\"file\"; filename=\"{}\"", name_of(number))).into_bytes();
        body.extend(content_of(number));
        body.extend(format!("\r\n{}{number}\r\n--XX--\r\n", head("\"author\"")).bytes());
        let form =
            self.ask(Method::POST, "/v1/files").header("content-type", "multipart/form-data; boundary=XX");
        let answer = accepted(form.body(body), StatusCode::CREATED).await?;
        // The status is the acknowledgement; the server may die before the rest of the answer.
        self.know(&location(&answer), number, true);
        Some(())
    }

    async fn then(&self, number: u32) -> Option<()> {
        let upload =
            self.ask(Method::PUT, &format!("/v1/upload/{}", name_of(number))).body(content_of(number));
        let id = location(&accepted(upload, StatusCode::CREATED).await?);
        self.know(&id, number, false);
        let metadata = self.ask(Method::PATCH, &format!("/v1/files/{id}/metadata"));
        let metadata = metadata.header("content-type", "application/json");
        let items = json!({ "author": number.to_string() }).to_string();
        accepted(metadata.body(items), StatusCode::OK).await?;
        self.know(&id, number, true);
        Some(())
    }

    async fn pieces(&self, number: u32) -> Option<()> {
        let content = content_of(number);
        let metadata =
            format!("filename {},author {}", base64(&name_of(number)), base64(&number.to_string()));
        let create = self
            .ask(Method::POST, "/v1/uploads")
            .header("tus-resumable", "1.0.0")
            .header("upload-length", content.len())
            .header("upload-metadata", metadata);
        let answer = accepted(create, StatusCode::CREATED).await?;
        let url = answer.headers()["location"].to_str().expect("text").to_owned();
        let half = content.len() / 2;
        for (offset, piece) in [(0, &content[..half]), (half, &content[half..])] {
            let patch = self
                .ask(Method::PATCH, &url)
                .header("tus-resumable", "1.0.0")
                .header("content-type", "application/offset+octet-stream")
                .header("upload-offset", offset);
            let answer = accepted(patch.body(piece.to_vec()), StatusCode::NO_CONTENT).await?;
            if let Some(id) = answer.headers().get("fdfs-file-id") {
                self.know(id.to_str().expect("text"), number, true);
            }
        }
        Some(())
    }
}

/// An answer with this status; none once the node is gone.
async fn accepted(request: RequestBuilder, status: StatusCode) -> Option<Response> {
    request.send().await.ok().filter(|answer| answer.status() == status)
}

fn location(answer: &Response) -> String {
    answer.headers()["location"].to_str().expect("text").trim_start_matches('/').to_owned()
}

/// Sizes from some bytes to a few MB, so that kills meet uploads in every state.
fn content_of(number: u32) -> Vec<u8> {
    let sizes = [8, 1_000, 70_000, 400_000, 2_000_000];
    labelled(sizes[usize::try_from(number % 5).expect("small")], number)
}

fn name_of(number: u32) -> String {
    format!("file-{number}.bin")
}

fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let value = usize::try_from((bits >> (18 - 6 * digit)) & 63).expect("small");
            out.push(if digit <= three.len() { char::from(DIGITS[value]) } else { '=' });
        }
    }
    out
}

/// An acknowledged file has its content, its name, and its metadata if that was acknowledged.
async fn check(cluster: &Cluster, known: &Known) {
    let Known { id, number, has_author } = known;
    let (status, body) = get(&cluster.node.url(&format!("/{id}"))).await;
    assert_eq!(status, StatusCode::OK, "{known:?}");
    assert!(is_whole(&body) && body[4..8] == number.to_be_bytes(), "{known:?} has other content");
    let (status, body) = get(&cluster.node.url(&format!("/v1/files/{id}/metadata"))).await;
    assert_eq!(status, StatusCode::OK, "{known:?}");
    let metadata: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(metadata["fdfs.filename"], name_of(*number), "{known:?}: {metadata}");
    let author = &metadata["author"];
    let is_there = *author == json!(number.to_string());
    assert!(is_there || (!has_author && author.is_null()), "{known:?}: {metadata}");
}

/// Names in a directory; none if it is not there.
fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned()).collect()
}

/// After a start there is no metadata of nothing, and no temporary file.
fn nothing_is_left(base: &Path) {
    let data = base.join("data");
    let is_level = |name: &String| name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let temporary: Vec<String> = names(&data)
        .into_iter()
        .filter(|name| {
            name.ends_with(".tmp")
                || name.starts_with(".up") && name != ".uploads"
                || name.starts_with(".change")
        })
        .collect();
    assert_eq!(temporary, Vec::<String>::new());
    for high in names(&data).iter().filter(|name| is_level(name)) {
        for low in names(&data.join(high)) {
            let all: HashSet<String> = names(&data.join(high).join(&low)).into_iter().collect();
            for name in &all {
                let owner = name.strip_suffix("-m").unwrap_or(name);
                assert!(all.contains(owner), "{high}/{low}/{name} is metadata of nothing");
                assert_eq!(
                    owner.len(),
                    "fwAAAWsGeN6AL8azAAAABjY6MCA571.bin".len(),
                    "{high}/{low}/{name} is no file's"
                );
            }
        }
    }
}
