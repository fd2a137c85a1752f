//! Digests of uploads, checked before anything is stored: `Content-MD5` (RFC 1864), `Repr-Digest` and `Content-Digest`
//! (RFC 9530), as headers or, of a body whose length is not known, as trailers that `Trailer` announces.
//!
//! An upload is stored as it came, so what is digested is the body, of a form the whole form. Requests that ask for none pay
//! nothing.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::TRAILER;
use http::{HeaderMap, HeaderName};
use http_body::Frame;
use http_body_util::BodyExt;
use md5::Md5;
use sha2::{Digest, Sha256, Sha512};
use tokio::time::timeout;

use super::structured::{Value, dictionary};
use super::upload::bad;
use crate::problem::Problem;

const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");
/// Headers that say something about the body.
pub(crate) const DIGESTS: [HeaderName; 3] = [CONTENT_MD5, CONTENT_DIGEST, REPR_DIGEST];
const WANT_REPR_DIGEST: HeaderName = HeaderName::from_static("want-repr-digest");
/// What is read after a form's end, at most.
const MAX_REST: usize = 64 * 1024;

/// Digests that are computed, the stronger later. Others of the registry are ignored (RFC 9530, 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
    Sha512,
}

const ALL: [Algorithm; 3] = [Algorithm::Md5, Algorithm::Sha256, Algorithm::Sha512];

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha-256",
            Self::Sha512 => "sha-512",
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

enum Running {
    Md5(Md5),
    Sha256(Sha256),
    Sha512(Box<Sha512>),
}

impl Running {
    fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5(Md5::new()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Box::default()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(running) => running.update(bytes),
            Self::Sha256(running) => running.update(bytes),
            Self::Sha512(running) => running.update(bytes),
        }
    }

    fn value(&self) -> Vec<u8> {
        match self {
            Self::Md5(running) => running.clone().finalize().to_vec(),
            Self::Sha256(running) => running.clone().finalize().to_vec(),
            Self::Sha512(running) => running.clone().finalize().to_vec(),
        }
    }
}

/// What a header or trailer says: which digest of which header.
struct Expected {
    header: HeaderName,
    algorithm: Algorithm,
    value: Vec<u8>,
}

#[derive(Default)]
struct Digests {
    expected: Vec<Expected>,
    running: Vec<(Algorithm, Running)>,
    /// To be told.
    wanted: Option<Algorithm>,
    /// Trailers of which it was said that they come.
    announced: Vec<HeaderName>,
    /// As they came.
    trailers: Option<HeaderMap>,
    ended: bool,
}

/// The digests of a body that is on its way. Empty of requests without any.
pub(crate) struct Watched(Option<Shared>);

#[derive(Clone)]
struct Shared {
    body: Arc<Mutex<Body>>,
    digests: Arc<Mutex<Digests>>,
}

/// Watches a body if the headers say something about its digest.
pub(crate) fn watch(headers: &HeaderMap, body: Body) -> Result<(Body, Watched), Problem> {
    let digests = Digests::of(headers)?;
    if digests.running.is_empty() {
        return Ok((body, Watched(None)));
    }
    let shared = Shared { body: Arc::new(Mutex::new(body)), digests: Arc::new(Mutex::new(digests)) };
    Ok((Body::new(shared.clone()), Watched(Some(shared))))
}

impl Watched {
    /// Checks what came; reads what a form left of the body first. Gives the digest that the request wants to be told, as a
    /// header would.
    pub(crate) async fn check(self, patience: Duration) -> Result<Option<String>, Problem> {
        let Some(mut shared) = self.0 else { return Ok(None) };
        let mut rest = 0;
        while !shared.digests().ended {
            let frame = timeout(patience, shared.frame())
                .await
                .map_err(|_| bad("body_broken", "the body did not end after its last part"))?;
            match frame {
                None => break,
                Some(Ok(frame)) => rest += frame.data_ref().map_or(0, Bytes::len),
                Some(Err(_)) => return Err(bad("body_broken", "the body ended before its announced length")),
            }
            if rest > MAX_REST {
                return Err(bad("body_broken", "too much follows the last part of the body"));
            }
        }
        let digests = &mut *shared.digests();
        if let Some(trailers) = digests.trailers.take() {
            let expected = expected(&trailers)?;
            digests
                .expected
                .extend(expected.into_iter().filter(|one| digests.announced.contains(&one.header)));
        }
        digests.check()
    }
}

impl Shared {
    fn digests(&self) -> MutexGuard<'_, Digests> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = {
            let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
            ready!(Pin::new(&mut *body).poll_frame(context))
        };
        let mut digests = self.digests();
        if let Some(Ok(frame)) = &frame {
            if let Some(data) = frame.data_ref() {
                digests.running.iter_mut().for_each(|(_, running)| running.update(data));
            }
            if let Some(trailers) = frame.trailers_ref() {
                digests.trailers = Some(trailers.clone());
            }
        }
        digests.ended |= frame.is_none();
        drop(digests);
        Poll::Ready(frame)
    }
}

