//! `POST /v1/files`: a raw body, or `multipart/form-data` with one or several files. Content streams to the store; the
//! next piece is received while the last one is written.

use std::future::{Future, ready};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, LOCATION};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, StatusCode};
use protocol::GroupName;
use protocol::config::storage_conf::Promise;
use protocol::file_id::FileExt;
use serde::Serialize;

use super::confirm::{self, Confirming};
use super::hand::Hand;
use super::incoming::Incoming;
use super::prefer::{self, PREFERENCE_APPLIED};
use super::repeat::{self, Turn};
use super::terms::{self, Terms};
use super::{digest, multipart};
use crate::audit::ChangedFiles;
use crate::authority::{Grant, Scope};
use crate::client::Client;
use crate::files::{Committed, Files, Upload, UploadKind, UploadSpec, WriteError, Writes};
use crate::idempotency::{Answer, Claim};
use crate::problem::Problem;
use crate::query::QueryString;
use crate::settings::Settings;

/// Bodies up to this length are stored in one go.
const SMALL: u64 = 256 * 1024;

/// A stored file, as its uploader hears of it.
#[derive(Debug, Serialize)]
pub(crate) struct Stored {
    file_id: String,
    url: String,
    group: String,
    size: u64,
    /// Eight hex digits.
    crc32: String,
    /// Unix seconds.
    timestamp: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    /// Of the body, for requests with `Want-Repr-Digest`; in the header's form.
    #[serde(skip_serializing_if = "Option::is_none")]
    repr_digest: Option<String>,
}

/// Answers an upload. What is not of the kind that its parameters say is of `kind`.
pub(super) fn serve<F: Files>(
    files: Arc<F>,
    hand: Hand<F>,
    settings: Arc<Settings>,
    kind: Option<UploadKind>,
    request: Request,
) -> impl Future<Output = Response> + Send {
    let answered = match Asked::of(&*files, &hand, &settings, kind, request) {
        Ok(asked) => store(files, hand, settings, asked).left_future(),
        Err(problem) => ready(Err(problem)).right_future(),
    };
    answered.map(|answered| answered.unwrap_or_else(IntoResponse::into_response))
}

/// What an upload asks for, and its body. An upload may be under way for long, and there may be many, so that the head of
/// the request is kept only if it is needed: with it stays the buffer that it was read into.
struct Asked {
    terms: Terms,
    body: Body,
    digests: digest::Watched,
    /// Scheme and authority that the client used.
    base: Option<String>,
    /// Whether the client waits for "100 Continue": it sends nothing before, and reading would ask it to.
    waits: bool,
    content: Content,
}

enum Content {
    /// The body is a file.
    Raw {
        named: Named,
        keyed: Option<Box<Head>>,
    },
    Form(Box<Head>),
}

/// What a file is called, and its announced length.
struct Named {
    ext: FileExt,
    filename: Option<String>,
    len: Option<u64>,
}

/// The head of a request, and what it may do.
struct Head {
    parts: Parts,
    grant: Grant,
}

impl Asked {
    fn of<F: Files>(
        files: &F,
        hand: &Hand<F>,
        settings: &Settings,
        kind: Option<UploadKind>,
        request: Request,
    ) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let grant = settings.authority.check(&parts, Scope::Write, Some(hand.group()))?;
        check_group(&parts, hand.group())?;
        let mut terms = Terms::of(&parts, kind)?;
        if hand.is_member() {
            terms.by_member(hand.group() == files.group())?;
        }
        let (body, digests) = digest::watch(&parts.headers, body)?;
        let base = base_url(&parts);
        let waits = parts.headers.contains_key(EXPECT);
        let content = if terms.is_form {
            Content::Form(Box::new(Head { parts, grant }))
        } else {
            let (ext, filename) = terms::name_of(&parts)?;
            grant.limits.check_ext(&settings.mime, ext)?;
            let named = Named { ext, filename, len: content_length(&parts.headers) };
            let keyed = repeat::has_key(&parts.headers).then(|| Box::new(Head { parts, grant }));
            Content::Raw { named, keyed }
        };
        Ok(Self { terms, body, digests, base, waits, content })
    }
}

