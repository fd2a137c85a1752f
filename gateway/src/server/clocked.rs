//! A socket that fails its reader when the client is silent for too long: between requests, or inside a head.
//!
//! hyper has one timeout for both, and its clock starts while the end of the answer before is still on its way out, so a slow
//! reader would be cut off by it. It also makes a timer for every request. Here one timer serves a connection. It is moved
//! lazily: when it fires early, it is set again for the rest.
//!
//! Readers that take nothing are the kernel's business (`TCP_USER_TIMEOUT`, see [`super::listener`]): only it knows how much
//! of a filled send buffer has been taken. Silence inside a body is the app's.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::time::{Instant, Sleep, sleep_until};

use super::doze::Awake;
use super::phase::Phase;

/// What the client is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// For nothing.
    No,
    /// For a request, since then.
    Idle(Instant),
    /// For the rest of a head, since then.
    Head(Instant),
    /// For taking something of the answers of HTTP/2, since then. It is the count of progress that it had by then.
    Reader(Instant, usize),
}

/// Patience with a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the first byte of a head to its end, and for the first request of the connection.
    pub(super) header: Duration,
    /// Between requests.
    pub(super) keepalive: Duration,
    /// For a reader that takes nothing of its streams; the kernel only sees that the socket is not full.
    pub(super) send: Duration,
}

/// The stream with its clock.
#[derive(Debug)]
pub(super) struct Clocked<S> {
    stream: S,
    phase: Arc<Phase>,
    patience: Patience,
    timer: Option<Pin<Box<Sleep>>>,
    wait: Wait,
    /// Whether it is HTTP/2: bytes say nothing about requests then.
    multiplexed: bool,
    /// Whether bytes came that no request has taken yet.
    begun: bool,
    /// Requests that `begun` and `wait` know of.
    seen: u32,
    /// Whether the last write found the send buffer full.
    blocked: bool,
    expired: Option<Wait>,
    /// Bytes that had been read when the connection fell asleep.
    before: Bytes,
    /// Given to a connection that may sleep.
    awake: Option<Awake>,
}

impl<S> Clocked<S> {
    pub(super) fn new(stream: S, phase: Arc<Phase>, patience: Patience) -> Self {
        Self {
            stream,
            phase,
            patience,
            timer: None,
            wait: Wait::No,
            multiplexed: false,
            begun: false,
            seen: 0,
            blocked: false,
            expired: None,
            before: Bytes::new(),
            awake: None,
        }
    }

    /// The same for one that may sleep, and may have slept: then it had read something.
    pub(super) fn dozing(self, before: Bytes, awake: Awake) -> Self {
        Self { before, awake: Some(awake), ..self }
    }

    /// The same for a connection by HTTP/2.
    pub(super) fn multiplexed(stream: S, phase: Arc<Phase>, patience: Patience) -> Self {
        Self { multiplexed: true, ..Self::new(stream, phase, patience) }
    }

    /// The stream itself.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Whether the connection ended because a head was not whole in time.
    pub(super) fn head_expired(&self) -> bool {
        matches!(self.expired, Some(Wait::Head(_)))
    }

    /// Since when the client was silent, if the connection fell asleep over it.
    pub(super) fn asleep_since(&self) -> Option<Instant> {
        match (&self.awake, self.expired) {
            (Some(_), Some(Wait::Idle(since))) => Some(since),
            _ => None,
        }
    }

    /// Longest silence of a client that is waited for between requests.
    fn idle(&self) -> Duration {
        let patience = if self.seen == 0 { self.patience.header } else { self.patience.keepalive };
        match &self.awake {
            None => patience,
            // There the client is waited for without hyper.
            Some(_) if self.phase.is_for_fast_path() => Duration::ZERO,
            Some(awake) => awake.sleeps_after().min(patience),
        }
    }

    /// A request that has begun took the bytes which came before.
    fn look_at_phase(&mut self) {
        let served = self.phase.served();
        if self.seen != served {
            (self.seen, self.begun, self.wait) = (served, false, Wait::No);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.blocked || self.phase.is_busy() {
            return None;
        }
        match self.wait {
            Wait::No => None,
            Wait::Head(since) => Some(since + self.patience.header),
            Wait::Reader(since, _) => Some(since + self.patience.send),
            Wait::Idle(since) => Some(since + self.idle()),
        }
    }

    /// Fails once the deadline has passed; else wakes the task at it.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some(deadline) = self.deadline() else { return Poll::Pending };
        if matches!(self.wait, Wait::Idle(since) if since == deadline) {
            self.expired = Some(self.wait);
            return Poll::Ready(io::ErrorKind::TimedOut.into());
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline || timer.is_elapsed() {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= deadline {
                self.expired = Some(self.wait);
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    /// The client is silent.
    fn read_pending(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        self.look_at_phase();
        if self.phase.is_busy() {
            return Poll::Pending;
        }
        match (self.phase.progress(), self.wait) {
            (Some(now), Wait::Reader(_, before)) if now == before => return self.poll_deadline(context),
            (Some(now), _) => {
                self.wait = Wait::Reader(Instant::now(), now);
                return self.poll_deadline(context);
            }
            (None, Wait::Reader(..)) => self.wait = Wait::No,
            (None, _) => {}
        }
        match self.wait {
            Wait::No | Wait::Idle(_) if self.begun => self.wait = Wait::Head(Instant::now()),
            Wait::No => self.wait = Wait::Idle(Instant::now()),
            Wait::Idle(_) | Wait::Head(_) | Wait::Reader(..) => {}
        }
        self.poll_deadline(context)
    }

    /// The client takes, or has to. Its silence counts from the last byte that it was sent.
    fn wrote(&mut self, pending: bool, context: &mut Context<'_>) {
        let was_blocked = std::mem::replace(&mut self.blocked, pending);
        // Answers to the pings of an idle peer do not keep it.
        if pending || self.phase.is_busy() || self.multiplexed && !was_blocked {
            return;
        }
        self.wait = match self.wait {
            Wait::No | Wait::Reader(..) => return,
            Wait::Idle(_) => Wait::Idle(Instant::now()),
            Wait::Head(_) => Wait::Head(Instant::now()),
        };
        // The reader may not be asked again before something comes. An error has to wait for it: none is due yet.
        if was_blocked {
            let _ = self.poll_deadline(context);
        }
    }
}

impl<S: Read + Unpin> Read for Clocked<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.before.is_empty() {
            let len = this.before.len().min(buffer.remaining());
            buffer.put_slice(&this.before[..len]);
            this.before.advance(len);
            if this.before.is_empty() {
                // Else its memory would stay as long as the request.
                this.before = Bytes::new();
            }
            this.look_at_phase();
            this.begun = true;
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(outcome) => {
                this.look_at_phase();
                this.begun = !this.multiplexed && !this.phase.is_busy();
                Poll::Ready(outcome)
            }
            Poll::Pending => this.read_pending(context).map(Err),
        }
    }
}

impl<S: Write + Unpin> Write for Clocked<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(context, buffer);
        this.wrote(outcome.is_pending(), context);
        outcome
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.wrote(outcome.is_pending(), context);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(context);
        if outcome.is_pending() || this.blocked {
            this.wrote(outcome.is_pending(), context);
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.asleep_since().is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
