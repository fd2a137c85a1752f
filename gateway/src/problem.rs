//! Errors as clients see them: RFC 9457 problem documents with a stable `code` and a sentence that says what to do.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
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
    /// Boxed: it is rare, and every result has room for a problem.
    #[serde(flatten)]
    facts: Option<Box<Facts>>,
    /// What the answer says besides.
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What some problems tell besides.
#[derive(Debug, Clone, Default, Serialize)]
struct Facts {
    /// Bytes that the file has, where the request took it to have another length.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// What was stored all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<String>,
}

impl Problem {
    /// A problem: `code` never changes, `detail` says what was wrong and what to do.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        let (status, http, detail) = (status.as_u16(), status, detail.into());
        Self { http, status, code, title, detail, facts: None, headers: Vec::new() }
    }

    /// The same problem, answered with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        let Self { headers, facts, code, detail, .. } = self;
        Self { headers, facts, ..Self::new(status, code, detail) }
    }

    /// The same problem with the length that the file has.
    #[must_use]
    pub fn with_size(self, size: u64) -> Self {
        Self { facts: Some(Box::new(Facts { size: Some(size), ..Facts::default() })), ..self }
    }

    /// The same problem with the IDs of files that are stored all the same.
    #[must_use]
    pub fn with_files(self, files: Vec<String>) -> Self {
        Self { facts: Some(Box::new(Facts { files, ..Facts::default() })), ..self }
    }

    /// The sentence that says what to do.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The same problem, answered with a header more.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
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
    fn into_response(mut self) -> Response {
        let status = self.http;
        let more = std::mem::take(&mut self.headers);
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
        headers.extend(more);
        response
    }
}
