//! Compressed answers: who gets them, what they are, and that their validators are their own.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use gateway::files::UploadKind;
use gateway::server::{App, Edge, HttpLimits};
use gateway::{Gateway, Settings};
use http_body_util::BodyExt;
use protocol::config::web_conf::{CompressionConf, WebConf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::ask::{Answer, ask, here, over, request};
use crate::fake::{Fake, Others};

const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];
/// Longer content is compressed as it streams.
const STREAMED: usize = 700_000;

struct Case {
    store: Fake,
    gateway: Gateway<Fake>,
}

impl Case {
    fn new() -> Self {
        Self::with(CompressionConf { gzip: true, brotli: true, zstd: true, ..CompressionConf::default() })
    }

    fn with(compression: CompressionConf) -> Self {
        let conf = WebConf { compression, ..WebConf::default() };
        let store = Fake::new();
        let gateway = over(&store, Settings::load(&conf, Duration::from_secs(5)).unwrap());
        Self { store, gateway }
    }

    fn file(&self, kind: &UploadKind, ext: &str, len: usize) -> (String, Vec<u8>) {
        let content = text(len);
        (format!("/{}", self.store.add(kind, ext, &content)), content)
    }

    async fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        ask(&self.gateway, request(method, target, headers, Body::empty())).await
    }

    async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", target, headers).await
    }
}

/// Text that can be compressed, but not to nothing.
fn text(len: usize) -> Vec<u8> {
    let words =
        (0u32..).flat_map(|at| format!("{} is {};\n", at % 97, at.wrapping_mul(2_654_435_761)).into_bytes());
    words.take(len).collect()
}

fn decoded(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let read = match coding {
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut content),
        "br" => brotli::Decompressor::new(body, 4096).read_to_end(&mut content),
        "zstd" => zstd::stream::read::Decoder::new(body).unwrap().read_to_end(&mut content),
        _ => panic!("{coding} is no coding"),
    };
    read.unwrap();
    content
}

#[tokio::test]
async fn every_coding_gives_the_content_back() {
    let case = Case::new();
    for kind in [UploadKind::Normal, UploadKind::Appender] {
        for len in [1024, 5000, 8193, 64 * 1024, 100_000, STREAMED] {
            let (file, content) = case.file(&kind, "css", len);
            let plain = case.get(&file, &[]).await;
            for coding in CODINGS {
                // Twice: the second may come from what was kept.
                for _ in 0..2 {
                    let answer = case.get(&file, &[("accept-encoding", coding)]).await;
                    assert_eq!(answer.status, 200);
                    assert_eq!(answer.header("content-encoding"), coding);
                    assert_eq!(answer.header("content-type"), plain.header("content-type"));
                    assert_eq!(answer.header("vary"), "accept-encoding");
                    assert_eq!(answer.header("accept-ranges"), "", "parts are of the content as it is");
                    let own =
                        plain.header("etag").replacen("\"", "", 1).replace('"', &format!("-{coding}\""));
                    assert_eq!(answer.header("etag"), format!("\"{own}"));
                    let expected =
                        if len == STREAMED { String::new() } else { answer.body.len().to_string() };
                    assert_eq!(answer.header("content-length"), expected, "{coding} {len}");
                    assert!(answer.body.len() < len, "{coding} makes {len} bytes shorter");
                    assert!(decoded(coding, &answer.body) == content, "{coding} {len}");
                }
            }
            assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"));
            assert_eq!(plain.body, content);
        }
    }
}

#[tokio::test]
async fn what_is_not_worth_it_is_sent_as_it_is() {
    let accept = [("accept-encoding", "gzip, br, zstd")];
    let case = Case::new();
    let all = CompressionConf { gzip: true, types: vec!["*".into()], ..CompressionConf::default() };
    let (star, off) = (Case::with(all), Case::with(CompressionConf::default()));
    let limited = CompressionConf { gzip: true, max_length: 3000, ..CompressionConf::default() };
    let limited = Case::with(limited);
    for (case, ext, len, coding) in [
        (&case, "css", 1023, ""),
        (&case, "jpg", 5000, ""),
        (&case, "zip", 5000, ""),
        (&case, "svg", 5000, "zstd"),
        (&case, "bin", 5000, ""),
        (&star, "bin", 5000, "gzip"),
        (&star, "svg", 5000, "gzip"),
        (&star, "jpg", 5000, ""),
        (&star, "mp4", 5000, ""),
        (&star, "zip", 5000, ""),
        (&limited, "css", 3000, "gzip"),
        (&limited, "css", 3001, ""),
        (&off, "css", 5000, ""),
    ] {
        let (file, content) = case.file(&UploadKind::Normal, ext, len);
        let answer = case.get(&file, &accept).await;
        assert_eq!(answer.header("content-encoding"), coding, "{ext} {len}");
        if coding.is_empty() {
            assert_eq!((answer.header("vary"), answer.header("accept-ranges")), ("", "bytes"), "{ext} {len}");
            assert_eq!(answer.body, content);
        }
    }
}

