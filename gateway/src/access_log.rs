//! The access log: a line a request, in the form that a site chose, written when the answer has been handed over or the
//! client is gone.
//!
//! A request that hyper itself refuses (a head that is no HTTP, or too long) never comes here and has no line. A client
//! that leaves before its answer begins is logged with nginx's status 499; one that leaves later with the status that it
//! saw and the bytes that it took.

pub(crate) mod clock;
pub(crate) mod escape;
mod line;
mod logged;
mod plain;
pub(crate) mod writer;

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::header::{CONTENT_LENGTH, DATE};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use protocol::config::web_conf::access_log::HttpLogConf;

use crate::body::Body;
use crate::server::Connection;
use line::{End, Kept, Line};
use logged::Logged;
use writer::Writer;

/// nginx's status of a client that left before its answer.
const CLIENT_CLOSED_REQUEST: u16 = 499;
/// Buffers larger than this are not kept for the next request.
const MAX_SPARE: usize = 4096;

/// The member that gave a file that is not here; an extension of the answer.
#[derive(Debug, Clone)]
pub(crate) struct Upstream(Arc<str>);

impl Upstream {
    /// The member of this URL.
    pub(crate) fn of(base_url: &str) -> Self {
        Self(base_url.split_once("://").map_or(base_url, |(_, rest)| rest).into())
    }
}

/// An access log that is on. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct AccessLog(Arc<Log>);

#[derive(Debug)]
struct Log {
    line: Line,
    writer: Writer,
    has_head_bytes: bool,
}

thread_local! {
    /// The line that is put together.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Memory of the last request's values, for the next one.
    static SPARE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl AccessLog {
    /// Opens the file. Blocking.
    pub(crate) fn open(conf: &HttpLogConf) -> io::Result<Self> {
        let line = Line::new(&conf.format);
        let has_head_bytes = line.has_head_bytes();
        let writer = Writer::open(conf.path.clone(), conf.flush)?;
        Ok(Self(Arc::new(Log { line, writer, has_head_bytes })))
    }

    /// Opens the file anew, since somebody has moved it away.
    pub(crate) fn reopen(&self) {
        self.0.writer.reopen();
    }

    /// Waits until all lines are in the file. Blocking.
    pub(crate) fn flush(&self) {
        self.0.writer.flush();
    }

    /// Whether it has no more to say of an answer at hand than its status and its length.
    pub(crate) fn takes_plain(&self) -> bool {
        !self.0.line.has_answer_headers()
    }

    /// Begins the line of a request of which the fast path has read the head; `None` if it cannot be told.
    pub(crate) fn begin_plain(&self, from: &Connection, client: SocketAddr, head: &[u8]) -> Option<Pending> {
        Some(self.begin(from, client, &plain::request_of(head)?))
    }

    /// Begins the line of a request.
    pub(crate) fn begin<B>(&self, from: &Connection, client: SocketAddr, request: &Request<B>) -> Pending {
        let mut asked = Kept::in_memory_of(SPARE.take());
        self.0.line.keep_request(&mut asked, from, client, request);
        Pending {
            log: self.clone(),
            started: Instant::now(),
            asked,
            answered: Kept::default(),
            status: None,
            head_bytes: 0,
            body_bytes: 0,
            expected: None,
            is_touched: false,
            is_complete: false,
        }
    }
}

/// The line of a request under way, written when this is dropped.
#[derive(Debug)]
pub(crate) struct Pending {
    log: AccessLog,
    started: Instant,
    asked: Kept,
    answered: Kept,
    /// Missing until there is an answer.
    status: Option<u16>,
    head_bytes: u64,
    body_bytes: u64,
    /// Length of the whole body, if it is known.
    expected: Option<u64>,
    /// Whether anything of the answer was asked for.
    is_touched: bool,
    is_complete: bool,
}

impl Pending {
    /// Notes the answer's head; its body has the line from then on.
    pub(crate) fn answered(mut self, answer: Response<Body>) -> Response<Body> {
        self.status = Some(answer.status().as_u16());
        self.log.0.line.keep_answer(&mut self.answered, Some(&answer));
        if self.log.0.has_head_bytes {
            self.head_bytes = head_len(&answer);
        }
        answer.map(|body| {
            let is_at_hand = body.is_at_hand();
            let logged = Body::layer(Logged::new(body, self));
            if is_at_hand { logged.at_hand() } else { logged }
        })
    }

    /// The same for an answer at hand, whose head has so many bytes.
    pub(crate) fn handed(mut self, status: StatusCode, head_bytes: usize, body: Body) -> Body {
        self.status = Some(status.as_u16());
        self.head_bytes = head_bytes as u64;
        self.log.0.line.keep_answer::<()>(&mut self.answered, None);
        Body::layer(Logged::new(body, self))
    }

    /// Notes how long the body will be, and whether there is none.
    fn expects(&mut self, expected: Option<u64>, is_empty: bool) {
        self.expected = expected;
        self.is_complete = is_empty;
        self.is_touched = is_empty;
    }

    /// Notes bytes that were taken of the body.
    fn took(&mut self, len: u64, is_end: bool) {
        self.body_bytes += len;
        self.is_touched = true;
        self.is_complete |= is_end || self.expected == Some(self.body_bytes);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let log = &self.log.0;
        if self.status.is_none() {
            log.line.keep_answer::<()>(&mut self.answered, None);
        }
        let status = self.status.filter(|_| self.is_touched).unwrap_or(CLIENT_CLOSED_REQUEST);
        let end = End {
            status,
            head_bytes: self.head_bytes,
            body_bytes: self.body_bytes,
            took: self.started.elapsed(),
            is_complete: self.is_complete,
        };
        LINE.with_borrow_mut(|text| {
            text.clear();
            log.line.write(text, &self.asked, &self.answered, &end, SystemTime::now());
            log.writer.push(text);
        });
        let memory = std::mem::take(&mut self.asked).into_memory();
        if memory.capacity() <= MAX_SPARE {
            SPARE.set(memory);
        }
    }
}

/// Bytes of an answer's head as HTTP/1.1 has them, with the lines that hyper adds.
fn head_len(answer: &Response<Body>) -> u64 {
    let (status, headers) = (answer.status(), answer.headers());
    let reason = status.canonical_reason().unwrap_or("<none>");
    let first = "HTTP/1.1 200 \r\n".len() + reason.len() + "\r\n".len();
    let date = if headers.contains_key(DATE) { 0 } else { "date: Wed, 25 Nov 2026 12:00:00 GMT\r\n".len() };
    let length = match answer.body().size_hint().exact() {
        _ if headers.contains_key(CONTENT_LENGTH) || status == StatusCode::NOT_MODIFIED => 0,
        Some(len) => "content-length: \r\n".len() + len.to_string().len(),
        None => "transfer-encoding: chunked\r\n".len(),
    };
    line::lines_len(headers) + (first + date + length) as u64
}
