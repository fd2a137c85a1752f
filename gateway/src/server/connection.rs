//! One connection: which HTTP it speaks, hyper with its timeouts, and the end by a drain.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::clocked::{Clocked, Patience};
use super::doze::{Awake, Doze};
use super::fast_path::{self, Next};
use super::refusal::{SLOW_HEAD, linger, send};
use super::requests::Requests;
use super::rewind::Rewind;
use super::{App, HttpLimits, http2};
use crate::sendfile::{FileIo, FileQueue};
use crate::socket::{Ends, Socket};

/// Most bytes of a body that one read takes in, the same when many connections are awake, and what all together may take in
/// so. Heads have a limit of their own.
const READ_BUFFER: usize = 128 * 1024;
const SMALL_READ_BUFFER: usize = 16 * 1024;
const READ_BUFFERS: usize = 16 << 20;

impl HttpLimits {
    pub(super) fn patience(&self) -> Patience {
        Patience {
            header: self.header_timeout,
            // Without keep-alive the answer ends the connection, and nothing is waited for.
            keepalive: self.keepalive_timeout.unwrap_or(self.header_timeout),
            send: self.send_timeout,
        }
    }

    fn http1(&self, awake: &Awake) -> http1::Builder {
        let buffer = awake.share(READ_BUFFERS).clamp(SMALL_READ_BUFFER, READ_BUFFER);
        let mut builder = http1::Builder::new();
        builder
            // A client may end its side once it has asked, as `nc` does; it gets its answer all the same.
            .half_close(true)
            // `Clocked` has the clock.
            .header_read_timeout(None)
            .max_header_size(self.max_head)
            .max_buf_size(self.max_head.max(buffer))
            // Old nginx storage peers send two blanks after the path; RFC 9112, 3 lets a server be lenient here.
            .allow_multiple_spaces_in_request_line_delimiters(true);
        builder
    }
}

/// A connection and all that it needs.
pub(super) struct Serving<A> {
    pub(super) requests: Requests<A>,
    /// Ends it: idle at once, else with the requests under way.
    pub(super) stop: CancellationToken,
    /// Where its streams run, if it has some.
    pub(super) tasks: TaskTracker,
    pub(super) doze: Arc<Doze>,
}

impl<A: App> Serving<A> {
    /// Serves in clear text until the end.
    ///
    /// No `async fn`, which would have room for its arguments twice.
    pub(super) fn clear(self, socket: Socket) -> impl Future<Output = ()> + Send {
        let io = FileIo::new(socket);
        let queue = io.queue();
        async move {
            let end = self.http1(io, Some(&queue)).await;
            if end.is_http2() && self.requests.limits.http2 {
                let io = Rewind::new(end.unread, end.io.into_inner());
                Box::pin(http2::serve(self, io)).await;
            } else if self.owes_farewell(&end.why)
                && let Ok(mut stream) = end.io.into_inner().into_inner().into_watched()
            {
                self.part(end.why, &mut stream).await;
            }
        }
    }

    /// Serves by TLS until the end.
    pub(super) async fn secure(self, socket: Socket, tls: Arc<ServerConfig>) {
        let peer = self.requests.from.peer;
        let Ok(stream) = socket.into_watched() else { return };
        let handshake = TlsAcceptor::from(tls).accept(stream);
        let stream = tokio::select! {
            shaken = timeout(self.requests.limits.header_timeout, handshake) => match shaken {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return debug!(%peer, %error, "no TLS"),
                Err(_) => return debug!(%peer, "the TLS handshake took too long"),
            },
            () = self.stop.cancelled() => return,
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            return http2::serve(self, TokioIo::new(stream)).await;
        }
        let end = self.http1(TokioIo::new(stream), None).await;
        let mut stream = end.io.into_inner().into_inner();
        self.part(end.why, &mut stream).await;
    }

