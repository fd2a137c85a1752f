//! Uploads as `multipart/form-data`.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gateway::Settings;

use super::{assert_nothing_left, broken, pieces, post, specs, stalled};
use crate::ask::{Answer, ask, over, request};
use crate::fake::{Fake, Mood};

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=XX");

/// A part with a file name.
fn file(name: &str, content: &str) -> String {
    format!(
        "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: text/plain\r\n\r\n{content}\r\n"
    )
}

/// A part without one.
fn field(name: &str, value: &str) -> String {
    format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

async fn send(store: &Fake, body: String) -> Answer {
    post(store, "/v1/files", &[FORM], Body::from(body)).await
}

#[tokio::test]
async fn one_file_answers_as_a_raw_upload() {
    for content in ["", "x", "--XX", "\r\n--XY\r\n", &"long ".repeat(200_000)] {
        let store = Fake::new();
        let body = file("../dir/my photo.jpg", content) + "--XX--\r\n";
        for piece in [3, 1000, 1 << 20] {
            if piece == 3 && content.len() > 1000 {
                continue;
            }
            let answer = post(
                &store,
                "/v1/files?kind=appender",
                &[("host", "a:1"), FORM],
                pieces(body.as_bytes(), piece),
            )
            .await;
            assert_eq!(answer.status, 201, "{:?}", answer.body);
            let json = answer.json();
            let id = json["file_id"].as_str().unwrap();
            assert!(store.content(id).unwrap() == content.as_bytes());
            assert_eq!(json["filename"], "my photo.jpg");
            assert_eq!(json["size"], content.len());
            assert_eq!(json["url"], format!("http://a:1/{id}"));
            assert_eq!(answer.header("location"), format!("/{id}"));
            assert_eq!(specs(&store)[0].ext.as_str(), "jpg");
            assert_eq!(specs(&store)[0].kind, gateway::files::UploadKind::Appender);
        }
    }
}

#[tokio::test]
async fn several_files_answer_as_a_list_in_their_order() {
    let store = Fake::new();
    let body: String = (0..128).map(|at| file(&format!("{at}.txt"), &format!("content {at}"))).collect();
    let answer = send(&store, body + "--XX--\r\n").await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    assert_eq!(answer.header("location"), "");
    let json = answer.json();
    let files = json["files"].as_array().unwrap();
    assert_eq!((files.len(), store.count()), (128, 128));
    for (at, stored) in files.iter().enumerate() {
        let id = stored["file_id"].as_str().unwrap();
        assert_eq!(store.content(id).unwrap(), format!("content {at}"));
        assert_eq!(stored["filename"], format!("{at}.txt"));
    }
    assert_eq!(store.0.live.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn forms_that_are_none_leave_nothing() {
    let fields: String = (0..10_000).map(|at| field(&format!("n{at}"), "x")).collect();
    let nameless = "--XX\r\nContent-Type: text/plain\r\n\r\nhello\r\n";
    let many: String = (0..10_000).map(|at| file(&format!("{at}.txt"), "x")).collect();
    let mut headers = String::from("--XX\r\n");
    for at in 0..2000 {
        write!(headers, "X-{at}: y\r\n").unwrap();
    }
    for (case, body, code) in [
        ("only a field", field("comment", "hello") + "--XX--\r\n", "no_file"),
        ("10,000 fields", file("a.txt", "x") + &fields + "--XX--\r\n", "too_many_fields"),
        ("a field of ours", file("a.txt", "x") + &field("fdfs.expires", "1") + "--XX--\r\n", "reserved_name"),
        ("a long name", file("a.txt", "x") + &field(&"n".repeat(65), "1") + "--XX--\r\n", "bad_metadata"),
        ("an empty name", file("a.txt", "x") + &field("", "1") + "--XX--\r\n", "bad_metadata"),
        ("a long value", file("a.txt", "x") + &field("n", &"v".repeat(257)) + "--XX--\r\n", "bad_metadata"),
        ("separators", file("a.txt", "x") + &field("n", "a\u{1}b\u{2}c") + "--XX--\r\n", "bad_metadata"),
        ("control characters in a name", file("a\u{7}b", "x") + "--XX--\r\n", "bad_multipart"),
        ("no name at all", format!("{nameless}--XX--\r\n"), "unexpected_field"),
        ("10,000 files", many + "--XX--\r\n", "too_many_files"),
        ("no file", "--XX--\r\n".to_owned(), "no_file"),
        ("empty", String::new(), "bad_multipart"),
        ("another boundary", "--YY\r\n\r\nx\r\n--YY--\r\n".to_owned(), "bad_multipart"),
        ("no end", file("a.txt", "x"), "bad_multipart"),
        ("cut in the second", file("a.txt", "x") + &file("b.txt", "yyyy")[..100], "bad_multipart"),
        ("a head of 2 MB", format!("--XX\r\nX-Long: {}", "y".repeat(2_000_000)), "bad_multipart"),
        ("2000 headers", headers + "\r\nx\r\n--XX--\r\n", "bad_multipart"),
        ("2 MB before the first", "y".repeat(2_000_000), "bad_multipart"),
    ] {
        let store = Fake::new();
        for piece in [4096, 1 << 22] {
            let answer = post(&store, "/v1/files", &[FORM], pieces(body.as_bytes(), piece)).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, code), "{case} {piece}");
            assert_nothing_left(&store, case);
        }
    }
}

#[tokio::test]
async fn fields_are_metadata_of_all_files_wherever_they_stand() {
    let store = Fake::new();
    let body =
        field("author", "图 and\r\nothers") + &file("a.txt", "x") + &file("", "y") + &field("width", "");
    let answer = send(&store, body + "--XX--\r\n").await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let json = answer.json();
    for (at, filename) in [(0, Some("a.txt")), (1, None)] {
        let metadata = store.metadata_of(json["files"][at]["file_id"].as_str().unwrap()).unwrap();
        assert_eq!(metadata.get("author"), Some("图 and\r\nothers"));
        assert_eq!(metadata.get("width"), Some(""));
        assert_eq!(metadata.get("fdfs.filename"), filename);
        assert_eq!(json["files"][at].get("filename").and_then(|name| name.as_str()), filename);
    }
}

#[tokio::test]
async fn a_form_without_a_boundary_is_refused() {
    for kind in ["multipart/form-data", "multipart/mixed; boundary=XX", "multipart/form-data; boundary="] {
        let store = Fake::new();
        let headers = [("content-type", kind)];
        let answer = post(&store, "/v1/files", &headers, Body::from(file("a", "x") + "--XX--\r\n")).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, "bad_multipart".to_owned()), "{kind}");
        assert_nothing_left(&store, kind);
    }
}

