//! Cross-origin requests.

use super::{Place, VISITOR};
use crate::ask::Answer;

const ASKS: (&str, &str) = ("access-control-request-method", "GET");

fn vary(answer: &Answer) -> Vec<&str> {
    answer.headers.get_all("vary").iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn without_the_key_nothing_is_said() {
    let place = Place::new("");
    let answer = place.get(&[("origin", "https://www.example.com")]).await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
    assert!(vary(&answer).is_empty());
    let target = format!("/{}", place.text);
    let answer = place.ask(VISITOR, "OPTIONS", &target, &[("origin", "https://a.com"), ASKS]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

/// So that caches keep one answer for all.
#[tokio::test]
async fn if_all_may_read_all_answers_say_so() {
    let place = Place::new("http.cors_allow_origin = *");
    for headers in [&[][..], &[("origin", "https://www.example.com")], &[("origin", "null")]] {
        let answer = place.get(headers).await;
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(answer.header("access-control-expose-headers").contains("Content-Range"));
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        assert!(vary(&answer).is_empty());
    }
}

#[tokio::test]
async fn named_origins_are_answered_by_name() {
    let place = Place::new(
        "http.cors_allow_origin = https://www.example.com https://*.example.org\n\
         http.cors_allow_credentials = true",
    );
    for (origin, expected) in [
        ("https://www.example.com", true),
        ("https://a.example.org", true),
        ("https://example.org", false),
        ("https://www.example.com.evil.net", false),
        ("http://www.example.com", false),
        ("null", false),
        ("", false),
    ] {
        let headers = [("origin", origin)];
        let headers = if origin.is_empty() { &headers[..0] } else { &headers[..] };
        for target in
            [format!("/{}", place.text), "/group1/M00/00/00/nothing".to_owned(), "/readyz".to_owned()]
        {
            let answer = place.ask(VISITOR, "GET", &target, headers).await;
            let (origin, credentials) = if expected { (origin, "true") } else { ("", "") };
            assert_eq!(answer.header("access-control-allow-origin"), origin, "{target}");
            assert_eq!(answer.header("access-control-allow-credentials"), credentials);
            assert_eq!(vary(&answer), ["Origin"], "an answer without the header is not for all either");
        }
    }
    let answer = place.get(&[("origin", "https://a.example.org"), ("if-none-match", "*")]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("access-control-allow-origin")),
        (304, "https://a.example.org")
    );
}

#[tokio::test]
async fn preflights_are_answered_for_files_and_uploads() {
    let place = Place::new(
        "http.cors_allow_origin = https://www.example.com\nhttp.cors_max_age = 600\n\
         http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = s\nhttp.valid_referers = none example.com",
    );
    for (target, method) in [(format!("/{}", place.text), "GET"), ("/v1/files".to_owned(), "POST")] {
        let headers = [
            ("origin", "https://www.example.com"),
            ("access-control-request-method", method),
            ("referer", "https://www.example.com/"),
        ];
        let answer = place.ask(VISITOR, "OPTIONS", &target, &headers).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
        assert_eq!(answer.header("access-control-allow-origin"), "https://www.example.com");
        assert!(answer.header("access-control-allow-methods").split(", ").any(|allowed| allowed == method));
        assert!(answer.header("access-control-allow-headers").contains("Range"));
        assert_eq!(answer.header("access-control-max-age"), "600");
        assert_eq!(answer.header("access-control-expose-headers"), "");
        assert_eq!(vary(&answer), ["Origin"]);
        let answer = place.ask(VISITOR, "OPTIONS", &target, &[("origin", "https://evil.net"), ASKS]).await;
        assert_eq!(
            (answer.code().as_str(), answer.header("access-control-allow-origin")),
            ("origin_denied", "")
        );
        // Without the question it is an OPTIONS as any other.
        let answer = place.ask(VISITOR, "OPTIONS", &target, &[("origin", "https://www.example.com")]).await;
        assert_eq!(answer.header("access-control-allow-methods"), "");
        assert_ne!(answer.header("allow"), "");
    }
}
