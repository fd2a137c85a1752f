//! Answers that are at hand: the head is written already, but for its date, and the body waits for nothing but the disk.

use std::cell::RefCell;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::buf::Chain;
use bytes::{Buf, Bytes};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use crate::access_log::Pending;
use crate::body::Body;

/// What a plain request says: lines that are there once at most, in ASCII.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Plain<'a> {
    /// All of the head.
    pub head: &'a [u8],
    /// The path of the URL, as it came.
    pub path: &'a str,
    /// `Range`.
    pub range: Option<&'a str>,
    /// `If-None-Match`.
    pub if_none_match: Option<&'a str>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<&'a str>,
}

/// A 200, 206 or 304 that needs no more than to be written.
#[derive(Debug)]
pub struct AtHand {
    status: StatusCode,
    log: Option<Box<Pending>>,
    /// Status line and headers, without `Date`, which is to follow.
    head: Bytes,
    /// As long as the head says.
    body: Body,
}

impl AtHand {
    /// Of a head out of [`Heads`].
    pub(crate) fn new(status: StatusCode, head: Bytes, body: Body) -> Self {
        Self { status, log: None, head, body }
    }

    /// With a line in the access log.
    pub(crate) fn logged(self, log: Pending) -> Self {
        Self { log: Some(Box::new(log)), ..self }
    }

    /// All of the head, and the body. The connection ends with it if it is the last.
    pub(crate) fn into_parts(self, is_last: bool) -> (Chain<Bytes, Bytes>, Body) {
        const CLOSE: &[u8] = b"connection: close\r\n";
        let end = date_and_end();
        let end = if is_last { [CLOSE, &end].concat().into() } else { end };
        let body = match self.log {
            Some(log) => log.handed(self.status, self.head.len() + end.len(), self.body),
            None => self.body,
        };
        (self.head.chain(end), body)
    }
}

/// The heads of a file's answers, as hyper writes them, but without `Date` and their end.
#[derive(Debug)]
pub(crate) struct Heads {
    whole: Bytes,
    /// Without what is different for each part.
    part: Bytes,
    /// Without what is different for each choice of parts.
    parts: Bytes,
    not_modified: Bytes,
}

impl Heads {
    /// Those of a file that is answered as a whole with these headers, by several parts with those, and with the last if a
    /// client has it.
    pub(crate) fn of(mut whole: HeaderMap, mut parts: HeaderMap, not_modified: &HeaderMap) -> Self {
        let all = write(StatusCode::OK, &whole);
        whole.remove(CONTENT_LENGTH);
        let part = write(StatusCode::PARTIAL_CONTENT, &whole);
        parts.remove(CONTENT_LENGTH);
        parts.remove(CONTENT_TYPE);
        Self {
            whole: all,
            part,
            parts: write(StatusCode::PARTIAL_CONTENT, &parts),
            not_modified: write(StatusCode::NOT_MODIFIED, not_modified),
        }
    }

    /// For a client that has it.
    pub(crate) fn not_modified(&self) -> Bytes {
        self.not_modified.clone()
    }

    /// For all of the file.
    pub(crate) fn whole(&self) -> Bytes {
        self.whole.clone()
    }

    /// For a part of it, which is not empty, out of so many bytes.
    pub(crate) fn part(&self, part: &Range<u64>, len: u64) -> Bytes {
        let (first, last) = (part.start, part.end - 1);
        let own = format!(
            "content-range: bytes {first}-{last}/{len}\r\ncontent-length: {}\r\n",
            part.end - part.start
        );
        [&self.part, own.as_bytes()].concat().into()
    }

    /// For several parts, whose body has this type and length.
    pub(crate) fn parts(&self, kind: &str, len: u64) -> Bytes {
        let own = format!("content-type: {kind}\r\ncontent-length: {len}\r\n");
        [&self.parts, own.as_bytes()].concat().into()
    }
}

fn write(status: StatusCode, headers: &HeaderMap) -> Bytes {
    let mut head = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.shrink_to_fit();
    head.into()
}

thread_local! {
    /// The second, and the end of heads in it.
    static END: RefCell<(u64, Bytes)> = const { RefCell::new((0, Bytes::new())) };
}

/// The line with the date of this second (RFC 9110, 6.6.1), and the end of the head.
fn date_and_end() -> Bytes {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    END.with_borrow_mut(|(of, end)| {
        if *of != second || end.is_empty() {
            *of = second;
            *end = format!("date: {}\r\n\r\n", httpdate::fmt_http_date(now)).into();
        }
        end.clone()
    })
}
