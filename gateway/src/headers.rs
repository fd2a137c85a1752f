//! What a site says with its answers: its own headers, the cage of uploaded pages, and who may keep answers that not
//! everybody may have.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LINK, SERVER, SET_COOKIE,
    STRICT_TRANSPORT_SECURITY, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use protocol::config::web_conf::HeadersConf;

/// What most files say, and what they say where not everybody may have them.
const PUBLIC: &[u8] = b"public, max-age=31536000, immutable";
const PRIVATE: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");

/// The headers of a site.
#[derive(Debug, Clone, Default)]
pub(crate) struct Headers {
    added: Vec<Added>,
    policy: Option<HeaderValue>,
    server: Option<HeaderValue>,
    /// Whether answers depend on who asks, so that no shared cache may keep them.
    is_private: bool,
}

#[derive(Debug, Clone)]
struct Added {
    name: HeaderName,
    value: HeaderValue,
    always: bool,
    /// Whether it takes the place of what the gateway says by that name.
    replaces: bool,
}

impl Headers {
    pub(crate) fn new(conf: &HeadersConf, is_private: bool) -> Self {
        let mut added: Vec<Added> = Vec::new();
        for line in &conf.add {
            let (Ok(name), Ok(value)) =
                (HeaderName::try_from(&line.name), HeaderValue::try_from(&line.value))
            else {
                continue;
            };
            let is_list = [VARY, LINK, SET_COOKIE].contains(&name);
            let replaces = !is_list && added.iter().all(|before| before.name != name);
            added.push(Added { name, value, always: line.always, replaces });
        }
        let value = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        Self { added, policy: value(&conf.content_security_policy), server: value(&conf.server), is_private }
    }

    /// Adds to an answer. `holds_file` says that its content is an uploaded file and no page of the site's own,
    /// `is_secure` that it goes by TLS.
    pub(crate) fn finish<B>(&self, response: &mut Response<B>, holds_file: bool, is_secure: bool) {
        let status = response.status();
        let headers = response.headers_mut();
        if let Some(policy) = &self.policy
            && holds_file
            && headers.get(CONTENT_TYPE).is_some_and(|kind| runs_in_browsers(kind.as_bytes()))
        {
            headers.insert(CONTENT_SECURITY_POLICY, policy.clone());
        }
        if self.is_private {
            make_private(headers);
        }
        if let Some(server) = &self.server {
            headers.insert(SERVER, server.clone());
        }
        for line in &self.added {
            // Clear-text answers must not have it (RFC 6797, 7.2).
            let is_misplaced = line.name == STRICT_TRANSPORT_SECURITY && !is_secure;
            if is_misplaced || !(line.always || is_plain(status)) {
                continue;
            }
            if line.replaces {
                headers.insert(&line.name, line.value.clone());
            } else {
                headers.append(&line.name, line.value.clone());
            }
        }
    }
}

/// Answers that have headers without `always`, as in nginx.
fn is_plain(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 201 | 204 | 206 | 301 | 302 | 303 | 304 | 307 | 308)
}

/// Whether a browser that is shown such a file by its URL may run what is in it: pages, drawings, and XML, which can name
/// a style sheet that makes a page of it. PDF is not among them, since the browsers' viewers do not work in a sandbox.
fn runs_in_browsers(kind: &[u8]) -> bool {
    let end = kind.iter().position(|byte| *byte == b';').unwrap_or(kind.len());
    let kind = kind[..end].trim_ascii_end();
    let ends_in =
        |end: &[u8]| kind.len() >= end.len() && kind[kind.len() - end.len()..].eq_ignore_ascii_case(end);
    [&b"html"[..], b"xml", b"/xsl", b"/xslt"].iter().any(|end| ends_in(end))
}

