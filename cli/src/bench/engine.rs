//! The loop: one thread, many connections, each with one request under way. Requests are written from buffers that
//! exist already, answers are read into one shared buffer, and epoll is asked edge by edge, so that a request costs
//! one write, one read and a share of one wait.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::Timespec;

use super::histogram::Histogram;

/// Longest head of an answer.
const MAX_HEAD: usize = 16 * 1024;
/// Longest body that is kept for the work to look at.
const MAX_KEPT: u64 = 64 * 1024;
/// Received bytes are read in pieces of this size.
const SCRATCH: usize = 128 * 1024;
/// How long requests under way may take when time is over.
const GRACE: Duration = Duration::from_secs(10);
/// Connects that may fail in a row.
const MAX_FAILED_CONNECTS: u32 = 50;

/// The head of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the head itself.
    pub(super) len: usize,
    /// Bytes that follow it.
    pub(super) body: u64,
    /// Status as the protocol counts.
    pub(super) status: u16,
    /// Whether the request succeeded.
    pub(super) ok: bool,
    /// Whether the connection takes another request.
    pub(super) keep: bool,
}

/// Requests to send and what to make of their answers.
pub(super) trait Work {
    /// The next request, or none when all are sent.
    fn next(&mut self) -> Option<Bytes>;
    /// The head of an answer, once all of it is there; an error text if it is none.
    fn head(&self, have: &[u8]) -> Result<Option<Head>, &'static str>;
    /// Whether bodies of answers are looked at.
    fn keeps_body(&self) -> bool {
        false
    }
    /// A request succeeded; gives the payload bytes that it moved.
    fn succeeded(&mut self, head: &Head, body: &[u8]) -> u64;
}

/// How long, how wide.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) target: SocketAddr,
    pub(super) connections: usize,
    /// `None` runs until the work ends.
    pub(super) time: Option<Duration>,
    /// Requests that start in the first part of the time are not counted.
    pub(super) warmup: Duration,
}

/// What was seen.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub(super) latencies: Histogram,
    pub(super) payload: u64,
    pub(super) errors: BTreeMap<String, u64>,
    /// From the end of the warm-up to the last answer.
    pub(super) elapsed: Duration,
}

impl Tally {
    fn new() -> Self {
        Self { latencies: Histogram::new(), payload: 0, errors: BTreeMap::new(), elapsed: Duration::ZERO }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        self.payload += other.payload;
        self.elapsed = self.elapsed.max(other.elapsed);
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
    }

    pub(super) fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    fn error(&mut self, kind: impl Into<String>) {
        *self.errors.entry(kind.into()).or_default() += 1;
    }
}

struct Connection {
    stream: TcpStream,
    request: Bytes,
    written: usize,
    started: Instant,
    busy: bool,
    /// Bytes of a head that is not complete, then of a body that is kept.
    kept: Vec<u8>,
    head: Option<Head>,
    body_left: u64,
}

/// What a connection does after an event.
enum Next {
    Wait,
    Answered(Head),
    Failed(String),
}

