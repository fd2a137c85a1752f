//! The same questions to nginx with the module and to the gateway: equal bytes, and differences of headers that are wanted.

use std::collections::BTreeMap;

use reqwest::{Client, Method};

use super::files::{File, Files, Kind};

/// An answer, headers by name in small letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn without(mut self, header: &str) -> Self {
        self.headers.remove(header);
        self
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

pub(super) async fn ask(url: &str, headers: &[(&str, &str)]) -> Answer {
    request(Method::GET, url, headers).await
}

async fn request(method: Method, url: &str, headers: &[(&str, &str)]) -> Answer {
    let asking = Client::new().request(method, url);
    let asking = headers.iter().fold(asking, |asking, (name, value)| asking.header(*name, *value));
    let answer = asking.send().await.unwrap_or_else(|error| panic!("{url}: {error:?}"));
    let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let status = answer.status().as_u16();
    let body = answer.bytes().await.unwrap_or_else(|error| panic!("{url}: {error:?}")).to_vec();
    Answer { status, headers, body }
}

/// A header that may differ, and why that is wanted. `when` sees nginx's value and ours; a missing header is empty.
struct Difference {
    header: &'static str,
    when: fn(&str, &str) -> bool,
    #[expect(dead_code, reason = "it is for who reads this list")]
    why: &'static str,
}

/// All there are.
const WANTED: &[Difference] = &[
    Difference {
        header: "server",
        when: |theirs, ours| theirs.starts_with("nginx") && ours.is_empty(),
        why: "programs and their versions are nobody's business",
    },
    Difference { header: "date", when: |_, _| true, why: "the clock goes on between two answers" },
    Difference {
        header: "connection",
        when: |theirs, ours| theirs == "keep-alive" && ours.is_empty(),
        why: "HTTP/1.1 connections stay open without a word (RFC 9112, 9.3)",
    },
    Difference {
        header: "etag",
        when: |theirs, ours| theirs.is_empty() && ours.starts_with('"'),
        why: "D13: a strong validator, so that caches and resumed downloads are exact",
    },
    Difference {
        header: "cache-control",
        when: |theirs, ours| theirs.is_empty() && !ours.is_empty(),
        why: "files whose name is made once never change, the others are to be asked for again",
    },
    Difference {
        header: "x-content-type-options",
        when: |theirs, ours| theirs.is_empty() && ours == "nosniff",
        why: "what somebody uploaded as a picture must not run as a page",
    },
];

/// How a file is asked for.
const WAYS: &[&[(&str, &str)]] = &[
    &[],
    &[("range", "bytes=0-99")],
    &[("range", "bytes=3900-")],
    &[("range", "bytes=-50")],
    &[("range", "bytes=1-1000000000")],
    &[("accept-encoding", "gzip")],
];

/// Asks both for every file in every way. `theirs` and `ours` make URLs of paths.
pub(super) async fn all(files: &Files, theirs: &impl Fn(&str) -> String, ours: &impl Fn(&str) -> String) {
    for file in &files.0 {
        let path = format!("/{}", file.id);
        for way in WAYS {
            // D12: of a file without content no range is there; nginx says 416 to any, ours to those that are well formed.
            let (a, b) = (ask(&theirs(&path), way).await, ask(&ours(&path), way).await);
            let what = format!("{:?} {path} {way:?}", file.kind);
            same(&what, file, &a, &b);
            if way.is_empty() {
                assert!(b.body == file.content, "{what}: not what was uploaded");
            }
        }
        let head = [
            request(Method::HEAD, &theirs(&path), &[]).await,
            request(Method::HEAD, &ours(&path), &[]).await,
        ];
        same(&format!("HEAD of {:?}", file.kind), file, &head[0], &head[1]);
        cached(file, &theirs(&path), &ours(&path)).await;
    }
    missing(files, theirs, ours).await;
}

/// Equal bytes and statuses, and headers that differ only as listed.
fn same(what: &str, file: &File, theirs: &Answer, ours: &Answer) {
    assert_eq!(ours.status, theirs.status, "{what}: {theirs:?} {ours:?}");
    if ours.status >= 400 {
        // Pages of errors are each program's own; D12: ours says how long the file is.
        assert!(
            ours.status != 416 || ours.header("content-range").starts_with("bytes */"),
            "{what}: {ours:?}"
        );
        return;
    }
    assert!(ours.body == theirs.body, "{what}: {} and {} bytes", theirs.body.len(), ours.body.len());
    let names: std::collections::BTreeSet<&String> =
        theirs.headers.keys().chain(ours.headers.keys()).collect();
    for name in names {
        let (a, b) = (theirs.header(name), ours.header(name));
        let wanted = WANTED.iter().any(|difference| difference.header == name && (difference.when)(a, b));
        assert!(a == b || wanted || is_link_time(file, name), "{what}: {name}: nginx '{a}', ours '{b}'");
    }
}

/// A link's time is that of the file that it leads to, of which its own name knows nothing. It is the earlier one, so
/// answers that were cached from nginx are still found fresh.
fn is_link_time(file: &File, header: &str) -> bool {
    file.kind == Kind::Link && header == "last-modified"
}

/// What a browser or cache kept from nginx is found fresh by ours.
async fn cached(file: &File, theirs: &str, ours: &str) {
    let kept = ask(theirs, &[]).await;
    let since = [("if-modified-since", kept.header("last-modified"))];
    for url in [theirs, ours] {
        let answer = ask(url, &since).await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{:?} {url} {since:?}", file.kind);
    }
}

/// What nobody has, and what nobody is to have.
async fn missing(files: &Files, theirs: &impl Fn(&str) -> String, ours: &impl Fn(&str) -> String) {
    let plain = &files.0[0].id;
    let metadata = format!("/{plain}-m");
    assert_eq!(ask(&theirs(&metadata), &[]).await.status, 200, "the module gives metadata to everybody");
    assert_eq!(ask(&ours(&metadata), &[]).await.status, 404, "D16: nobody is to see it");
    let gone = format!("/{}", plain.replace(".jpg", ".gif"));
    assert_eq!(ask(&ours(&gone), &[]).await.status, 404, "{gone}");
    // D8: the module asks the storage's address, where no nginx is, although no other member could have the file.
    let theirs = ask(&theirs(&gone), &[]).await.status;
    assert!(theirs == 404 || theirs == 502, "{gone}: {theirs}");
}
