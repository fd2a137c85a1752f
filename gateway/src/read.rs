//! File URLs: GET and HEAD of `/group1/M00/HH/LL/name` and `/M00/HH/LL/name`.
//!
//! Order of decisions: name, method, what the site wants proved, existence, preconditions, range. A name that cannot be is
//! simply not found.

use std::future;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::Request;
use axum::response::IntoResponse;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either};
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    LAST_MODIFIED, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use protocol::FileId;
use protocol::metadata::{FILE_NAME, Metadata};

use crate::access_log::Upstream;
use crate::at_hand::{AtHand, Plain};
use crate::body::Body;
use crate::byte_ranges::{ByteRanges, cut};
use crate::compression::{Facts, Plan};
use crate::conditions::{self, Outcome};
use crate::elsewhere::ResponseMode;
use crate::file_body::{FileBody, Segment, len_of, little, source};
use crate::files::{Files, FindError, Located, RemoteFile, SmallRead};
use crate::lives::Lives;
use crate::problem::Problem;
use crate::query::QueryString;
use crate::range::{self, Wanted};
use crate::ready::{Entry, Ready};
use crate::refusal::Refusal;
use crate::settings::Settings;
use crate::validators::Validators;
use crate::{disposition, elsewhere};

/// Files up to this size are read at once. To send larger ones without reading them costs less.
const SMALL: usize = 8 * 1024;
/// What file URLs can be asked.
const ALLOWED: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Answers a request for a file.
pub(crate) async fn serve<F: Files>(
    files: Arc<F>,
    settings: &Arc<Settings>,
    (ready, kept): (&Ready, Option<Arc<Entry>>),
    id: FileId,
    request: &Request<()>,
) -> Response<Body> {
    let uri = request.uri();
    let query = QueryString::of(uri);
    let asked = match disposition::asked(query) {
        Ok(asked) => asked,
        Err(problem) => return refusal(problem),
    };
    let is_kept = kept.is_some();
    let found = match kept {
        Some(entry) => {
            files.sent_again(entry.len);
            Ok(Located::Here(entry.read()))
        }
        None => files.read_small(&id, SMALL).await,
    };
    let found = match found {
        Ok(Located::Here(found)) => Found::Here(found),
        Ok(Located::Missing) if !elsewhere::is_hop(request.headers(), query) => {
            match Box::pin(files.find(&id)).await {
                Ok(remote) if settings.response_mode == ResponseMode::Redirect => {
                    return elsewhere::redirect(&remote.base_url(), uri).map(Body::from);
                }
                Ok(remote) => Found::Elsewhere(remote),
                Err(error) => return not_found_elsewhere(error),
            }
        }
        Ok(Located::Missing | Located::NotFound) => return not_found(),
        Err(error) => return unreadable(&id, &error),
    };
    let (disposition, lives) = match found.may_be_described() {
        true => {
            // Boxed: few files are, and each connection has room for the largest answer.
            let metadata = Box::pin(found.described(&*files, &id)).await;
            (asked.header(metadata.get(FILE_NAME)), Lives::of(&metadata, SystemTime::now()))
        }
        false => (asked.header(None), Lives::On),
    };
    if lives == Lives::No {
        return not_found();
    }
    let found = FoundFile { files, id, found, is_kept, disposition, lives };
    found.answer(settings, ready, request).await
}

/// A file that was found, and what is known of it.
struct FoundFile<F: Files> {
    files: Arc<F>,
    id: FileId,
    found: Found<F::Remote>,
    /// Whether it is kept ready.
    is_kept: bool,
    disposition: Option<HeaderValue>,
    lives: Lives,
}