impl Content {
    fn head(&self) -> Option<&Head> {
        match self {
            Self::Raw { keyed, .. } => keyed.as_deref(),
            Self::Form(head) => Some(head),
        }
    }
}

/// No `async fn`, which would have room for its arguments twice; what is rare or does not last is boxed.
fn store<F: Files>(
    files: Arc<F>,
    hand: Hand<F>,
    settings: Arc<Settings>,
    asked: Asked,
) -> impl Future<Output = Result<Response, Problem>> + Send {
    let Asked { mut terms, body, digests, base, waits, content } = asked;
    async move {
        let mut claim = None;
        let needed = confirm::needed(&*files, &hand, &terms);
        if let Some(Head { parts, grant }) = content.head() {
            let base = base.as_deref();
            match Box::pin(repeat::turn(&*files, &grant.who, parts, &mut terms, base, needed)).await? {
                Turn::Once(own) => claim = own,
                Turn::Again(response) => {
                    if !waits {
                        Incoming { body, patience: settings.body_timeout }.discard().await;
                    }
                    return Ok(response);
                }
            }
        }
        if let Err(problem) = confirm::check_members(&*files, needed) {
            if waits {
                return Err(problem);
            }
            return Err(Incoming { body, patience: settings.body_timeout }.refused(problem).await);
        }
        if hand.is_member() {
            terms.token = None;
        }
        let uploads = match content {
            Content::Raw { named, keyed } => {
                drop(keyed);
                let body = Incoming { body, patience: settings.body_timeout };
                receive(&hand, &terms, named, waits, body).await?
            }
            Content::Form(head) => {
                let Head { parts, grant } = *head;
                let request = Request::from_parts(parts, body);
                let received = multipart::receive(&hand, &settings, &grant.limits, &mut terms, request);
                Box::pin(received).await?
            }
        };
        let digest = digests.check(settings.body_timeout).await?;
        let confirming = Confirming::begin(&*files, needed);
        match claim {
            None => {
                let made = uploads.commit(&hand, &terms).await?;
                let unconfirmed = match confirming {
                    Some(confirming) => Box::pin(confirming.wait_for(&made, &terms)).await,
                    None => None,
                };
                let changed = changed(&made);
                let answer = answer(made, base.as_deref(), digest, terms.promise);
                Ok(told(respond(&Answer { unconfirmed, ..answer }), changed))
            }
            Some(claim) => Box::pin(finish(hand, claim, uploads, terms, base, digest, confirming)).await,
        }
    }
}

/// Commits an upload with an idempotency key. A client that goes away does not leave open what became of it.
async fn finish<W: Writes>(
    hand: W,
    claim: Claim,
    uploads: Arrived<W::Upload>,
    terms: Terms,
    base: Option<String>,
    digest: Option<String>,
    confirming: Option<Confirming>,
) -> Result<Response, Problem> {
    let finish = async move {
        let made = match uploads.commit(&hand, &terms).await {
            Ok(made) => made,
            Err(problem) => {
                claim.unsure();
                return Err(problem);
            }
        };
        let unconfirmed = match confirming {
            Some(confirming) => confirming.wait_for(&made, &terms).await,
            None => None,
        };
        let changed = changed(&made);
        let answer = answer(made, base.as_deref(), digest, terms.promise);
        let answer = Answer { unconfirmed, ..answer };
        let noted = claim.keep(answer.clone(), terms.durability()).await;
        noted.unwrap_or_else(|error| repeat::not_noted(&error));
        Ok(told(respond(&answer), changed))
    };
    let finished = tokio::spawn(finish).await;
    finished.unwrap_or_else(|error| {
        Err(write_failed(WriteError::Io {
            doing: "finishing an upload",
            source: std::io::Error::other(error),
        }))
    })
}