    /// Serves HTTP/1.1 to the end. Only a clear-text connection has a queue of files.
    async fn http1<S>(&self, mut io: S, queue: Option<&FileQueue>) -> End<S>
    where
        S: hyper::rt::Read + hyper::rt::Write + Ends + Unpin,
    {
        let patience = self.requests.limits.patience();
        let (mut unread, mut since) = (Bytes::new(), Instant::now());
        loop {
            if unread.is_empty() {
                // Boxed, as is what follows: a connection has room for one of them at a time.
                match Box::pin(fast_path::serve(self, &mut io, queue, since)).await {
                    Next::Other(bytes) => unread = bytes,
                    Next::Over => {
                        let io = Clocked::new(io, Arc::clone(&self.requests.phase), patience);
                        return End { io, unread, why: Why::Done };
                    }
                }
            }
            let end = Box::pin(self.awake(io, unread, queue)).await;
            let Why::Asleep(asleep) = end.why else { return end };
            (io, unread, since) = (end.io.into_inner(), end.unread, asleep);
        }
    }

    /// Serves HTTP/1.1 to the end or until the client has been silent for a while.
    async fn awake<S>(&self, io: S, unread: Bytes, queue: Option<&FileQueue>) -> End<S>
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin,
    {
        let Requests { limits, phase, .. } = &self.requests;
        let awake = self.doze.wake();
        let mut builder = limits.http1(&awake);
        let io = Clocked::new(io, Arc::clone(phase), limits.patience()).dozing(unread, awake);
        let service = service_fn(|request| {
            self.requests.answer(request).map(|mut response| {
                response.body_mut().set_queue(queue);
                Ok::<_, Infallible>(response)
            })
        });
        // Pieces of files are told by their addresses: nothing may be copied together. TLS copies anyway, and a record that
        // has all of a small answer is better than two.
        let mut connection = builder.writev(queue.is_some()).serve_connection(io, service);
        let outcome = tokio::select! {
            biased;
            outcome = &mut connection => outcome,
            () = self.stop.cancelled() => {
                std::pin::Pin::new(&mut connection).graceful_shutdown();
                (&mut connection).await
            }
        };
        let parts = connection.into_parts();
        let why = match outcome {
            _ if let Some(since) = parts.io.asleep_since() => Why::Asleep(since),
            _ if parts.io.head_expired() => Why::SlowHead,
            Ok(()) => Why::Done,
            Err(error) if error.is_parse() => Why::Unreadable,
            Err(error) => {
                debug!(peer = %self.requests.from.peer, %error, "connection ended");
                Why::Broken
            }
        };
        End { io: parts.io, unread: parts.read_buf, why }
    }

    /// Whether the client may still be sending, or has to be told why the connection ends.
    fn owes_farewell(&self, why: &Why) -> bool {
        match why {
            Why::SlowHead | Why::Unreadable => true,
            Why::Done => self.requests.phase.has_unread(),
            Why::Asleep(_) | Why::Broken => false,
        }
    }

    /// Lets a client that may still be sending read its last answer.
    async fn part<S>(&self, why: Why, stream: &mut S)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        if !self.owes_farewell(&why) {
            return;
        }
        let farewell = async {
            match why {
                Why::SlowHead => send(stream, SLOW_HEAD).await,
                _ => linger(stream).await,
            }
        };
        tokio::select! {
            () = farewell => {}
            () = self.stop.cancelled() => {}
        }
    }
}

/// Where a connection by HTTP/1.1 ended.
struct End<S> {
    io: Clocked<S>,
    unread: Bytes,
    why: Why,
}

impl<S> End<S> {
    /// Whether it was HTTP/2 from the beginning, which clients may speak that know the server (RFC 9113, 3.3).
    fn is_http2(&self) -> bool {
        matches!(self.why, Why::Unreadable) && self.unread.starts_with(http2::PREFACE)
    }
}

enum Why {
    Done,
    /// The client has been silent since then, and the connection may go on.
    Asleep(Instant),
    /// A head did not end in time; nothing has been answered.
    SlowHead,
    /// What came is no request; the client has been told so.
    Unreadable,
    Broken,
}
