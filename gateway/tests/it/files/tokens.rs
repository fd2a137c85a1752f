//! Tokens in file URLs.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use gateway::Settings;
use md5::{Digest, Md5};
use protocol::config::local_facts::LocalFacts;
use protocol::config::storage_conf::StorageConf;

use super::MINIMAL_CONF;
use super::sample::{Kind, Sample, State};
use crate::ask::{ask, over, request};
use crate::fake::Fake;

fn settings(page: Option<std::path::PathBuf>) -> Settings {
    let page =
        page.map_or(String::new(), |page| format!("http.anti_steal.token_check_fail = {}\n", page.display()));
    let text = format!(
        "{MINIMAL_CONF}http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = a secret\n{page}"
    );
    let (conf, _) = StorageConf::parse(&text, Path::new("storage.conf"), &LocalFacts::none()).unwrap();
    Settings::load(&conf.web, Duration::from_secs(5)).unwrap()
}

fn normal(store: &Fake) -> Sample {
    Sample::new(store, &Kind::parse("normal").unwrap(), State::Here)
}

fn token(name: &str, time: u64) -> String {
    let digest = Md5::digest(format!("{name}a secret{time}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn only_fresh_tokens_of_this_file_open_it() {
    let store = Fake::new();
    let file = normal(&store);
    let name = file.id.strip_prefix("group1/").unwrap();
    let gateway = over(&store, settings(None));
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
        (format!("token={}&ts={now}", token(&file.id, now)), 403, "token_refused"),
        (format!("token={}&ts={now}", &good[..31]), 403, "token_refused"),
        (format!("token=x&token={good}&ts={now}"), 403, "token_refused"),
    ];
    for (query, status, code) in rows {
        for target in [format!("/{}?{query}", file.id), format!("/{name}?{query}")] {
            let answer = ask(&gateway, request("GET", &target, &[], Body::empty())).await;
            assert_eq!(answer.status, status, "{target}");
            if status == 403 {
                assert_eq!(answer.code(), code, "{target}");
                assert_eq!(answer.header("cache-control"), "no-store");
            } else {
                assert!(answer.body == file.content);
            }
        }
    }
}

/// Whether a file exists, a visitor without a token does not learn; conditions tell nothing either.
#[tokio::test]
async fn without_a_token_nothing_is_told() {
    let store = Fake::new();
    let file = normal(&store);
    let gateway = over(&store, settings(None));
    let missing = file.id.replace(".txt", ".doc");
    for id in [&file.id, &missing] {
        let headers = [("if-none-match", "*"), ("range", "bytes=5000-")];
        let answer = ask(&gateway, request("GET", &format!("/{id}"), &headers, Body::empty())).await;
        assert_eq!(answer.status, 403, "{id}");
        assert_eq!(answer.header("etag"), "");
        assert_eq!(answer.header("last-modified"), "");
    }
}

#[tokio::test]
async fn the_sites_page_is_a_403_that_no_cache_keeps() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("sorry.html");
    std::fs::write(&page, "<p>sorry</p>").unwrap();
    let store = Fake::new();
    let file = normal(&store);
    let gateway = over(&store, settings(Some(page)));
    let answer = ask(&gateway, request("GET", &format!("/{}", file.id), &[], Body::empty())).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (403, &b"<p>sorry</p>"[..]));
    assert_eq!(answer.header("content-type"), "text/html");
    assert_eq!(answer.header("cache-control"), "no-store");
    let answer = ask(&gateway, request("HEAD", &format!("/{}", file.id), &[], Body::empty())).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (403, 0));
}
