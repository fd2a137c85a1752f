//! `Content-Disposition` (RFC 6266), with names beyond ASCII as RFC 8187 writes them.

use std::fmt::Write;

use http::{HeaderValue, StatusCode};

use crate::problem::Problem;
use crate::query::QueryString;

/// Longest name that is sent.
pub(crate) const MAX_NAME: usize = 255;

/// Query parameters with a name to save a file under: the nginx module's, and that of a rule that sites write into
/// nginx.conf.
const KEYS: [&str; 2] = ["filename", "attname"];

/// What a query asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// Nothing: shown, under the name that the file had, if that is known.
    Nothing,
    /// To be saved, under the name that the file had.
    Saved,
    /// To be saved under this name.
    As(HeaderValue),
}

/// What a query asks for. A name in another encoding than UTF-8 is left to the client.
pub(crate) fn asked(query: QueryString<'_>) -> Result<Asked, Problem> {
    let Some(key) = KEYS.into_iter().find(|key| query.has(key)) else { return Ok(Asked::Nothing) };
    let name = query.get(key).unwrap_or_default();
    if name.is_empty() {
        return Ok(Asked::Saved);
    }
    match named("attachment", &name) {
        Some(header) => Ok(Asked::As(header)),
        None => {
            let detail = format!("the parameter {key} has control characters or more than {MAX_NAME} bytes");
            Err(Problem::new(StatusCode::BAD_REQUEST, "bad_filename", detail))
        }
    }
}

impl Asked {
    /// The header, for a file whose own name may be known.
    pub(crate) fn header(self, own: Option<&str>) -> Option<HeaderValue> {
        match self {
            Self::As(header) => Some(header),
            // Metadata can say anything.
            Self::Nothing => own.and_then(|own| named("inline", own)),
            Self::Saved => {
                let own = own.and_then(|own| named("attachment", own));
                Some(own.unwrap_or(HeaderValue::from_static("attachment")))
            }
        }
    }
}

/// A disposition with a name; `None` for names that no client may be told: too long, or with control characters.
fn named(disposition: &str, name: &str) -> Option<HeaderValue> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return None;
    }
    let mut text = format!("{disposition}; filename=\"");
    for character in name.chars() {
        match character {
            '"' | '\\' => {
                text.push('\\');
                text.push(character);
            }
            // Some clients decode what looks like an escape (RFC 6266, appendix D).
            '%' => text.push('_'),
            ' '..='~' => text.push(character),
            _ => text.push('_'),
        }
    }
    text.push('"');
    if !name.is_ascii() || name.contains('%') {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                write!(text, "%{byte:02X}").ok()?;
            }
        }
    }
    HeaderValue::try_from(text).ok()
}

/// The name that a request's `Content-Disposition` gives its content; that of RFC 8187's form is preferred (RFC 6266, 4.3).
/// Without directories; `None` if there is none that can be kept.
pub(crate) fn filename(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let (mut plain, mut extended) = (None, None);
    for parameter in parameters(text) {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let value = value.trim();
        match name.trim().to_ascii_lowercase().as_str() {
            "filename" => plain = Some(unquoted(value)),
            "filename*" => extended = decoded(value),
            _ => {}
        }
    }
    let name = extended.or(plain)?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_good = !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control);
    is_good.then(|| name.to_owned())
}

/// What stands between semicolons that are in no quotes.
fn parameters(text: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |character| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            '"' if !was_escaped => is_quoted = !is_quoted,
            ';' => return !is_quoted,
            _ => {}
        }
        false
    })
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}

/// `UTF-8''%E5%9B%BE.png`.
fn decoded(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_, name) = rest.split_once('\'')?;
    let decode = || percent_encoding::percent_decode_str(name).decode_utf8().ok();
    charset.eq_ignore_ascii_case("utf-8").then(decode)?.map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_requests_are_read() {
        for (text, expected) in [
            ("inline; filename=\"a b.jpg\"", Some("a b.jpg")),
            ("attachment;filename=a.txt", Some("a.txt")),
            ("inline; filename=\"x;y\\\"z.txt\"; foo=bar", Some("x;y\"z.txt")),
            ("inline; filename=\"_.png\"; filename*=UTF-8''%E5%9B%BE.png", Some("图.png")),
            ("inline; FileName*=utf-8'en'a%20b", Some("a b")),
            ("inline; filename*=latin1''%FC; filename=u", Some("u")),
            ("inline; filename*=UTF-8''%FF; filename=u", Some("u")),
            ("inline; filename=\"../../etc/passwd\"", Some("passwd")),
            ("inline; filename*=UTF-8''a%0Ab", None),
            ("inline; filename=\"\"", None),
            ("inline", None),
            ("", None),
        ] {
            let value = HeaderValue::from_static(text);
            assert_eq!(filename(&value).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn names_are_quoted_and_nothing_is_injected() {
        let check = |name: &str, expected: Option<&str>| {
            let header = named("attachment", name);
            assert_eq!(header.as_ref().map(|value| value.to_str().unwrap()), expected, "{name:?}");
        };
        check("a b.txt", Some(r#"attachment; filename="a b.txt""#));
        check(r#"a"b\c"#, Some(r#"attachment; filename="a\"b\\c""#));
        check("", None);
        check("a\r\nSet-Cookie: x", None);
        check("a\u{0}", None);
        check("a\u{85}", None);
        check("50%2f.txt", Some("attachment; filename=\"50_2f.txt\"; filename*=UTF-8''50%252f.txt"));
        check(&"x".repeat(256), None);
        check("图.png", Some("attachment; filename=\"_.png\"; filename*=UTF-8''%E5%9B%BE.png"));
    }

    #[test]
    fn a_file_s_own_name_is_given_back_unless_the_query_says_more() {
        for (query, own, expected) in [
            ("/x", None, None),
            ("/x", Some("a.txt"), Some("inline; filename=\"a.txt\"")),
            ("/x", Some("a\r\nb"), None),
            ("/x?filename=", Some("a.txt"), Some("attachment; filename=\"a.txt\"")),
            ("/x?attname=", Some("a\r\nb"), Some("attachment")),
            ("/x?attname", None, Some("attachment")),
            ("/x?filename=b.txt", Some("a.txt"), Some("attachment; filename=\"b.txt\"")),
        ] {
            let uri: http::Uri = query.parse().unwrap();
            let header = asked(QueryString::of(&uri)).unwrap().header(own);
            assert_eq!(header.as_ref().map(|value| value.to_str().unwrap()), expected, "{query}");
        }
    }
}
