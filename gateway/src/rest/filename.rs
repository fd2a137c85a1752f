//! The name that a file had where it comes from: of the query, of a part, or of the request's `Content-Disposition`
//! (RFC 6266). It is kept as metadata, and reads give it back.

use http::HeaderMap;
use http::header::CONTENT_DISPOSITION;
use percent_encoding::percent_decode_str;

use super::upload::bad;
use crate::problem::Problem;

/// Longest name that is kept, in bytes: what a read can give back.
const MAX_NAME: usize = crate::disposition::MAX_NAME;
/// Longest end of a name that is kept whole when it is cut.
const MAX_ENDING: usize = 16;

/// What is kept of a name: what follows its directories, cut where it is too long but for its extension. `None` if nothing
/// is left; control characters are refused, since they have no place in a header.
pub(crate) fn kept(name: &str) -> Result<Option<String>, Problem> {
    let base = name.rsplit(['/', '\\']).next().unwrap_or(name);
    if base.chars().any(char::is_control) {
        return Err(bad("bad_filename", "a file name holds no control characters; send it without them"));
    }
    Ok((!base.is_empty()).then(|| cut(base)))
}

fn cut(name: &str) -> String {
    if name.len() <= MAX_NAME {
        return name.to_owned();
    }
    let ending = name.rfind('.').map_or("", |at| &name[at..]);
    let ending = if ending.len() <= MAX_ENDING { ending } else { "" };
    let end = name.floor_char_boundary(MAX_NAME - ending.len());
    format!("{}{ending}", &name[..end])
}

/// The name in the header of a request, as it stands there. A header that makes no sense is passed over (RFC 6266, 4.1).
pub(crate) fn of_header(headers: &HeaderMap) -> Option<String> {
    let value = std::str::from_utf8(headers.get(CONTENT_DISPOSITION)?.as_bytes()).ok()?;
    let (_, mut rest) = value.split_once(';')?;
    let (mut plain, mut extended) = (None, None);
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = parameter(after.trim_start())?;
        let name = name.trim();
        if name.eq_ignore_ascii_case("filename") {
            plain = Some(value);
        } else if name.eq_ignore_ascii_case("filename*") {
            extended = decode_extended(&value);
        }
        match after.trim_start().strip_prefix(';') {
            Some(next) if !next.trim().is_empty() => rest = next,
            _ => return extended.or(plain),
        }
    }
}

/// A token or a quoted string at the start of a text, and what follows it.
fn parameter(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return Some((text[..end].trim().to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// `UTF-8'en'a%20b` (RFC 8187).
fn decode_extended(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, text) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn names_are_cut_and_cleaned() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(kept(name).ok().flatten().as_deref(), expected, "{name:?}");
        };
        check("photo.jpg", Some("photo.jpg"));
        check("../dir/a b.jpg", Some("a b.jpg"));
        check("C:\\Users\\图.png", Some("图.png"));
        check("dir/", None);
        check("", None);
        let long = format!("{}.jpeg", "图".repeat(100));
        let expected = format!("{}.jpeg", "图".repeat(83));
        check(&long, Some(&expected));
        check(&format!("a.{}", "x".repeat(300)), Some(&format!("a.{}", "x".repeat(253))));
        for hostile in ["a\r\nSet-Cookie: x", "a\0", "a\u{7f}", "a\u{85}b"] {
            assert!(kept(hostile).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn headers_name_files_as_rfc_6266_has_it() {
        let check = |value: &str, expected: Option<&str>| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(CONTENT_DISPOSITION, value)]);
            assert_eq!(of_header(&headers).as_deref(), expected);
        };
        check("attachment; filename=a.txt", Some("a.txt"));
        check("inline; FILENAME = \"a \\\"b\\\".txt\" ; x=y", Some("a \"b\".txt"));
        check("attachment; filename=\"_.png\"; filename*=UTF-8''%E5%9B%BE.png", Some("图.png"));
        check("attachment; filename*=utf-8'en'%E5%9B%BE.png; filename=x", Some("图.png"));
        check("attachment; filename*=iso-8859-1''%E9; filename=e", Some("e"));
        check("attachment; filename*=UTF-8''%FF; filename=e", Some("e"));
        check("attachment; filename=\"图.png\"", Some("图.png"));
        check("attachment; filename=\"a;b=c.txt\"", Some("a;b=c.txt"));
        check("attachment; filename*=UTF-8''a%0D%0Ab", Some("a\r\nb"));
        for nothing in ["attachment", "attachment;", "attachment; filename", "attachment; filename=\"a", ""] {
            check(nothing, None);
        }
    }
}
