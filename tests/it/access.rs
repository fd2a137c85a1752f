//! Who may do what in a cluster of real processes: a tracker and a node of each of two groups, which share a secret and take
//! tokens of files of their own. Nothing is allowed for coming from this machine.

mod members;
mod tickets;
mod tokens;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::address;
use crate::cluster::{Config, Daemon, FEW_DIRECTORIES, made};
use crate::process::fdfs;
use crate::wait::until;

const SOON: Duration = Duration::from_secs(30);

/// A key set with "thirty-two bytes of a secret key" as `k`.
const KEYS: &str = r#"{"keys": [{"kty": "oct", "kid": "k", "alg": "HS256", "k": "dGhpcnR5LXR3byBieXRlcyBvZiBhIHNlY3JldCBrZXk"}]}"#;
/// `{"sub":"ann","scope":"write","exp":4000000000}` signed by that, then with `exp` of 2001, then with `group` group2.
const JWT: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.eyJzdWIiOiJhbm4iLCJzY29wZSI6IndyaXRlIiwiZXhwIjo0MDAwMDAwMDAwfQ.B6w_YpbJZB3CnXkWGAVYQ5XrDlFmIstkYK_gAQtgzbQ";
const OLD_JWT: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.eyJzdWIiOiJhbm4iLCJzY29wZSI6IndyaXRlIiwiZXhwIjoxMDAwMDAwMDAwfQ.k3DkcXFLF7Rqa3F8ztlWwXQkWPRotWO7Pz6NQCY_rrc";
const JWT_OF_GROUP2: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.eyJzdWIiOiJhbm4iLCJzY29wZSI6IndyaXRlIiwiZ3JvdXAiOiJncm91cDIiLCJleHAiOjQwMDAwMDAwMDB9.69sfTrPzr1iVgj1P7iA36iLU2T8LwWqdMq60_SASgJA";

/// The cluster.
struct Site {
    // Before the directory, so that the daemons end first.
    /// Of group1 and of group2.
    nodes: [Daemon; 2],
    tracker: Daemon,
    dir: TempDir,
}

/// What `fdfs token new` made.
struct Token {
    text: String,
    line: String,
}

impl Token {
    fn new(arguments: &[&str]) -> Self {
        let made = fdfs().args(["token", "new", "--line"]).args(arguments).output().expect("fdfs runs");
        assert!(made.status.success(), "{arguments:?}: {made:?}");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").trim().to_owned();
        Self { text: text(made.stderr), line: text(made.stdout) }
    }
}

impl Site {
    /// The tokens that a tracker and the nodes of group1 and group2 take.
    async fn start(tracker_tokens: &[&Token], node_tokens: [&[&Token]; 2]) -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        std::fs::write(dir.path().join("secret"), "0123456789abcdef0123456789abcdef\n").expect("writable");
        std::fs::write(dir.path().join("keys"), KEYS).expect("writable");
        let places = ["tracker", "a", "b"].map(|name| made(dir.path().join(name)));
        let [of_tracker, of_first, of_second] = &places;
        let with = |place: &Path, tokens: &[&Token]| {
            write_tokens(place, tokens);
            let keys = format!(
                "http.tokens_file = {place}/tokens\nhttp.cluster_secret_file = {dir}/secret\nhttp.jwt_keys_file = {dir}/keys\n\
                 http.audit_log = {place}/audit\nhttp.loopback_writes = false\nhttp.private_reads = true",
                place = place.display(),
                dir = dir.path().display()
            );
            move |conf: Config| conf.add(&keys)
        };
        let conf = with(of_tracker, tracker_tokens);
        let tracker = Daemon::tracker(of_tracker, address::fresh(), conf).await;
        let node = async |place: &Path, group: &str, tokens: &[&Token]| {
            let conf = with(place, tokens);
            let conf = |of: Config| conf(of.set("group_name", group).add(FEW_DIRECTORIES));
            Daemon::node(place, address::fresh(), tracker.ip, conf).await
        };
        let nodes =
            [node(of_first, "group1", node_tokens[0]).await, node(of_second, "group2", node_tokens[1]).await];
        let site = Self { nodes, tracker, dir };
        until("both groups", SOON, async || {
            let answer = Visitor::new().ask(Method::GET, &site.tracker.url("/v1/cluster")).send().await;
            let text = answer.expect("the tracker answers").text().await.expect("a body");
            let found: Value = serde_json::from_str(&text).expect("JSON");
            if found["totals"]["active"] == 2 { Ok(()) } else { Err(text) }
        })
        .await;
        site
    }

    fn place(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits for a line of the audit log in `place` that has these values.
    async fn audited(&self, place: &str, expected: &[(&str, Value)]) -> Value {
        let path = self.place(place).join("audit");
        until("line of the audit log", SOON, async || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
            let is_it = |line: &Value| expected.iter().all(|(key, value)| line[key] == *value);
            lines.into_iter().find(is_it).ok_or_else(|| format!("none with {expected:?} in {text}"))
        })
        .await
    }
}

/// The file of tokens in a daemon's directory.
fn write_tokens(place: &Path, tokens: &[&Token]) {
    let lines: String = tokens.iter().map(|token| format!("{}\n", token.line)).collect();
    std::fs::write(place.join("tokens"), lines).expect("writable");
}

/// Somebody with an address of their own, so that failures are counted for each.
struct Visitor(Client);

impl Visitor {
    fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let ip = IpAddr::V4(Ipv4Addr::new(127, 3, 0, NEXT.fetch_add(1, Ordering::Relaxed)));
        let client = Client::builder().local_address(ip).redirect(reqwest::redirect::Policy::none());
        Self(client.build().expect("a client"))
    }

    fn ask(&self, method: Method, url: &str) -> RequestBuilder {
        self.0.request(method, url)
    }
}

/// What a request may show.
fn showing(request: RequestBuilder, token: &str) -> RequestBuilder {
    if token.is_empty() { request } else { request.header("authorization", format!("Bearer {token}")) }
}

/// Status and, of a refusal, its code.
async fn outcome(request: RequestBuilder) -> (u16, String) {
    read(request.send().await.expect("an answer")).await
}

async fn read(answer: Response) -> (u16, String) {
    let status = answer.status();
    let text = answer.text().await.expect("a body");
    let problem: Value = serde_json::from_str(&text).unwrap_or_default();
    let code = if status.as_u16() < 400 { "" } else { problem["code"].as_str().unwrap_or(&text) };
    (status.as_u16(), code.to_owned())
}

/// A JSON answer with this status.
async fn json(request: RequestBuilder, status: StatusCode) -> Value {
    let answer = request.send().await.expect("an answer");
    let found = answer.status();
    let text = answer.text().await.expect("a body");
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
