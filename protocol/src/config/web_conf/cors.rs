//! Cross-origin requests: which pages of other origins may have their programs read the files (`http.cors_*`).

use crate::config::reader::KeyReader;

/// Methods that a preflight permits.
const METHODS: &str = "GET, HEAD, POST";
/// Headers that readers and uploaders of files need.
const HEADERS: &str = "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, Content-Type, \
                       Cache-Control, X-Requested-With";
/// What programs may see besides the headers that they always may.
const EXPOSED: &str = "Content-Length, Content-Range, Accept-Ranges, Content-Disposition, ETag, Retry-After";

/// What programs of other origins may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsConf {
    /// Origins that may.
    pub origins: Origins,
    /// Methods, as the header has them.
    pub methods: String,
    /// Headers of requests, as the header has them.
    pub headers: String,
    /// Headers of answers, as the header has them; may be empty.
    pub exposed: String,
    /// Seconds that a browser may keep the answer to a preflight.
    pub max_age: u32,
    /// Whether cookies and the like may come along.
    pub credentials: bool,
}

/// A set of origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// `*`.
    Any,
    /// Those that one of these fits.
    These(Vec<OriginPattern>),
}

/// `https://www.example.com`, or `https://*.example.com` for all hosts below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern {
    /// All before the `*`, or all.
    head: String,
    /// All behind the `*`.
    tail: Option<String>,
}

impl Origins {
    /// Whether an `Origin` header names one of them.
    pub fn permit(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(patterns) => patterns.iter().any(|pattern| pattern.fits(origin)),
        }
    }
}

impl OriginPattern {
    /// Reads a pattern: scheme, host, perhaps a port; no path.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
        let host = rest.strip_prefix("*.").unwrap_or(rest);
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:[]".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_host) {
            return None;
        }
        Some(match text.split_once('*') {
            Some((head, tail)) => Self { head: head.to_owned(), tail: Some(tail.to_owned()) },
            None => Self { head: text, tail: None },
        })
    }

    /// Whether an origin, as browsers write it, is meant.
    pub fn fits(&self, origin: &str) -> bool {
        let Some(tail) = &self.tail else { return origin.eq_ignore_ascii_case(&self.head) };
        let Some((head, rest)) = origin.split_at_checked(self.head.len()) else { return false };
        let Some(at) = rest.len().checked_sub(tail.len()) else { return false };
        let Some((name, end)) = rest.split_at_checked(at) else { return false };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        head.eq_ignore_ascii_case(&self.head)
            && end.eq_ignore_ascii_case(tail)
            && !name.is_empty()
            && name.bytes().all(is_name)
    }
}

impl CorsConf {
    pub(in crate::config) fn read(keys: &mut KeyReader<'_>) -> Option<Self> {
        let key = "http.cors_allow_origin";
        let mut patterns = Vec::new();
        let mut any = false;
        for entry in keys.all(&[key]) {
            for word in entry.value.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
                match OriginPattern::parse(word) {
                    _ if word == "*" => any = true,
                    Some(pattern) => patterns.push(pattern),
                    None => keys.refuse_line(
                        entry,
                        format_args!("'{word}' is neither * nor an origin such as https://www.example.com or https://*.example.com"),
                    ),
                }
            }
        }
        let conf = Self {
            origins: if any { Origins::Any } else { Origins::These(patterns) },
            methods: read_names(keys, "http.cors_allow_methods", METHODS),
            headers: read_names(keys, "http.cors_allow_headers", HEADERS),
            exposed: read_names(keys, "http.cors_expose_headers", EXPOSED),
            max_age: keys.count("http.cors_max_age", 7200),
            credentials: keys.flag("http.cors_allow_credentials", false),
        };
        if conf.origins == Origins::These(Vec::new()) {
            return None;
        }
        if conf.credentials && any {
            let why = "credentials are never sent to all origins; name the origins instead of *";
            keys.refuse("http.cors_allow_credentials", why);
        }
        Some(conf)
    }
}

/// Names separated by commas or blanks, as a header has them. Given empty, there are none.
fn read_names(keys: &mut KeyReader<'_>, key: &str, default: &str) -> String {
    let lines = keys.all(&[key]);
    if lines.is_empty() {
        return default.to_owned();
    }
    let mut names = Vec::new();
    for entry in lines {
        for word in entry.value.split([' ', '\t', ',']).filter(|word| !word.is_empty()) {
            if super::is_token(word) {
                names.push(word);
            } else {
                keys.refuse_line(entry, format_args!("'{word}' cannot be such a name"));
            }
        }
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{refused, web};
    use super::*;

    #[test]
    fn origins_are_exact_or_below_a_domain() {
        assert_eq!(web("").access.cors, None);
        let conf = web("http.cors_allow_origin = https://www.example.com, https://*.example.org:8443\n\
             http.cors_allow_origin = http://localhost:3000");
        let origins = conf.access.cors.unwrap().origins;
        for (origin, expected) in [
            ("https://www.example.com", true),
            ("HTTPS://WWW.example.com", true),
            ("http://www.example.com", false),
            ("https://www.example.com:444", false),
            ("https://www.example.com.evil.net", false),
            ("https://a.example.org:8443", true),
            ("https://a.b.example.org:8443", true),
            ("https://.example.org:8443", false),
            ("https://example.org:8443", false),
            ("https://evil.net/.example.org:8443", false),
            ("https://evil.net#.example.org:8443", false),
            ("https://evilexample.org:8443", false),
            ("http://localhost:3000", true),
            ("null", false),
            ("", false),
            ("https://ä.example.org:8443", false),
        ] {
            assert_eq!(origins.permit(origin), expected, "{origin}");
        }
        for bad in
            ["null", "www.example.com", "https://*", "https://a.*.com", "https://a/b", "ftp://a", "https://"]
        {
            refused(&format!("http.cors_allow_origin = {bad}"), "neither * nor an origin");
        }
    }

    #[test]
    fn defaults_and_lists() {
        let cors = web("http.cors_allow_origin = *").access.cors.unwrap();
        assert_eq!((cors.origins, cors.max_age, cors.credentials), (Origins::Any, 7200, false));
        assert_eq!(cors.methods, "GET, HEAD, POST");
        let cors =
            web("http.cors_allow_origin = *\nhttp.cors_allow_methods = GET\nhttp.cors_expose_headers =")
                .access
                .cors
                .unwrap();
        assert_eq!((cors.methods.as_str(), cors.exposed.as_str()), ("GET", ""));
        refused("http.cors_allow_origin = *\nhttp.cors_allow_credentials = true", "name the origins");
        refused("http.cors_allow_origin = *\nhttp.cors_allow_headers = X:Y", "cannot be such a name");
    }

    proptest! {
        /// A wildcard never reaches past its domain.
        #[test]
        fn what_fits_ends_in_the_domain(origin in "(https?://)?[a-z./@#:]{0,20}(\\.example\\.com)?") {
            let pattern = OriginPattern::parse("https://*.example.com").unwrap();
            if pattern.fits(&origin) {
                let host = origin.strip_prefix("https://").unwrap();
                prop_assert!(host.ends_with(".example.com") && !host.contains(['/', '@', '#', ':']));
            }
        }
    }
}