impl<F: Files> FoundFile<F> {
    /// The answer, most of which is there at once. What has to be waited for is boxed.
    fn answer<'a>(
        self,
        settings: &'a Arc<Settings>,
        ready: &'a Ready,
        request: &'a Request<()>,
    ) -> Either<future::Ready<Response<Body>>, BoxFuture<'a, Response<Body>>> {
        let at_once = |response| future::ready(response).left_future();
        let Self { files, id, found, is_kept, disposition, lives } = self;
        let uri = request.uri();
        let is_at_hand = is_kept && settings.is_plain() && may_be_plain(request);
        let (len, modified, mutable) = found.facts();
        let mut validators = Validators::of(&id, len, modified, mutable);
        let kind = settings.mime.of(id.name.extension());
        let mut headers = HeaderMap::with_capacity(10);
        let plan = settings.compression.as_ref().map_or(Plan::Never, |compression| {
            let facts = Facts { id: &id, kind: &kind, len, mutable: validators.mutable };
            compression.plan(request.method(), request.headers(), &facts)
        });
        if let Some(coding) = plan.coding() {
            validators.set_coding(coding);
        }
        plan.vary(&mut headers);
        put(&mut headers, ETAG, validators.etag_header());
        put(&mut headers, LAST_MODIFIED, validators.last_modified());
        let urls = &settings.urls;
        let cache_control =
            if validators.mutable { urls.changing.clone() } else { lives.cache_control(&urls.lasting) };
        put(&mut headers, CACHE_CONTROL, cache_control);
        match conditions::evaluate(request.headers(), &validators) {
            Outcome::Proceed => {}
            Outcome::NotModified => {
                let body = if is_at_hand { Body::empty().at_hand() } else { Body::empty() };
                return at_once(answer(StatusCode::NOT_MODIFIED, headers, body));
            }
            Outcome::Failed => {
                let detail = "the file is not the version that If-Match or If-Unmodified-Since names";
                return at_once(refusal(Problem::new(
                    StatusCode::PRECONDITION_FAILED,
                    "precondition_failed",
                    detail,
                )));
            }
        }
        let cut = match urls
            .flv
            .as_ref()
            .map(|flv| flv.cut(id.name.extension(), QueryString::of(uri), len))
            .transpose()
        {
            Ok(cut) => cut.flatten(),
            Err(problem) => return at_once(refusal(problem)),
        };
        let max_ranges = if cut.is_some() { 0 } else { urls.max_ranges };
        let units = if max_ranges == 0 { "none" } else { "bytes" };
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static(units));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        put(&mut headers, CONTENT_DISPOSITION, disposition);
        let wanted = wanted(request, &validators, len, max_ranges);
        let upstream = match &found {
            Found::Elsewhere(file) if settings.access_log.is_some() => Some(Upstream::of(&file.base_url())),
            _ => None,
        };
        let keep = match (&found, &plan) {
            // What is kept is for every client, so it must not depend on the codings that one takes.
            (Found::Here(read), Plan::Never)
                if may_be_plain(request) && !is_kept && !validators.mutable && lives == Lives::On =>
            {
                let known = (id.clone(), validators.clone());
                ready.admits(uri.path()).then(|| (Arc::clone(&files), known, read.clone()))
            }
            _ => None,
        };
        let is_cut = cut.is_some();
        let content = Content { files, id, found, len, cut };
        let answered = content.answer(request.method(), headers, kind.clone(), wanted);
        let finish = move |mut response: Response<Body>| {
            if is_at_hand {
                response = response.map(Body::at_hand);
            }
            if let Some(upstream) = upstream {
                response.extensions_mut().insert(upstream);
            }
            if let Some((files, known, read)) = keep
                && let Some(headers) = headers_of_whole(&response, len, kind)
                && let Some(entry) = Entry::of(uri.path(), settings, &files, known, read, headers)
            {
                ready.keep(entry);
            }
            response
        };
        match (plan, &settings.compression, answered) {
            (Plan::Encode(encoding), Some(compression), answered) if !is_cut => {
                let is_head = request.method() == Method::HEAD;
                let encoded =
                    async move { compression.encode(encoding, finish(answered.await), is_head).await };
                encoded.boxed().right_future()
            }
            (_, _, Either::Left(response)) => at_once(finish(response.into_inner())),
            (_, _, Either::Right(answered)) => answered.map(finish).boxed().right_future(),
        }
    }
}

/// What the answer with a whole file says, as another one of it shows.
fn headers_of_whole(response: &Response<Body>, len: u64, kind: HeaderValue) -> Option<HeaderMap> {
    let mut headers = response.headers().clone();
    match response.status() {
        StatusCode::OK => {}
        StatusCode::PARTIAL_CONTENT => {
            headers.remove(CONTENT_RANGE);
            headers.insert(CONTENT_TYPE, kind);
            headers.insert(CONTENT_LENGTH, len.into());
        }
        _ => return None,
    }
    Some(headers)
}

