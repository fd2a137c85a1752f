//! The document over HTTP: as it was written, as JSON, and as a page that shows it and tries what it says.
//!
//! All are compiled in. Browsers and caches ask for them again each time, by their tags. The page's policy lets it run its
//! own script and talk to its own server, nothing else.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use protocol::file_id::base64;
use sha2::{Digest, Sha256};

use super::{JSON, Server, YAML};
use crate::conditions::has_copy;
use crate::routes::Routes;

const PAGE: &str = include_str!("../../docs/page.html");
const STYLE: &str = include_str!("../../docs/style.css");
const SCRIPT: &str = include_str!("../../docs/script.js");

/// RFC 9512.
const YAML_TYPE: &str = "application/yaml";
const JSON_TYPE: &str = "application/json";
const HTML_TYPE: &str = "text/html; charset=utf-8";

/// Base64 of a SHA-256: 43 digits and a filler.
const HASH_LEN: usize = 44;

/// Something to be served, with what is sent beside it.
struct Part {
    content: String,
    kind: &'static str,
    etag: HeaderValue,
    policy: HeaderValue,
}

/// The routes of both ports; the page is about `server` first.
pub fn routes<S: Clone + Send + Sync + 'static>(server: Server) -> Routes<S> {
    let page = match server {
        Server::Node => &NODE_PAGE,
        Server::Tracker => &TRACKER_PAGE,
    };
    Routes::new()
        .on(Method::GET, "/openapi.yaml", async |headers: HeaderMap| answer(&YAML_PART, &headers))
        .on(Method::GET, "/openapi.json", async |headers: HeaderMap| answer(&JSON_PART, &headers))
        .on(Method::GET, "/docs", async |headers: HeaderMap| answer(page, &headers))
}

static YAML_PART: LazyLock<Part> =
    LazyLock::new(|| Part::new(YAML.to_owned(), YAML_TYPE, "default-src 'none'"));
static JSON_PART: LazyLock<Part> =
    LazyLock::new(|| Part::new(JSON.to_owned(), JSON_TYPE, "default-src 'none'"));
static NODE_PAGE: LazyLock<Part> = LazyLock::new(|| page("node"));
static TRACKER_PAGE: LazyLock<Part> = LazyLock::new(|| page("tracker"));

impl Part {
    fn new(content: String, kind: &'static str, policy: &str) -> Self {
        let etag = format!("\"{}\"", &hash(&format!("{content}{policy}"))[..16]);
        // Both are made of visible ASCII.
        let header = |text: &str| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("\"\""));
        Self { etag: header(&etag), policy: header(policy), content, kind }
    }
}

/// The page in one piece.
fn page(server: &str) -> Part {
    let content = PAGE.replace("@server@", server).replace("@style@", STYLE).replace("@script@", SCRIPT);
    let policy = format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    Part::new(content, HTML_TYPE, &policy)
}

/// The SHA-256 of a text as policies write it (W3C CSP, level 3, 2.3.1): base64, here that of URLs.
fn hash(text: &str) -> String {
    let mut digits = [b'='; HASH_LEN];
    base64::encode(&Sha256::digest(text), &mut digits[..HASH_LEN - 1]);
    digits.map(char::from).iter().collect()
}

fn answer(part: &'static Part, asked: &HeaderMap) -> Response {
    let has_it =
        asked.contains_key(IF_NONE_MATCH) && part.etag.to_str().is_ok_and(|tag| has_copy(asked, tag));
    let mut response = if has_it {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(CONTENT_TYPE, part.kind)], part.content.as_str()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(ETAG, part.etag.clone());
    headers.insert(CONTENT_SECURITY_POLICY, part.policy.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
