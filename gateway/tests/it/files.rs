//! File URLs, as a table of requests: every row names the rule it holds the gateway to (RFC 9110 unless said otherwise).

mod table;
mod table_ranges;
mod tokens;

use axum::body::Body;
use gateway::Settings;
use gateway::files::UploadKind;

use crate::ask::{Answer, ask, over, request};
use crate::fake::Fake;

/// The files that rows ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// 1000 bytes, never changes, `.txt`.
    Normal,
    /// 1000 bytes, can change, `.log`.
    Appender,
    /// 1000 bytes beside a master, `.jpg`.
    Slave,
    /// No byte, `.txt`.
    Empty,
    /// 600 001 bytes, `.jpg`: streamed in pieces.
    Large,
    /// 300 bytes without extension.
    Bare,
}

/// What the body has to be.
#[derive(Debug)]
enum Is {
    Whole,
    Part(usize, usize),
    Nothing,
    /// `multipart/byteranges` with these parts, in this order.
    Parts(&'static [(usize, usize)]),
    Refusal(&'static str),
}

/// One request and its answer. `{id}`, `{name}`, `{etag}` and `{len}` stand for those of the file.
struct Row {
    rule: &'static str,
    method: &'static str,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
    kind: Kind,
    status: u16,
    /// Headers of the answer; an empty value means that there is none.
    facts: &'static [(&'static str, &'static str)],
    body: Is,
}

/// A file in the store.
struct Sample {
    id: String,
    etag: String,
    content: Vec<u8>,
}

impl Sample {
    fn fill(&self, text: &str) -> String {
        let name = self.id.strip_prefix("group1/").unwrap();
        text.replace("{id}", &self.id)
            .replace("{name}", name)
            .replace("{etag}", &self.etag)
            .replace("{len}", &self.content.len().to_string())
    }
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| b"0123456789abcdefghijklmnopqrstuvwxyz-"[(at * 7 + at / 251) % 37]).collect()
}

/// Puts the file into the store. The entity tag of a normal file is the code in its name.
fn sample(store: &Fake, kind: Kind) -> Sample {
    let (len, ext) = match kind {
        Kind::Normal => (1000, "txt"),
        Kind::Appender => (1000, "log"),
        Kind::Slave => (1000, "jpg"),
        Kind::Empty => (0, "txt"),
        Kind::Large => (600_001, "jpg"),
        Kind::Bare => (300, ""),
    };
    let content = content(len);
    let id = match kind {
        Kind::Appender => store.add(&UploadKind::Appender, ext, &content).to_string(),
        Kind::Slave => {
            let master = store.add(&UploadKind::Normal, ext, b"the master").to_string();
            let id = master.replace(".jpg", "_150x150.jpg");
            store.add_as(&id, true, &content);
            id
        }
        _ => store.add(&UploadKind::Normal, ext, &content).to_string(),
    };
    let etag = match kind {
        // 784111777 seconds as nanoseconds.
        Kind::Appender | Kind::Slave => "\"3e8-ae1b981bc490a00\"".to_owned(),
        _ => format!("\"{}\"", &id["group1/M00/00/00/".len()..][..27]),
    };
    Sample { id, etag, content }
}

/// Whoever has the file, the answer is the same.
async fn run(rows: &[Row], settings: &Settings) {
    for (row, is_here) in rows.iter().flat_map(|row| [(row, true), (row, false)]) {
        let store = Fake::new();
        let sample = sample(&store, row.kind);
        if !is_here {
            store.move_away(&sample.id);
        }
        let gateway = over(&store, settings.clone());
        let headers: Vec<(&str, String)> =
            row.headers.iter().map(|(name, value)| (*name, sample.fill(value))).collect();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let target = sample.fill(row.target);
        let answer = ask(&gateway, request(row.method, &target, &headers, Body::empty())).await;
        let case = format!("{}: {} {target} {headers:?}, here: {is_here}", row.rule, row.method);
        assert_eq!(answer.status, row.status, "{case}");
        for (name, value) in row.facts {
            assert_eq!(answer.header(name), sample.fill(value), "{name} of {case}");
        }
        check_body(row, &sample, &answer, &case);
    }
}

fn check_body(row: &Row, sample: &Sample, answer: &Answer, case: &str) {
    if row.method == "HEAD" {
        assert!(answer.body.is_empty(), "{case}");
        return;
    }
    let expected = match row.body {
        Is::Whole => sample.content.clone(),
        Is::Part(start, end) => sample.content[start..end].to_vec(),
        Is::Nothing => Vec::new(),
        Is::Refusal(code) => {
            assert_eq!(answer.code(), code, "{case}");
            assert_eq!(answer.header("cache-control"), "no-store", "{case}");
            return;
        }
        Is::Parts(parts) => {
            assert_eq!(
                answer.header("content-range"),
                "",
                "14.4: a multipart answer has none of its own, {case}"
            );
            byte_ranges(parts, sample, answer)
        }
    };
    assert!(answer.body == expected, "{case}: {:?}", String::from_utf8_lossy(&answer.body));
    if answer.status != 304 {
        assert_eq!(answer.header("content-length"), expected.len().to_string(), "{case}");
    }
}

/// The multipart body that has exactly these parts (14.6).
fn byte_ranges(parts: &[(usize, usize)], sample: &Sample, answer: &Answer) -> Vec<u8> {
    let boundary = answer.header("content-type").strip_prefix("multipart/byteranges; boundary=").unwrap();
    assert!(!boundary.is_empty() && boundary.len() <= 70, "RFC 2046, 5.1.1");
    let kind = if sample.id.ends_with("jpg") { "image/jpeg" } else { "text/plain" };
    let whole = sample.content.len();
    let mut body = Vec::new();
    for (start, end) in parts {
        let last = end - 1;
        let head = format!(
            "\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: bytes {start}-{last}/{whole}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(&sample.content[*start..*end]);
    }
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    body
}
