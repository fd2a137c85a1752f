//! Pages of other origins.

use super::{HERE, Place, VISITOR};
use crate::ask::Answer;

const PAGE: (&str, &str) = ("origin", "https://www.example.com");

async fn preflight(place: &Place, peer: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let all = [&[PAGE, ("access-control-request-method", "POST")][..], headers].concat();
    place.ask(peer, "OPTIONS", target, &all).await
}

#[tokio::test]
async fn a_page_with_a_token_or_a_ticket_may_ask() {
    let place = Place::new();
    for (target, headers) in [
        ("/v1/files", &[("access-control-request-headers", "content-type, authorization")][..]),
        ("/v1/files", &[("access-control-request-headers", "Fdfs-Ticket")]),
        ("/v1/files?ticket=x", &[]),
        ("/v1/uploads?ticket=x", &[("access-control-request-headers", "tus-resumable,upload-length")]),
    ] {
        let answer = preflight(&place, VISITOR, target, headers).await;
        assert_eq!(answer.status, 204, "{target}");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(answer.header("access-control-allow-methods").contains("PATCH"));
        assert!(answer.header("access-control-allow-headers").contains("Upload-Metadata"));
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
    let answer = place.upload(VISITOR, "/v1/files", &[PAGE, ("authorization", "Bearer all")]).await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (201, "*"));
    assert!(answer.header("access-control-expose-headers").contains("Location"));
    // It hears why not.
    let answer = place.upload(VISITOR, "/v1/files?ticket=x.y", &[PAGE]).await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (403, "*"));
}

#[tokio::test]
async fn a_page_without_anything_may_not() {
    let place = Place::new();
    let answer =
        preflight(&place, HERE, "/v1/files", &[("access-control-request-headers", "content-type")]).await;
    assert_ne!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let answer = place.upload(HERE, "/v1/files", &[PAGE]).await;
    assert_eq!(
        (answer.code().as_str(), answer.header("access-control-allow-origin")),
        ("foreign_origin", "")
    );
    let answer = place.ask(VISITOR, "GET", "/v1/nothing", &[PAGE]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

/// A page of a program on this machine, such as the tracker's console.
#[tokio::test]
async fn a_page_of_this_machine_may_ask_a_node_on_it() {
    let place = Place::new();
    let own = ("origin", "http://127.0.0.1:8080");
    let answer = place.upload(HERE, "/v1/files", &[own]).await;
    assert_eq!((answer.status.as_u16(), answer.header("access-control-allow-origin")), (201, "*"));
    let headers = [own, ("access-control-request-method", "POST")];
    assert_eq!(place.ask(HERE, "OPTIONS", "/v1/files", &headers).await.status, 204);
    assert_ne!(place.ask(VISITOR, "OPTIONS", "/v1/files", &headers).await.status, 204);
}

#[tokio::test]
async fn the_rules_of_the_site_hold_for_files() {
    let place = Place::with("http.cors_allow_origin = https://img.example.com");
    let id = place.store.add(&gateway::files::UploadKind::Normal, "txt", b"x");
    let headers = [("origin", "https://img.example.com")];
    let answer = place.ask(VISITOR, "GET", &format!("/{id}?ticket=x"), &headers).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://img.example.com");
    let answer = place.ask(VISITOR, "GET", &format!("/{id}?ticket=x"), &[PAGE]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    let answer = place.upload(VISITOR, "/v1/files", &[PAGE, ("authorization", "Bearer all")]).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}