/// Refuses an upload that its parameter `group` says is for another group.
pub(super) fn check_group(parts: &Parts, own: GroupName) -> Result<(), Problem> {
    match QueryString::of(&parts.uri).get("group") {
        Some(group) if group != own.to_string() => {
            let detail = format!("this node belongs to {own}; ask a tracker for a node of {group}");
            Err(Problem::new(StatusCode::CONFLICT, "other_group", detail))
        }
        _ => Ok(()),
    }
}

/// Content that has arrived and has no name yet, and the names that it had.
pub(crate) enum Arrived<U> {
    /// A small file in memory.
    Small(UploadSpec, Vec<Bytes>, Option<String>),
    /// Files that the store has begun.
    Begun(Vec<(U, Option<String>)>),
}

/// Receives a raw body.
async fn receive<W: Writes>(
    hand: &W,
    terms: &Terms,
    named: Named,
    waits: bool,
    mut body: Incoming,
) -> Result<Arrived<W::Upload>, Problem> {
    let Named { ext, filename, len } = named;
    let spec = terms.spec(ext, filename.as_deref(), len);
    if let Some(len) = len.filter(|len| *len <= SMALL) {
        return Ok(Arrived::Small(spec, body.all(len).await?, filename));
    }
    // In its place at once: it would have one on every way that it takes.
    let begun = Box::pin(hand.begin(spec)).await.map(|upload| vec![(upload, filename)]);
    let mut begun = match begun {
        Ok(begun) => begun,
        Err(error) if waits => return Err(write_failed(error)),
        Err(error) => return Err(body.refused(write_failed(error)).await),
    };
    for (upload, _) in &mut begun {
        if let Err(problem) = body.pour(upload).await {
            drop(begun);
            return Err(body.refused(problem).await);
        }
    }
    Ok(Arrived::Begun(begun))
}

impl<U: Upload> Arrived<U> {
    /// Makes all files visible. If one fails, the error says which are stored by then.
    fn commit(
        self,
        hand: &impl Writes<Upload = U>,
        terms: &Terms,
    ) -> impl Future<Output = Result<Vec<Made>, Problem>> + Send {
        match self {
            Self::Small(spec, pieces, filename) => hand
                .put(spec, pieces)
                .map(|made| Ok(vec![(made.map_err(write_failed)?, filename)]))
                .left_future(),
            Self::Begun(uploads) => commit_all(uploads, terms).boxed().right_future(),
        }
    }
}

/// Makes files visible one by one.
async fn commit_all(
    uploads: Vec<(impl Upload, Option<String>)>,
    terms: &Terms,
) -> Result<Vec<Made>, Problem> {
    let mut made: Vec<Made> = Vec::new();
    for (mut upload, filename) in uploads {
        upload.set_metadata(terms.metadata(filename.as_deref()));
        match upload.commit().await {
            Ok(committed) => made.push((committed, filename)),
            Err(error) if made.is_empty() => return Err(write_failed(error)),
            Err(error) => {
                let stored: Vec<String> = made.iter().map(|(file, _)| file.id.to_string()).collect();
                let status = write_failed(error).status();
                let detail =
                    format!("only these files were stored: {}; send the others again", stored.join(", "));
                return Err(Problem::new(status, "partly_stored", detail));
            }
        }
    }
    Ok(made)
}

/// A stored file and the name that it had.
pub(super) type Made = (Committed, Option<String>);

impl Stored {
    pub(crate) fn file_id(&self) -> &str {
        &self.file_id
    }

    pub(crate) fn of(made: Committed, base: Option<&str>, filename: Option<String>) -> Self {
        let file_id = made.id.to_string();
        Self {
            url: format!("{}/{file_id}", base.unwrap_or_default()),
            group: made.id.group.to_string(),
            size: made.len,
            crc32: format!("{:08x}", made.crc32),
            timestamp: made.timestamp,
            file_id,
            filename,
            repr_digest: None,
        }
    }
}

#[derive(Serialize)]
struct StoredFiles {
    files: Vec<Stored>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repr_digest: Option<String>,
}

/// What the audit log hears of several files; of one, `Location` tells.
fn changed(made: &[Made]) -> Option<ChangedFiles> {
    (made.len() != 1).then(|| ChangedFiles(made.iter().map(|(file, _)| file.id.to_string()).collect()))
}

