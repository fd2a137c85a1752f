//! The site's own pages for errors of file URLs (`http.error_page`), read at a load.
//!
//! Programs that ask for JSON get the problem document all the same.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use protocol::config::web_conf::ErrorPage;

use crate::body::Body;
use crate::content_type::MimeTable;
use crate::problem::PROBLEM;

/// Longest page: all of them stay in memory.
const MAX_PAGE: u64 = 1 << 20;

/// A page that is sent instead of a file, with its type.
pub(crate) type Page = (HeaderValue, Bytes);

/// Reads a page.
pub(crate) fn read_page(path: &Path, mime: &MimeTable) -> io::Result<Page> {
    if std::fs::metadata(path)?.len() > MAX_PAGE {
        return Err(io::Error::other("the page is longer than 1 MiB"));
    }
    let ext = path.extension().and_then(|ext| ext.to_str()).unwrap_or_default();
    Ok((mime.of(ext), std::fs::read(path)?.into()))
}

/// Pages by status.
#[derive(Debug, Clone)]
pub(crate) struct ErrorPages(Arc<[(StatusCode, Entry)]>);

#[derive(Debug, Clone)]
struct Entry {
    /// Answered instead.
    status: StatusCode,
    page: Page,
}

impl ErrorPages {
    /// Reads the pages of a configuration; `None` if it has none. The error is of the page at the index that comes with it.
    pub(crate) fn load(pages: &[ErrorPage], mime: &MimeTable) -> Result<Option<Self>, (usize, io::Error)> {
        let mut entries = Vec::new();
        for (index, ErrorPage { codes, status, file }) in pages.iter().enumerate() {
            let page = read_page(file, mime).map_err(|error| (index, error))?;
            for code in codes.iter().filter_map(|code| StatusCode::from_u16(*code).ok()) {
                let status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(code);
                entries.push((code, Entry { status, page: page.clone() }));
            }
        }
        Ok((!entries.is_empty()).then(|| Self(entries.into())))
    }

    /// Puts the site's page into an error's answer, if it has one. Headers that belong to the status stay.
    pub(crate) fn apply(&self, wants: Wants, mut response: Response<Body>) -> Response<Body> {
        let status = response.status();
        // Another page may be there already, such as that for visitors without a token.
        if response.headers().get(CONTENT_TYPE).is_none_or(|kind| kind != PROBLEM) {
            return response;
        }
        let Some((_, entry)) = self.0.iter().find(|(code, _)| *code == status) else { return response };
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_name(ACCEPT));
        if wants == Wants::Json {
            return response;
        }
        let (kind, content) = entry.page.clone();
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(content.len()));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        *response.status_mut() = entry.status;
        response.map(|_| Body::from(content))
    }
}

/// What an error is to be told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// The site's page.
    Page,
    /// The problem document.
    Json,
}

impl Wants {
    /// By `Accept` (RFC 9110, 12.5.1): JSON if it is named, and not less wanted than any HTML that is named too.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let (mut json, mut html) = (0, 0);
        for line in headers.get_all(ACCEPT) {
            for element in line.to_str().unwrap_or_default().split(',') {
                let mut words = element.split(';').map(str::trim);
                let kind = words.next().unwrap_or_default().to_ascii_lowercase();
                let weight = words.find_map(weight).unwrap_or(1000);
                match kind.as_str() {
                    "application/json" | "application/problem+json" => json = json.max(weight),
                    "text/html" | "application/xhtml+xml" => html = html.max(weight),
                    _ => {}
                }
            }
        }
        if json > 0 && json >= html { Self::Json } else { Self::Page }
    }
}

/// The weight in a parameter such as `q=0.5`, in thousandths.
fn weight(parameter: &str) -> Option<u16> {
    let text = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(whole.parse::<u16>().ok()?.min(1) * 1000 + digits.parse::<u16>().ok()?)
        .map(|weight| weight.min(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_for_those_who_name_it() {
        for (accept, wants) in [
            ("", Wants::Page),
            ("*/*", Wants::Page),
            ("application/*", Wants::Page),
            ("image/avif,image/webp,*/*;q=0.8", Wants::Page),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Wants::Page),
            ("application/json", Wants::Json),
            ("Application/Problem+JSON", Wants::Json),
            ("application/json, text/plain, */*", Wants::Json),
            ("text/html;q=0.5, application/json;q=0.9", Wants::Json),
            ("text/html, application/json;q=0.9", Wants::Page),
            ("application/json;q=0", Wants::Page),
            ("application/json;charset=utf-8;q=0.001", Wants::Json),
            ("application/json;q=rubbish", Wants::Json),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(Wants::of(&headers), wants, "{accept}");
        }
        assert_eq!(Wants::of(&HeaderMap::new()), Wants::Page);
    }
}
