//! HTTP/2: limits, streams as tasks of the server, and readers that take nothing of any stream.
//!
//! Floods of streams that are reset at once, of empty frames or of settings end the connection: h2 counts them, and its
//! limits are kept (RFC 9113, 10.5).

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::rt::{Executor, Read, Write};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::clocked::Clocked;
use super::connection::Serving;
use super::gathered::Gathered;
use super::phase::Sending;
use super::{App, HttpLimits};
use crate::body::{Body, Data};

/// What every HTTP/2 connection begins with (RFC 9113, 3.4).
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes of a request body that may be on their way, of a stream and of a connection: what one connection can make the
/// server hold.
const WINDOW: u32 = 1 << 20;
/// Bytes of an answer that a stream holds until the client takes them.
const SEND_BUFFER: usize = 128 << 10;
/// Longest slice of an answer that is handed over at once: a frame.
const SLICE: usize = (16 << 10) - FRAME_HEAD;
/// Bytes of the head of a frame (RFC 9113, 4.1): a frame with it fills one record of TLS, and does not begin a second one.
const FRAME_HEAD: usize = 9;
/// How often a silent peer is asked whether it is still there while it has streams, and how long it may think.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

impl HttpLimits {
    fn http2(&self, streams: Streams) -> http2::Builder<Streams> {
        let mut builder = http2::Builder::new(streams);
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(self.http2_streams)
            .max_header_list_size(u32::try_from(self.max_head).unwrap_or(u32::MAX))
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG);
        builder
    }
}

/// Serves a connection until its end, or until the drain has ended it.
pub(super) async fn serve<A: App>(serving: Serving<A>, io: impl Read + Write + Unpin) {
    let Serving { requests, stop, tasks, .. } = serving;
    let requests = Arc::new(requests);
    let (limits, phase) = (Arc::clone(&requests.limits), Arc::clone(&requests.phase));
    let io = Clocked::multiplexed(Gathered::new(io), Arc::clone(&phase), limits.patience());
    let over = CancellationToken::new();
    // No stream outlives the connection, which may be dropped as well.
    let _guard = over.clone().drop_guard();
    let service = service_fn(|request| {
        let requests = Arc::clone(&requests);
        async move {
            let response = requests.answer(request).await;
            let sending = requests.phase.send();
            Ok::<_, Infallible>(response.map(|body| Counted { body, slice: None, sending }))
        }
    });
    let streams = Streams { tasks, over };
    let mut connection = std::pin::pin!(limits.http2(streams).serve_connection(io, service));
    let outcome = tokio::select! {
        biased;
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = phase.last_request() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        debug!(peer = %requests.from.peer, %error, "connection ended");
    }
}

/// Runs streams as tasks that the server waits for.
#[derive(Debug, Clone)]
struct Streams {
    tasks: TaskTracker,
    over: CancellationToken,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let over = self.over.clone();
        // Boxed, because a task that has it in a `select!` has room for it twice.
        let stream = Box::pin(stream);
        self.tasks.spawn(async move {
            tokio::select! {
                () = stream => {}
                () = over.cancelled() => {}
            }
        });
    }
}

/// A body whose progress is told to the clock of the connection. It goes out in small slices: hyper asks for the next one when
/// the client has made room, so even a very slow reader is seen to take something.
struct Counted {
    body: Body,
    /// What has come of the body, but not gone out.
    slice: Option<Data>,
    sending: Sending,
}

impl Counted {
    fn next(&mut self) -> Option<Bytes> {
        let slice = self.slice.as_mut()?;
        let next = slice.copy_to_bytes(slice.remaining().min(SLICE));
        if !slice.has_remaining() {
            self.slice = None;
        }
        Some(next)
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.sending.progress();
        loop {
            if let Some(next) = self.next() {
                return Poll::Ready(Some(Ok(Frame::data(next))));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.slice = Some(data),
                    Err(frame) => return Poll::Ready(Some(Ok(frame.map_data(|_| Bytes::new())))),
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.slice.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let slice = self.slice.as_ref().map_or(0, |slice| slice.remaining() as u64);
        let hint = self.body.size_hint();
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + slice);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + slice);
        }
        whole
    }
}
