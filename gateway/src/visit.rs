//! A request on its way to a route: the name it goes by, what its body may have, and what the audit log says of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use http_body::{Body as HttpBody, Frame, SizeHint};
use protocol::GroupName;

use crate::authority::{Grant, Scope, counts_once, too_large};
use crate::body::Body;
use crate::client::Client;
use crate::problem::Problem;
use crate::server::refused;
use crate::settings::Settings;

/// The header that names a request, in both directions.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest name that a client may give.
const MAX_ID: usize = 64;

/// The name of a request, an extension of it where an audit log is on.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

impl RequestId {
    /// The client's own name for it, or a new one.
    fn of(request: &Request) -> Self {
        let is_char = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        let is_name = |text: &&str| (1..=MAX_ID).contains(&text.len()) && text.as_bytes().iter().all(is_char);
        let told = request.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
        match told.filter(is_name) {
            Some(told) => Self(told.into()),
            None => Self(format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..)).into()),
        }
    }
}

/// Names a request, if anybody will want to know.
pub(crate) fn name(settings: &Settings, request: &mut Request) {
    if settings.audit_log.is_some() {
        let id = RequestId::of(request);
        request.extensions_mut().insert(id);
    }
}

/// What becomes known of a request while it is served; an extension of it.
#[derive(Debug)]
pub(crate) struct Visit {
    told: Mutex<Told>,
    /// Bytes of the body that came, and that may come.
    received: AtomicU64,
    most: AtomicU64,
    is_over: AtomicBool,
    /// What a ticket or a call has proven: they count once a request, however often the route asks.
    proven: Mutex<Option<(Scope, Grant)>>,
}

/// What the authority was asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// Missing while it has not been asked.
    pub(crate) scope: Option<Scope>,
    /// Empty if nobody proved to be anybody.
    pub(crate) who: String,
    /// Method and path of the route.
    pub(crate) operation: String,
    pub(crate) group: Option<GroupName>,
}

impl Visit {
    fn new() -> Self {
        Self {
            told: Mutex::default(),
            received: AtomicU64::new(0),
            most: AtomicU64::new(u64::MAX),
            is_over: AtomicBool::new(false),
            proven: Mutex::default(),
        }
    }

    /// What was proven for this scope before.
    pub(crate) fn proven(&self, scope: Scope) -> Option<Grant> {
        let proven = self.proven.lock().unwrap_or_else(PoisonError::into_inner);
        proven.as_ref().filter(|(of, _)| *of == scope).map(|(_, grant)| grant.clone())
    }

    /// Remembers what was proven.
    pub(crate) fn prove(&self, scope: Scope, grant: &Grant) {
        *self.proven.lock().unwrap_or_else(PoisonError::into_inner) = Some((scope, grant.clone()));
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known so far.
    pub(crate) fn told(&self) -> Told {
        self.lock().clone()
    }

    /// Bytes of the body so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Notes what the authority found. Of several questions the one that asks for most is kept.
    pub(crate) fn judged(
        &self,
        request: &Parts,
        scope: Scope,
        group: Option<GroupName>,
        outcome: &Result<Grant, Problem>,
    ) {
        if let Ok(grant) = outcome
            && let Some(most) = grant.limits.max_size
        {
            self.most.store(most, Ordering::Relaxed);
        }
        let mut told = self.lock();
        if told.scope.is_some_and(|before| before != Scope::Read) && scope == Scope::Read {
            return;
        }
        let path =
            request.extensions.get::<MatchedPath>().map_or_else(|| request.uri.path(), MatchedPath::as_str);
        *told = Told {
            scope: Some(scope),
            who: outcome.as_ref().map(|grant| grant.who.clone()).unwrap_or_default(),
            operation: format!("{} {path}", request.method),
            group,
        };
    }

    /// Counts bytes; false if they are too many.
    fn take(&self, len: u64) -> bool {
        let before = self.received.fetch_add(len, Ordering::Relaxed);
        let fits = before.saturating_add(len) <= self.most.load(Ordering::Relaxed);
        if !fits {
            self.is_over.store(true, Ordering::Relaxed);
        }
        fits
    }
}

/// The answer of a route, and its line in the audit log.
pub(crate) fn serve(
    settings: &Settings,
    client: Client,
    routes: &Router,
    mut request: Request,
) -> impl Future<Output = Response<Body>> + Send {
    request.extensions_mut().insert(client);
    let audit = settings.audit_log.as_ref();
    if audit.is_none() && !counts_once(request.uri(), request.headers()) {
        return crate::rest::route(routes, request).left_future();
    }
    let visit = Arc::new(Visit::new());
    let version = request.version();
    let id = request.extensions().get::<RequestId>().cloned();
    let entry = audit.map(|log| log.begin(Arc::clone(&visit), client, id.as_ref(), &request));
    request.extensions_mut().insert(Arc::clone(&visit));
    let counted = Arc::clone(&visit);
    let request = request.map(|body| {
        if body.is_end_stream() { body } else { axum::body::Body::new(Counted { body, visit: counted }) }
    });
    let watched = crate::rest::route(routes, request).map(move |mut response| {
        // The route saw a body that broke off, and does not know why.
        if visit.is_over.load(Ordering::Relaxed) {
            response = refused(version, too_large(visit.most.load(Ordering::Relaxed)));
        }
        if let Some(id) = id.and_then(|id| HeaderValue::from_str(&id.0).ok()) {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        if let Some(entry) = entry {
            entry.answered(&response);
        }
        response
    });
    watched.right_future()
}

/// A body whose bytes are counted, and that breaks off when they are too many.
#[derive(Debug)]
struct Counted {
    body: axum::body::Body,
    visit: Arc<Visit>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && !self.visit.take(data.len() as u64)
        {
            return Poll::Ready(Some(Err(axum::Error::new("the body is larger than the ticket allows"))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
