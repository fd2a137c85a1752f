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

/// As `curl -T` uploads.
#[tokio::test]
async fn a_ticket_uploads_by_name_within_its_bounds() {
    let place = Place::new();
    let ticket = ticket(&place, &spec());
    let put = async |name: &str, headers: &[(&str, &str)], body: Body| {
        let target = format!("/v1/upload/{name}?ticket={ticket}");
        let answer = ask_from(&place.gateway, VISITOR, request("PUT", &target, headers, body)).await;
        (answer.status.as_u16(), if answer.status == 201 { String::new() } else { answer.code() })
    };
    let refused = |status, code: &str| (status, code.to_owned());
    let pieces = || stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(b"abc")));
    let long = [TEXT[0], ("content-length", "6")];
    assert_eq!(put("a.txt", &long, Body::from("hello!")).await, refused(413, "ticket_size"));
    assert_eq!(put("a.txt", &[], Body::from("hello")).await, refused(415, "type_not_allowed"));
    // Who sends more than is allowed has used the ticket.
    assert_eq!(put("a.txt", TEXT, Body::from_stream(pieces())).await, refused(413, "ticket_size"));
    assert_eq!(put("a.txt", TEXT, Body::from("hello")).await, refused(403, "ticket_used"));
    assert_eq!(place.stored(), 0);
    let other = self::ticket(&place, &spec());
    let target = format!("/v1/upload/a.txt?ticket={other}");
    let answer = ask_from(&place.gateway, VISITOR, request("PUT", &target, TEXT, Body::from("hello"))).await;
    assert_eq!((answer.status.as_u16(), place.stored()), (201, 1), "{:?}", answer.body);
    let answer = place.ask(VISITOR, "GET", &format!("/v1/upload/a.txt?ticket={other}"), &[]).await;
    assert_eq!(answer.status, 405);
}

/// A file is served as the type of its extension, so that counts as what its client says does.
#[tokio::test]
async fn a_name_makes_no_other_type_of_what_a_ticket_allows() {
    let place = Place::new();
    let limits = UploadLimits { max_size: None, types: vec![TypePattern::parse("image/*").unwrap()] };
    let image = [("content-type", "image/png")];
    let tried = async |method: &str, path: &str, headers: &[(&str, &str)], body: String| {
        let ticket = ticket(&place, &TicketSpec { limits: limits.clone(), ..spec() });
        let headers = [&[("fdfs-ticket", ticket.as_str())], headers].concat();
        let answer =
            ask_from(&place.gateway, VISITOR, request(method, path, &headers, Body::from(body))).await;
        (answer.status.as_u16(), if answer.status == 201 { String::new() } else { answer.code() })
    };
    let good = (201, String::new());
    let bad = (415, "type_not_allowed".to_owned());
    for (target, expected) in [
        ("/v1/files", &good),
        ("/v1/files?ext=png", &good),
        ("/v1/files?filename=a", &good),
        ("/v1/files?filename=a.unheard", &good),
        ("/v1/files?ext=html", &bad),
        ("/v1/files?filename=a.HTML", &bad),
        ("/v1/files?filename=a.b.htm", &bad),
        ("/v1/files?filename=a.png&ext=svgz", &good),
        ("/v1/files?filename=a.png&ext=js", &bad),
    ] {
        assert_eq!(&tried("POST", target, &image, "x".to_owned()).await, expected, "{target}");
    }
    assert_eq!(tried("PUT", "/v1/upload/a.html", &image, "x".to_owned()).await, bad);
    assert_eq!(tried("PUT", "/v1/upload/a.gif", &image, "x".to_owned()).await, good);
    for (name, expected) in [("a.png", &good), ("a.html", &bad)] {
        let form = format!(
            "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\nContent-Type: image/png\r\n\r\nabc\r\n--x--\r\n"
        );
        let headers = [("content-type", "multipart/form-data; boundary=x")];
        assert_eq!(&tried("POST", "/v1/files", &headers, form).await, expected, "{name}");
    }
    // "image/png" and "text/html", "a.html", "a.png" in base64.
    for (metadata, expected) in [
        ("filetype aW1hZ2UvcG5n", &good),
        ("filetype aW1hZ2UvcG5n,filename YS5wbmc=", &good),
        ("filetype dGV4dC9odG1s", &bad),
        ("type aW1hZ2UvcG5n,filetype dGV4dC9odG1s", &bad),
        ("filetype aW1hZ2UvcG5n,filename YS5odG1s", &bad),
        ("filetype aW1hZ2UvcG5n,name YS5odG1s", &bad),
        ("filename YS5wbmc=", &bad),
    ] {
        let headers = [("tus-resumable", "1.0.0"), ("upload-length", "3"), ("upload-metadata", metadata)];
        assert_eq!(&tried("POST", "/v1/uploads", &headers, String::new()).await, expected, "{metadata}");
    }
}

