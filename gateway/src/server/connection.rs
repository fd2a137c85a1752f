//! One connection: hyper with its timeouts, and the end by a drain.

use std::convert::Infallible;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_LENGTH, HOST};
use http::{StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{App, Connection, HttpLimits};
use crate::body::Body;
use crate::problem::Problem;
use crate::sendfile::{FileIo, FileQueue};

/// Most bytes of a body that one read takes in. Heads have a limit of their own.
const READ_BUFFER: usize = 256 * 1024;

/// Serves a connection until its end, or until the drain has ended it.
pub(super) async fn serve(
    stream: TcpStream,
    from: Connection,
    app: impl App,
    limits: HttpLimits,
    stop: CancellationToken,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let io = FileIo::new(stream);
    let queue = io.queue();
    let service = service_fn(|request| answer(&app, &from, &queue, request));
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // A client may end its side once it has asked, as `nc` does; it gets its answer all the same.
            .half_close(true)
            .header_read_timeout(limits.header_timeout)
            .max_header_size(limits.max_head)
            .max_buf_size(limits.max_head.max(READ_BUFFER))
            // Old nginx storage peers send two blanks after the path; RFC 9112, 3 lets a server be lenient here.
            .allow_multiple_spaces_in_request_line_delimiters(true)
            // Pieces of files are told by their addresses: nothing may be copied together.
            .writev(true)
            .serve_connection(io, service)
    );
    let outcome = tokio::select! {
        biased;
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        debug!(peer = %from.peer, %error, "connection ended");
    }
}

async fn answer(
    app: &impl App,
    from: &Connection,
    queue: &FileQueue,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if !has_host(&request) {
        let detail = "a request by HTTP/1.1 has exactly one Host header";
        let problem = Problem::new(StatusCode::BAD_REQUEST, "bad_host", detail);
        return Ok(problem.into_response().map(Body::from));
    }
    let mut response = app.call(from, request.map(axum::body::Body::new)).await;
    response.body_mut().set_queue(Some(queue));
    // The router counts the bytes of every body; of a 304 the length would be the one of the 200 (RFC 9110, 8.6).
    if response.status() == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    Ok(response)
}

/// Whether the request says once which host it is for; before HTTP/1.1 it need not (RFC 9112, 3.2).
fn has_host(request: &Request<Incoming>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    hosts == 1 || hosts == 0 && request.version() < Version::HTTP_11
}
