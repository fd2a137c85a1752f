//! Where one answer ends and the next one begins.

use gateway::files::UploadKind;
use tokio::io::AsyncWriteExt;

use super::Running;

/// The server's next answer on the same connection is parsed exactly, whatever came before it. The nginx module sends the
/// file's bytes after a 304 or 412, where the client takes them for the next answer.
#[tokio::test]
async fn no_answer_leaks_into_the_next() {
    let server = Running::plain().await;
    // The content would pass for an answer.
    let trap = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad";
    for content in [trap.to_owned(), trap.repeat(5000)] {
        let id = server.store.add(&UploadKind::Normal, "txt", content.as_bytes());
        let end = content.len();
        let unreachable = format!("Range: bytes={end}-\r\n");
        let cases: &[(&str, &str, &str, u16)] = &[
            ("GET", "", "If-None-Match: *\r\n", 304),
            ("GET", "", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 304),
            ("GET", "", "If-Match: \"x\"\r\n", 412),
            ("GET", "", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT\r\n", 412),
            ("GET", "", &unreachable, 416),
            ("HEAD", "", "", 200),
            ("HEAD", "", "If-None-Match: *\r\n", 304),
            ("HEAD", "", "If-Match: \"x\"\r\n", 412),
            ("HEAD", "x", "", 404),
            ("GET", "x", "", 404),
            ("GET", "-m", "", 404),
            ("GET", "", "Range: bytes=1-2\r\n", 206),
            ("GET", "", "Range: bytes=-3\r\n", 206),
            ("GET", "", "Range: bytes=0-0,-1\r\n", 206),
            ("GET", "", "", 200),
            ("OPTIONS", "", "", 204),
            ("GET", "?filename=%0d%0a%0d%0aHTTP/1.1%20200%20OK", "", 400),
        ];
        let mut client = server.connect().await;
        for (method, more, header, status) in cases {
            client.send(&format!("{method} /{id}{more} HTTP/1.1\r\nHost: a\r\n{header}\r\n")).await;
            let answer = client.answer(*method == "HEAD").await;
            assert_eq!(answer.status(), *status, "{method} {more} {header}");
            assert_eq!(answer.header("connection"), None, "the connection is kept");
            if answer.status() == 304 {
                assert_eq!(answer.header("content-length"), None, "RFC 9110, 8.6: never that of no body");
            }
            client.send("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
            let next = client.answer(false).await;
            assert_eq!((next.status(), next.body.as_slice()), (200, &br#"{"status":"ok"}"#[..]), "{header}");
            assert!(client.left.is_empty(), "{method} {more} {header}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_ends_its_side_first_gets_its_whole_answer() {
    let server = Running::plain().await;
    for len in [0, 10, 300_000] {
        let content = "x".repeat(len);
        let id = server.store.add(&UploadKind::Normal, "txt", content.as_bytes());
        for (path, status) in [(id.to_string(), 200), (format!("{id}x"), 404)] {
            let mut client = server.connect().await;
            client.send(&format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
            client.stream.shutdown().await.unwrap();
            let answer = client.answer(false).await;
            assert_eq!(answer.status(), status, "{path}");
            assert!(status != 200 || answer.body == content.as_bytes(), "{len}");
            client.assert_closed().await;
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = Running::plain().await;
    let big = "0123456789".repeat(30_000);
    let id = server.store.add(&UploadKind::Normal, "txt", big.as_bytes());
    let mut requests = String::new();
    for at in 0..20 {
        requests += &format!("GET /{id} HTTP/1.1\r\nHost: a\r\nRange: bytes={at}-\r\n\r\n");
        requests += &format!("GET /{id} HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n");
        requests += &format!("HEAD /{id} HTTP/1.1\r\nHost: a\r\n\r\n");
        requests += "POST /v1/files?ext=txt HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET ";
    }
    let mut client = server.connect().await;
    client.send(&requests).await;
    for at in 0..20 {
        let part = client.answer(false).await;
        assert!(part.status() == 206 && part.body == big.as_bytes()[at..], "{at}");
        assert_eq!(client.answer(false).await.status(), 304);
        let head = client.answer(true).await;
        assert_eq!((head.status(), head.header("content-length")), (200, Some("300000")));
        assert_eq!(client.answer(false).await.status(), 201);
    }
    assert!(client.left.is_empty());
    assert_eq!(server.store.count(), 21);
    server.finish().await;
}

#[tokio::test]
async fn old_clients_are_served() {
    let server = Running::plain().await;
    let id = server.store.add(&UploadKind::Normal, "txt", b"the content");
    for (request, kept) in [
        (format!("GET /{id} HTTP/1.0\r\n\r\n"), false),
        (format!("GET /{id} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), true),
        // As nginx modules of storages ask each other.
        (format!("GET /{id}  HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n"), false),
        (format!("GET  /{id}  HTTP/1.1\r\nHost: a\r\n\r\n"), true),
        (format!("GET http://files.example:8888/{id} HTTP/1.1\r\nHost: a\r\n\r\n"), true),
        (format!("GET http://files.example/{id}?x=y HTTP/1.1\r\nHost: files.example\r\n\r\n"), true),
        (format!("GET /{id} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), false),
    ] {
        let mut client = server.connect().await;
        client.send(&request).await;
        let answer = client.answer(false).await;
        assert_eq!((answer.status(), answer.body.as_slice()), (200, &b"the content"[..]), "{request}");
        if kept {
            client.send(&request).await;
            assert_eq!(client.answer(false).await.body, b"the content", "{request}");
        } else {
            client.assert_closed().await;
        }
    }
    server.finish().await;
}

/// Requests whose end two readers could see at different places end the connection (RFC 9112, 6.1 and 6.3).
#[tokio::test]
async fn ambiguous_requests_end_the_connection() {
    let server = Running::plain().await;
    let inner = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    for headers in [
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 3x\r\n",
        "Content-Length: +3\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding : chunked\r\n",
    ] {
        let mut client = server.connect().await;
        client.send(&format!("POST /v1/files HTTP/1.1\r\nHost: a\r\n{headers}\r\n{inner}")).await;
        let answer = client.answer(false).await;
        assert_eq!(answer.status(), 400, "{headers}");
        client.assert_closed().await;
    }
    assert_eq!(server.store.count(), 0);
    server.finish().await;
}

#[tokio::test]
async fn an_upload_in_chunks_ends_where_it_says() {
    let server = Running::plain().await;
    let mut client = server.connect().await;
    client
        .send("POST /v1/files?ext=txt HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n")
        .await;
    let answer = client.answer(false).await;
    assert_eq!(answer.status(), 201);
    let id = answer.header("location").unwrap().strip_prefix('/').unwrap().to_owned();
    assert_eq!(server.store.content(&id).unwrap(), "abcde");
    client.send(&format!("DELETE /v1/files/{id} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    let answer = client.answer(false).await;
    assert_eq!((answer.status(), answer.header("content-length")), (204, None), "RFC 9110, 8.6");
    client.send(&format!("GET /{id} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
    assert_eq!(client.answer(false).await.status(), 404);
    server.finish().await;
}

/// RFC 9112, 3.2: without it, a cache in front and this server could mean different sites.
#[tokio::test]
async fn requests_name_one_host() {
    let server = Running::plain().await;
    for (request, status) in [
        ("GET /healthz HTTP/1.1\r\n\r\n", 400),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET http://a/healthz HTTP/1.1\r\n\r\n", 400),
        ("GET /healthz HTTP/1.0\r\nHost: a\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", 400),
        ("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200),
        ("GET /healthz HTTP/1.1\r\nHost:\r\n\r\n", 200),
    ] {
        let mut client = server.connect().await;
        client.send(request).await;
        assert_eq!(client.answer(false).await.status(), status, "{request}");
    }
    server.finish().await;
}
