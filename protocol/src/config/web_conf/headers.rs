//! What a site adds to answers (`http.add_header` and others), and how fast they are sent (`http.limit_rate`).

use crate::config::ini::Entry;
use crate::config::reader::KeyReader;

/// Scripts, forms and plug-ins of an uploaded page are off, and it is of no origin: it cannot read what visitors of the
/// site may. Its text, pictures and styles are shown.
const CONTENT_SECURITY_POLICY: &str = "sandbox; script-src 'none'; object-src 'none'";

/// Headers that say how an answer is framed or what it is; a wrong one breaks it.
const OWN: [&str; 22] = [
    "accept-ranges",
    "age",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "etag",
    "http2-settings",
    "keep-alive",
    "last-modified",
    "location",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers of answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadersConf {
    /// `http.add_header`, in the order of the file.
    pub add: Vec<AddedHeader>,
    /// `http.content_security_policy` of uploaded pages and drawings; `None` if it is given empty.
    pub content_security_policy: Option<String>,
    /// `http.server_header`.
    pub server: Option<String>,
}

/// One line of `http.add_header`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedHeader {
    /// Name as written.
    pub name: String,
    /// Value.
    pub value: String,
    /// Whether errors have it too.
    pub always: bool,
}

/// How fast answers are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PaceConf {
    /// `http.limit_rate`: bytes a second of one answer; 0 is no limit.
    pub rate: u64,
    /// `http.limit_rate_after`: bytes before the limit counts.
    pub after: u64,
}

impl Default for HeadersConf {
    fn default() -> Self {
        Self {
            add: Vec::new(),
            content_security_policy: Some(CONTENT_SECURITY_POLICY.to_owned()),
            server: None,
        }
    }
}

impl PaceConf {
    pub(in crate::config) fn read(keys: &mut KeyReader<'_>) -> Self {
        let (rate, after) = ("http.limit_rate", "http.limit_rate_after");
        let conf = Self { rate: keys.bytes(rate, 0), after: keys.bytes(after, 0) };
        if conf.rate == 0 && conf.after > 0 {
            keys.warn(after, "without http.limit_rate it means nothing");
        }
        conf
    }
}

impl HeadersConf {
    pub(in crate::config) fn read(keys: &mut KeyReader<'_>) -> Self {
        let mut conf = Self::default();
        for entry in keys.all(&["http.add_header"]) {
            match added(entry) {
                Ok(header) => conf.add.push(header),
                Err(why) => keys.refuse_line(entry, why),
            }
        }
        let policy = "http.content_security_policy";
        // A value that is given empty turns it off, which C's reader of configurations calls doubtful.
        let lines = keys.all(&[policy]);
        if let Some(entry) = lines.last() {
            let value = unquoted(&entry.value);
            conf.content_security_policy = (!value.is_empty()).then(|| value.to_owned());
            if !super::is_field_value(value) {
                keys.refuse(policy, "has characters that no header can have");
            }
        }
        let server = "http.server_header";
        conf.server = keys.text_or_none(server).map(|text| unquoted(text).to_owned());
        if conf.server.as_deref().is_some_and(|text| !super::is_field_value(text)) {
            keys.refuse(server, "has characters that no header can have");
        }
        conf
    }
}

/// nginx's `NAME VALUE [always]`; the value may stand in quotes.
fn added(entry: &Entry) -> Result<AddedHeader, String> {
    let form = || "write NAME VALUE, or NAME \"VALUE\" always".to_owned();
    let text = entry.value.trim_end_matches(';').trim();
    let (name, rest) = text.split_once([' ', '\t']).ok_or_else(form)?;
    let rest = rest.trim();
    let (rest, always) = match rest.strip_suffix("always") {
        Some(value) if value.ends_with([' ', '\t', '"', '\'']) => (value.trim(), true),
        _ => (rest, false),
    };
    let value = unquoted(rest);
    if !super::is_token(name) {
        return Err(format!("'{name}' is no name of a header; {}", form()));
    }
    if OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(format!("{name} is made by the gateway itself, and a second one would break answers"));
    }
    if value.is_empty() || !super::is_field_value(value) {
        return Err(format!("the value is empty or has characters that no header can have; {}", form()));
    }
    let mut after_dollar = value.split('$').skip(1);
    if after_dollar.any(|text| text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '{')) {
        return Err("variables are not filled in; write the text itself".to_owned());
    }
    Ok(AddedHeader { name: name.to_owned(), value: value.to_owned(), always })
}

/// Without the quotes around it.
fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{refused, warned, web};
    use super::*;

    #[test]
    fn headers_are_written_as_in_nginx() {
        for (text, name, value, always) in [
            ("X-Site a", "X-Site", "a", false),
            ("X-Site \"a b; c\" always", "X-Site", "a b; c", true),
            ("X-Site 'a \"b\"' always;", "X-Site", "a \"b\"", true),
            ("Cache-Control no-cache", "Cache-Control", "no-cache", false),
            (
                "Strict-Transport-Security \"max-age=63072000\" always",
                "Strict-Transport-Security",
                "max-age=63072000",
                true,
            ),
            ("X-Word foralways", "X-Word", "foralways", false),
            ("X-Price $5", "X-Price", "$5", false),
        ] {
            let expected = AddedHeader { name: name.to_owned(), value: value.to_owned(), always };
            assert_eq!(web(&format!("http.add_header = {text}")).headers.add, [expected], "{text}");
        }
        for (text, why) in [
            ("X-Site", "write NAME VALUE"),
            ("X:Site a", "no name of a header"),
            ("X-Site \"\"", "empty"),
            ("X-Site a\u{7f}", "no header can have"),
            ("X-Site ä", "no header can have"),
            ("Content-Length 5", "made by the gateway"),
            ("transfer-encoding chunked", "made by the gateway"),
            ("X-Host $hostname", "variables are not filled in"),
        ] {
            refused(&format!("http.add_header = {text}"), why);
        }
    }

    #[test]
    fn uploaded_pages_are_shut_in_unless_a_site_lets_them_out() {
        assert_eq!(web("").headers, HeadersConf::default());
        assert!(web("").headers.content_security_policy.unwrap().starts_with("sandbox"));
        assert_eq!(web("http.content_security_policy =").headers.content_security_policy, None);
        let conf = web("http.content_security_policy = \"default-src 'self'\"\nhttp.server_header = fdfs");
        assert_eq!(conf.headers.content_security_policy.as_deref(), Some("default-src 'self'"));
        assert_eq!(conf.headers.server.as_deref(), Some("fdfs"));
    }

    #[test]
    fn rates_are_sizes() {
        assert_eq!(web("").pace, PaceConf::default());
        let conf = web("http.limit_rate = 500k\nhttp.limit_rate_after = 1m");
        assert_eq!(conf.pace, PaceConf { rate: 500 << 10, after: 1 << 20 });
        warned("http.limit_rate_after = 1m", "without http.limit_rate");
        refused("http.limit_rate = fast", "not a size");
    }
}
