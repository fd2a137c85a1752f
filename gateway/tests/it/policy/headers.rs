//! What answers say.

use super::{Place, VISITOR};

#[tokio::test]
async fn uploaded_pages_are_in_a_cage() {
    let place = Place::new("");
    for (ext, expected) in
        [("html", true), ("svg", true), ("xml", true), ("txt", false), ("jpg", false), ("pdf", false)]
    {
        let target = format!("/{}", place.add(ext));
        for range in [&[][..], &[("range", "bytes=0-3")]] {
            let answer = place.ask(VISITOR, "GET", &target, range).await;
            let policy = answer.header("content-security-policy");
            assert_eq!(policy.starts_with("sandbox"), expected, "{ext} {policy}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
            assert_eq!(answer.header("server"), "");
        }
    }
    let place = Place::new("http.content_security_policy =");
    let target = format!("/{}", place.add("html"));
    let answer = place.ask(VISITOR, "GET", &target, &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-security-policy")), (200, ""));
}

#[tokio::test]
async fn the_sites_headers_are_on_files_and_always_on_errors_too() {
    let place = Place::new(
        "http.add_header = X-Site \"a b\" always\nhttp.add_header = Cache-Control max-age=60\n\
         http.add_header = Strict-Transport-Security max-age=63072000 always\n\
         http.server_header = fdfs\nhttp.set_real_ip_from = 10.0.0.0/8",
    );
    let answer = place.get(&[]).await;
    assert_eq!((answer.header("x-site"), answer.header("cache-control")), ("a b", "max-age=60"));
    assert_eq!((answer.header("server"), answer.header("strict-transport-security")), ("fdfs", ""));
    let answer = place.ask(VISITOR, "GET", "/nothing", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-site")), (404, "a b"));
    assert_eq!(answer.header("cache-control"), "no-store", "not without always");
    // The proxy may speak TLS with the visitor.
    let answer = place.ask("10.0.0.1:1", "GET", &format!("/{}", place.text), &[]).await;
    assert_eq!(answer.header("strict-transport-security"), "max-age=63072000");
}
