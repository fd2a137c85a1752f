//! Tickets, and what is done to them.

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use gateway::authority::ticket::TicketSpec;
use gateway::authority::{TypePattern, UploadLimits};
use protocol::GroupName;

use super::{ID, OTHER, Place, VISITOR};
use crate::ask::{Answer, ask_from, request};

fn spec() -> TicketSpec {
    TicketSpec {
        who: "ci".to_owned(),
        group: GroupName::parse("group1").unwrap(),
        node: "192.168.0.1".to_owned(),
        limits: UploadLimits { max_size: Some(5), types: vec![TypePattern::parse("text/*").unwrap()] },
        expires_in: 60,
        max_uses: 1,
    }
}

fn ticket(place: &Place, spec: &TicketSpec) -> String {
    place.authority().ticket(spec).unwrap().0
}

const TEXT: &[(&str, &str)] = &[("content-type", "text/plain")];

async fn upload(place: &Place, ticket: &str) -> Answer {
    place.upload(VISITOR, &format!("/v1/files?ticket={ticket}"), TEXT).await
}

#[tokio::test]
async fn a_ticket_uploads_once_from_anywhere() {
    let place = Place::new();
    let ticket = ticket(&place, &spec());
    let answer = place.upload(VISITOR, "/v1/files", &[TEXT[0], ("fdfs-ticket", &ticket)]).await;
    assert_eq!(answer.status, 201);
    let again = upload(&place, &ticket).await;
    assert_eq!((again.status.as_u16(), again.code().as_str()), (403, "ticket_used"));
    assert_eq!(place.stored(), 1);
}

#[tokio::test]
async fn a_replayed_ticket_is_403_from_another_address_and_after_a_reload_too() {
    let place = Place::new();
    let ticket = ticket(&place, &TicketSpec { max_uses: 2, ..spec() });
    assert_eq!(upload(&place, &ticket).await.status, 201);
    assert_eq!(upload(&place, &ticket).await.status, 201);
    place.site.set((*Place::new().site.now()).clone());
    let answer = place.upload(OTHER, &format!("/v1/files?ticket={ticket}"), TEXT).await;
    assert_eq!(answer.code(), "ticket_used");
}

/// A node that has just started does not know what was used before.
#[tokio::test]
async fn a_ticket_from_before_a_restart_is_403() {
    let before = Place::new();
    let ticket = ticket(&before, &spec());
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    assert_eq!(upload(&Place::new(), &ticket).await.code(), "ticket_used");
}

#[tokio::test]
async fn an_altered_ticket_is_403() {
    let place = Place::new();
    let good = ticket(&place, &spec());
    let (said, signature) = good.split_once('.').unwrap();
    let (more, _) = place
        .authority()
        .ticket(&TicketSpec { limits: UploadLimits::default(), max_uses: 1000, ..spec() })
        .unwrap();
    let (more_said, _) = more.split_once('.').unwrap();
    for altered in [
        format!("{more_said}.{signature}"),
        format!("{said}."),
        said.to_owned(),
        String::new(),
        "%FF".to_owned(),
    ] {
        let answer = upload(&place, &altered).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (403, "ticket_refused"), "{altered}");
    }
    assert_eq!(upload(&place, &good).await.status, 201);
}

#[tokio::test]
async fn a_ticket_of_another_node_is_403() {
    let place = Place::new();
    let elsewhere = ticket(&place, &TicketSpec { node: "192.168.0.2".to_owned(), ..spec() });
    assert_eq!(upload(&place, &elsewhere).await.code(), "ticket_elsewhere");
}

#[tokio::test]
async fn a_ticket_of_another_group_is_403() {
    let place = Place::new();
    let other = ticket(&place, &TicketSpec { group: GroupName::parse("group2").unwrap(), ..spec() });
    assert_eq!(upload(&place, &other).await.code(), "token_of_other_group");
}

#[tokio::test]
async fn a_ticket_deletes_nothing() {
    let place = Place::new();
    let ticket = ticket(&place, &spec());
    let answer = place.ask(VISITOR, "DELETE", &format!("/v1/files/{ID}?ticket={ticket}"), &[]).await;
    assert_eq!(answer.code(), "ticket_scope");
    assert_eq!(upload(&place, &ticket).await.status, 201, "and is not used up by that");
}

#[tokio::test]
async fn more_than_a_ticket_allows_is_413() {
    let place = Place::new();
    let ticket = ticket(&place, &spec());
    let target = format!("/v1/files?ticket={ticket}");
    let headers = [TEXT[0], ("content-length", "6")];
    let answer =
        ask_from(&place.gateway, VISITOR, request("POST", &target, &headers, Body::from("hello!"))).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "ticket_size"));
    // One that does not say how long it is, and never ends.
    let pieces = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(b"abc")));
    let endless = request("POST", &target, TEXT, Body::from_stream(pieces));
    let answer = ask_from(&place.gateway, VISITOR, endless).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "ticket_size"));
    assert_eq!(answer.header("connection"), "close");
    assert_eq!(place.stored(), 0);
}

#[tokio::test]
async fn another_type_than_a_ticket_allows_is_415() {
    let place = Place::new();
    let one = ticket(&place, &spec());
    for headers in [&[("content-type", "image/png")][..], &[("content-type", "")], &[]] {
        let answer = place.upload(VISITOR, &format!("/v1/files?ticket={one}"), headers).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (415, "type_not_allowed"),
            "{headers:?}"
        );
    }
    let limits = UploadLimits { max_size: Some(1000), ..spec().limits };
    for (kind, status) in [("text/plain", 201), ("image/png", 415)] {
        let ticket = ticket(&place, &TicketSpec { limits: limits.clone(), ..spec() });
        let body = format!(
            "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\nContent-Type: {kind}\r\n\r\nabc\r\n--x--\r\n"
        );
        let headers = [("content-type", "multipart/form-data; boundary=x")];
        let target = format!("/v1/files?ticket={ticket}");
        let answer =
            ask_from(&place.gateway, VISITOR, request("POST", &target, &headers, Body::from(body))).await;
        assert_eq!(answer.status.as_u16(), status, "{kind}");
    }
}

/// What a ticket is in a URL, a token is not.
#[tokio::test]
async fn a_ticket_beside_a_token_is_judged_alone() {
    let place = Place::new();
    let headers = [TEXT[0], ("authorization", "Bearer all")];
    let answer = place.upload(VISITOR, "/v1/files?ticket=x.y", &headers).await;
    assert_eq!(answer.code(), "ticket_refused");
    let both = [TEXT[0], ("fdfs-ticket", "x.y")];
    assert_eq!(place.upload(VISITOR, "/v1/files?ticket=x.y", &both).await.code(), "invalid_request");
}

#[tokio::test]
async fn guessing_tickets_is_limited_by_address() {
    let place = Place::with("http.limit_failed_auth = 2");
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(upload(&place, "x.y").await.code());
    }
    assert_eq!(codes, ["ticket_refused", "ticket_refused", "too_many_failures"]);
}
