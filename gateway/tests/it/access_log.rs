//! Lines of the access log: what they say of each kind of end, and that no client writes one.

use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use bytes::Buf;
use gateway::files::UploadKind;
use gateway::server::{App, HttpLimits, HttpServer, Plain};
use gateway::{Gateway, Settings, Site};
use http::Request;
use http_body_util::BodyExt;
use proptest::prelude::*;
use protocol::config::web_conf::WebConf;
use protocol::config::web_conf::access_log::HttpLogConf;
use protocol::config::web_conf::log_format::{LogEscape, LogFormat};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::ask::{ask, here, request};
use crate::fake::{Fake, MEMBER_URL};

/// A gateway with a log.
struct Logging {
    store: Fake,
    gateway: Gateway<Fake>,
    site: Site,
    path: PathBuf,
    _directory: TempDir,
}

impl Logging {
    fn new(format: LogFormat) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/access.log");
        // Only a flush that is asked for writes.
        let logs = Some(HttpLogConf { path: path.clone(), format, flush: Duration::from_secs(3600) });
        let conf = WebConf { logs, ..WebConf::default() };
        let site = Site::new(Settings::load(&conf, Duration::from_secs(5)).unwrap());
        let store = Fake::new();
        let gateway = Gateway::new(store.clone().into(), site.clone(), gateway::routes::Routes::new());
        Self { store, gateway, site, path, _directory: directory }
    }

    fn with(text: &str) -> Self {
        Self::new(LogFormat::parse(LogEscape::Default, text).unwrap())
    }

    /// All lines so far.
    fn lines(&self) -> Vec<String> {
        self.site.flush_logs();
        let text = std::fs::read_to_string(&self.path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }

    async fn get(&self, target: &str, headers: &[(&str, &str)]) {
        ask(&self.gateway, request("GET", target, headers, Body::empty())).await;
    }

    fn file(&self, len: usize) -> String {
        format!("/{}", self.store.add(&UploadKind::Normal, "jpg", &vec![b'x'; len]))
    }
}

