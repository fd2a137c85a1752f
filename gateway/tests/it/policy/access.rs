//! Addresses: whose word is taken, who may ask, how often.

use axum::body::Body;
use gateway::files::UploadKind;
use gateway::{Gateway, Site};

use super::{Place, VISITOR, settings};
use crate::ask::{ask_from, request};
use crate::fake::Fake;

const PROXY: &str = "10.0.0.1:5000";
const TRUST: &str = "http.set_real_ip_from = 10.0.0.0/8\n";

#[tokio::test]
async fn rules_go_by_the_address_that_a_trusted_proxy_tells() {
    let place =
        Place::new(&format!("{TRUST}http.deny = 192.0.2.66\nhttp.allow = 192.0.2.0/24\nhttp.deny = all"));
    let target = format!("/{}", place.text);
    for (peer, forwarded, status) in [
        (VISITOR, "", 200),
        ("192.0.2.66:1", "", 403),
        ("198.51.100.1:1", "", 403),
        ("[2001:db8::1]:1", "", 403),
        // Nobody believes a stranger.
        ("198.51.100.1:1", "192.0.2.7", 403),
        ("192.0.2.66:1", "192.0.2.7", 403),
        (PROXY, "192.0.2.7", 200),
        (PROXY, "192.0.2.66", 403),
        (PROXY, "192.0.2.7, 198.51.100.1", 403),
        (PROXY, "nonsense", 403),
        (PROXY, "", 403),
    ] {
        let headers = [("x-forwarded-for", forwarded)];
        let headers = if forwarded.is_empty() { &headers[..0] } else { &headers[..] };
        let answer = place.ask(peer, "GET", &target, headers).await;
        assert_eq!(answer.status, status, "{peer} {forwarded}");
        if status == 403 {
            assert_eq!(
                (answer.code().as_str(), answer.header("cache-control")),
                ("address_denied", "no-store")
            );
        }
    }
}

/// Routes are no way round.
#[tokio::test]
async fn denied_addresses_reach_nothing() {
    let place = Place::new("http.deny = all\nhttp.allow_remote_writes = true");
    let file = format!("/v1/files/{}", place.text);
    for (method, target) in
        [("GET", "/readyz"), ("POST", "/v1/files"), ("DELETE", file.as_str()), ("GET", "/nothing")]
    {
        assert_eq!(
            place.ask(VISITOR, method, target, &[]).await.code(),
            "address_denied",
            "{method} {target}"
        );
    }
    assert_eq!(place.store.count(), 1);
}

#[tokio::test]
async fn each_address_has_its_own_requests() {
    let place = Place::new(&format!("{TRUST}http.limit_req = rate=1r/m burst=2"));
    let target = format!("/{}", place.text);
    for _ in 0..3 {
        assert_eq!(place.get(&[]).await.status, 200);
    }
    let answer = place.get(&[]).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "too_many_requests"));
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((50..=60).contains(&wait), "{wait}");
    // By a proxy it is the same visitor, and another one is another.
    let through = |address| [("x-forwarded-for", address)];
    assert_eq!(place.ask(PROXY, "GET", &target, &through("192.0.2.7")).await.status, 429);
    assert_eq!(place.ask(PROXY, "GET", &target, &through("192.0.2.8")).await.status, 200);
    // A header is no way to new requests.
    for number in 0..5 {
        let forged = format!("203.0.113.{number}");
        assert_eq!(place.get(&[("x-forwarded-for", forged.as_str())]).await.status, 429);
    }
}

/// Or whoever can wait for a reload would have twice the number.
#[tokio::test]
async fn a_reload_forgets_only_limits_that_changed() {
    let store = Fake::new();
    let id = store.add(&UploadKind::Normal, "txt", b"x");
    let limit = |lines: &str| settings(&format!("http.limit_req = rate=1r/m burst={lines}"));
    let site = Site::new(limit("1"));
    let gateway = Gateway::new(store.into(), site.clone(), gateway::routes::Routes::new());
    let mut statuses = Vec::new();
    for reload in [None, None, None, Some("1"), Some("0"), None] {
        if let Some(lines) = reload {
            site.set(limit(lines));
        }
        let answer = ask_from(&gateway, VISITOR, request("GET", &format!("/{id}"), &[], Body::empty())).await;
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 429, 429, 200, 429]);
}

#[tokio::test]
async fn a_site_may_answer_503_as_nginx_does() {
    let place = Place::new("http.limit_req = rate=1r/m\nhttp.limit_req_status = 503");
    assert_eq!(place.get(&[]).await.status, 200);
    let answer = place.get(&[]).await;
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 50);
}

/// Answers name files by the scheme that the client used, as far as somebody who is trusted says so.
#[tokio::test]
async fn urls_have_the_scheme_that_a_trusted_proxy_tells() {
    let place = Place::new(&format!("{TRUST}http.allow_remote_writes = true"));
    for (peer, proto, scheme) in [
        (PROXY, "https", "https"),
        (PROXY, "http", "http"),
        (PROXY, "https, http", "http"),
        (VISITOR, "https", "http"),
    ] {
        let headers = [("host", "files.example"), ("x-forwarded-proto", proto)];
        let sent = request("POST", "/v1/files?ext=txt", &headers, Body::from("abc"));
        let answer = ask_from(&place.gateway, peer, sent).await.json();
        let url = answer["url"].as_str().unwrap();
        assert!(url.starts_with(&format!("{scheme}://files.example/group1/")), "{peer} {proto}: {url}");
    }
}