#[tokio::test]
async fn ranges_are_parts_of_the_content_as_it_is() {
    let case = Case::new();
    let (file, content) = case.file(&UploadKind::Normal, "css", 5000);
    let accept = ("accept-encoding", "gzip");
    let tag = case.get(&file, &[]).await.header("etag").to_owned();
    let own = case.get(&file, &[accept]).await.header("etag").to_owned();
    assert_ne!(tag, own);
    let range = ("range", "bytes=10-19");
    for (if_range, status) in [(None, 206), (Some(&tag), 206), (Some(&own), 200)] {
        let mut headers = vec![accept, range];
        headers.extend(if_range.map(|tag| ("if-range", tag.as_str())));
        let answer = case.get(&file, &headers).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-encoding")), (status, ""), "{if_range:?}");
        assert_eq!((answer.header("etag"), answer.header("vary")), (tag.as_str(), "accept-encoding"));
        let expected = if status == 206 { &content[10..20] } else { &content[..] };
        assert_eq!(answer.body, expected);
    }
}

#[tokio::test]
async fn preconditions_are_those_of_the_coding() {
    let case = Case::new();
    let (file, _) = case.file(&UploadKind::Normal, "css", 5000);
    let tag = case.get(&file, &[]).await.header("etag").to_owned();
    let tag_of = |coding: &str| format!("{}-{coding}\"", &tag[..tag.len() - 1]);
    let (gzip, brotli) = (tag_of("gzip"), tag_of("br"));
    for (accept, header, value, status) in [
        ("gzip", "if-none-match", &gzip, 304),
        ("gzip", "if-none-match", &format!("W/{gzip}"), 304),
        ("gzip", "if-none-match", &format!("{tag}, {gzip}"), 304),
        ("gzip", "if-none-match", &tag, 200),
        ("gzip", "if-none-match", &brotli, 200),
        ("br", "if-none-match", &brotli, 304),
        ("identity", "if-none-match", &tag, 304),
        ("identity", "if-none-match", &gzip, 200),
        ("gzip", "if-match", &gzip, 200),
        ("gzip", "if-match", &tag, 412),
        ("gzip", "if-none-match", &"*".to_owned(), 304),
    ] {
        let answer = case.get(&file, &[("accept-encoding", accept), (header, value)]).await;
        assert_eq!(answer.status, status, "{accept} {header}: {value}");
        if status != 412 {
            let expected = if accept == "identity" { tag.clone() } else { tag_of(accept) };
            assert_eq!(answer.header("etag"), expected, "{accept} {header}: {value}");
            assert_eq!(answer.header("vary"), "accept-encoding");
        }
        assert!(status == 200 || answer.header("content-encoding").is_empty());
    }
}

#[tokio::test]
async fn head_says_what_get_says() {
    let case = Case::new();
    for (kind, len) in
        [(UploadKind::Normal, 5000), (UploadKind::Appender, 5000), (UploadKind::Normal, STREAMED)]
    {
        let (file, _) = case.file(&kind, "html", len);
        let accept = [("accept-encoding", "gzip")];
        let before = case.ask("HEAD", &file, &accept).await;
        let get = case.get(&file, &accept).await;
        let after = case.ask("HEAD", &file, &accept).await;
        let is_kept = kind == UploadKind::Normal && len < STREAMED;
        let expected = if is_kept { get.header("content-length") } else { "" };
        assert_eq!((before.header("content-length"), after.header("content-length")), ("", expected));
        for head in [before, after] {
            assert!(head.body.is_empty() && head.status == 200);
            let without = |answer: &Answer| {
                let mut headers = answer.headers.clone();
                headers.remove("content-length");
                headers
            };
            assert_eq!(without(&head), without(&get));
        }
    }
}

