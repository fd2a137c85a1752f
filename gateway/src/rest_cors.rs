//! Pages of other origins at the routes: any origin may send what shows a token or a ticket, since neither comes along by
//! itself as cookies do. Without one, only pages of this machine may, to a node on this machine. Cookies are never used.
//!
//! All headers that the routes read or answer stand here, those of resumable uploads too.

use axum::extract::Request;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::authority::{FDFS_TICKET, is_local, is_of_this_machine, shows_something, shows_ticket};
use crate::body::Body;
use crate::client::Client;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// What requests may have.
const ASKED: HeaderValue = HeaderValue::from_static(
    "Authorization, Cache-Control, Content-Digest, Content-Disposition, Content-MD5, Content-Type, Expires-In, Fdfs-Ticket, \
     Idempotency-Key, If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since, Prefer, Range, Repr-Digest, \
     Tus-Resumable, Upload-Checksum, Upload-Complete, Upload-Concat, Upload-Defer-Length, Upload-Draft-Interop-Version, \
     Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, X-Request-Id, X-Requested-With",
);
/// What pages see of answers.
const TOLD: HeaderValue = HeaderValue::from_static(
    "Content-Disposition, Content-Length, Content-Location, Content-Range, ETag, Fdfs-File-Id, Idempotency-Replayed, \
     Location, Preference-Applied, \
     Repr-Digest, Retry-After, Tus-Checksum-Algorithm, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, \
     Upload-Complete, Upload-Concat, Upload-Defer-Length, Upload-Draft-Interop-Version, Upload-Expires, Upload-Length, \
     Upload-Limit, Upload-Metadata, Upload-Offset, WWW-Authenticate, X-Request-Id",
);
/// Seconds that browsers keep the answer to a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");
const ANY: HeaderValue = HeaderValue::from_static("*");

/// A page of another origin may make this request and read its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RestCors {
    is_preflight: bool,
}

impl RestCors {
    /// `None` for requests of no page, and of pages that may not; the site's own rules hold for those.
    pub(crate) fn of(client: &Client, request: &Request) -> Option<Self> {
        let (uri, headers) = (request.uri(), request.headers());
        let origin = headers.get(ORIGIN)?;
        if !uri.path().starts_with("/v1/") {
            return None;
        }
        let is_preflight =
            request.method() == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        let shows = if is_preflight {
            shows_ticket(uri, headers) || will_show(headers)
        } else {
            shows_something(uri, headers)
        };
        let is_own = || is_local(Some(client), headers) && is_of_this_machine(origin);
        (shows || is_own()).then_some(Self { is_preflight })
    }

    /// The answer to what browsers ask before some requests.
    pub(crate) fn preflight(self) -> Option<Response<Body>> {
        self.is_preflight.then(|| {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NO_CONTENT;
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ASKED);
            headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
            response
        })
    }

    /// Adds to an answer, a refusal too, what browsers need to know.
    pub(crate) fn finish(self, headers: &mut HeaderMap) {
        headers.append(VARY, HeaderValue::from_static("Origin"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        if !self.is_preflight {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, TOLD);
        }
    }
}

/// Whether the request behind a preflight will have a token or a ticket in a header.
fn will_show(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let shows = |name: &str| {
        [AUTHORIZATION, FDFS_TICKET].iter().any(|known| name.eq_ignore_ascii_case(known.as_str()))
    };
    names.map(str::trim).any(shows)
}
