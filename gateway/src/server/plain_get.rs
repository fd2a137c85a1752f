//! Heads of requests that ask for one thing and say nothing that an answer could depend on. All others are hyper's, as is
//! whatever is not quite right.
//!
//! It is the parser that hyper has, in its strictest mode, so both read the same bytes in the same way.

use httparse::{Header, Request, Status};

use crate::at_hand::Plain;

/// Lines of a head that is looked at; browsers send some 20.
const MAX_LINES: usize = 32;

/// `GET TARGET HTTP/1.1` with a `Host` and nothing that counts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PlainGet<'a> {
    /// What is asked for; the path is the target, which has no query.
    pub(super) plain: Plain<'a>,
    /// Bytes of the head.
    pub(super) len: usize,
    /// Whether the client wants no further answer on the connection.
    pub(super) is_last: bool,
}

impl<'a> PlainGet<'a> {
    /// The one that these bytes begin with, if they do.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut lines = [httparse::EMPTY_HEADER; MAX_LINES];
        let mut request = Request::new(&mut lines);
        let Ok(Status::Complete(len)) = request.parse(bytes) else { return None };
        let target = request.path?;
        let is_get = request.method == Some("GET") && request.version == Some(1);
        if !is_get || !target.starts_with('/') || target.contains('?') {
            return None;
        }
        let (mut hosts, mut is_last) = (0, false);
        let mut plain = Plain { head: &bytes[..len], path: target, ..Plain::default() };
        for Header { name, value } in request.headers.iter() {
            match meaning(name) {
                Meaning::None => {}
                Meaning::Host => hosts += 1,
                Meaning::Range => set(&mut plain.range, value)?,
                Meaning::IfNoneMatch => set(&mut plain.if_none_match, value)?,
                Meaning::IfModifiedSince => set(&mut plain.if_modified_since, value)?,
                Meaning::Connection if value.eq_ignore_ascii_case(b"keep-alive") => {}
                Meaning::Connection if value.eq_ignore_ascii_case(b"close") => is_last = true,
                Meaning::Connection | Meaning::Counts => return None,
            }
        }
        (hosts == 1).then_some(Self { plain, len, is_last })
    }
}

/// Takes a line that may be there once.
fn set<'a>(line: &mut Option<&'a str>, value: &'a [u8]) -> Option<()> {
    let value = std::str::from_utf8(value).ok().filter(|value| value.is_ascii())?;
    line.replace(value).is_none().then_some(())
}

/// What a header means for the answer of a file.
enum Meaning {
    None,
    Host,
    Connection,
    Range,
    IfNoneMatch,
    IfModifiedSince,
    /// Something that only the whole of the gateway can tell.
    Counts,
}

fn meaning(name: &str) -> Meaning {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match name.len() {
        4 if is("host") => Meaning::Host,
        10 if is("connection") => Meaning::Connection,
        5 if is("range") => Meaning::Range,
        6 if is("expect") => Meaning::Counts,
        7 if is("upgrade") => Meaning::Counts,
        14 if is("content-length") => Meaning::Counts,
        17 if is("transfer-encoding") => Meaning::Counts,
        13 if is("if-none-match") => Meaning::IfNoneMatch,
        17 if is("if-modified-since") => Meaning::IfModifiedSince,
        // Other preconditions, known and unknown ones.
        4.. if name.as_bytes()[..3].eq_ignore_ascii_case(b"if-") => Meaning::Counts,
        _ => Meaning::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(head: &str) -> Option<(&str, bool)> {
        let get = PlainGet::decode(head.as_bytes())?;
        assert_eq!(get.len, head.find("\r\n\r\n").unwrap() + 4);
        assert_eq!(get.plain.range.is_some(), head.contains("Range"));
        assert_eq!(get.plain.if_none_match.is_some(), head.contains("If-None-Match:"));
        Some((get.plain.path, get.is_last))
    }

    #[test]
    fn ordinary_heads_are_read() {
        for (lines, is_last) in [
            ("Host: a", false),
            ("hOST:a\r\nUser-Agent: x\r\nAccept-Encoding: gzip\r\nCookie: If-Match=1", false),
            ("Host: a\r\nConnection: Keep-Alive", false),
            ("Host: a\r\nRange: bytes=0-", false),
            ("Host: a\r\nIf-None-Match: *\r\nif-modified-since: x", false),
            ("Host: a\r\nConnection: close", true),
            ("Host: a\r\nConnection: keep-alive\r\nconnection: CLOSE", true),
        ] {
            let head = format!("GET /a/b.jpg HTTP/1.1\r\n{lines}\r\n\r\nGET /");
            assert_eq!(target(&head), Some(("/a/b.jpg", is_last)), "{lines}");
        }
    }

    #[test]
    fn what_counts_or_is_odd_is_left_to_hyper() {
        for head in [
            "",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "GET / HTTP/1.1\r\nHost: a",
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
            "get / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /?x HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\nRange: bytes=1-\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\nIf-Range: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nif-NONE-match: *\r\nIf-None-Match: *\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"\u{e4}\"\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nIf-Match: *\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nIf-Unmodified-Since: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nIf-Range: x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, x\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ] {
            assert_eq!(target(head), None, "{head:?}");
        }
    }
}
