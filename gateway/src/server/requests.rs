//! Requests of one connection on their way to the app: what is refused before, and which answer is the last.

use std::future::{Future, ready};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::{HeaderValue, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use super::inlet::Inlet;
use super::phase::Phase;
use super::plain_get::PlainGet;
use super::refusal::refused;
use super::{App, Connection, HttpLimits};
use crate::body::Body;
use crate::problem::Problem;

/// What the requests of a connection share.
#[derive(Debug)]
pub(super) struct Requests<A> {
    pub(super) app: A,
    pub(super) from: Connection,
    pub(super) limits: Arc<HttpLimits>,
    pub(super) phase: Arc<Phase>,
}

impl<A: App> Requests<A> {
    /// Answers a request.
    ///
    /// This and what follows are no `async fn`s, each of which would keep the request twice while the next one works: it is
    /// the largest part of what a connection costs.
    pub(super) fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send {
        let in_app = self.phase.begin();
        let version = request.version();
        let answered = match self.check(&request) {
            Ok(()) => self.ask(request).left_future(),
            Err(problem) => ready(refused(version, problem)).right_future(),
        };
        answered.map(move |response| {
            drop(in_app);
            self.finish(version, response)
        })
    }

    /// Says which answer is the last.
    fn finish(&self, version: Version, mut response: Response<Body>) -> Response<Body> {
        self.phase.note(response.body().is_at_hand());
        // The router counts the bytes of every body; of a 304 the length would be the one of the 200 (RFC 9110, 8.6).
        if response.status() == StatusCode::NOT_MODIFIED {
            response.headers_mut().remove(CONTENT_LENGTH);
        }
        if self.limits.ends_after(self.phase.served()) {
            if version < Version::HTTP_2 {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            } else {
                self.phase.end_with_this();
            }
        }
        response
    }

    /// Whether a plain request is within the limits, and not the last one that the connection has.
    pub(super) fn take_plain(&self, get: &PlainGet<'_>) -> bool {
        get.plain.path.len() <= self.limits.max_uri
            && get.len <= self.limits.max_head
            && !self.limits.ends_after(self.phase.served().saturating_add(1))
    }

    fn ask(&self, request: Request<Incoming>) -> impl Future<Output = Response<Body>> + Send {
        let (version, max) = (request.version(), self.limits.max_body);
        let (head, body) = request.into_parts();
        let (body, overflow) = if body.is_end_stream() {
            (axum::body::Body::empty(), None)
        } else {
            let (body, overflow) = Inlet::new(body, max, &self.phase);
            (axum::body::Body::new(body), Some(overflow))
        };
        self.app.call(&self.from, Request::from_parts(head, body)).map(move |response| {
            // The app saw a body that broke off, and does not know why.
            match overflow {
                Some(overflow) if overflow.load(Ordering::Relaxed) => refused(version, too_large(max)),
                _ => response,
            }
        })
    }

    fn check(&self, request: &Request<Incoming>) -> Result<(), Problem> {
        if !has_host(request) {
            let detail = "a request by HTTP/1.1 has exactly one Host header";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_host", detail));
        }
        let target = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
        if target > self.limits.max_uri {
            let detail = format!("the URL has {target} bytes; at most {} are possible", self.limits.max_uri);
            return Err(Problem::new(StatusCode::URI_TOO_LONG, "uri_too_long", detail));
        }
        let max = self.limits.max_body;
        if max > 0 && request.body().size_hint().lower() > max {
            self.phase.leave_unread();
            return Err(too_large(max));
        }
        Ok(())
    }
}

fn too_large(max: u64) -> Problem {
    let detail = format!("the body is larger than the {max} bytes that are possible here");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
}

/// Whether the request says once which host it is for; before HTTP/1.1 it need not (RFC 9112, 3.2), and HTTP/2 has a
/// pseudo-header for it (RFC 9113, 8.3.1).
fn has_host(request: &Request<Incoming>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    match request.version() {
        Version::HTTP_11 => hosts == 1,
        Version::HTTP_2 => hosts <= 1 && (hosts == 1 || request.uri().authority().is_some()),
        _ => hosts <= 1,
    }
}
