//! The IETF draft.

use super::{Place, TUS};

const PARTIAL: (&str, &str) = ("content-type", "application/partial-upload");
const YES: (&str, &str) = ("upload-complete", "?1");
const NO: (&str, &str) = ("upload-complete", "?0");

fn place() -> Place {
    Place::with(|settings| settings.resumable.draft = true)
}

#[tokio::test]
async fn an_upload_in_parts() {
    let place = place();
    let headers = [NO, ("content-disposition", "inline; filename=\"a.txt\""), ("content-length", "5")];
    let answer = place.ask("POST", "/v1/uploads", &headers, "hello").await;
    assert_eq!((answer.status.as_u16(), answer.header("upload-complete")), (201, "?0"), "{:?}", answer.body);
    assert!(answer.header("upload-limit").starts_with("max-size="));
    let url = answer.header("location").to_owned();

    let head = place.ask("HEAD", &url, &[], "").await;
    assert_eq!(head.status, 204);
    for (name, expected) in [
        ("upload-offset", "5"),
        ("upload-complete", "?0"),
        ("upload-length", ""),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(head.header(name), expected, "{name}");
    }
    let answer = place.ask("PATCH", &url, &[PARTIAL, NO, ("upload-offset", "5")], " wor").await;
    assert_eq!((answer.status.as_u16(), answer.header("upload-complete")), (204, "?0"));

    let answer = place.ask("PATCH", &url, &[PARTIAL, YES, ("upload-offset", "4")], "ld").await;
    assert_eq!((answer.status.as_u16(), answer.header("upload-offset")), (409, "9"));
    assert_eq!(answer.header("upload-complete"), "?0");
    let json = answer.json();
    assert_eq!(json["type"], "https://iana.org/assignments/http-problem-types#mismatching-upload-offset");
    assert_eq!((&json["expected-offset"], &json["provided-offset"]), (&9.into(), &4.into()));

    let headers = [PARTIAL, YES, ("upload-offset", "9"), ("content-length", "2")];
    let answer = place.ask("PATCH", &url, &headers, "ld").await;
    assert_eq!((answer.status.as_u16(), answer.header("upload-complete")), (201, "?1"));
    assert_eq!(place.content(&answer), b"hello world");
    assert_eq!(answer.json()["filename"], "a.txt");
    let id = answer.header("fdfs-file-id").to_owned();
    assert_eq!(answer.header("location"), format!("/{id}"));

    let head = place.ask("HEAD", &url, &[], "").await;
    assert_eq!((head.header("upload-complete"), head.header("fdfs-file-id")), ("?1", id.as_str()));
    let answer = place.ask("PATCH", &url, &[PARTIAL, YES, ("upload-offset", "11")], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("fdfs-file-id")), (201, id.as_str()), "replayed");
    assert_eq!(place.store.count(), 1);
    assert_eq!(place.ask("DELETE", &url, &[], "").await.status, 204);
    assert_eq!(place.ask("HEAD", &url, &[], "").await.status, 404);
}

#[tokio::test]
async fn an_upload_in_one_request() {
    let place = place();
    let headers = [YES, ("content-type", "image/png"), ("content-length", "5")];
    let answer = place.ask("POST", "/v1/uploads", &headers, "hello").await;
    assert_eq!((answer.status.as_u16(), answer.header("upload-complete")), (201, "?1"));
    assert_eq!(place.content(&answer), b"hello");
    assert!(answer.header("fdfs-file-id").ends_with(".png"));
    assert!(answer.header("location").starts_with("/group1/"));
}