const TUS: (&str, &str) = ("tus-resumable", "1.0.0");
const OFFSETS: (&str, &str) = ("content-type", "application/offset+octet-stream");
/// text/plain, as tus says it.
const TEXT_FILE: (&str, &str) = ("upload-metadata", "filetype dGV4dC9wbGFpbg==");

/// A request about an upload in pieces, by a ticket; headers beside those of tus.
async fn tus(
    place: &Place,
    ticket: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let headers = [&[TUS, ("fdfs-ticket", ticket)], headers].concat();
    ask_from(&place.gateway, VISITOR, request(method, path, &headers, body.into())).await
}

/// A new upload by a ticket.
async fn begun(place: &Place, ticket: &str, headers: &[(&str, &str)]) -> String {
    let headers = [&[TEXT_FILE], headers].concat();
    let answer = tus(place, ticket, "POST", "/v1/uploads", &headers, "").await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    answer.header("location").to_owned()
}

#[tokio::test]
async fn an_upload_in_pieces_stays_within_a_tickets_size() {
    let place = Place::new();
    let refused = |answer: &Answer, what: &str| {
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "ticket_size"), "{what}");
    };
    let long = ticket(&place, &spec());
    let headers = [TEXT_FILE, ("upload-length", "6")];
    refused(&tus(&place, &long, "POST", "/v1/uploads", &headers, "").await, "a length that is told");
    let headers = [TEXT_FILE, ("upload-defer-length", "1"), OFFSETS, ("content-length", "6")];
    refused(&tus(&place, &long, "POST", "/v1/uploads", &headers, "hello!").await, "a first piece");
    let pieces = || stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(b"abc")));
    let headers = [TEXT_FILE, ("upload-defer-length", "1"), OFFSETS];
    let endless = tus(&place, &long, "POST", "/v1/uploads", &headers, Body::from_stream(pieces())).await;
    refused(&endless, "a first piece without an end");

    // The length is told later, or never, or wrong.
    let deferred = ticket(&place, &spec());
    let url = begun(&place, &deferred, &[("upload-defer-length", "1")]).await;
    let patch = async |offset: &str, headers: &[(&str, &str)], body: &'static str| {
        let length = body.len().to_string();
        let all =
            [&[OFFSETS, ("upload-offset", offset), ("content-length", length.as_str())], headers].concat();
        tus(&place, &deferred, "PATCH", &url, &all, body).await
    };
    assert_eq!(patch("0", &[], "abc").await.status, 204);
    refused(&patch("3", &[], "def").await, "one byte more, by its Content-Length");
    refused(&patch("3", &[("upload-length", "6")], "def").await, "a length that is told later");
    assert_eq!(patch("0", &[], "abc").await.code(), "other_offset", "another offset is no way around it");
    let body = Body::from_stream(pieces());
    let unsaid = tus(&place, &deferred, "PATCH", &url, &[OFFSETS, ("upload-offset", "3")], body).await;
    assert_eq!((unsaid.status.as_u16(), unsaid.code().as_str()), (411, "length_required"));
    // Content that is longer than it says reaches no handler on a socket; here nothing else stops it.
    let lies = [OFFSETS, ("upload-offset", "3"), ("content-length", "1")];
    refused(&tus(&place, &deferred, "PATCH", &url, &lies, "defg").await, "more than is said");
    let state = tus(&place, &deferred, "HEAD", &url, &[], "").await;
    assert_eq!(state.header("upload-offset"), "3", "what came with the lie is not kept");
    assert_eq!(patch("3", &[("upload-length", "5")], "de").await.header("upload-offset"), "5");
    assert_eq!(place.stored(), 1);
}

/// Each part is an upload; so is what is joined from them.
#[tokio::test]
async fn what_is_joined_stays_within_a_tickets_size() {
    let place = Place::new();
    let ticket = ticket(&place, &TicketSpec { max_uses: 4, ..spec() });
    let mut urls = Vec::new();
    for _ in 0..2 {
        let headers = [("upload-length", "3"), ("upload-concat", "partial")];
        let url = begun(&place, &ticket, &headers).await;
        let headers = [OFFSETS, ("upload-offset", "0"), ("content-length", "3")];
        assert_eq!(tus(&place, &ticket, "PATCH", &url, &headers, "abc").await.status, 204);
        urls.push(url);
    }
    let join = async |urls: &str| {
        let list = format!("final;{urls}");
        tus(&place, &ticket, "POST", "/v1/uploads", &[TEXT_FILE, ("upload-concat", &list)], "").await
    };
    let answer = join(&urls.join(" ")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "ticket_size"));
    assert_eq!(place.stored(), 0);
    assert_eq!(join(&urls[0]).await.status, 201);
    assert_eq!(place.stored(), 1);
}

