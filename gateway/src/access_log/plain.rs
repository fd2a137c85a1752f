//! Requests of the fast path, as the log wants to see them.

use http::header::HeaderName;
use http::{HeaderValue, Request, Uri};

/// More lines than the fast path takes.
const MAX_LINES: usize = 64;

/// The request of a head that the fast path has read; `None` if it is another one after all.
pub(super) fn request_of(head: &[u8]) -> Option<Request<()>> {
    let mut lines = [httparse::EMPTY_HEADER; MAX_LINES];
    let mut parsed = httparse::Request::new(&mut lines);
    parsed.parse(head).ok()?;
    let mut request = Request::new(());
    *request.uri_mut() = Uri::try_from(parsed.path?).ok()?;
    let headers = request.headers_mut();
    headers.reserve(parsed.headers.len());
    for line in parsed.headers.iter() {
        let value = HeaderValue::from_bytes(line.value).ok()?;
        headers.append(HeaderName::from_bytes(line.name.as_bytes()).ok()?, value);
    }
    Some(request)
}