/// Whether a request gets the whole file and nothing but its usual head.
pub(crate) fn is_ordinary(request: &Request) -> bool {
    const OTHERWISE: [HeaderName; 3] = [RANGE, IF_NONE_MATCH, IF_MODIFIED_SINCE];
    let headers = request.headers();
    may_be_plain(request) && !OTHERWISE.iter().any(|name| headers.contains_key(name))
}

/// Whether a request may be one for what is at hand.
fn may_be_plain<B>(request: &Request<B>) -> bool {
    const OTHERWISE: [HeaderName; 3] = [IF_RANGE, IF_MATCH, IF_UNMODIFIED_SINCE];
    let headers = request.headers();
    request.method() == Method::GET
        && request.uri().query().is_none()
        && !OTHERWISE.iter().any(|name| headers.contains_key(name))
}

/// The answer of an ordinary request for a file that is ready.
pub(crate) fn again(files: &impl Files, settings: &Settings, entry: &Entry) -> Response<Body> {
    files.sent_again(entry.len);
    let body = entry.body();
    let body = if settings.is_plain() { body.at_hand() } else { body };
    answer(StatusCode::OK, entry.headers.clone(), body)
}

/// The same, written already, where the settings add nothing to it but headers.
pub(crate) fn at_hand(
    files: &impl Files,
    settings: &Settings,
    entry: &Entry,
    plain: Plain<'_>,
    is_secure: bool,
) -> Option<AtHand> {
    let heads = entry.heads(settings, is_secure);
    if entry.is_had(&plain) {
        files.sent_again(entry.len);
        return Some(AtHand::new(StatusCode::NOT_MODIFIED, heads.not_modified(), Body::empty()));
    }
    let wanted = plain.range.map(|range| range::wanted(range, entry.len, settings.urls.max_ranges));
    let answer = match wanted {
        None | Some(Wanted::All) => AtHand::new(StatusCode::OK, heads.whole(), entry.body()),
        Some(Wanted::One(part)) => {
            let head = heads.part(&part, entry.len);
            AtHand::new(StatusCode::PARTIAL_CONTENT, head, entry.parts(vec![Segment::File(part)]))
        }
        Some(Wanted::Several(parts)) => {
            let answer = ByteRanges::of(parts, entry.headers.get(CONTENT_TYPE)?, entry.len);
            let head = heads.parts(&answer.kind, len_of(&answer.segments));
            AtHand::new(StatusCode::PARTIAL_CONTENT, head, entry.parts(answer.segments))
        }
        Some(Wanted::Nothing) => return None,
    };
    files.sent_again(entry.len);
    Some(answer)
}

/// Answers OPTIONS, and refuses what no file takes.
pub(crate) fn check_method<F: Files>(method: &Method) -> Result<(), Refusal> {
    if method == Method::GET || method == Method::HEAD {
        return Ok(());
    }
    if method == Method::OPTIONS {
        return Err(Box::new(options()));
    }
    let detail = if F::READ_ONLY {
        "a file URL is read with GET or HEAD; this gateway changes no files"
    } else {
        "a file URL is read with GET or HEAD; upload with POST /v1/files, delete with DELETE /v1/files/ID"
    };
    let mut response = refusal(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail));
    response.headers_mut().insert(ALLOW, ALLOWED);
    Err(Box::new(response))
}

fn options() -> Response<Body> {
    answer(StatusCode::NO_CONTENT, HeaderMap::from_iter([(ALLOW, ALLOWED)]), Body::empty())
}

/// The answer to a path that can be no file's. `OPTIONS *` asks the server whether it lives (RFC 9110, 9.3.7).
pub(crate) fn no_file(request: &Request) -> Response<Body> {
    if request.method() == Method::OPTIONS && request.uri().path() == "*" { options() } else { not_found() }
}

fn refusal(problem: Problem) -> Response<Body> {
    problem.into_response().map(Body::from)
}