#[tokio::test]
async fn combined_lines_are_those_of_nginx() {
    let log = Logging::new(LogFormat::combined());
    let file = log.file(1000);
    log.get(&format!("{file}?a=%22b"), &[("referer", "http://a/"), ("user-agent", "curl/8 \"x\"")]).await;
    log.get("/no/such", &[("range", "bytes=0-1")]).await;
    let lines = log.lines();
    let (before, rest) = lines[0].split_once('[').unwrap();
    let (time, after) = rest.split_once("] ").unwrap();
    assert_eq!(before, "127.0.17.1 - - ");
    assert_eq!((time.len(), time.as_bytes()[20]), (26, b' '), "{time}");
    let expected = format!(r#""GET {file}?a=%22b HTTP/1.1" 200 1000 "http://a/" "curl/8 \x22x\x22""#);
    assert_eq!(after, expected);
    assert!(lines[1].contains("\"GET /no/such HTTP/1.1\" 404 "), "{}", lines[1]);
    assert!(lines[1].ends_with("\"-\" \"-\""), "{}", lines[1]);
}

#[tokio::test]
async fn lines_of_json_can_be_read() {
    let log = Logging::new(LogFormat::json());
    let file = log.file(10);
    let headers = [("host", "IMG.example.com:80"), ("user-agent", "\"\\"), ("x-forwarded-for", "10.0.0.1")];
    log.get(&format!("{file}?a=b"), &headers).await;
    let line: serde_json::Value = serde_json::from_str(&log.lines()[0]).unwrap();
    assert_eq!((&line["status"], &line["body_bytes_sent"]), (&200.into(), &10.into()));
    assert_eq!((&line["host"], &line["user_agent"]), (&"img.example.com".into(), &"\"\\".into()));
    assert_eq!((&line["uri"], &line["args"]), (&file.into(), &"a=b".into()));
    assert_eq!((&line["request_completion"], &line["upstream_addr"]), (&"OK".into(), &"".into()));
    assert!(line["request_time"].is_number() && line["msec"].is_number(), "{line}");
}

#[tokio::test]
async fn each_variable_has_its_value() {
    let log = Logging::with(
        "$remote_addr:$remote_port $server_addr:$server_port $request_method $uri $document_uri $request_uri \
         $is_args$args $query_string $server_protocol $scheme $host $arg_b $arg_c $content_length \
         $sent_http_content_type $sent_http_x_none $remote_user $http_authorization $connection ${status}x",
    );
    let headers = [("host", "a:8080"), ("content-length", "0"), ("authorization", "Basic c2VjcmV0")];
    log.get("/a%2fb%0a?b=%20&c", &headers).await;
    assert_eq!(
        log.lines(),
        [
            "127.0.17.1:4000 127.0.17.1:80 GET /a/b\\x0A /a/b\\x0A /a%2fb%0a?b=%20&c ?b=%20&c b=%20&c HTTP/1.1 http a \
          %20 - 0 application/problem+json - - - - 404x"
        ]
    );
    let log = Logging::with("$request_id|$pid|$hostname|$time_iso8601|$msec");
    log.get("/", &[]).await;
    log.get("/", &[]).await;
    let lines = log.lines();
    let values: Vec<Vec<&str>> = lines.iter().map(|line| line.split('|').collect()).collect();
    assert!(values.iter().all(|line| line[0].len() == 32 && line[3].len() == 25), "{values:?}");
    assert_ne!(values[0][0], values[1][0]);
    assert_eq!(values[0][1], std::process::id().to_string());
    assert!(!values[0][2].is_empty());
}

#[tokio::test]
async fn a_file_of_another_member_names_that_member() {
    let log = Logging::with("$upstream_addr $status");
    let (here, there) = (log.file(10), log.file(11));
    log.store.move_away(&there[1..]);
    log.get(&here, &[]).await;
    log.get(&there, &[]).await;
    assert_eq!(log.lines(), ["- 200", &format!("{} 200", MEMBER_URL.split_once("://").unwrap().1)]);
}

#[tokio::test]
async fn an_answer_that_breaks_off_has_the_bytes_that_were_taken() {
    let log = Logging::with("$status $body_bytes_sent $request_completion");
    let file = log.file(2_000_000);
    let connection = here();
    let ask = |method| log.gateway.call(&connection, request(method, &file, &[], Body::empty()));
    let mut body = ask("GET").await.into_body();
    let taken = body.frame().await.unwrap().unwrap().into_data().unwrap().remaining();
    drop(body);
    drop(ask("GET").await);
    drop(ask("HEAD").await);
    let mut whole = ask("GET").await.into_body();
    let mut left = 2_000_000;
    // hyper drops a body whose length it knows without asking for its end.
    while left > 0 {
        left -= whole.frame().await.unwrap().unwrap().into_data().unwrap().remaining();
    }
    drop(whole);
    let expected = [format!("200 {taken} -"), "499 0 -".into(), "200 0 OK".into(), "200 2000000 OK".into()];
    assert_eq!(log.lines(), expected);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_has_nginx_s_status() {
    let log = Logging::with("$request_method $status $body_bytes_sent $sent_http_content_type");
    let body = Body::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    let connection = here();
    let mut call = Box::pin(log.gateway.call(&connection, request("POST", "/v1/files", &[], body)));
    let state = futures_util::poll!(call.as_mut());
    assert!(state.is_pending());
    drop(call);
    assert_eq!(log.lines(), ["POST 499 0 -"]);
}

/// Lengths are those that went over the wire.
#[tokio::test]
async fn lengths_are_those_of_the_wire() {
    let log = Logging::with("$request_length $bytes_sent $body_bytes_sent $status");
    let (small, large) = (log.file(1000), log.file(300_000));
    let server = HttpServer::bind("127.0.35.1:0".parse().unwrap(), HttpLimits::default()).await.unwrap();
    let (address, stop) = (server.local_addr().unwrap(), CancellationToken::new());
    let task = tokio::spawn(server.serve(log.gateway.clone(), stop.clone()));
    let cases = [
        format!("GET {small} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET {large} HTTP/1.1\r\nHost: a\r\nRange: bytes=5-299999\r\n\r\n"),
        format!("HEAD {large} HTTP/1.1\r\nHost: a\r\n\r\n"),
        format!("GET {small} HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n"),
        "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET /none HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ];
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut expected = Vec::new();
    for case in &cases {
        stream.write_all(case.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let whole = |answer: &[u8]| {
            let head = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
            let text = std::str::from_utf8(&answer[..head]).unwrap().to_ascii_lowercase();
            let len = text.split_once("content-length: ").map_or(0, |(_, rest)| {
                if case.starts_with("HEAD") { 0 } else { rest.split_once('\r').unwrap().0.parse().unwrap() }
            });
            (answer.len() >= head + len).then(|| (len, text[9..12].to_owned()))
        };
        let (len, status) = loop {
            if let Some(found) = whole(&answer) {
                break found;
            }
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        };
        expected.push(format!("{} {} {len} {status}", case.len(), answer.len()));
    }
    drop(stream);
    stop.cancel();
    task.await.unwrap();
    assert_eq!(log.lines(), expected);
}

#[tokio::test]
async fn a_log_that_was_moved_away_goes_on_under_its_name() {
    let log = Logging::with("$status");
    log.get("/one", &[]).await;
    log.lines();
    let moved = log.path.with_extension("old");
    std::fs::rename(&log.path, &moved).unwrap();
    log.get("/two", &[]).await;
    log.site.reopen_logs();
    log.site.flush_logs();
    log.get("/three", &[]).await;
    assert_eq!(log.lines(), ["404"]);
    assert_eq!(std::fs::read_to_string(&moved).unwrap(), "404\n404\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a client sends, a request is one line, and its values stay in their places.
    #[test]
    fn no_client_forges_a_line(
        path in proptest::collection::vec(any::<u8>(), 0..40),
        header in proptest::collection::vec(any::<u8>(), 0..40),
        query in "[ -~]{0,20}",
    ) {
        let escaped: String = path.iter().map(|byte| format!("%{byte:02x}")).collect();
        let query: String = query.chars().filter(|c| !" \"<>#".contains(*c)).collect();
        let target = format!("/{escaped}?x={query}");
        let mut asked = Request::builder().uri(&target).header("host", "a");
        if let Ok(value) = http::HeaderValue::from_bytes(&header) {
            asked = asked.header("user-agent", value.clone()).header("referer", value);
        }
        let Ok(asked) = asked.body(()) else { return Ok(()) };
        let text = "\"$uri\" \"$args\" \"$arg_x\" \"$http_referer\" \"$http_user_agent\" $status";
        let json = "[\"$uri\",\"$args\",\"$arg_x\",\"$http_referer\",\"$http_user_agent\",$status]";
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (how, text) in [(LogEscape::Default, text), (LogEscape::Json, json)] {
            let log = Logging::new(LogFormat::parse(how, text).unwrap());
            let asked = asked.clone().map(|()| Body::empty());
            runtime.block_on(async {
                log.gateway.call(&here(), asked).await.into_body().collect().await.unwrap();
            });
            let lines = log.lines();
            prop_assert_eq!(lines.len(), 1);
            if how == LogEscape::Json {
                let values: Vec<serde_json::Value> = serde_json::from_str(&lines[0]).unwrap();
                prop_assert_eq!(values.len(), 6);
            } else {
                prop_assert_eq!(lines[0].matches('"').count(), 10);
                prop_assert!(lines[0].ends_with("\" 404"));
            }
        }
    }
}

/// The fast path and hyper, which alone takes two blanks, write the same of the same.
#[tokio::test]
async fn what_is_at_hand_has_the_same_line() {
    let log = Logging::with(
        "$remote_addr $request_method $request_uri $uri \"$request\" $host $http_referer $http_user_agent $http_x $args \
         $status $body_bytes_sent $bytes_sent $request_length $request_completion $upstream_addr $scheme $server_port",
    );
    let paths = [5_000, 300_000]
        .map(|len| format!("/{}", log.store.add(&UploadKind::Normal, "txt", &vec![b'x'; len])));
    let server = HttpServer::bind("127.0.17.1:0".parse().unwrap(), HttpLimits::default()).await.unwrap();
    let address = server.local_addr().unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(server.serve(log.gateway.clone(), stop.clone()));
    let mut expected = 0;
    for path in &paths {
        for more in [
            "",
            "Range: bytes=0-99\r\n",
            "Range: bytes=0-99, 2000-2099\r\n",
            "If-None-Match: *\r\n",
            "Range: bytes=9000000-\r\n",
        ] {
            for blank in ["  ", " "] {
                let mut stream = TcpStream::connect(address).await.unwrap();
                let request = format!(
                    "GET{blank}{path} HTTP/1.1\r\nHost: A:80\r\n{more}Referer: http://b/\"\r\nUser-Agent: \u{e4} c\r\nX: 1\r\n\r\n"
                );
                stream.write_all(request.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
                stream.read_to_end(&mut Vec::new()).await.unwrap();
                expected += 1;
            }
        }
    }
    stop.cancel();
    task.await.unwrap();
    let lines = log.lines();
    assert_eq!(lines.len(), expected);
    for pair in lines.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
    let plain = Plain { head: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", path: &paths[0], ..Plain::default() };
    assert!(log.gateway.at_hand(&here(), plain).is_some());
    let log = Logging::with("$sent_http_etag");
    let path = format!("/{}", log.store.add(&UploadKind::Normal, "txt", b"abc"));
    log.get(&path, &[]).await;
    let plain = Plain { head: b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", path: &path, ..Plain::default() };
    assert!(log.gateway.at_hand(&here(), plain).is_none(), "the line wants to know of the whole answer");
}