/// Takes back that everybody's cache may keep the answer.
fn make_private(headers: &mut HeaderMap) {
    let Some(value) = headers.get(CACHE_CONTROL) else { return };
    if value.as_bytes() == PUBLIC {
        headers.insert(CACHE_CONTROL, PRIVATE);
        return;
    }
    let Ok(text) = value.to_str() else { return };
    let directives = || text.split(',').map(str::trim).filter(|directive| !directive.is_empty());
    let is = |directive: &str, name: &str| {
        let end = directive.find('=').unwrap_or(directive.len());
        directive[..end].trim_end().eq_ignore_ascii_case(name)
    };
    if directives().any(|directive| is(directive, "no-store") || is(directive, "private")) {
        return;
    }
    let kept = directives().filter(|directive| !is(directive, "public") && !is(directive, "s-maxage"));
    let mut private = "private".to_owned();
    for directive in kept {
        private.push_str(", ");
        private.push_str(directive);
    }
    if let Ok(value) = HeaderValue::try_from(private) {
        headers.insert(CACHE_CONTROL, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::config::web_conf::AddedHeader;

    fn finish(
        conf: &HeadersConf,
        is_private: bool,
        status: u16,
        given: &[(&'static str, &str)],
    ) -> HeaderMap {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in given {
            response.headers_mut().append(*name, value.parse().unwrap());
        }
        Headers::new(conf, is_private).finish(&mut response, status == 200, false);
        response.into_parts().0.headers
    }

    fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn pages_are_caged_and_pictures_are_not() {
        let conf = HeadersConf::default();
        for (kind, expected) in [
            ("text/html", true),
            ("text/html; charset=utf-8", true),
            ("TEXT/HTML ;x", true),
            ("application/xhtml+xml", true),
            ("image/svg+xml", true),
            ("text/xml", true),
            ("application/rss+xml", true),
            ("text/xsl", true),
            ("application/xslt+xml", true),
            ("image/jpeg", false),
            ("application/pdf", false),
            ("text/plain", false),
            ("application/octet-stream", false),
        ] {
            let headers = finish(&conf, false, 200, &[("content-type", kind)]);
            assert_eq!(headers.contains_key(CONTENT_SECURITY_POLICY), expected, "{kind}");
        }
        let own = finish(&conf, false, 403, &[("content-type", "text/html")]);
        assert!(!own.contains_key(CONTENT_SECURITY_POLICY), "the site's own pages are its own");
        let off = HeadersConf { content_security_policy: None, ..conf };
        assert!(finish(&off, false, 200, &[("content-type", "text/html")]).len() == 1);
    }

    #[test]
    fn what_not_everybody_may_have_is_kept_by_browsers_only() {
        let conf = HeadersConf::default();
        for (given, expected) in [
            ("public, max-age=31536000, immutable", "private, max-age=31536000, immutable"),
            ("max-age=60, s-maxage=600, Public", "private, max-age=60"),
            ("no-cache", "private, no-cache"),
            ("no-store", "no-store"),
            ("private, max-age=5", "private, max-age=5"),
            ("Public", "private"),
        ] {
            let headers = finish(&conf, true, 200, &[("cache-control", given)]);
            assert_eq!(all(&headers, "cache-control"), [expected], "{given}");
            let headers = finish(&conf, false, 200, &[("cache-control", given)]);
            assert_eq!(all(&headers, "cache-control"), [given]);
        }
        assert!(finish(&conf, true, 200, &[]).is_empty());
    }

    #[test]
    fn the_sites_headers_take_the_place_of_the_gateways() {
        let line = |name: &str, value: &str, always| AddedHeader {
            name: name.to_owned(),
            value: value.to_owned(),
            always,
        };
        let conf = HeadersConf {
            add: vec![
                line("Cache-Control", "max-age=60", false),
                line("X-Site", "a", true),
                line("X-Site", "b", true),
                line("Vary", "X-Kind", false),
                line("Strict-Transport-Security", "max-age=1", true),
            ],
            server: Some("fdfs".to_owned()),
            ..HeadersConf::default()
        };
        let given = [("cache-control", "public"), ("vary", "Origin"), ("x-site", "old")];
        let headers = finish(&conf, false, 206, &given);
        assert_eq!(all(&headers, "cache-control"), ["max-age=60"]);
        assert_eq!(all(&headers, "x-site"), ["a", "b"]);
        assert_eq!(all(&headers, "vary"), ["Origin", "X-Kind"]);
        assert_eq!(all(&headers, "server"), ["fdfs"]);
        assert!(!headers.contains_key(STRICT_TRANSPORT_SECURITY));
        let headers = finish(&conf, false, 404, &given);
        assert_eq!(all(&headers, "cache-control"), ["public"]);
        assert_eq!(all(&headers, "x-site"), ["a", "b"]);
        let mut secure = Response::new(());
        Headers::new(&conf, false).finish(&mut secure, true, true);
        assert_eq!(all(secure.headers(), "strict-transport-security"), ["max-age=1"]);
    }
}
