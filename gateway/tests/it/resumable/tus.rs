//! The protocol, case by case.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use gateway::files::UploadKind;

use super::{OFFSETS, Place, TUS};
use crate::ask::{Answer, ask_from, request};
use crate::fake::Mood;

const A_CHECKSUM: (&str, &str) = ("upload-checksum", "sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=");

#[tokio::test]
async fn an_upload_goes_on_until_it_is_a_file() {
    let place = Place::new();
    let url =
        place.create(&[("upload-length", "11"), ("upload-metadata", "filename YS50eHQ=,width MTIw")]).await;
    let answer = place.patch(&url, 0, "hello").await;
    assert_eq!((answer.status.as_u16(), answer.header("upload-offset")), (204, "5"));
    assert!(!answer.header("upload-expires").is_empty());
    assert_eq!(answer.header("fdfs-file-id"), "");

    let answer = place.tus("HEAD", &url, &[], "").await;
    assert_eq!(answer.status, 200);
    for (name, expected) in [
        ("upload-offset", "5"),
        ("upload-length", "11"),
        ("upload-metadata", "filename YS50eHQ=,width MTIw"),
        ("cache-control", "no-store"),
        ("tus-resumable", "1.0.0"),
    ] {
        assert_eq!(answer.header(name), expected, "{name}");
    }
    let json = place.ask("GET", &url, &[], "").await.json();
    assert_eq!(
        (&json["state"], &json["offset"], &json["length"]),
        (&"incomplete".into(), &5.into(), &11.into())
    );

    let answer = place.patch(&url, 5, " world").await;
    assert_eq!((answer.status.as_u16(), answer.header("upload-offset")), (204, "11"));
    let id = answer.header("fdfs-file-id").to_owned();
    assert_eq!(answer.header("content-location"), format!("/{id}"));
    assert_eq!(place.content(&answer), b"hello world");
    let spec = place.store.0.specs.lock().unwrap().pop().unwrap();
    assert_eq!((spec.kind, spec.ext.as_str()), (UploadKind::Normal, "txt"));
    assert_eq!(spec.metadata.iter().collect::<Vec<_>>(), [("fdfs.filename", "a.txt"), ("width", "120")]);

    // Who did not hear the last answer asks again, in any way.
    for answer in [place.tus("HEAD", &url, &[], "").await, place.patch(&url, 11, "").await] {
        assert_eq!(answer.header("upload-offset"), "11");
        assert_eq!(answer.header("fdfs-file-id"), id);
        assert_eq!(answer.header("upload-expires"), "");
    }
    let json = place.ask("GET", &url, &[("host", "a.example")], "").await.json();
    assert_eq!((&json["state"], &json["file"]["file_id"]), (&"stored".into(), &id.as_str().into()));
    assert_eq!(json["file"]["url"], format!("http://a.example/{id}"));
    assert_eq!(json["file"]["filename"], "a.txt");
    assert_eq!(place.store.count(), 1);

    assert_eq!(place.tus("DELETE", &url, &[], "").await.status, 204);
    assert_eq!(place.tus("HEAD", &url, &[], "").await.status, 404);
    assert_eq!(place.store.count(), 1, "the file stays");
}

