//! Compression of file URLs. What a client gets is chosen before its preconditions are looked at, since every coding has
//! an entity tag of its own; what is chosen is done when the answer is ready.
//!
//! Only whole answers are compressed: a request with a range is answered from the content as it is, so that parts fit
//! together. Content up to [`WHOLE`] is compressed at once and may be kept; longer content as it streams. More than
//! [`PLACES`] at a time, and others are sent as they are: a site under load is not to be slower with compression.

mod cache;
mod encoder;
mod negotiate;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::header::{ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, RANGE, VARY};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt;
use protocol::FileId;
use protocol::config::web_conf::CompressionConf;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::body::Body;
use crate::problem::Problem;
use cache::Cache;
use encoder::{Encoder, Levels};
pub(crate) use negotiate::Coding;

/// Content up to this size is compressed at once.
const WHOLE: u64 = 512 * 1024;
/// Content up to this size is compressed where the request runs: it takes no longer than handing it to a thread and back.
const INLINE: usize = 8 * 1024;
/// Answers that are compressed at a time.
const PLACES: usize = 64;
/// Kinds that are compressed in themselves, which `*` does not mean.
const COMPRESSED: [&str; 4] = ["image/", "video/", "audio/", "font/"];
const COMPRESSED_TYPES: [&str; 9] = [
    "application/zip",
    "application/gzip",
    "application/x-gzip",
    "application/zstd",
    "application/x-7z-compressed",
    "application/x-rar-compressed",
    "application/vnd.rar",
    "application/x-bzip2",
    "application/x-xz",
];

/// The settings, and what compressions share. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Compression(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    conf: CompressionConf,
    levels: Levels,
    cache: Cache,
    places: Arc<Semaphore>,
    /// Compressions that run on threads of their own.
    threads: Arc<Semaphore>,
}

/// What becomes of an answer.
#[derive(Debug)]
pub(crate) enum Plan {
    /// It is never compressed.
    Never,
    /// It could be, but not for this request.
    AsItIs,
    Encode(Encoding),
}

/// A coding that was chosen.
#[derive(Debug)]
pub(crate) struct Encoding {
    coding: Coding,
    len: u64,
    id: FileId,
    is_lasting: bool,
    ready: Option<Bytes>,
    place: Option<OwnedSemaphorePermit>,
}

/// What is known of a file before its answer.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) id: &'a FileId,
    pub(crate) kind: &'a HeaderValue,
    pub(crate) len: u64,
    pub(crate) mutable: bool,
}

impl Compression {
    /// `None` if it is off.
    pub(crate) fn new(conf: &CompressionConf) -> Option<Self> {
        let levels = Levels { gzip: conf.gzip_level, brotli: conf.brotli_level, zstd: conf.zstd_level };
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        conf.is_on().then(|| {
            Self(Arc::new(Shared {
                conf: conf.clone(),
                levels,
                cache: Cache::new(conf.cache),
                places: Arc::new(Semaphore::new(PLACES)),
                threads: Arc::new(Semaphore::new(processors)),
            }))
        })
    }