#[tokio::test]
async fn a_form_that_breaks_off_or_stalls_leaves_nothing() {
    let mut settings = Settings::plain();
    settings.body_timeout = Duration::from_millis(80);
    let whole = file("a.txt", "first") + &file("b.txt", &"second ".repeat(100_000));
    for sent in [0, 3, 60, 130, 200, whole.len()] {
        let start = &whole.as_bytes()[..sent];
        for (body, code) in [(broken(start), "bad_multipart"), (stalled(start), "body_timeout")] {
            let store = Fake::new();
            let gateway = over(&store, settings.clone());
            let answer = ask(&gateway, request("POST", "/v1/files", &[FORM], body)).await;
            assert_eq!(answer.code(), code, "{sent}");
            assert_nothing_left(&store, code);
            assert_eq!(store.0.abandoned.load(Ordering::SeqCst), specs(&store).len());
        }
    }
}

#[tokio::test]
async fn forms_hear_of_full_and_busy_stores() {
    for (mood, status, code) in
        [(Mood::Busy, 503, "not_ready"), (Mood::Full, 507, "no_space"), (Mood::FullLater, 507, "no_space")]
    {
        let store = Fake::new();
        store.set_mood(mood);
        let answer = send(&store, file("a.txt", "x") + "--XX--\r\n").await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code));
        assert_nothing_left(&store, code);
    }
}

/// What is no content is buffered, so it must not go on for ever; content may.
#[tokio::test]
async fn heads_without_end_are_given_up_early() {
    for start in ["--XX\r\nX-Long: ", "", "--XX\r\nContent-Disposition: form-data; name=\""] {
        let store = Fake::new();
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&taken);
        let rest = stream::repeat_with(move || {
            let sent = counter.fetch_add(65_536, Ordering::SeqCst);
            if sent > 64 << 20 {
                Err(std::io::Error::other("enough"))
            } else {
                Ok(Bytes::from(vec![b'y'; 65_536]))
            }
        });
        let body = Body::from_stream(stream::iter([Ok(Bytes::from(start))]).chain(rest));
        let answer = post(&store, "/v1/files", &[FORM], body).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "bad_multipart"), "{start}");
        let taken = taken.load(Ordering::SeqCst);
        assert!(taken < 4 << 20, "{start}: {taken} bytes were read");
        assert_nothing_left(&store, start);
    }
}