#[tokio::test]
async fn creations() {
    let long = "1000000000000000";
    for (headers, body, status, code) in [
        (&[("upload-length", "5")][..], "", 201, ""),
        (&[("upload-length", "0")], "", 201, ""),
        (&[("upload-defer-length", "1")], "", 201, ""),
        (&[("upload-length", "5"), ("upload-concat", "partial")], "", 201, ""),
        (&[("upload-length", "5"), OFFSETS], "hello", 201, ""),
        (&[("upload-length", "5"), OFFSETS, A_CHECKSUM], "hello", 201, ""),
        (&[("upload-length", "5"), OFFSETS], "hel", 201, ""),
        (&[("upload-length", "5"), ("upload-metadata", "")], "", 201, ""),
        (&[], "", 400, "no_length"),
        (&[("upload-length", "-1")], "", 400, "bad_number"),
        (&[("upload-length", "5x")], "", 400, "bad_number"),
        (&[("upload-length", long)], "", 400, "bad_number"),
        (&[("upload-length", "101")], "", 413, "upload_too_large"),
        (&[("upload-length", "5"), ("upload-defer-length", "1")], "", 400, "two_lengths"),
        (&[("upload-defer-length", "2")], "", 400, "bad_defer_length"),
        (&[("upload-length", "5"), ("upload-metadata", "filename ???")], "", 400, "bad_metadata"),
        (&[("upload-length", "5"), ("upload-metadata", "kind eA==")], "", 400, "bad_kind"),
        (&[("upload-length", "5"), ("upload-concat", "all")], "", 400, "bad_concat"),
        (&[("upload-length", "5")], "hello", 415, "media_type"),
        (&[("upload-length", "5"), ("content-type", "text/plain")], "hello", 415, "media_type"),
        (&[("upload-length", "5"), OFFSETS], "hello!", 413, "content_too_long"),
        (&[("upload-length", "5"), OFFSETS, ("content-length", "6")], "hello!", 413, "content_too_long"),
        (&[("upload-length", "5"), OFFSETS, A_CHECKSUM], "hallo", 460, "checksum_mismatch"),
        (
            &[("upload-length", "5"), OFFSETS, ("upload-checksum", "crc32 AAAA")],
            "hello",
            400,
            "unknown_checksum",
        ),
        (&[("upload-length", "5"), OFFSETS, ("upload-checksum", "sha1 AAAA")], "hello", 400, "bad_checksum"),
    ] {
        let place = Place::with(|settings| settings.resumable.max_size = 100);
        let answer = place.tus("POST", "/v1/uploads", headers, body).await;
        assert_eq!(answer.status, status, "{headers:?} {body}: {:?}", answer.body);
        assert_eq!(answer.header("tus-resumable"), "1.0.0", "{headers:?}");
        if status == 201 {
            let url = answer.header("location");
            let sent = body.len().to_string();
            assert_eq!(answer.header("upload-offset"), sent, "{headers:?}");
            let head = place.tus("HEAD", url, &[], "").await;
            assert_eq!(head.header("upload-offset"), sent, "{headers:?}");
            for name in ["upload-length", "upload-defer-length", "upload-concat", "fdfs-file-id"] {
                assert_eq!(head.header(name), answer.header(name), "{headers:?} {name}");
            }
            let is_whole =
                answer.header("upload-length") == sent && answer.header("upload-concat").is_empty();
            assert_eq!(place.store.count(), usize::from(is_whole), "{headers:?}");
        } else {
            assert_eq!(answer.code(), code, "{headers:?}");
            assert_eq!(place.store.0.shelf.count(), 0, "{headers:?} leaves nothing");
        }
    }
}

