//! Pages of other sites that show the files.

use super::{Place, VISITOR};

#[tokio::test]
async fn only_the_sites_own_pages_show_files() {
    let place = Place::new("http.valid_referers = none server_names *.example.com");
    for (referer, status) in [
        ("https://www.example.com/page", 200),
        ("https://img.here:8443/page", 200),
        ("https://evil.net/www.example.com", 403),
        ("https://example.com.evil.net/", 403),
        ("something", 403),
    ] {
        let answer = place.get(&[("referer", referer), ("host", "img.here:8080")]).await;
        assert_eq!(answer.status, status, "{referer}");
        if status == 403 {
            assert_eq!(
                (answer.code().as_str(), answer.header("cache-control")),
                ("referer_refused", "no-store")
            );
            assert_eq!(answer.header("etag"), "", "nothing is told about the file");
        } else {
            assert_eq!(answer.header("cache-control"), "private, max-age=31536000, immutable");
        }
    }
    assert_eq!(place.get(&[]).await.status, 200);
    // Routes are not what other sites show.
    let answer = place.ask(VISITOR, "GET", "/readyz", &[("referer", "https://evil.net/")]).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn the_others_get_the_sites_picture() {
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("stolen.png");
    std::fs::write(&page, "picture").unwrap();
    let place = Place::new(&format!(
        "http.valid_referers = none example.com\nhttp.invalid_referer_page = {}",
        page.display()
    ));
    let headers = [("referer", "https://evil.net/"), ("range", "bytes=0-1")];
    let answer = place.get(&headers).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (403, &b"picture"[..]));
    assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("image/png", "no-store"));
    let answer = place.ask(VISITOR, "HEAD", &format!("/{}", place.text), &headers).await;
    assert_eq!((answer.status.as_u16(), answer.body.len(), answer.header("content-length")), (403, 0, "7"));
}
