//! Tokens, and those who have none.

use super::{HERE, ID, MAY, OTHER, Place, VISITOR};

#[tokio::test]
async fn no_token_is_401_with_a_challenge() {
    let place = Place::new();
    let answer = place.ask(VISITOR, "DELETE", &format!("/v1/files/{ID}"), &[]).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "token_needed"));
    assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="fdfs""#);
    assert_eq!(answer.header("cache-control"), "no-store");
    let answer = place.upload(VISITOR, "/v1/files", &[]).await;
    assert_eq!((answer.status.as_u16(), place.stored()), (401, 0));
    assert_eq!(place.delete(VISITOR, &[("authorization", "Basic YTpi")]).await, "token_needed");
    assert_eq!(place.delete(VISITOR, &[("authorization", "Bearer all")]).await, MAY);
}

#[tokio::test]
async fn an_unknown_token_is_401_also_from_here() {
    let place = Place::new();
    for peer in [VISITOR, HERE] {
        for token in ["nope", "all2", "al", "ALL", "..", "a.b.c"] {
            let (target, token) = (format!("/v1/files/{ID}"), format!("Bearer {token}"));
            let answer = place.ask(peer, "DELETE", &target, &[("authorization", &token)]).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (401, "invalid_token"), "{token}");
            assert_eq!(answer.header("www-authenticate"), r#"Bearer realm="fdfs", error="invalid_token""#);
        }
    }
}

#[tokio::test]
async fn a_token_of_another_scope_is_403() {
    let place = Place::new();
    let answer =
        place.ask(VISITOR, "DELETE", &format!("/v1/files/{ID}"), &[("authorization", "Bearer reader")]).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "insufficient_scope"));
    let challenge = r#"Bearer realm="fdfs", error="insufficient_scope", scope="delete""#;
    assert_eq!(answer.header("www-authenticate"), challenge);
    // It is judged as what it is even where nothing would be enough.
    assert_eq!(place.delete(HERE, &[("authorization", "Bearer reader")]).await, "insufficient_scope");
    assert_eq!(place.delete(VISITOR, &[("authorization", "Bearer own")]).await, "insufficient_scope");
}

#[tokio::test]
async fn an_expired_token_is_401() {
    let place = Place::new();
    for _ in 0..20 {
        // It is no try: whoever has it knows it.
        assert_eq!(place.delete(VISITOR, &[("authorization", "Bearer late")]).await, "token_expired");
    }
}

#[tokio::test]
async fn a_token_of_another_group_is_403() {
    let place = Place::new();
    assert_eq!(place.delete(VISITOR, &[("authorization", "Bearer other")]).await, "token_of_other_group");
    let answer = place.upload(VISITOR, "/v1/files", &[("authorization", "Bearer other")]).await;
    assert_eq!(answer.code(), "token_of_other_group");
    let answer = place.upload(VISITOR, "/v1/files?group=group2", &[("authorization", "Bearer other")]).await;
    assert_eq!(answer.code(), "token_of_other_group");
    let answer = place.upload(VISITOR, "/v1/files", &[("authorization", "Bearer own")]).await;
    assert_eq!(answer.status, 201);
}

#[tokio::test]
async fn two_tokens_are_400() {
    let place = Place::new();
    for headers in [
        &[("authorization", "Bearer all"), ("authorization", "Bearer reader")][..],
        &[("authorization", "Bearer all reader")],
        &[("authorization", "Bearer")],
        &[("authorization", "Bearer ")],
    ] {
        assert_eq!(place.delete(VISITOR, headers).await, "invalid_request", "{headers:?}");
    }
}

async fn forged(name: &str, values: &[&str]) {
    let place = Place::new();
    let trusting = Place::with("http.set_real_ip_from = 127.0.0.0/8");
    for value in values {
        assert_eq!(place.delete(VISITOR, &[(name, value)]).await, "token_needed", "{value}");
        assert_eq!(place.delete(HERE, &[(name, value)]).await, "token_needed", "{value}");
        assert_eq!(trusting.delete(HERE, &[(name, value)]).await, "token_needed", "{value}");
    }
}

#[tokio::test]
async fn a_forged_x_forwarded_for_makes_nobody_local() {
    forged("x-forwarded-for", &["127.0.0.1", "127.0.0.1, 127.0.0.1", "::1", "localhost", ""]).await;
}

#[tokio::test]
async fn a_forged_forwarded_makes_nobody_local() {
    forged("forwarded", &["for=127.0.0.1", "for=\"[::1]\"", "for=127.0.0.1;by=127.0.0.1", ""]).await;
}