/// Sends the work's requests until time or work is over.
pub(super) fn run(work: &mut impl Work, plan: &Plan) -> io::Result<Tally> {
    let now = Instant::now();
    let mut engine = Engine {
        poll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        tally: Tally::new(),
        count_from: now + plan.warmup,
        end: plan.time.map(|time| now + plan.warmup + time),
        scratch: vec![0; SCRATCH],
        failed_connects: 0,
        busy: 0,
        last_answer: now,
        target: plan.target,
    };
    let mut connections = Vec::with_capacity(plan.connections);
    for index in 0..plan.connections {
        let mut connection = engine.open(index)?;
        engine.start(&mut connection, work, Instant::now());
        connections.push(connection);
    }
    let mut events = Vec::with_capacity(256);
    while engine.busy > 0 {
        let now = Instant::now();
        if engine.end.is_some_and(|end| now > end + GRACE) {
            (0..engine.busy).for_each(|_| engine.tally.error("no answer"));
            break;
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
        match epoll::wait(&engine.poll, spare_capacity(&mut events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        for event in events.drain(..) {
            let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            if let Some(connection) = connections.get_mut(index) {
                engine.step(index, connection, work)?;
            }
        }
    }
    engine.tally.elapsed = engine.last_answer.saturating_duration_since(engine.count_from);
    Ok(engine.tally)
}

struct Engine {
    poll: OwnedFd,
    tally: Tally,
    count_from: Instant,
    end: Option<Instant>,
    scratch: Vec<u8>,
    failed_connects: u32,
    busy: usize,
    last_answer: Instant,
    target: SocketAddr,
}

impl Engine {
    fn open(&mut self, index: usize) -> io::Result<Connection> {
        let stream = loop {
            match TcpStream::connect_timeout(&self.target, Duration::from_secs(5)) {
                Ok(stream) => break stream,
                Err(error) => {
                    self.failed_connects += 1;
                    if self.failed_connects > MAX_FAILED_CONNECTS {
                        return Err(error);
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
        };
        self.failed_connects = 0;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.poll, &stream, EventData::new_u64(index as u64), flags)?;
        Ok(Connection {
            stream,
            request: Bytes::new(),
            written: 0,
            started: Instant::now(),
            busy: false,
            kept: Vec::new(),
            head: None,
            body_left: 0,
        })
    }

    /// Starts the next request, if time and work are left.
    fn start(&mut self, connection: &mut Connection, work: &mut impl Work, now: Instant) {
        if self.end.is_some_and(|end| now >= end) {
            return;
        }
        let Some(request) = work.next() else { return };
        connection.request = request;
        connection.written = 0;
        connection.started = now;
        connection.busy = true;
        connection.kept.clear();
        connection.head = None;
        self.busy += 1;
        // A failed write shows as a failed read at the next event.
        let _ = connection.flush();
    }

    fn step(&mut self, index: usize, connection: &mut Connection, work: &mut impl Work) -> io::Result<()> {
        let next = match connection.flush() {
            Err(error) if connection.busy => Next::Failed(describe(&error)),
            _ => connection.receive(&mut self.scratch, work),
        };
        match next {
            Next::Wait => Ok(()),
            Next::Answered(head) => {
                let now = Instant::now();
                self.finish(connection);
                self.answered(connection, &head, work, now);
                // A server that answers before it has the whole request reads the rest as the next one, or closes.
                if !head.keep || connection.written < connection.request.len() {
                    *connection = self.open(index)?;
                }
                self.start(connection, work, now);
                Ok(())
            }
            Next::Failed(why) => {
                if connection.busy {
                    self.finish(connection);
                    self.tally.error(why);
                }
                if self.end.is_some_and(|end| Instant::now() >= end) {
                    return Ok(());
                }
                *connection = self.open(index)?;
                self.start(connection, work, Instant::now());
                Ok(())
            }
        }
    }

    fn finish(&mut self, connection: &mut Connection) {
        connection.busy = false;
        self.busy -= 1;
    }

    fn answered(&mut self, connection: &Connection, head: &Head, work: &mut impl Work, now: Instant) {
        self.last_answer = now;
        let payload = if head.ok { work.succeeded(head, &connection.kept) } else { 0 };
        if connection.started < self.count_from {
            return;
        }
        if head.ok {
            self.tally.latencies.add(now - connection.started);
            self.tally.payload += payload;
        } else {
            self.tally.error(format!("status {}", head.status));
        }
    }
}

impl Connection {
    /// Writes what the socket takes.
    fn flush(&mut self) -> io::Result<()> {
        while let Some(left) = self.request.get(self.written..).filter(|left| !left.is_empty()) {
            match self.stream.write(left) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn receive(&mut self, scratch: &mut [u8], work: &impl Work) -> Next {
        loop {
            let count = match self.stream.read(scratch) {
                Ok(0) => return Next::Failed("connection closed".to_owned()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Next::Wait,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Next::Failed(describe(&error)),
            };
            if !self.busy {
                return Next::Failed("bytes that nobody asked for".to_owned());
            }
            let received = scratch.get(..count).unwrap_or_default();
            match self.take(received, work) {
                Ok(Some(head)) => return Next::Answered(head),
                Ok(None) => {}
                Err(why) => return Next::Failed(why.to_owned()),
            }
            // A short read has emptied the socket; the next edge tells of more.
            if count < scratch.len() {
                return Next::Wait;
            }
        }
    }

    /// Takes received bytes; gives the head once the whole answer is there.
    fn take(&mut self, received: &[u8], work: &impl Work) -> Result<Option<Head>, &'static str> {
        let body: &[u8];
        let joined: Vec<u8>;
        if self.head.is_none() {
            let have = if self.kept.is_empty() {
                received
            } else {
                self.kept.extend_from_slice(received);
                joined = std::mem::take(&mut self.kept);
                &joined
            };
            let Some(head) = work.head(have)? else {
                if have.len() > MAX_HEAD {
                    return Err("endless head");
                }
                self.kept = have.to_vec();
                return Ok(None);
            };
            self.kept.clear();
            self.head = Some(head);
            self.body_left = head.body;
            body = have.get(head.len..).unwrap_or_default();
        } else {
            body = received;
        }
        if body.len() as u64 > self.body_left {
            return Err("more bytes than announced");
        }
        self.body_left -= body.len() as u64;
        match self.head {
            Some(head) if head.body <= MAX_KEPT && work.keeps_body() => self.kept.extend_from_slice(body),
            _ => {}
        }
        Ok(self.head.filter(|_| self.body_left == 0))
    }
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => "connection reset".to_owned(),
        _ => error.to_string(),
    }
}
