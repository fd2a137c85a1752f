//! Writes that are taken from this machine only: what does not count as this machine.

use gateway::files::UploadKind;

use super::{Place, VISITOR};

const HERE: &str = "127.0.17.1:4000";

/// Deletes a file; the code of the refusal, empty if it is gone.
async fn delete(place: &Place, peer: &str, headers: &[(&str, &str)]) -> String {
    let id = place.store.add(&UploadKind::Normal, "txt", b"x").to_string();
    let answer = place.ask(peer, "DELETE", &format!("/v1/files/{id}"), headers).await;
    let is_gone = place.store.content(&id).is_none();
    assert_eq!(is_gone, answer.status == 204);
    if is_gone { String::new() } else { answer.code() }
}

#[tokio::test]
async fn without_proxies_the_peer_counts() {
    let place = Place::new("");
    assert_eq!(delete(&place, HERE, &[]).await, "");
    assert_eq!(delete(&place, "[::1]:4000", &[]).await, "");
    assert_eq!(delete(&place, "[::ffff:127.0.0.1]:4000", &[]).await, "");
    assert_eq!(delete(&place, VISITOR, &[]).await, "remote_write");
    for forged in ["x-forwarded-for", "x-real-ip", "forwarded"] {
        assert_eq!(delete(&place, VISITOR, &[(forged, "127.0.0.1")]).await, "remote_write", "{forged}");
    }
    // An untold proxy on this machine.
    for (name, value) in [("x-forwarded-for", "192.0.2.1"), ("via", "1.1 proxy"), ("x-real-ip", "127.0.0.1")]
    {
        assert_eq!(delete(&place, HERE, &[(name, value)]).await, "remote_write", "{name}");
    }
}

/// A proxy on this machine brings the world along, with or without a header that says so.
#[tokio::test]
async fn who_comes_by_a_proxy_is_never_here() {
    for lines in [
        "http.set_real_ip_from = 127.0.0.0/8\nhttp.set_real_ip_from = 10.0.0.0/8",
        "http.set_real_ip_from = 127.0.0.0/8\nhttp.set_real_ip_from = 10.0.0.0/8\nhttp.real_ip_recursive = on",
        "http.set_real_ip_from = 0.0.0.0/0\nhttp.real_ip_recursive = on\nhttp.real_ip_header = Forwarded",
    ] {
        let place = Place::new(lines);
        for peer in [HERE, "10.0.0.1:80"] {
            for headers in [
                &[][..],
                &[("x-forwarded-for", "127.0.0.1")],
                &[("x-forwarded-for", "127.0.0.1, 127.0.0.1")],
                &[("x-forwarded-for", "192.0.2.1")],
                &[("forwarded", "for=127.0.0.1")],
                &[("host", "localhost")],
            ] {
                assert_eq!(
                    delete(&place, peer, headers).await,
                    "remote_write",
                    "{lines}: {peer} {headers:?}"
                );
            }
        }
        // A program that does not come from the proxy's address still is here, if the site trusts only that.
        if !lines.contains("0.0.0.0/0") {
            assert_eq!(delete(&place, "[::1]:4000", &[]).await, "");
        }
    }
}

/// A browser on this machine that shows a page of another site writes for that site.
#[tokio::test]
async fn pages_of_other_sites_do_not_write_by_a_browser_here() {
    let place = Place::new("http.cors_allow_origin = https://admin.example.com");
    for (origin, code) in [
        ("http://localhost:3000", ""),
        ("https://admin.example.com", ""),
        ("https://evil.example.net", "foreign_origin"),
        ("null", "foreign_origin"),
    ] {
        // The host of the request proves nothing: a name of the other site can be made to point here.
        for host in ["localhost", "evil.example.net"] {
            assert_eq!(delete(&place, HERE, &[("origin", origin), ("host", host)]).await, code, "{origin}");
        }
    }
    let open = Place::new("http.cors_allow_origin = *");
    assert_eq!(delete(&open, HERE, &[("origin", "https://evil.example.net")]).await, "foreign_origin");
    let all = Place::new("http.allow_remote_writes = true");
    assert_eq!(delete(&all, VISITOR, &[("origin", "https://www.example.com")]).await, "");
}