#[tokio::test]
async fn a_forged_x_real_ip_makes_nobody_local() {
    forged("x-real-ip", &["127.0.0.1", "::1", ""]).await;
}

#[tokio::test]
async fn trying_tokens_is_limited_by_address() {
    let place = Place::with("http.limit_failed_auth = 5");
    // Somebody behind the same address who was here before.
    assert_eq!(place.delete(VISITOR, &[("authorization", "Bearer all")]).await, MAY);
    for number in 0..5 {
        let token = format!("Bearer guess{number}");
        assert_eq!(place.delete(VISITOR, &[("authorization", &token)]).await, "invalid_token");
    }
    let answer =
        place.ask(VISITOR, "DELETE", &format!("/v1/files/{ID}"), &[("authorization", "Bearer guess")]).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (429, "too_many_failures"));
    let wait: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // A good one that comes now for the first time is not looked at: it could be the next guess.
    assert_eq!(place.delete(VISITOR, &[("authorization", "Bearer reader")]).await, "too_many_failures");
    assert_eq!(place.delete(VISITOR, &[("authorization", "Bearer all")]).await, MAY);
    assert_eq!(place.delete(OTHER, &[("authorization", "Bearer guess")]).await, "invalid_token");
    assert_eq!(place.delete(VISITOR, &[]).await, "token_needed", "who shows nothing tries nothing");
}

#[tokio::test]
async fn a_forged_address_is_no_way_around_the_limit() {
    let place = Place::with("http.limit_failed_auth = 3");
    let mut codes = Vec::new();
    for number in 0..6 {
        let forged = format!("198.51.100.{number}");
        let headers =
            [("authorization", "Bearer guess"), ("x-forwarded-for", &forged), ("x-real-ip", &forged)];
        codes.push(place.delete(VISITOR, &headers).await);
    }
    assert_eq!(codes[2..4], ["invalid_token", "too_many_failures"]);
}

#[tokio::test]
async fn who_is_here_needs_none_unless_the_site_says_so() {
    let place = Place::new();
    assert_eq!(place.delete(HERE, &[]).await, MAY);
    let strict = Place::with("http.loopback_writes = false");
    assert_eq!(strict.delete(HERE, &[]).await, "token_needed");
    assert_eq!(strict.delete(HERE, &[("authorization", "Bearer all")]).await, MAY);
}

#[tokio::test]
async fn file_urls_stay_public() {
    let place = Place::with("http.loopback_writes = false");
    let id = place.store.add(&gateway::files::UploadKind::Normal, "txt", b"x");
    assert_eq!(place.ask(VISITOR, "GET", &format!("/{id}"), &[]).await.status, 200);
    let answer = place.ask(VISITOR, "GET", &format!("/{id}"), &[("authorization", "Bearer nope")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(place.ask(VISITOR, "GET", "/healthz", &[]).await.status, 200);
}

/// A reload makes no second try of the first.
#[tokio::test]
async fn a_reload_forgets_no_failure_and_takes_new_tokens() {
    let place = Place::with("http.limit_failed_auth = 2");
    for _ in 0..2 {
        assert_eq!(place.delete(VISITOR, &[("authorization", "Bearer guess")]).await, "invalid_token");
    }
    let other = Place::with("http.limit_failed_auth = 2");
    let settings = (*other.site.now()).clone();
    place.site.set(settings);
    assert_eq!(place.delete(VISITOR, &[("authorization", "Bearer guess")]).await, "too_many_failures");
}

/// Nothing that is secret is compared byte by byte with an early end.
#[test]
fn secrets_are_compared_in_constant_time() {
    let source = |name: &str| {
        let path = format!("{}/src/authority/{name}.rs", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        text.split("#[cfg(test)]").next().unwrap().to_owned()
    };
    for (name, how) in [("tokens", ".ct_eq("), ("secret", ".verify_slice("), ("jwk", ".verify_slice(")] {
        assert!(source(name).contains(how), "{name} compares by {how}");
    }
    for name in ["tokens", "secret", "jwk", "jwt", "ticket", "vouch"] {
        let text = source(name);
        let compares =
            |secret: &str| text.contains(&format!("{secret} ==")) || text.contains(&format!("== {secret}"));
        // A file that holds one hash twice is refused when it is read; nobody waits for that.
        let text_allows = name == "tokens";
        assert!(text_allows || !compares("hash"), "{name}");
        assert!(!compares("signature") && !compares("mac") && !compares("parts.mac"), "{name}");
    }
}
