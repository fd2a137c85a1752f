//! Uploads whose file other members have to confirm.

use super::{OFFSETS, Place};
use crate::ask::Answer;

const TWO: (&str, &str) = ("prefer", "durability=\"replica:2\"");
const LENGTH: (&str, &str) = ("upload-length", "5");

fn assert_not_confirmed(answer: &Answer) {
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (504, "not_confirmed"));
}

#[tokio::test]
async fn an_upload_is_no_success_before_the_members_have_its_file() {
    for (headers, configured) in [(&[LENGTH, TWO][..], 0), (&[LENGTH], 2)] {
        let place = Place::new();
        let members = &place.store.0.members;
        members.are(2, 1);
        members.have_to_confirm(configured);
        let url = place.create(headers).await;
        assert_eq!(place.patch(&url, 0, "hel").await.status, 204);
        assert_eq!(members.begun(), 0, "it is no file yet");
        let answer = place.patch(&url, 3, "lo").await;
        assert_not_confirmed(&answer);
        let id = answer.json()["files"][0].as_str().unwrap().to_owned();
        assert_eq!(members.waits(), [(vec![id.clone()], 2)]);
        // A client that asks how much is here must not take it for success.
        assert_eq!(place.tus("HEAD", &url, &[], "").await.status, 504);
        assert_not_confirmed(&place.patch(&url, 5, "").await);
        assert_eq!(place.tus("GET", &url, &[], "").await.json()["state"], "stored");
        members.are(0, 2);
        for answer in [place.tus("HEAD", &url, &[], "").await, place.patch(&url, 5, "").await] {
            assert!(answer.status.is_success());
            assert_eq!((answer.header("fdfs-file-id"), answer.header("upload-offset")), (id.as_str(), "5"));
        }
        assert_eq!(place.store.count(), 1);
    }
}

#[tokio::test]
async fn without_the_members_an_upload_does_not_begin_and_one_that_is_whole_waits_for_them() {
    let place = Place::new();
    let members = &place.store.0.members;
    members.are(1, 1);
    let refused = place.tus("POST", "/v1/uploads", &[LENGTH, TWO], "").await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (503, "not_enough_replicas"));
    let part = [LENGTH, TWO, ("upload-concat", "partial"), OFFSETS];
    let part = place.tus("POST", "/v1/uploads", &part, "hello").await;
    assert_eq!(part.status, 201, "a part becomes no file");
    let joined = [("upload-concat", format!("final;{}", part.header("location")))];
    let joined = [(joined[0].0, joined[0].1.as_str()), TWO];
    assert_eq!(place.tus("POST", "/v1/uploads", &joined, "").await.code(), "not_enough_replicas");

    members.are(2, 2);
    let url = place.create(&[LENGTH, TWO]).await;
    members.are(1, 2);
    assert_eq!(place.patch(&url, 0, "hello").await.code(), "not_enough_replicas");
    assert_eq!((place.tus("HEAD", &url, &[], "").await.status.as_u16(), place.store.count()), (503, 0));
    members.are(2, 2);
    let answer = place.tus("HEAD", &url, &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.header("upload-offset")), (200, "5"));
    assert_eq!(place.content(&answer), b"hello");
    assert_eq!(place.tus("POST", "/v1/uploads", &joined, "").await.status, 201);
}

#[tokio::test]
async fn a_creation_that_brings_all_names_the_file_that_stays() {
    let place = Place::with(|settings| settings.resumable.draft = true);
    place.store.0.members.are(2, 0);
    let answer = place.tus("POST", "/v1/uploads", &[LENGTH, TWO, OFFSETS], "hello").await;
    assert_not_confirmed(&answer);
    assert_eq!(place.store.content(answer.json()["files"][0].as_str().unwrap()).unwrap(), "hello");
    let answer = place.ask("POST", "/v1/uploads", &[("upload-complete", "?1"), TWO], "hello").await;
    assert_not_confirmed(&answer);
    assert_eq!(place.store.count(), 2);

    let begun = place.ask("POST", "/v1/uploads", &[("upload-complete", "?0"), TWO], "").await;
    let url = begun.header("location").to_owned();
    let rest =
        [("upload-complete", "?1"), ("upload-offset", "0"), ("content-type", "application/partial-upload")];
    assert_not_confirmed(&place.ask("PATCH", &url, &rest, "hello").await);
    assert_eq!(place.ask("HEAD", &url, &[], "").await.status, 504);
    let rest = [rest[0], ("upload-offset", "5"), rest[2]];
    assert_not_confirmed(&place.ask("PATCH", &url, &rest, "").await);
    place.store.0.members.are(2, 2);
    assert_eq!(place.ask("HEAD", &url, &[], "").await.header("upload-complete"), "?1");
    assert_eq!(place.ask("PATCH", &url, &rest, "").await.status, 201);
    assert_eq!(place.store.count(), 3);
}
