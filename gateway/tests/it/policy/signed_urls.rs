//! Signed URLs, beside the module's tokens.

use gateway::signed_url::UrlKeys;
use protocol::FileId;

use super::{CONTENT, Place, VISITOR, now};

const KEYS: &str = "2026 correct horse battery staple\n2025 0123456789abcdef\n";

/// A site with signed URLs; the directory has to live as long as the settings are read.
fn site(more: &str) -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("url.keys");
    std::fs::write(&path, KEYS).unwrap();
    Place::new(&format!("http.signed_url.keys = {}\n{more}", path.display()))
}

fn sign(id: &str, expires: u64, filename: Option<&str>, key: Option<&str>) -> String {
    UrlKeys::parse(KEYS).unwrap().sign(&FileId::parse(id).unwrap(), expires, filename, key).unwrap()
}

#[tokio::test]
async fn only_signed_urls_open_files() {
    let place = site("");
    let other = place.add("txt");
    let until = now() + 60;
    let good = sign(&place.text, until, None, None);
    let name = place.text.strip_prefix("group1/").unwrap();
    for (query, status, code) in [
        (good.clone(), 200, ""),
        (sign(&place.text, until, None, Some("2025")), 200, ""),
        (format!("{good}&start=1"), 200, ""),
        (sign(&other, until, None, None), 403, "signature_refused"),
        (sign(&place.text, now(), None, None), 403, "signature_refused"),
        (format!("{good}&filename=x"), 403, "signature_refused"),
        (good.replace("k=2026", "k=2025"), 403, "signature_refused"),
        (String::new(), 403, "signature_missing"),
        ("token=x&ts=1".to_owned(), 403, "signature_missing"),
    ] {
        for path in [place.text.as_str(), name] {
            for method in ["GET", "HEAD"] {
                let answer = place.ask(VISITOR, method, &format!("/{path}?{query}"), &[]).await;
                assert_eq!(answer.status, status, "{method} {path}?{query}");
                if status == 200 {
                    assert_eq!(answer.header("cache-control"), "private, max-age=31536000, immutable");
                } else {
                    assert_eq!(answer.header("cache-control"), "no-store");
                }
                if method == "GET" && status == 403 {
                    assert_eq!(answer.code(), code, "{query}");
                }
            }
        }
    }
}

#[tokio::test]
async fn ranges_and_filenames_go_with_a_signature() {
    let place = site("");
    let target = format!("/{}?{}", place.text, sign(&place.text, now() + 60, Some("a&b \u{e4}.txt"), None));
    let answer = place.ask(VISITOR, "GET", &target, &[("range", "bytes=4-9")]).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (206, &CONTENT[4..10]));
    assert!(answer.header("content-disposition").contains("filename*=UTF-8''a&b%20%C3%A4.txt"));
}

#[tokio::test]
async fn tokens_of_old_signers_are_taken_beside_them() {
    let place = site(
        "http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = a secret\nhttp.anti_steal.status = 400",
    );
    let signed = sign(&place.text, now() + 60, None, None);
    let token = super::tokens::token(place.text.strip_prefix("group1/").unwrap(), now());
    for (query, status) in [
        (signed.clone(), 200),
        (format!("token={token}&ts={}", now()), 200),
        // A bad signature is not made good by a token.
        (format!("{}&token={token}&ts={}", signed.replace("2026", "2025"), now()), 400),
        (String::new(), 400),
    ] {
        let answer = place.ask(VISITOR, "GET", &format!("/{}?{query}", place.text), &[]).await;
        assert_eq!(answer.status, status, "{query}");
    }
}
