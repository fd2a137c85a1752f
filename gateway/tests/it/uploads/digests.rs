//! Digests of uploads, as headers and as trailers.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use http_body_util::StreamBody;

use super::{assert_nothing_left, pieces, post};
use crate::fake::Fake;

const SHA256: &str = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";
const SHA512: &str =
    "sha-512=:3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==:";
const MD5: &str = "kAFQmDzST7DWlj99KOF/cg==";
const OTHER: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";

#[tokio::test]
async fn content_that_belies_its_digest_is_not_stored() {
    for (header, value, code) in [
        ("repr-digest", SHA256.to_owned(), ""),
        ("content-digest", format!("{SHA512}, {SHA256}"), ""),
        ("content-digest", format!("unixsum=:AAAA:, crc32c=5, {SHA256};x=1"), ""),
        ("repr-digest", "sha=:AAAA:".to_owned(), ""),
        ("repr-digest", format!("md5=:{MD5}:"), ""),
        ("content-md5", MD5.to_owned(), ""),
        ("repr-digest", OTHER.to_owned(), "digest_mismatch"),
        ("content-digest", format!("{SHA512}, {OTHER}"), "digest_mismatch"),
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==".to_owned(), "digest_mismatch"),
        ("repr-digest", "sha-256=:AAAA:".to_owned(), "bad_digest"),
        ("repr-digest", "sha-256=AAAA".to_owned(), "bad_digest"),
        ("repr-digest", "sha-256".to_owned(), "bad_digest"),
        ("content-digest", ":x:".to_owned(), "bad_digest"),
        ("content-md5", "900150983cd24fb0d6963f7d28e17f72".to_owned(), "bad_digest"),
        ("content-md5", "AAAA".to_owned(), "bad_digest"),
    ] {
        for len in [Some("3"), None] {
            let store = Fake::new();
            let mut headers = vec![(header, value.as_str())];
            headers.extend(len.map(|len| ("content-length", len)));
            let answer = post(&store, "/v1/files", &headers, pieces(b"abc", 2)).await;
            if code.is_empty() {
                assert_eq!((answer.status.as_u16(), store.count()), (201, 1), "{header}: {value}");
                assert!(answer.json().get("repr_digest").is_none());
            } else {
                assert_eq!(
                    (answer.status.as_u16(), answer.code().as_str()),
                    (400, code),
                    "{header}: {value}"
                );
                assert_nothing_left(&store, &value);
            }
        }
    }
}

#[tokio::test]
async fn the_wanted_digest_is_told() {
    for (wanted, expected) in [
        ("sha-256=1", Some(SHA256)),
        ("sha-256=3, sha-512=10, unixsum=10", Some(SHA512)),
        ("sha-256=5, sha-512=5", Some(SHA512)),
        ("sha-512=0", None),
        ("unixsum=1", None),
    ] {
        let answer =
            post(&Fake::new(), "/v1/files", &[("want-repr-digest", wanted)], Body::from("abc")).await;
        assert_eq!(answer.status, 201, "{wanted}");
        assert_eq!(answer.json().get("repr_digest").and_then(|digest| digest.as_str()), expected, "{wanted}");
    }
    let answer =
        post(&Fake::new(), "/v1/files", &[("want-repr-digest", "sha-256=x")], Body::from("abc")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "bad_digest"));
}

#[tokio::test]
async fn trailers_count_if_they_were_announced() {
    for (announced, trailer, value, status) in [
        ("Repr-Digest", "repr-digest", SHA256, 201),
        ("x, content-digest", "content-digest", SHA512, 201),
        ("Content-MD5", "content-md5", MD5, 201),
        ("Repr-Digest", "repr-digest", OTHER, 400),
        ("Repr-Digest", "repr-digest", "nonsense=", 400),
        ("Content-MD5", "content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", 400),
        ("Repr-Digest", "x-other", OTHER, 201),
    ] {
        let store = Fake::new();
        let name = HeaderName::from_bytes(trailer.as_bytes()).unwrap();
        let trailers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        let frames = [Frame::data(Bytes::from_static(b"abc")), Frame::trailers(trailers)];
        let body = Body::new(StreamBody::new(stream::iter(frames.map(Ok::<_, Infallible>))));
        let answer = post(&store, "/v1/files", &[("trailer", announced)], body).await;
        assert_eq!(answer.status, status, "{announced} {trailer} {value}");
        if status == 400 {
            assert_nothing_left(&store, value);
        }
    }
}

/// The digest is that of the whole form, whatever its parser leaves unread.
#[tokio::test]
async fn a_form_has_one_digest() {
    let form = "--XX\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\nabc\r\n--XX--\r\nand an epilogue";
    let kind = ("content-type", "multipart/form-data; boundary=XX");
    let wants = ("want-repr-digest", "sha-256=1");
    let answer = post(&Fake::new(), "/v1/files", &[kind, wants], pieces(form.as_bytes(), 7)).await;
    let digest = answer.json()["repr_digest"].as_str().unwrap().to_owned();
    for (digest, status) in [(digest.as_str(), 201), (SHA256, 400)] {
        let store = Fake::new();
        let headers = [kind, ("repr-digest", digest)];
        let answer = post(&store, "/v1/files", &headers, pieces(form.as_bytes(), 50)).await;
        assert_eq!(answer.status, status, "{digest}");
        if status == 400 {
            assert_eq!(answer.code(), "digest_mismatch");
            assert_nothing_left(&store, digest);
        }
    }
}