#[tokio::test]
async fn lengths_have_to_agree() {
    let inconsistent = "https://iana.org/assignments/http-problem-types#inconsistent-upload-length";
    let place = place();
    let headers = [YES, ("upload-length", "6"), ("content-length", "5")];
    let answer = place.ask("POST", "/v1/uploads", &headers, "hello").await;
    assert_eq!((answer.status.as_u16(), answer.json()["type"].as_str()), (400, Some(inconsistent)));
    let headers = [YES, ("upload-length", "6"), ("transfer-encoding", "chunked")];
    assert_eq!(place.ask("POST", "/v1/uploads", &headers, "hello").await.status, 400, "less than it said");
    assert_eq!(place.store.0.shelf.count(), 0);

    let answer = place.ask("POST", "/v1/uploads", &[NO, ("upload-length", "6")], "hello").await;
    let url = answer.header("location").to_owned();
    for headers in [
        [PARTIAL, NO, ("upload-offset", "5"), ("upload-length", "7")],
        [PARTIAL, YES, ("upload-offset", "5"), ("content-length", "2")],
    ] {
        let answer = place.ask("PATCH", &url, &headers, "12").await;
        assert_eq!((answer.status.as_u16(), answer.json()["type"].as_str()), (400, Some(inconsistent)));
    }
    // The length is reached, and still the client has to say that this is all.
    let answer = place.ask("PATCH", &url, &[PARTIAL, NO, ("upload-offset", "5")], "!").await;
    assert_eq!((answer.status.as_u16(), answer.header("upload-complete")), (204, "?0"));
    assert_eq!(place.ask("HEAD", &url, &[], "").await.header("upload-complete"), "?0");
    let answer = place.ask("PATCH", &url, &[PARTIAL, YES, ("upload-offset", "6")], "").await;
    assert_eq!(place.content(&answer), b"hello!");
}

#[tokio::test]
async fn what_goes_past_its_length_ends_the_upload() {
    let place = place();
    let answer = place.ask("POST", "/v1/uploads", &[NO, ("upload-length", "6")], "hello").await;
    let url = answer.header("location").to_owned();
    let headers = [PARTIAL, NO, ("upload-offset", "5"), ("transfer-encoding", "chunked")];
    assert_eq!(place.ask("PATCH", &url, &headers, "123").await.status, 413);
    assert_eq!(place.ask("HEAD", &url, &[], "").await.status, 404);
}

#[tokio::test]
async fn requests_that_say_too_little_are_refused() {
    let place = place();
    let answer = place.ask("POST", "/v1/uploads", &[NO], "hello").await;
    let url = answer.header("location").to_owned();
    for (headers, status, code) in [
        (&[PARTIAL, ("upload-offset", "5")][..], 400, "no_upload_complete"),
        (&[PARTIAL, ("upload-complete", "1"), ("upload-offset", "5")], 400, "no_upload_complete"),
        (&[PARTIAL, YES], 400, "no_offset"),
        (&[PARTIAL, YES, ("upload-offset", "-5")], 400, "no_offset"),
        (&[("content-type", "text/plain"), YES, ("upload-offset", "5")], 415, "media_type"),
        (&[("content-type", "text/plain"), ("upload-offset", "5")], 412, "tus_version"),
    ] {
        let answer = place.ask("PATCH", &url, headers, "x").await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{headers:?}");
    }
    assert_eq!(place.ask("HEAD", &url, &[], "").await.header("upload-offset"), "5");
}

#[tokio::test]
async fn tus_is_spoken_besides_and_the_draft_only_where_it_is_on() {
    let both = place();
    let answer = both.ask("OPTIONS", "/v1/uploads", &[], "").await;
    assert!(answer.header("upload-limit").contains("max-age=3600"));
    assert_eq!(answer.header("tus-version"), "1.0.0");
    let url = both.create(&[("upload-length", "5")]).await;
    assert_eq!(both.ask("HEAD", &url, &[TUS], "").await.status, 200);
    assert_eq!(both.ask("HEAD", &url, &[], "").await.status, 204);

    let off = Place::new();
    assert_eq!(off.ask("OPTIONS", "/v1/uploads", &[], "").await.header("upload-limit"), "");
    assert_eq!(off.ask("POST", "/v1/uploads", &[YES], "hello").await.status, 412);
}