#[tokio::test]
async fn appends() {
    let chunked = ("transfer-encoding", "chunked");
    for (headers, body, status, code, here) in [
        (&[OFFSETS, ("upload-offset", "3")][..], "de", 204, "", "5"),
        (&[OFFSETS, ("upload-offset", "3")], "", 204, "", "3"),
        (&[OFFSETS, ("upload-offset", "3"), ("upload-length", "10")], "de", 204, "", "5"),
        (&[OFFSETS, ("upload-offset", "2")], "de", 409, "other_offset", "3"),
        (&[OFFSETS, ("upload-offset", "4")], "de", 409, "other_offset", "3"),
        (&[OFFSETS], "de", 400, "no_offset", "3"),
        (&[OFFSETS, ("upload-offset", "x")], "de", 400, "bad_number", "3"),
        (&[("upload-offset", "3")], "de", 415, "media_type", "3"),
        (&[("content-type", "text/plain"), ("upload-offset", "3")], "de", 415, "media_type", "3"),
        (&[OFFSETS, ("upload-offset", "3"), ("upload-length", "9")], "de", 400, "other_length", "3"),
        (
            &[OFFSETS, ("upload-offset", "3"), ("content-length", "8")],
            "defghijk",
            413,
            "content_too_long",
            "3",
        ),
        (&[OFFSETS, ("upload-offset", "3"), chunked], "defghijk", 413, "content_too_long", "3"),
        (&[OFFSETS, ("upload-offset", "3"), A_CHECKSUM], "hello", 204, "", "8"),
        (&[OFFSETS, ("upload-offset", "3"), A_CHECKSUM], "hallo", 460, "checksum_mismatch", "3"),
        (
            &[OFFSETS, ("upload-offset", "3"), ("upload-checksum", "md5 XUFAKrxLKna5cZ2REBfFkg==")],
            "hello",
            204,
            "",
            "8",
        ),
        (
            &[
                OFFSETS,
                ("upload-offset", "3"),
                ("upload-checksum", "sha256 LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
            ],
            "hello",
            204,
            "",
            "8",
        ),
        (
            &[OFFSETS, ("upload-offset", "3"), ("upload-checksum", "md4 AAAA")],
            "de",
            400,
            "unknown_checksum",
            "3",
        ),
        (&[OFFSETS, ("upload-offset", "3"), ("upload-checksum", "md5")], "de", 400, "bad_checksum", "3"),
    ] {
        let place = Place::new();
        let url = place.create(&[("upload-length", "10"), OFFSETS]).await;
        assert_eq!(place.patch(&url, 0, "abc").await.status, 204);
        let answer = place.tus("PATCH", &url, headers, body).await;
        assert_eq!(answer.status, status, "{headers:?}: {:?}", answer.body);
        if status != 204 {
            assert_eq!(answer.code(), code, "{headers:?}");
        }
        let head = place.tus("HEAD", &url, &[], "").await;
        assert_eq!(head.header("upload-offset"), here, "{headers:?}");
    }
}

#[tokio::test]
async fn a_length_may_be_told_later() {
    let place = Place::with(|settings| settings.resumable.max_size = 20);
    let url = place.create(&[("upload-defer-length", "1")]).await;
    assert_eq!(place.patch(&url, 0, "hello").await.status, 204);
    let head = place.tus("HEAD", &url, &[], "").await;
    assert_eq!((head.header("upload-defer-length"), head.header("upload-length")), ("1", ""));
    for (length, status) in [("4", 400), ("21", 413), ("8", 204)] {
        let headers = [OFFSETS, ("upload-offset", "5"), ("upload-length", length)];
        assert_eq!(place.tus("PATCH", &url, &headers, "").await.status, status, "{length}");
    }
    let head = place.tus("HEAD", &url, &[], "").await;
    assert_eq!((head.header("upload-defer-length"), head.header("upload-length")), ("", "8"));
    let answer = place.patch(&url, 5, "abc").await;
    assert_eq!(place.content(&answer), b"helloabc");

    let url = place.create(&[("upload-defer-length", "1")]).await;
    assert_eq!(place.patch(&url, 0, "hello").await.status, 204);
    let answer = place.patch(&url, 5, "012345678901234567").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "content_too_long"));
    let headers = [OFFSETS, ("upload-offset", "5"), ("upload-length", "5")];
    let answer = place.tus("PATCH", &url, &headers, "").await;
    assert_eq!(place.content(&answer), b"hello", "what is here is all");
}