fn answer(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// A file, here or with another member.
enum Found<R> {
    Here(SmallRead),
    Elsewhere(R),
}

impl<R: RemoteFile> Found<R> {
    /// Whether its metadata may have to do with reading it.
    fn may_be_described(&self) -> bool {
        match self {
            Self::Here(read) => read.may_be_described(),
            Self::Elsewhere(_) => true,
        }
    }

    async fn described(&self, files: &impl Files, id: &FileId) -> Metadata {
        match self {
            Self::Here(_) => files.described(id).await,
            Self::Elsewhere(file) => file.described().await,
        }
    }

    /// Length, time of the last change, whether it can change.
    fn facts(&self) -> (u64, SystemTime, bool) {
        match self {
            Self::Here(SmallRead::Content { content, modified, mutable, .. }) => {
                (content.len() as u64, *modified, *mutable)
            }
            Self::Here(SmallRead::Large(file)) => (file.len, file.modified, file.mutable),
            Self::Elsewhere(file) => (file.len(), file.modified(), file.is_mutable()),
        }
    }
}

/// Only GET has ranges (RFC 9110, 14.2).
fn wanted(request: &Request<()>, validators: &Validators, len: u64, max_ranges: usize) -> Wanted {
    let header = conditions::single(request.headers(), &RANGE);
    match header {
        Some(header)
            if request.method() == Method::GET && conditions::range_counts(request.headers(), validators) =>
        {
            range::wanted(header, len, max_ranges)
        }
        _ => Wanted::All,
    }
}

/// A file that was found, ready to be sent.
struct Content<F: Files> {
    files: Arc<F>,
    id: FileId,
    found: Found<F::Remote>,
    len: u64,
    /// What is sent instead of the whole.
    cut: Option<Vec<Segment>>,
}

impl<F: Files> Content<F> {
    fn answer(
        mut self,
        method: &Method,
        mut headers: HeaderMap,
        kind: HeaderValue,
        wanted: Wanted,
    ) -> Either<future::Ready<Response<Body>>, BoxFuture<'static, Response<Body>>> {
        let whole = self.len;
        let (status, segments) = match wanted {
            Wanted::All => {
                headers.insert(CONTENT_TYPE, kind);
                (StatusCode::OK, self.cut.take().unwrap_or_else(|| vec![Segment::File(0..whole)]))
            }
            Wanted::One(part) => {
                headers.insert(CONTENT_TYPE, kind);
                let range = format!("bytes {}-{}/{whole}", part.start, part.end - 1);
                put(&mut headers, CONTENT_RANGE, HeaderValue::try_from(range).ok());
                (StatusCode::PARTIAL_CONTENT, vec![Segment::File(part)])
            }
            Wanted::Several(parts) => {
                let answer = ByteRanges::of(parts, &kind, whole);
                put(&mut headers, CONTENT_TYPE, HeaderValue::try_from(answer.kind).ok());
                (StatusCode::PARTIAL_CONTENT, answer.segments)
            }
            Wanted::Nothing => {
                let detail = format!("no range of the request lies in the file, which has {whole} bytes");
                let mut response =
                    refusal(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range_not_satisfiable", detail));
                let range = HeaderValue::try_from(format!("bytes */{whole}")).ok();
                put(response.headers_mut(), CONTENT_RANGE, range);
                return future::ready(response).left_future();
            }
        };
        headers.insert(CONTENT_LENGTH, HeaderValue::from(len_of(&segments)));
        if method == Method::HEAD {
            return future::ready(answer(status, headers, Body::empty())).left_future();
        }
        let body = match self.found {
            Found::Here(SmallRead::Content { content, .. }) => cut(&content, &segments).into(),
            Found::Here(SmallRead::Large(file)) => match little(&file, &segments) {
                Some(bytes) => bytes.into(),
                None => FileBody::new(source(self.files, self.id, file), segments).into(),
            },
            // Boxed, as is the search: each connection has room for the largest answer, and this one is rare.
            Found::Elsewhere(file) => {
                let answered = async move {
                    match elsewhere::body(file, segments).await {
                        Ok(body) => answer(status, headers, body),
                        Err(error) => not_found_elsewhere(error),
                    }
                };
                return answered.boxed().right_future();
            }
        };
        future::ready(answer(status, headers, body)).left_future()
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.insert(name, value);
    }
}

fn not_found() -> Response<Body> {
    let detail = "no file has this URL; a file's URL is /GROUP/Mxx/HH/LL/NAME as its upload answered it";
    refusal(Problem::new(StatusCode::NOT_FOUND, "no_such_file", detail))
}

fn not_found_elsewhere(error: FindError) -> Response<Body> {
    match error {
        FindError::NotFound => not_found(),
        FindError::Unreachable => elsewhere::unreachable().map(Body::from),
    }
}

fn unreadable(id: &FileId, error: &io::Error) -> Response<Body> {
    tracing::error!(file_id = %id, %error, "a file cannot be read");
    let detail = "the file is here but cannot be read; the node's log says why";
    refusal(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", detail))
}