/// The draft's way to the same uploads.
#[tokio::test]
async fn the_drafts_uploads_stay_within_a_tickets_bounds() {
    let place = Place::with("http.resumable_draft = on");
    let ticket = ticket(&place, &TicketSpec { max_uses: 2, ..spec() });
    let ask = async |method: &str, path: &str, headers: &[(&str, &str)], body: &'static str| {
        let length = body.len().to_string();
        let own = [("fdfs-ticket", ticket.as_str()), ("content-length", length.as_str())];
        ask_from(&place.gateway, VISITOR, request(method, path, &[&own[..], headers].concat(), body.into()))
            .await
    };
    let html = ("content-disposition", "attachment; filename=a.html");
    let answer = ask(
        "POST",
        "/v1/uploads",
        &[("upload-complete", "?1"), TEXT[0], html, ("upload-length", "3")],
        "abc",
    )
    .await;
    assert_eq!(answer.status, 201, "text/html is text");
    let answer = ask("POST", "/v1/uploads", &[("upload-complete", "?0"), TEXT[0]], "abc").await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let url = answer.header("location").to_owned();
    for (offset, code) in
        [("3", "ticket_size"), ("+3", "ticket_size"), ("3;a=b", "no_offset"), ("\"3\"", "no_offset")]
    {
        let headers = [
            ("content-type", "application/partial-upload"),
            ("upload-complete", "?0"),
            ("upload-offset", offset),
        ];
        let answer = ask("PATCH", &url, &headers, "def").await;
        assert_eq!(answer.code(), code, "{offset}: {:?}", answer.body);
    }
}

/// An upload belongs to its ticket, and to who asked for that.
#[tokio::test]
async fn an_upload_by_a_ticket_is_no_other_clients() {
    let place = Place::new();
    let limits = UploadLimits { max_size: Some(10), ..spec().limits };
    let spec = TicketSpec { who: "all".to_owned(), limits, ..spec() };
    let (own, other) = (ticket(&place, &spec), ticket(&place, &spec));
    let url = begun(&place, &own, &[("upload-length", "10")]).await;
    let piece = [OFFSETS, ("content-length", "1")];
    let mut offset = 0;
    // The token "all" asked for both tickets; "own" is one of somebody else who may write.
    for (name, value, refusal) in [
        ("fdfs-ticket", own.as_str(), ""),
        ("authorization", "Bearer all", ""),
        ("fdfs-ticket", &other, "other_owner"),
        ("authorization", "Bearer own", "other_owner"),
        ("authorization", "Bearer reader", "insufficient_scope"),
        ("x-nothing", "", "token_needed"),
    ] {
        for method in ["HEAD", "GET", "PATCH"] {
            let at = offset.to_string();
            let mut headers = vec![TUS, (name, value)];
            if method == "PATCH" {
                headers.extend(piece);
                headers.push(("upload-offset", &at));
            }
            let body = if method == "PATCH" { Body::from("a") } else { Body::empty() };
            let answer = ask_from(&place.gateway, VISITOR, request(method, &url, &headers, body)).await;
            if refusal.is_empty() {
                assert!(answer.status.is_success(), "{method} by {value}: {:?}", answer.body);
                offset += u64::from(method == "PATCH");
            } else if method == "HEAD" {
                assert!(answer.status.is_client_error(), "{method} by {value}");
            } else {
                assert_eq!(answer.code(), refusal, "{method} by {value}");
            }
        }
        if !refusal.is_empty() {
            let answer = place.ask(VISITOR, "DELETE", &url, &[TUS, (name, value)]).await;
            assert_eq!(answer.code(), refusal, "DELETE by {value}");
        }
    }
    assert_eq!(tus(&place, &own, "HEAD", &url, &[], "").await.header("upload-offset"), "2");
    let all = [TUS, ("authorization", "Bearer all")];
    assert_eq!(place.ask(VISITOR, "DELETE", &url, &all).await.status, 204);
    assert_eq!(tus(&place, &own, "HEAD", &url, &[], "").await.status, 404);
}