#[tokio::test]
async fn parts_are_joined() {
    let place = Place::new();
    let part = |content: &'static str| {
        let place = &place;
        async move {
            let length = content.len().to_string();
            let headers = [("upload-concat", "partial"), ("upload-length", &*length), OFFSETS];
            let answer = place.tus("POST", "/v1/uploads", &headers, content).await;
            assert_eq!((answer.status.as_u16(), answer.header("fdfs-file-id")), (201, ""));
            answer.header("location").to_owned()
        }
    };
    let (hello, world, empty) = (part("hello").await, part(" world").await, part("").await);
    assert_eq!(place.store.count(), 0);
    let json = place.ask("GET", &hello, &[], "").await.json();
    assert_eq!((&json["state"], &json["kind"]), (&"complete".into(), &"part".into()));

    let list = format!("final;{hello} https://h.example{world} {empty} {hello}");
    let metadata = ("upload-metadata", "filename YS50eHQ=");
    let answer = place.tus("POST", "/v1/uploads", &[("upload-concat", &list), metadata], "").await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    assert_eq!(place.content(&answer), b"hello worldhello");
    let url = answer.header("location");
    let head = place.tus("HEAD", url, &[], "").await;
    for (name, expected) in
        [("upload-concat", list.as_str()), ("upload-length", "16"), ("upload-offset", "16")]
    {
        assert_eq!(head.header(name), expected, "{name}");
    }
    assert_eq!(head.header("fdfs-file-id"), answer.header("fdfs-file-id"));
    let answer = place.patch(url, 16, "x").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "joined_upload"));
    let head = place.tus("HEAD", &hello, &[], "").await;
    assert_eq!(
        (head.status.as_u16(), head.header("upload-concat")),
        (200, "partial"),
        "parts stay for a while"
    );

    let whole = place.create(&[("upload-length", "5")]).await;
    let begun = place.create(&[("upload-length", "5"), ("upload-concat", "partial")]).await;
    let missing = "/v1/uploads/00000000000000000000000000ffffff";
    let count = place.store.0.shelf.count();
    for (list, extra, status, code) in [
        (format!("final;{hello} {whole}"), None, 400, "no_part"),
        (format!("final;{hello} {begun}"), None, 409, "part_incomplete"),
        (format!("final;{hello} {missing}"), None, 404, "no_such_upload"),
        (format!("final;{hello} /v1/files/x"), None, 400, "bad_concat"),
        (format!("final;{hello}"), Some(("upload-length", "5")), 400, "bad_concat"),
        (format!("final;{hello}"), Some(("upload-metadata", "a")), 201, ""),
    ] {
        let mut headers = vec![("upload-concat", list.as_str())];
        headers.extend(extra);
        let answer = place.tus("POST", "/v1/uploads", &headers, "").await;
        assert_eq!(answer.status, status, "{list}");
        if status != 201 {
            assert_eq!(answer.code(), code, "{list}");
            assert_eq!(place.store.0.shelf.count(), count, "{list}");
        }
    }
}

#[tokio::test]
async fn an_upload_may_be_ended() {
    let place = Place::new();
    let url = place.create(&[("upload-length", "5")]).await;
    assert_eq!(place.patch(&url, 0, "hel").await.status, 204);
    let answer = place.tus("DELETE", &url, &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("tus-resumable")), (204, "1.0.0"));
    for answer in [
        place.tus("HEAD", &url, &[], "").await,
        place.patch(&url, 3, "lo").await,
        place.tus("DELETE", &url, &[], "").await,
        place.ask("GET", &url, &[], "").await,
        place.tus("HEAD", "/v1/uploads/nonsense", &[], "").await,
    ] {
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("upload-offset"), "");
    }
    assert_eq!((place.store.0.shelf.count(), place.store.count()), (0, 0));
}

#[tokio::test]
async fn an_upload_is_forgotten_when_its_time_is_over() {
    let place = Place::with(|settings| settings.resumable.expiration = std::time::Duration::ZERO);
    let url = place.create(&[("upload-length", "5")]).await;
    let answer = place.patch(&url, 0, "hel").await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "no_such_upload"));
}

#[tokio::test]
async fn other_versions_are_refused() {
    let place = Place::new();
    let url = place.create(&[("upload-length", "5")]).await;
    for (method, target) in [("POST", "/v1/uploads"), ("PATCH", &url), ("DELETE", &url)] {
        for version in [None, Some("0.2.2"), Some("1.0"), Some("")] {
            let mut headers = vec![("upload-length", "5"), ("upload-offset", "0"), OFFSETS];
            headers.extend(version.map(|version| ("tus-resumable", version)));
            let answer = place.ask(method, target, &headers, "").await;
            assert_eq!(answer.status, 412, "{method} {version:?}");
            assert_eq!(answer.code(), "tus_version");
            assert_eq!(answer.header("tus-version"), "1.0.0");
        }
    }
    assert_eq!(place.ask("HEAD", &url, &[], "").await.status, 200);
}

#[tokio::test]
async fn options_tell_what_can_be_done() {
    let place = Place::with(|settings| settings.resumable.max_size = 1000);
    for target in ["/v1/uploads", "/v1/uploads/00000000000000000000000000000000"] {
        // Whatever version the client speaks, and whoever it is.
        let asked = request("OPTIONS", target, &[("tus-resumable", "0.1")], Body::empty());
        let answer = ask_from(&place.gateway, "192.0.2.1:1", asked).await;
        assert_eq!(answer.status, 204);
        for (name, expected) in [
            ("tus-resumable", "1.0.0"),
            ("tus-version", "1.0.0"),
            ("tus-max-size", "1000"),
            ("tus-checksum-algorithm", "sha1,md5,sha256"),
            (
                "tus-extension",
                "creation,creation-with-upload,creation-defer-length,checksum,termination,expiration,concatenation",
            ),
            ("access-control-allow-origin", ""),
        ] {
            assert_eq!(answer.header(name), expected, "{name}");
        }
    }
}

