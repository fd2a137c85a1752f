//! Requests whose end a proxy in front and this server could see at different places. Either the connection ends with the
//! request (RFC 9112, 6.1, 6.3, 11.2), or it has one reading only: what follows is never taken for a request of its own where
//! a proxy could take it for content.

use super::Running;

/// What would be smuggled: it deletes nothing here, but its answer would be seen.
const SECOND: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// It ends with the first answer.
    Closed,
    /// The length is beyond doubt: the second request is one.
    Served,
}
use After::{Closed, Served};

/// What it is called, headers of an upload, what follows them before [`SECOND`], status, what becomes of the connection, the
/// content that is stored.
type Shape = (&'static str, &'static str, &'static str, u16, After, Option<&'static str>);

const SHAPES: &[Shape] = &[
    ("CL.TE", "Content-Length: 40\r\nTransfer-Encoding: chunked", "0\r\n\r\n", 201, Closed, Some("")),
    (
        "TE.CL",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "3\r\nabc\r\n0\r\n\r\n",
        201,
        Closed,
        Some("abc"),
    ),
    ("two equal lengths", "Content-Length: 3\r\nContent-Length: 3", "abc", 201, Served, Some("abc")),
    ("two lengths", "Content-Length: 3\r\nContent-Length: 40", "abc", 400, Closed, None),
    ("a list of lengths", "Content-Length: 3, 40", "abc", 400, Closed, None),
    ("a signed length", "Content-Length: +3", "abc", 400, Closed, None),
    ("a negative length", "Content-Length: -3", "abc", 400, Closed, None),
    ("a hexadecimal length", "Content-Length: 0x3", "abc", 400, Closed, None),
    ("a length past 2^64", "Content-Length: 18446744073709551619", "abc", 400, Closed, None),
    ("a length behind a space", "Content-Length : 3", "abc", 400, Closed, None),
    ("a length behind a tab", "Content-Length\t: 3", "abc", 400, Closed, None),
    ("obs-fold", "X-A: b\r\n c\r\nContent-Length: 3", "abc", 400, Closed, None),
    ("obs-fold in TE", "Transfer-Encoding:\r\n chunked", "3\r\nabc\r\n0\r\n\r\n", 400, Closed, None),
    ("obs-fold before all", " X: y\r\nContent-Length: 3", "abc", 400, Closed, None),
    ("a bare CR", "X-A: b\rTransfer-Encoding: chunked\r\nContent-Length: 3", "abc", 400, Closed, None),
    ("a NUL", "X-A: b\0c\r\nContent-Length: 3", "abc", 400, Closed, None),
    (
        "TE behind a vertical tab",
        "Transfer-Encoding: \x0bchunked\r\nContent-Length: 3",
        "abc",
        400,
        Closed,
        None,
    ),
    ("TE twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n", 400, Closed, None),
    ("TE not last", "Transfer-Encoding: chunked, gzip", "0\r\n\r\n", 400, Closed, None),
    ("unknown TE", "Transfer-Encoding: xchunked", "0\r\n\r\n", 400, Closed, None),
    ("TE with a suffix", "Transfer-Encoding: chunked-false", "0\r\n\r\n", 400, Closed, None),
    ("TE behind a space", "Transfer-Encoding : chunked", "0\r\n\r\n", 400, Closed, None),
    ("a negative chunk", "Transfer-Encoding: chunked", "-3\r\nabc\r\n0\r\n\r\n", 400, Closed, None),
    (
        "a chunk past 2^64",
        "Transfer-Encoding: chunked",
        "10000000000000003\r\nabc\r\n0\r\n\r\n",
        400,
        Closed,
        None,
    ),
    ("a chunk with 0x", "Transfer-Encoding: chunked", "0x3\r\nabc\r\n0\r\n\r\n", 400, Closed, None),
    ("a chunk without an end", "Transfer-Encoding: chunked", "3\r\nabcde\r\n0\r\n\r\n", 400, Closed, None),
    (
        "a bare LF in an extension",
        "Transfer-Encoding: chunked",
        "3;x\ny\r\nabc\r\n0\r\n\r\n",
        400,
        Closed,
        None,
    ),
];

#[tokio::test]
async fn no_request_is_smuggled() {
    let server = Running::plain().await;
    for (shape, headers, rest, status, after, stored) in SHAPES {
        let before = server.store.count();
        let mut client = server.connect().await;
        client
            .send(&format!("POST /v1/files?ext=txt HTTP/1.1\r\nHost: a\r\n{headers}\r\n\r\n{rest}{SECOND}"))
            .await;
        let answer = client.answer(false).await;
        assert_eq!(answer.status(), *status, "{shape}");
        match after {
            Closed => client.assert_closed().await,
            Served => assert_eq!(client.answer(false).await.body, br#"{"status":"ok"}"#, "{shape}"),
        }
        assert!(client.left.is_empty(), "{shape}");
        assert_eq!(server.store.count(), before + usize::from(stored.is_some()), "{shape}");
        if let Some(content) = stored {
            let id = answer.header("location").unwrap().strip_prefix('/').unwrap().to_owned();
            assert_eq!(server.store.content(&id).unwrap(), *content, "{shape}");
        }
    }
    server.finish().await;
}
