//! Errors as clients see them: RFC 9457 problem documents with a stable `code` and a sentence that says what to do.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// Type of problem documents.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// A refused or failed request.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    #[serde(skip)]
    http: StatusCode,
    status: u16,
    code: &'static str,
    title: &'static str,
    detail: String,
}

impl Problem {
    /// A problem: `code` never changes, `detail` says what was wrong and what to do.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { http: status, status: status.as_u16(), code, title, detail: detail.into() }
    }

    /// The same problem, answered with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self::new(status, self.code, self.detail)
    }

    /// Its stable name.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The status that it is answered with.
    pub fn status(&self) -> StatusCode {
        self.http
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.http;
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        // The rest of the body is not awaited (RFC 9110, 15.5.9).
        if status == StatusCode::REQUEST_TIMEOUT {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