#[tokio::test]
async fn the_method_may_be_told_by_a_header() {
    let place = Place::new();
    let url = place.create(&[("upload-length", "5")]).await;
    let headers = [OFFSETS, ("upload-offset", "0"), ("x-http-method-override", "PATCH")];
    let answer = place.tus("POST", &url, &headers, "hel").await;
    assert_eq!((answer.status.as_u16(), answer.header("upload-offset")), (204, "3"));
    let answer = place.tus("POST", &url, &[("x-http-method-override", "HEAD")], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("upload-offset")), (200, "3"));
    let answer = place.tus("POST", &url, &[("x-http-method-override", "DELETE")], "").await;
    assert_eq!(answer.status, 204);
    for method in ["PUT", "no method", ""] {
        let answer = place.tus("POST", &url, &[("x-http-method-override", method)], "").await;
        assert_eq!(answer.status, 405, "{method}");
    }
    let id = place.store.add(&UploadKind::Normal, "txt", b"x");
    let headers = [("x-http-method-override", "DELETE")];
    let answer = place.ask("GET", &format!("/{id}"), &headers, "").await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"x"[..]), "it is for uploads only");
}

#[tokio::test]
async fn what_arrived_before_a_break_stays() {
    let broken = |content: &'static str| {
        let pieces = [Ok(Bytes::from(content)), Err(std::io::Error::other("gone"))];
        Body::from_stream(stream::iter(pieces))
    };
    let place = Place::new();
    let url = place.create(&[("upload-length", "9")]).await;
    let headers = [OFFSETS, ("upload-offset", "0"), ("content-length", "9")];
    let answer = place.tus("PATCH", &url, &headers, broken("hel")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "body_broken"));
    assert_eq!(place.tus("HEAD", &url, &[], "").await.header("upload-offset"), "3");

    // A part of what a checksum is about says nothing.
    let headers = [OFFSETS, ("upload-offset", "3"), ("content-length", "6"), A_CHECKSUM];
    assert_eq!(place.tus("PATCH", &url, &headers, broken("lo")).await.status, 400);
    assert_eq!(place.tus("HEAD", &url, &[], "").await.header("upload-offset"), "3");

    // Nobody has heard of an upload whose creation broke.
    let headers = [OFFSETS, ("upload-length", "9"), ("content-length", "9")];
    assert_eq!(place.tus("POST", "/v1/uploads", &headers, broken("hel")).await.status, 400);
    assert_eq!(place.store.0.shelf.count(), 1);
}

#[tokio::test]
async fn a_store_that_refuses_is_heard() {
    for (mood, status, code) in [(Mood::Full, 507, "no_space"), (Mood::Busy, 503, "not_ready")] {
        let place = Place::new();
        place.store.set_mood(mood);
        let answer = place.tus("POST", "/v1/uploads", &[("upload-length", "5")], "").await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code));
    }
    let place = Place::new();
    let url = place.create(&[("upload-length", "5")]).await;
    place.store.set_mood(Mood::FullLater);
    assert_eq!(place.patch(&url, 0, "hello").await.status, 507);
    // All is here, but it could not be made a file: the next question tries again.
    place.store.set_mood(Mood::Willing);
    assert_eq!(place.patch(&url, 0, "hell").await.status, 204);
    place.store.set_mood(Mood::Busy);
    assert_eq!(place.patch(&url, 4, "o").await.status, 503);
    assert_eq!(place.tus("HEAD", &url, &[], "").await.status, 503);
    place.store.set_mood(Mood::Willing);
    let answer = place.tus("HEAD", &url, &[], "").await;
    assert_eq!(place.content(&answer), b"hello");
}