fn told(mut response: Response, changed: Option<ChangedFiles>) -> Response {
    if let Some(changed) = changed {
        response.extensions_mut().insert(changed);
    }
    response
}

/// One file answers as a raw upload does; several as a list.
pub(super) fn answer(
    made: Vec<Made>,
    base: Option<&str>,
    digest: Option<String>,
    promise: Option<Promise>,
) -> Answer {
    let mut files: Vec<Stored> =
        made.into_iter().map(|(made, filename)| Stored::of(made, base, filename)).collect();
    let (location, body) = if files.len() == 1
        && let Some(stored) = files.pop()
    {
        let stored = Stored { repr_digest: digest, ..stored };
        (Some(format!("/{}", stored.file_id)), serde_json::to_string(&stored))
    } else {
        (None, serde_json::to_string(&StoredFiles { files, repr_digest: digest }))
    };
    let applied = promise.map(prefer::applied);
    let body = body.expect("numbers and texts under names are JSON");
    Answer { location, applied, body, unconfirmed: None }
}

pub(super) fn created(file_id: Option<&str>, body: &impl Serialize) -> Response {
    let mut response = (StatusCode::CREATED, axum::Json(body)).into_response();
    let location = file_id.and_then(|id| HeaderValue::try_from(format!("/{id}")).ok());
    if let Some(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// 201, unless it is stored and not confirmed.
pub(super) fn respond(answer: &Answer) -> Response {
    if let Some(unconfirmed) = &answer.unconfirmed {
        return confirm::problem(unconfirmed).into_response();
    }
    let kind = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut response = (StatusCode::CREATED, [kind], answer.body.clone()).into_response();
    for (name, value) in [(LOCATION, &answer.location), (PREFERENCE_APPLIED, &answer.applied)] {
        if let Some(value) = value.as_deref().and_then(|value| HeaderValue::from_str(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

pub(super) fn is_multipart(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}

pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Scheme and authority that the client used.
pub(crate) fn base_url(asked: &Parts) -> Option<String> {
    let named = asked.headers.get(HOST).and_then(|host| host.to_str().ok());
    // By HTTP/2 the host stands in the URL.
    let host = named.or_else(|| asked.uri.authority().map(Authority::as_str))?;
    let is_secure = asked.extensions.get::<Client>().is_some_and(|client| client.is_secure);
    let scheme = if is_secure { "https" } else { "http" };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(plain)).then(|| format!("{scheme}://{host}"))
}

pub(crate) fn bad(code: &'static str, detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail)
}

/// A write that did not happen, as HTTP clients hear it.
pub(crate) fn write_failed(error: WriteError) -> Problem {
    let (status, code, detail) = match error {
        WriteError::NoSpace => (
            StatusCode::INSUFFICIENT_STORAGE,
            "no_space",
            "no store path has room above reserved_storage_space; free some or add a store path".to_owned(),
        ),
        WriteError::NotFound => (StatusCode::NOT_FOUND, "no_such_file", "no file has this ID".to_owned()),
        WriteError::Exists => (StatusCode::CONFLICT, "exists", "a file of that name exists".to_owned()),
        WriteError::Invalid(reason) => (StatusCode::BAD_REQUEST, "invalid", reason.to_owned()),
        WriteError::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "not_ready",
            "this node takes no uploads yet; /readyz says why".to_owned(),
        ),
        WriteError::Member { member, answered, why } => {
            tracing::warn!(%member, why, "a member does not carry out a write");
            let detail = format!("the member that this write belongs to, {member}, {why}; try again later");
            let code = if answered { "member_refused" } else { "member_unreachable" };
            (StatusCode::BAD_GATEWAY, code, detail)
        }
        WriteError::Io { doing, source } => {
            tracing::error!(doing, error = %source, "a write failed");
            let detail = "the disk refused the write; the node's log says why".to_owned();
            (StatusCode::INTERNAL_SERVER_ERROR, "disk", detail)
        }
    };
    Problem::new(status, code, detail)
}