#[tokio::test]
async fn more_at_a_time_than_there_are_places_are_sent_as_they_are() {
    let case = Case::new();
    let (file, _) = case.file(&UploadKind::Normal, "css", STREAMED);
    let accept = [("accept-encoding", "gzip")];
    let connection = here();
    let mut slow = Vec::new();
    for _ in 0..64 {
        let answer = case.gateway.call(&connection, request("GET", &file, &accept, Body::empty())).await;
        assert!(answer.headers().contains_key("content-encoding"));
        slow.push(answer);
    }
    let answer = case.get(&file, &accept).await;
    assert_eq!((answer.header("content-encoding"), answer.header("accept-ranges")), ("", "bytes"));
    drop(slow);
    assert_eq!(case.get(&file, &accept).await.header("content-encoding"), "gzip");
}

#[tokio::test]
async fn files_of_other_members_are_compressed_too() {
    let case = Case::new();
    let accept = [("accept-encoding", "zstd")];
    for len in [5000, STREAMED] {
        let (file, content) = case.file(&UploadKind::Normal, "css", len);
        case.store.move_away(&file[1..]);
        let answer = case.get(&file, &accept).await;
        assert!(decoded("zstd", &answer.body) == content);
        let (file, _) = case.file(&UploadKind::Normal, "css", len);
        case.store.move_away(&file[1..]);
        *case.store.0.others.lock().unwrap() = Others::BreakOff;
        let answer = case.gateway.call(&here(), request("GET", &file, &accept, Body::empty())).await;
        if len == STREAMED {
            assert!(answer.into_body().collect().await.is_err(), "a whole answer would be a lie");
        } else {
            assert_eq!(
                (answer.status(), answer.headers().get("content-encoding")),
                (502.try_into().unwrap(), None)
            );
        }
        *case.store.0.others.lock().unwrap() = Others::Answer;
    }
}

/// Over a socket: a stream has an end, and the next answer begins behind it.
#[tokio::test]
async fn answers_end_where_they_say() {
    let case = Case::new();
    let (large, content) = case.file(&UploadKind::Normal, "css", STREAMED);
    let (small, _) = case.file(&UploadKind::Appender, "css", 5000);
    let edge = Edge::new(HttpLimits::default());
    let server =
        edge.bind(protocol::config::web_conf::ListenOn::plain("127.0.35.2:0".parse().unwrap())).unwrap();
    let (address, stop) = (server.local_addr().unwrap(), CancellationToken::new());
    let task = tokio::spawn(server.serve(case.gateway.clone(), stop.clone()));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let more = "Host: a\r\nAccept-Encoding: gzip\r\n";
    let text = format!(
        "HEAD {large} HTTP/1.1\r\n{more}\r\nHEAD {small} HTTP/1.1\r\n{more}\r\nGET {large} HTTP/1.1\r\n{more}\r\n\
         GET /healthz HTTP/1.1\r\n{more}Connection: close\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).await.unwrap();
    let mut rest = all.as_slice();
    let mut head = || {
        let at = rest.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = std::str::from_utf8(&rest[..at]).unwrap().to_ascii_lowercase();
        rest = &rest[at + 4..];
        head
    };
    for _ in 0..2 {
        let head = head();
        assert!(head.starts_with("http/1.1 200") && head.contains("content-encoding: gzip"), "{head}");
        assert!(!head.contains("content-length"), "{head}");
    }
    let get = head();
    assert!(get.contains("transfer-encoding: chunked") && !get.contains("content-length"), "{get}");
    let mut body = Vec::new();
    loop {
        let at = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let len = usize::from_str_radix(std::str::from_utf8(&rest[..at]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[at + 2..at + 2 + len]);
        rest = &rest[at + 4 + len..];
        if len == 0 {
            break;
        }
    }
    assert!(decoded("gzip", &body) == content);
    assert!(rest.starts_with(b"HTTP/1.1 200 OK") && rest.ends_with(br#"{"status":"ok"}"#));
    drop(stream);
    stop.cancel();
    task.await.unwrap();
}
