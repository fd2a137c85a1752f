//! Answers that are given without a request, and how a connection ends while its client may still be sending.

use std::time::{Duration, SystemTime};

use axum::response::{IntoResponse, Response};
use http::header::CONNECTION;
use http::{HeaderValue, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::body::Body;
use crate::problem::Problem;

/// Longest silence, and longest time, of a client whose rest is read without a use.
const LINGER_SILENCE: Duration = Duration::from_secs(2);
const LINGER: Duration = Duration::from_secs(10);
/// Longest time for the few bytes of a refusal to be taken.
const SEND: Duration = Duration::from_secs(1);

/// An answer to a request that cannot be served, after which the connection ends.
pub(super) fn refused(version: Version, problem: Problem) -> Response<Body> {
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
pub(super) const NO_PLACE: (StatusCode, &str, &str) =
    (StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", "all places for connections are taken; come again");
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
        linger(stream).await;
    }
}

/// Reads on for a while. To close while something is unread resets the connection, and the client loses the answer that it
/// was sent (RFC 9112, 9.6).
pub(super) async fn linger<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut drop_here = [0_u8; 8192];
    let drain = async {
        while let Ok(Ok(len)) = timeout(LINGER_SILENCE, stream.read(&mut drop_here)).await {
            if len == 0 {
                break;
            }
        }
    };
    let _ = timeout(LINGER, Box::pin(drain)).await;
}