impl Digests {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let expected = expected(headers)?;
        let mut digests =
            Self { wanted: wanted(headers)?, announced: announced(headers), expected, ..Self::default() };
        let by_trailer = |algorithm| match algorithm {
            Algorithm::Md5 => digests.announced.contains(&CONTENT_MD5),
            _ => digests.announced.iter().any(|name| *name != CONTENT_MD5),
        };
        let is_used = |algorithm| {
            by_trailer(algorithm)
                || digests.wanted == Some(algorithm)
                || digests.expected.iter().any(|one| one.algorithm == algorithm)
        };
        let used: Vec<Algorithm> = ALL.into_iter().filter(|algorithm| is_used(*algorithm)).collect();
        digests.running = used.into_iter().map(|algorithm| (algorithm, Running::of(algorithm))).collect();
        Ok(digests)
    }

    fn value(&self, algorithm: Algorithm) -> Option<Vec<u8>> {
        self.running.iter().find(|(other, _)| *other == algorithm).map(|(_, running)| running.value())
    }

    fn check(&self) -> Result<Option<String>, Problem> {
        for Expected { header, algorithm, value } in &self.expected {
            let is = self.value(*algorithm);
            // Of what a trailer says beyond the algorithms that were foreseen nothing is known.
            if is.is_some_and(|is| is != *value) {
                let detail = format!(
                    "the content is not what {header} says by {}; nothing was stored, send it again",
                    algorithm.name()
                );
                return Err(bad("digest_mismatch", &detail));
            }
        }
        let told = self.wanted.and_then(|wanted| Some((wanted, self.value(wanted)?)));
        Ok(told.map(|(wanted, value)| format!("{}=:{}:", wanted.name(), STANDARD.encode(value))))
    }
}

/// What headers or trailers say about content.
fn expected(headers: &HeaderMap) -> Result<Vec<Expected>, Problem> {
    let mut expected = Vec::new();
    if headers.contains_key(CONTENT_MD5) {
        let single = crate::conditions::single(headers, &CONTENT_MD5);
        let value =
            single.and_then(|text| STANDARD.decode(text.trim()).ok()).filter(|value| value.len() == 16);
        let value = value.ok_or_else(|| malformed(&CONTENT_MD5, "16 bytes in base64"))?;
        expected.push(Expected { header: CONTENT_MD5, algorithm: Algorithm::Md5, value });
    }
    for header in [CONTENT_DIGEST, REPR_DIGEST] {
        for (name, value) in members(headers, &header)? {
            let Some(algorithm) = ALL.into_iter().find(|algorithm| algorithm.name() == name) else {
                continue;
            };
            match value {
                Value::Bytes(value) if value.len() == algorithm.len() => {
                    expected.push(Expected { header: header.clone(), algorithm, value });
                }
                _ => return Err(malformed(&header, "sha-256=:BASE64:")),
            }
        }
    }
    Ok(expected)
}

/// The digest that a request wants most, of those that there are; the stronger of equal ones.
fn wanted(headers: &HeaderMap) -> Result<Option<Algorithm>, Problem> {
    let mut best: Option<(i64, Algorithm)> = None;
    for (name, value) in members(headers, &WANT_REPR_DIGEST)? {
        let Value::Integer(weight @ 0..=10) = value else {
            return Err(malformed(&WANT_REPR_DIGEST, "sha-256=10"));
        };
        let algorithm = ALL.into_iter().find(|algorithm| algorithm.name() == name);
        // 0 means: not this one.
        if let Some(algorithm) = algorithm.filter(|_| weight > 0) {
            best = best.max(Some((weight, algorithm)));
        }
    }
    Ok(best.map(|(_, algorithm)| algorithm))
}

fn announced(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(TRAILER).iter().filter_map(|line| line.to_str().ok());
    let names = lines.flat_map(|line| line.split(',')).map(str::trim);
    let find = |name: &str| DIGESTS.iter().find(|header| header.as_str().eq_ignore_ascii_case(name)).cloned();
    names.filter_map(find).collect()
}

fn members(headers: &HeaderMap, name: &HeaderName) -> Result<Vec<(String, Value)>, Problem> {
    let lines: Option<Vec<&str>> = headers.get_all(name).iter().map(|line| line.to_str().ok()).collect();
    let text = lines.map(|lines| lines.join(", "));
    text.and_then(|text| dictionary(&text)).ok_or_else(|| malformed(name, "sha-256=:BASE64:"))
}

fn malformed(name: &HeaderName, form: &str) -> Problem {
    bad("bad_digest", &format!("the header {name} cannot be read; it looks like {form}"))
}
