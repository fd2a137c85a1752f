//! Two requests for one upload.

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::{OFFSETS, Place};
use crate::ask::Answer;

/// A body that stalls for ever.
fn stalled(content: &'static str) -> Body {
    let start = stream::iter([Ok::<_, std::io::Error>(Bytes::from(content))]);
    Body::from_stream(start.chain(stream::pending()))
}

/// The answers to an append of ten bytes whose client is silent after five, and to what comes then.
async fn beside_a_silent_append(
    place: &Place,
    url: &str,
    then: impl Future<Output = Answer>,
) -> (Answer, Answer) {
    let headers = [OFFSETS, ("upload-offset", "0"), ("content-length", "10")];
    let first = Box::pin(place.tus("PATCH", url, &headers, stalled("hello")));
    let second = Box::pin(async {
        while place.ask("GET", url, &[], "").await.json()["offset"] != 5 {
            tokio::task::yield_now().await;
        }
        then.await
    });
    tokio::join!(first, second)
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_makes_the_first_stop() {
    let place = Place::new();
    let url = place.create(&[("upload-length", "10")]).await;
    let (first, second) = beside_a_silent_append(&place, &url, place.tus("HEAD", &url, &[], "")).await;
    assert_eq!((first.status.as_u16(), first.code().as_str()), (409, "taken_over"));
    assert_eq!((second.status.as_u16(), second.header("upload-offset")), (200, "5"));
    let answer = place.patch(&url, 5, "world").await;
    assert_eq!(place.content(&answer), b"helloworld");
}

#[tokio::test(start_paused = true)]
async fn a_second_append_goes_on_where_the_first_stopped() {
    let place = Place::new();
    let url = place.create(&[("upload-length", "10")]).await;
    let (first, second) = beside_a_silent_append(&place, &url, place.patch(&url, 5, "world")).await;
    assert_eq!(first.status, 409);
    assert_eq!(place.content(&second), b"helloworld");
}

#[tokio::test(start_paused = true)]
async fn an_upload_may_be_ended_while_it_comes() {
    let place = Place::new();
    let url = place.create(&[("upload-length", "10")]).await;
    let (first, second) = beside_a_silent_append(&place, &url, place.tus("DELETE", &url, &[], "")).await;
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (409, 204));
    assert_eq!(place.store.0.shelf.count(), 0);
}
