//! One connection: hyper with its timeouts, and the end by a drain.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::clocked::{Clocked, Patience};
use super::phase::Phase;
use super::refusal::{SLOW_HEAD, linger, send};
use super::requests::Requests;
use super::{App, Connection, HttpLimits};
use crate::sendfile::FileIo;

/// Most bytes of a body that one read takes in. Heads have a limit of their own.
const READ_BUFFER: usize = 256 * 1024;

impl HttpLimits {
    fn patience(&self) -> Patience {
        // Without keep-alive the answer ends the connection, and nothing is waited for.
        Patience {
            header: self.header_timeout,
            keepalive: self.keepalive_timeout.unwrap_or(self.header_timeout),
        }
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            // A client may end its side once it has asked, as `nc` does; it gets its answer all the same.
            .half_close(true)
            // `Clocked` has the clock.
            .header_read_timeout(None)
            .max_header_size(self.max_head)
            .max_buf_size(self.max_head.max(READ_BUFFER))
            // Old nginx storage peers send two blanks after the path; RFC 9112, 3 lets a server be lenient here.
            .allow_multiple_spaces_in_request_line_delimiters(true);
        builder
    }
}

/// Serves a clear-text connection until its end, or until the drain has ended it.
pub(super) async fn serve(
    stream: TcpStream,
    from: Connection,
    app: impl App,
    limits: HttpLimits,
    stop: CancellationToken,
) {
    let requests = Requests { app, from, limits, phase: Arc::new(Phase::default()) };
    let io = FileIo::new(stream);
    let queue = io.queue();
    let io = Clocked::new(io, Arc::clone(&requests.phase), limits.patience());
    let service = service_fn(|request| async {
        let mut response = requests.answer(request).await;
        response.body_mut().set_queue(Some(&queue));
        Ok::<_, Infallible>(response)
    });
    // Pieces of files are told by their addresses: nothing may be copied together.
    let mut connection = limits.http1().writev(true).serve_connection(io, service);
    let outcome = tokio::select! {
        biased;
        outcome = &mut connection => outcome,
        () = stop.cancelled() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    let io = connection.into_parts().io;
    if let Err(error) = &outcome {
        debug!(peer = %from.peer, %error, "connection ended");
    }
    let head_expired = io.head_expired();
    let refused = outcome.is_err_and(|error| error.is_parse());
    let mut stream = io.into_inner().into_inner();
    if head_expired {
        send(&mut stream, SLOW_HEAD).await;
    } else if refused || requests.phase.has_unread() {
        linger(&mut stream).await;
    }
}