    /// Chooses what becomes of the answer to a request.
    pub(crate) fn plan(&self, method: &Method, headers: &HeaderMap, facts: &Facts<'_>) -> Plan {
        let conf = &self.0.conf;
        if !(conf.min_length..=conf.max_length).contains(&facts.len) || !self.has_type(facts.kind) {
            return Plan::Never;
        }
        if headers.contains_key(RANGE) {
            return Plan::AsItIs;
        }
        let on = |coding| match coding {
            Coding::Zstd => conf.zstd,
            Coding::Brotli => conf.brotli,
            Coding::Gzip => conf.gzip,
        };
        let Some(coding) = negotiate::choose(headers, on) else { return Plan::AsItIs };
        let ready = if facts.mutable { None } else { self.0.cache.get(facts.id, coding) };
        let place = if ready.is_some() || method == Method::HEAD {
            None
        } else {
            match Arc::clone(&self.0.places).try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return Plan::AsItIs,
            }
        };
        Plan::Encode(Encoding {
            coding,
            len: facts.len,
            id: facts.id.clone(),
            is_lasting: !facts.mutable,
            ready,
            place,
        })
    }

    fn has_type(&self, kind: &HeaderValue) -> bool {
        let kind = kind.to_str().unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        let types = &self.0.conf.types;
        if types.iter().any(|listed| listed.eq_ignore_ascii_case(essence)) {
            return true;
        }
        let essence = essence.to_ascii_lowercase();
        types.iter().any(|listed| listed == "*")
            && (essence == "image/svg+xml"
                || !COMPRESSED.iter().any(|kind| essence.starts_with(kind))
                    && !COMPRESSED_TYPES.contains(&essence.as_str()))
    }

    /// Does what was chosen. Only a whole answer is changed.
    pub(crate) async fn encode(
        &self,
        encoding: Encoding,
        mut answer: Response<Body>,
        is_head: bool,
    ) -> Response<Body> {
        if answer.status() != StatusCode::OK {
            return answer;
        }
        let headers = answer.headers_mut();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.coding.name()));
        headers.remove(CONTENT_LENGTH);
        headers.remove(ACCEPT_RANGES);
        if let Some(ready) = &encoding.ready {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(ready.len()));
        }
        if is_head {
            return answer.map(|_| Body::empty());
        }
        if let Some(ready) = encoding.ready {
            return answer.map(|_| Body::from(ready));
        }
        if encoding.len > WHOLE {
            return self.stream(encoding, answer);
        }
        let (mut head, body) = answer.into_parts();
        match self.whole(encoding, body).await {
            Ok(content) => {
                head.headers.insert(CONTENT_LENGTH, HeaderValue::from(content.len()));
                Response::from_parts(head, Body::from(content))
            }
            Err(error) => broken_off(&error),
        }
    }

    async fn whole(&self, encoding: Encoding, body: Body) -> io::Result<Bytes> {
        let content = body.into_stream().collect().await.map_err(io::Error::other)?.to_bytes();
        let (coding, levels) = (encoding.coding, self.0.levels);
        let encoded = if content.len() <= INLINE {
            encoder::whole(coding, levels, &content)?
        } else {
            self.on_thread(move || encoder::whole(coding, levels, &content)).await?
        };
        if encoding.is_lasting {
            self.0.cache.put(encoding.id, coding, encoded.clone());
        }
        Ok(encoded)
    }

    fn stream(&self, encoding: Encoding, answer: Response<Body>) -> Response<Body> {
        let own = self.clone();
        let Encoding { coding, len, place, .. } = encoding;
        answer.map(|body| {
            let begun = Encoder::new(coding, own.0.levels, len);
            let start = Streaming { own, body: body.into_stream(), encoder: Some(begun), _place: place };
            let pieces = stream::try_unfold(start, |mut streaming| async move {
                Ok::<_, io::Error>(streaming.next().await?.map(|piece| (piece, streaming)))
            });
            Body::from(axum::body::Body::from_stream(pieces))
        })
    }

    /// Runs a piece of work on a thread, no more at a time than there are processors.
    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let permit = Arc::clone(&self.0.threads).acquire_owned().await.map_err(io::Error::other)?;
        let work = move || {
            let done = work();
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
    }
}

/// An answer that is compressed as it streams.
struct Streaming {
    own: Compression,
    body: axum::body::Body,
    /// Missing once it has ended.
    encoder: Option<io::Result<Encoder>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Streaming {
    /// The next bytes; none at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(encoder) = self.encoder.take() {
            let mut encoder = encoder?;
            let piece = match self.body.frame().await {
                Some(frame) => frame.map_err(io::Error::other)?.into_data().unwrap_or_default(),
                None => return Ok(Some(self.own.on_thread(move || encoder.finish()).await?)),
            };
            let step = move || encoder.step(&piece).map(|out| (encoder, out));
            let (encoder, out) = self.own.on_thread(step).await?;
            self.encoder = Some(Ok(encoder));
            if !out.is_empty() {
                return Ok(Some(out));
            }
        }
        Ok(None)
    }
}

impl Plan {
    /// The coding of the answer.
    pub(crate) fn coding(&self) -> Option<Coding> {
        match self {
            Self::Encode(encoding) => Some(encoding.coding),
            Self::Never | Self::AsItIs => None,
        }
    }

    /// Says that others may get another coding (RFC 9110, 12.5.5).
    pub(crate) fn vary(&self, headers: &mut HeaderMap) {
        if !matches!(self, Self::Never) {
            headers.append(VARY, HeaderValue::from_static("accept-encoding"));
        }
    }
}

fn broken_off(error: &io::Error) -> Response<Body> {
    use axum::response::IntoResponse;
    tracing::warn!(%error, "a file broke off while it was compressed");
    let detail = "the file broke off while it was read; try again later";
    Problem::new(StatusCode::BAD_GATEWAY, "broken_off", detail).into_response().map(Body::from)
}