#[tokio::test]
async fn who_may_not_write_may_not_do_any_of_this() {
    let place = Place::new();
    let url = place.create(&[("upload-length", "5")]).await;
    let foreign = ("origin", "http://evil.example");
    for (method, target) in
        [("POST", "/v1/uploads"), ("HEAD", &url), ("GET", &url), ("PATCH", &url), ("DELETE", &url)]
    {
        let headers = [TUS, OFFSETS, ("upload-length", "5"), ("upload-offset", "0")];
        let asked = request(method, target, &headers, Body::empty());
        let answer = ask_from(&place.gateway, "192.0.2.1:1", asked).await;
        assert_eq!(answer.status, 403, "{method}");
        if method != "HEAD" {
            assert_eq!(answer.code(), "remote_write", "{method}");
        }
        let answer = place.tus(method, target, &[&headers[1..], &[foreign]].concat(), "").await;
        assert_eq!(answer.status, 403, "{method} by a page of another site");
    }
    assert_eq!(place.tus("HEAD", &url, &[], "").await.status, 200);
}

#[tokio::test]
async fn pages_of_this_machine_may_read_the_answers_others_only_with_a_token() {
    let place = Place::with(|settings| settings.authority = gateway::authority::Authority::open());
    let origin = ("origin", "http://localhost:3000");
    let preflight = [origin, ("access-control-request-method", "PATCH")];
    let check = |answer: &Answer, exposes: bool| {
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(answer.header("access-control-expose-headers").contains("Upload-Offset"), exposes);
        assert_eq!(answer.header("access-control-allow-methods").contains("PATCH"), !exposes);
        assert_eq!(answer.header("access-control-allow-headers").contains("Tus-Resumable"), !exposes);
    };
    check(&place.ask("OPTIONS", "/v1/uploads", &preflight, "").await, false);
    let answer = place.tus("POST", "/v1/uploads", &[origin, ("upload-length", "5")], "").await;
    check(&answer, true);
    let url = answer.header("location").to_owned();
    check(&place.ask("OPTIONS", &url, &preflight, "").await, false);
    check(&place.tus("HEAD", &url, &[origin], "").await, true);
    check(&place.tus("PATCH", &url, &[origin], "").await, true);
    let foreign = [("origin", "http://evil.example"), preflight[1]];
    let answer = place.ask("OPTIONS", "/v1/uploads", &foreign, "").await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let with_token = [foreign[0], foreign[1], ("access-control-request-headers", "authorization")];
    check(&place.ask("OPTIONS", "/v1/uploads", &with_token, "").await, false);
}

/// Clients take a path to be one of the tracker that sent them here.
#[tokio::test]
async fn who_was_sent_here_by_a_tracker_hears_the_whole_url() {
    let asked = async |place: &Place, target: &str, more: (&str, &str)| {
        let headers = [("host", "files.example:8888"), ("upload-length", "3"), more];
        let answer = place.tus("POST", target, &headers, "").await;
        assert_eq!(answer.status, 201);
        let (base, id) = answer.header("location").split_once("/v1/uploads/").expect("an upload's URL");
        let url = format!("/v1/uploads/{id}");
        assert_eq!(place.patch(&url, 0, "abc").await.status, 204);
        base.to_owned()
    };
    let place = Place::new();
    assert_eq!(asked(&place, "/v1/uploads", ("x-a", "b")).await, "");
    for concat in [("x-a", "b"), ("upload-concat", "partial")] {
        assert_eq!(asked(&place, "/v1/uploads?redirect=1", concat).await, "http://files.example:8888");
    }
    let url = Some("https://cdn.example/a".to_owned());
    let place = Place::with(|settings| settings.advertise_url = url);
    assert_eq!(asked(&place, "/v1/uploads?redirect=1", ("x-a", "b")).await, "https://cdn.example/a");
    assert_eq!(asked(&place, "/v1/uploads", ("x-a", "b")).await, "");
}

#[tokio::test]
async fn an_upload_for_another_group_is_not_begun_here() {
    let place = Place::new();
    for (group, expected) in [("group1", 201), ("group2", 409)] {
        let answer =
            place.tus("POST", &format!("/v1/uploads?group={group}"), &[("upload-length", "5")], "").await;
        assert_eq!(answer.status, expected, "{group}");
    }
    let draft = place.ask("POST", "/v1/uploads?group=group2", &[("upload-complete", "?0")], "").await;
    assert_eq!(draft.code(), "other_group");
}
