//! Answers that are given without a request, and how a connection ends while its client may still be sending.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use axum::response::{IntoResponse, Response};
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::body::Body;
use crate::problem::Problem;

/// Longest silence of a client whose rest is read without a use.
const LINGER_SILENCE: Duration = Duration::from_secs(2);
/// Longest time for that while a body comes, which is to say that the client does not look for an answer before its end.
const LINGER: Duration = Duration::from_secs(10);
/// Longest time for the few bytes of a refusal to be taken, and then for the client to go.
const SEND: Duration = Duration::from_secs(1);

/// An answer to a request that cannot be served, after which the connection ends.
pub(crate) fn refused(version: Version, problem: Problem) -> Response<Body> {
    let mut response = problem.into_response().map(Body::from);
    // HTTP/2 has no such header; its streams end without the connection (RFC 9113, 8.2.2).
    if version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A head that was not whole in time (RFC 9110, 15.5.9).
pub(super) const SLOW_HEAD: (StatusCode, &str, &str) =
    (StatusCode::REQUEST_TIMEOUT, "header_timeout", "the request head did not arrive in time; send it again");
/// No place for the connection (RFC 9110, 15.6.4).
pub(super) const NO_PLACE: (StatusCode, &str, &str) = (
    StatusCode::SERVICE_UNAVAILABLE,
    "too_many_connections",
    "all places for connections are taken; come again",
);
/// No place for another connection of this client.
pub(super) const NO_PLACE_FOR_ADDRESS: (StatusCode, &str, &str) = (
    StatusCode::SERVICE_UNAVAILABLE,
    "too_many_connections_of_address",
    "this address has as many connections as one may have; close some",
);

/// The bytes of such an answer.
pub(super) fn raw((status, code, detail): (StatusCode, &'static str, &str)) -> Vec<u8> {
    let number = status.as_u16();
    let title = status.canonical_reason().unwrap_or("Error");
    let body = format!(r#"{{"status":{number},"code":"{code}","title":"{title}","detail":"{detail}"}}"#);
    let retry = if status == StatusCode::SERVICE_UNAVAILABLE { "Retry-After: 1\r\n" } else { "" };
    format!(
        "HTTP/1.1 {number} {title}\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\n\
         Connection: close\r\n{retry}Content-Length: {len}\r\nDate: {date}\r\n\r\n{body}",
        len = body.len(),
        date = httpdate::fmt_http_date(SystemTime::now()),
    )
    .into_bytes()
}

/// Sends such an answer and ends the connection.
pub(super) async fn send<S>(stream: &mut S, answer: (StatusCode, &'static str, &str))
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let bytes = raw(answer);
    let sent = timeout(SEND, async {
        stream.write_all(&bytes).await?;
        stream.shutdown().await
    });
    if matches!(sent.await, Ok(Ok(()))) {
        let _ = timeout(SEND, drain(stream)).await;
    }
}

/// Sends such an answer as far as the socket takes it now, and ends the connection: where there is no place, nobody waits.
pub(super) fn send_at_once(mut stream: TcpStream, answer: (StatusCode, &'static str, &str)) {
    // What is unread when the socket closes would reset the connection.
    let mut request = [0_u8; 4096];
    let _ = stream.read(&mut request);
    let _ = stream.write(&raw(answer));
}

/// Reads on for a while. To close while something is unread resets the connection, and the client loses the answer that it
/// was sent (RFC 9112, 9.6).
pub(super) async fn linger<S: AsyncRead + Unpin>(stream: &mut S) {
    let _ = timeout(LINGER, drain(stream)).await;
}

async fn drain<S: AsyncRead + Unpin>(stream: &mut S) {
    // Few come here: a place of its own keeps every connection small.
    let mut nowhere = vec![0; 8192];
    while let Ok(Ok(len)) = timeout(LINGER_SILENCE, stream.read(&mut nowhere)).await {
        if len == 0 {
            break;
        }
    }
}
