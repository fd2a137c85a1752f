//! Two requests for one upload.

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::{OFFSETS, Place};

/// A body that stalls for ever.
fn stalled(content: &'static str) -> Body {
    let start = stream::iter([Ok::<_, std::io::Error>(Bytes::from(content))]);
    Body::from_stream(start.chain(stream::pending()))
}

#[tokio::test(start_paused = true)]
async fn who_comes_later_makes_the_first_stop() {
    let place = Place::new();
    let url = place.create(&[("upload-length", "10")]).await;
    let headers = [OFFSETS, ("upload-offset", "0"), ("content-length", "10")];
    let first = place.tus("PATCH", &url, &headers, stalled("hello"));
    let second = async {
        // The first one has begun, and its client is silent from now on.
        while place.ask("GET", &url, &[], "").await.json()["offset"] != 5 {
            tokio::task::yield_now().await;
        }
        place.tus("HEAD", &url, &[], "").await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.status.as_u16(), first.code().as_str()), (409, "taken_over"));
    assert_eq!((second.status.as_u16(), second.header("upload-offset")), (200, "5"));
    let answer = place.patch(&url, 5, "world").await;
    assert_eq!(place.content(&answer), b"helloworld");
}

#[tokio::test(start_paused = true)]
async fn a_second_append_goes_on_where_the_first_stopped() {
    let place = Place::new();
    let url = place.create(&[("upload-length", "10")]).await;
    let headers = [OFFSETS, ("upload-offset", "0"), ("content-length", "10")];
    let first = place.tus("PATCH", &url, &headers, stalled("hello"));
    let second = async {
        while place.ask("GET", &url, &[], "").await.json()["offset"] != 5 {
            tokio::task::yield_now().await;
        }
        place.patch(&url, 5, "world").await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.status, 409);
    assert_eq!(place.content(&second), b"helloworld");
}

#[tokio::test(start_paused = true)]
async fn an_upload_may_be_ended_while_it_comes() {
    let place = Place::new();
    let url = place.create(&[("upload-length", "10")]).await;
    let headers = [OFFSETS, ("upload-offset", "0"), ("content-length", "10")];
    let first = place.tus("PATCH", &url, &headers, stalled("hello"));
    let second = async {
        while place.ask("GET", &url, &[], "").await.json()["offset"] != 5 {
            tokio::task::yield_now().await;
        }
        place.tus("DELETE", &url, &[], "").await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (409, 204));
    assert_eq!(place.store.0.shelf.count(), 0);
}
