//! Tokens in file URLs.

use md5::{Digest, Md5};

use super::{CONTENT, Place, VISITOR, now};

/// A site that checks tokens.
fn site(more: &str) -> Place {
    Place::new(&format!("http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = a secret\n{more}"))
}

/// As sites' signers make them.
pub(super) fn token(name: &str, time: u64) -> String {
    let digest = Md5::digest(format!("{name}a secret{time}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn only_fresh_tokens_of_this_file_open_it() {
    let place = site("");
    let id = place.text.as_str();
    let name = id.strip_prefix("group1/").unwrap();
    let now = now();
    let good = token(name, now);
    let rows = [
        (format!("token={good}&ts={now}"), 200, ""),
        (format!("ts={now}&x=y&token={good}&filename=a"), 200, ""),
        (String::new(), 403, "token_missing"),
        (format!("token={good}"), 403, "token_missing"),
        (format!("ts={now}"), 403, "token_missing"),
        ("token=&ts=".to_owned(), 403, "token_refused"),
        (format!("token={good}&ts={}", now - 1), 403, "token_refused"),
        (format!("token={}&ts={}", token(name, now - 700), now - 700), 403, "token_refused"),
        (format!("token={}&ts={}", token(name, now + 4000), now + 4000), 403, "token_refused"),
        (format!("token={}&ts=0", token(name, 0)), 403, "token_refused"),
        (format!("token={}&ts={now}", token(id, now)), 403, "token_refused"),
        (format!("token={}&ts={now}", &good[..31]), 403, "token_refused"),
        (format!("token=x&token={good}&ts={now}"), 403, "token_refused"),
    ];
    for (query, status, code) in rows {
        for target in [format!("/{id}?{query}"), format!("/{name}?{query}")] {
            let answer = place.ask(VISITOR, "GET", &target, &[]).await;
            assert_eq!(answer.status, status, "{target}");
            if status == 403 {
                assert_eq!(answer.code(), code, "{target}");
                assert_eq!(answer.header("cache-control"), "no-store");
            } else {
                assert_eq!(answer.body, CONTENT);
                assert_eq!(answer.header("cache-control"), "private, max-age=31536000, immutable");
            }
        }
    }
}

/// Whether a file exists, a visitor without a token does not learn; conditions tell nothing either.
#[tokio::test]
async fn without_a_token_nothing_is_told() {
    let place = site("");
    let missing = place.text.replace(".txt", ".doc");
    for id in [&place.text, &missing] {
        let headers = [("if-none-match", "*"), ("range", "bytes=5000-")];
        let answer = place.ask(VISITOR, "GET", &format!("/{id}"), &headers).await;
        assert_eq!(answer.status, 403, "{id}");
        assert_eq!(answer.header("etag"), "");
        assert_eq!(answer.header("last-modified"), "");
    }
}

/// D1, D15: in the module it is a 200 that caches keep, and a HEAD of it has a body.
#[tokio::test]
async fn the_sites_page_is_a_403_that_no_cache_keeps() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("sorry.html");
    std::fs::write(&page, "<p>sorry</p>").unwrap();
    let place = site(&format!("http.anti_steal.token_check_fail = {}", page.display()));
    let answer = place.get(&[("range", "bytes=0-1")]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (403, &b"<p>sorry</p>"[..]));
    assert_eq!(answer.header("content-type"), "text/html");
    assert_eq!(answer.header("cache-control"), "no-store");
    let answer = place.ask(VISITOR, "HEAD", &format!("/{}", place.text), &[]).await;
    assert_eq!((answer.status.as_u16(), answer.body.len(), answer.header("content-length")), (403, 0, "12"));
}

/// What the module does where sites count on it.
#[tokio::test]
async fn a_site_may_have_the_modules_ways() {
    let place = site(
        "http.anti_steal.status = 400\nhttp.anti_steal.allow_eternal = true\n\
         anti_steal_bypass_header_name = X-Internal\nanti_steal_bypass_header_value = let me in",
    );
    let name = place.text.strip_prefix("group1/").unwrap();
    let target = format!("/{}?token={}&ts=0", place.text, token(name, 0));
    assert_eq!(place.ask(VISITOR, "GET", &target, &[]).await.status, 200);
    assert_eq!(place.get(&[]).await.status, 400);
    for (value, status) in [("let me in", 200), ("", 400), ("let", 400)] {
        assert_eq!(place.get(&[("x-internal", value)]).await.status, status, "{value}");
    }
}

/// D15: in the module whoever sends it empty passes.
#[tokio::test]
async fn a_bypass_header_without_value_is_none() {
    let place = site("anti_steal_bypass_header_name = X-Internal");
    assert_eq!(place.get(&[("x-internal", "")]).await.status, 403);
}
