//! Files that another member has: who is asked and who is not, redirects, and members that fail.

use axum::body::Body;
use gateway::files::UploadKind;
use gateway::server::App;
use gateway::{Gateway, ResponseMode, Settings};
use http::StatusCode;
use http_body_util::BodyExt;
use std::sync::atomic::Ordering;

use crate::ask::{Answer, ask, here, over, request};
use crate::fake::{Fake, MEMBER_URL, Others};

struct Case {
    store: Fake,
    gateway: Gateway<Fake>,
    id: String,
    content: Vec<u8>,
}

/// A file of `len` bytes that only the other member has.
fn case(mode: ResponseMode, len: usize) -> Case {
    let store = Fake::new();
    let content: Vec<u8> = (0..len).map(|at| (at * 31 % 251).to_le_bytes()[0]).collect();
    let id = store.add(&UploadKind::Normal, "jpg", &content).to_string();
    store.move_away(&id);
    let mut settings = Settings::plain();
    settings.response_mode = mode;
    Case { gateway: over(&store, settings), store, id, content }
}

impl Case {
    async fn get(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let target = target.replace("{id}", &self.id);
        ask(&self.gateway, request("GET", &target, headers, Body::empty())).await
    }

    fn opened(&self) -> Vec<(u64, u64)> {
        self.store.0.opened.lock().unwrap().iter().map(|part| (part.start, part.end)).collect()
    }

    fn finds(&self) -> usize {
        self.store.0.finds.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_hop_is_answered_from_the_own_disk() {
    for mode in [ResponseMode::Proxy, ResponseMode::Redirect] {
        let case = case(mode, 1000);
        for query in ["?redirect=1", "?redirect=0", "?redirect", "?a=b&redirect=", "?redirect=%FF"] {
            let answer = case.get(&format!("/{{id}}{query}"), &[]).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "no_such_file"), "{query}");
        }
        let answer = case.get("/{id}", &[("fdfs-hop", "1")]).await;
        assert_eq!(answer.status, 404);
        assert_eq!(case.finds(), 0, "nobody was asked");
        let here = case.store.add(&UploadKind::Normal, "txt", b"here").to_string();
        assert_eq!(case.get(&format!("/{here}?redirect=1"), &[]).await.body, "here");
    }
}

#[tokio::test]
async fn a_redirect_leads_to_the_member_with_the_whole_query() {
    let case = case(ResponseMode::Redirect, 1000);
    for (query, expected) in
        [("", "?redirect=1"), ("?v=1&x=%20y", "?v=1&x=%20y&redirect=1"), ("?x", "?x&redirect=1")]
    {
        let answer = case.get(&format!("/{{id}}{query}"), &[("range", "bytes=0-9")]).await;
        assert_eq!(answer.status, 307);
        assert_eq!(answer.header("location"), format!("{MEMBER_URL}/{}{expected}", case.id));
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.body.is_empty());
        assert_eq!(answer.header("etag"), "");
    }
    let answer = case.get("/{id}", &[("host", "evil.example.com"), ("x-forwarded-host", "evil")]).await;
    assert!(answer.header("location").starts_with(MEMBER_URL), "no header of the client names the target");
    let here = case.store.add(&UploadKind::Normal, "txt", b"here").to_string();
    assert_eq!(case.get(&format!("/{here}"), &[]).await.status, 200, "what is here is not redirected");
    assert_eq!(case.get("/{id}_x", &[]).await.status, 404);
}

#[tokio::test]
async fn members_that_do_not_answer_are_no_404() {
    for mode in [ResponseMode::Proxy, ResponseMode::Redirect] {
        let case = case(mode, 1000);
        *case.store.0.others.lock().unwrap() = Others::Silent;
        let answer = case.get("/{id}", &[]).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "members_unreachable"));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn a_member_that_is_gone_before_the_first_byte_is_a_502_with_no_validators() {
    let case = case(ResponseMode::Proxy, 1000);
    *case.store.0.others.lock().unwrap() = Others::GoneLater;
    let answer = case.get("/{id}", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (502, "members_unreachable"));
    assert_eq!((answer.header("etag"), answer.header("accept-ranges")), ("", ""));
}

#[tokio::test]
async fn a_member_that_is_gone_in_the_middle_breaks_the_body_off() {
    let case = case(ResponseMode::Proxy, 200_100);
    *case.store.0.others.lock().unwrap() = Others::BreakOff;
    let target = format!("/{}", case.id);
    let response = case.gateway.call(&here(), request("GET", &target, &[], Body::empty())).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-length"], "200100");
    assert!(response.into_body().collect().await.is_err(), "the client must not take this for the whole");
}

#[tokio::test]
async fn only_what_was_asked_for_is_fetched() {
    let case = case(ResponseMode::Proxy, 300_000);
    let etag = case.get("/{id}", &[("range", "bytes=5-9")]).await;
    assert_eq!(etag.body, case.content[5..10]);
    let etag = etag.header("etag").to_owned();
    assert_eq!(case.get("/{id}", &[("if-none-match", &etag)]).await.status, 304);
    assert_eq!(case.get("/{id}", &[("range", "bytes=400000-")]).await.status, 416);
    let head = ask(&case.gateway, request("HEAD", &format!("/{}", case.id), &[], Body::empty())).await;
    assert_eq!((head.status.as_u16(), head.header("content-length")), (200, "300000"));
    assert_eq!(case.opened(), [(5, 10)]);
    let several = case.get("/{id}", &[("range", "bytes=0-9,299990-")]).await;
    assert_eq!(several.status, 206);
    assert_eq!(case.opened(), [(5, 10), (0, 10), (299_990, 300_000)]);
}
