//! Tickets of a tracker, used by a page in a browser at a node.

use futures_util::stream;
use reqwest::{Body, Method, RequestBuilder, StatusCode};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{SOON, Site, Token, Visitor, outcome, showing};
use crate::cluster::Daemon;
use crate::wait::until;

const PAGE: (&str, &str) = ("origin", "https://www.example.com");

/// A site, who asks for tickets, and the page that uses them.
struct Place {
    site: Site,
    token: Token,
    page: Visitor,
}

impl Place {
    async fn start() -> Self {
        let token = Token::new(&["--name", "shop", "--scopes", "write"]);
        // The nodes know no token at all.
        let nobody = Token::new(&["--name", "nobody", "--scopes", "read"]);
        let site = Site::start(&[&token], [&[&nobody], &[&nobody]]).await;
        Self { site, token, page: Visitor::new() }
    }

    /// A ticket for a text of up to ten bytes in group1, but for what `change` says.
    async fn ticket(&self, change: &Value) -> Value {
        let mut asked = json!({"group": "group1", "max_size": 10, "types": ["text/plain"]});
        for (key, value) in change.as_object().expect("an object") {
            asked[key] = value.clone();
        }
        let request = Visitor::new().ask(Method::POST, &self.site.tracker.url("/v1/tickets"));
        super::json(showing(request.body(asked.to_string()), &self.token.text), StatusCode::CREATED).await
    }

    /// What a script of the page sends.
    fn fetch(&self, method: Method, url: &str, kind: &str, body: impl Into<Body>) -> RequestBuilder {
        self.page.ask(method, url).header(PAGE.0, PAGE.1).header("content-type", kind).body(body)
    }

    async fn upload(&self, url: &str) -> (u16, String) {
        outcome(self.fetch(Method::POST, url, "text/plain", "hello")).await
    }

    fn node(&self) -> &Daemon {
        &self.site.nodes[0]
    }
}

fn text<'a>(ticket: &'a Value, key: &str) -> &'a str {
    ticket[key].as_str().unwrap_or_else(|| panic!("no {key} in {ticket}"))
}

/// The URL of an upload to a node by a ticket, whether it is for that or not.
fn by_ticket(node: &Daemon, ticket: &Value) -> String {
    node.url(&format!("/v1/files?ticket={}", text(ticket, "ticket")))
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_uploads_by_a_ticket_once() {
    let place = Place::start().await;
    let ticket = place.ticket(&json!({})).await;
    let url = text(&ticket, "upload_url");
    assert!(url.starts_with(&place.node().url("/v1/files?ticket=")), "{url}");

    let preflight = place.page.ask(Method::OPTIONS, url).header(PAGE.0, PAGE.1);
    let preflight = preflight
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type")
        .send()
        .await
        .expect("an answer");
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    assert_eq!(preflight.headers()["access-control-allow-origin"], "*");

    let answer =
        place.fetch(Method::POST, url, "text/plain", "hello").send().await.expect("the node answers");
    assert_eq!(
        (answer.status(), &answer.headers()["access-control-allow-origin"]),
        (StatusCode::CREATED, &"*".parse().expect("a value"))
    );
    let location = answer.headers()["location"].to_str().expect("text").to_owned();
    assert_eq!(place.upload(url).await, refused(403, "ticket_used"));
    let elsewhere = by_ticket(&place.site.nodes[1], &ticket);
    assert_eq!(place.upload(&elsewhere).await, refused(403, "ticket_elsewhere"));
    // A reload, too, makes no used ticket a new one.
    place.node().process.signal(Signal::HUP);
    until("a reload", SOON, async || {
        let said = place.node().process.stderr();
        if said.contains("configuration read again") { Ok(()) } else { Err(said) }
    })
    .await;
    assert_eq!(place.upload(url).await, refused(403, "ticket_used"));

    let file = crate::one_store::get(&place.node().url(&location)).await;
    assert_eq!(file, (StatusCode::OK, b"hello".to_vec()));
    let line = place.site.audited("a", &[("status", json!(201))]).await;
    let who = line["who"].as_str().expect("text");
    assert!(who.starts_with("ticket ") && who.ends_with(" of shop"), "{line}");
    assert_eq!(line["file_ids"], json!([location.trim_start_matches('/')]));
    place.site.audited("a", &[("status", json!(403)), ("who", json!("unknown"))]).await;
    place.site.audited("tracker", &[("operation", json!("POST /v1/tickets")), ("who", json!("shop"))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_that_is_altered_or_too_small_is_refused() {
    let place = Place::start().await;
    let ticket = place.ticket(&json!({"max_uses": 3})).await;
    let url = text(&ticket, "upload_url");
    let wide = place.ticket(&json!({"max_size": 1_000_000, "types": []})).await;
    let (said, _) = text(&wide, "ticket").split_once('.').expect("two parts");
    let (_, signature) = text(&ticket, "ticket").split_once('.').expect("two parts");
    for altered in
        [format!("{said}.{signature}"), format!("{said}."), format!("{}x", text(&ticket, "ticket"))]
    {
        let altered = json!({ "ticket": altered });
        assert_eq!(place.upload(&by_ticket(place.node(), &altered)).await, refused(403, "ticket_refused"));
    }
    let post = |kind: &str, body: Body| outcome(place.fetch(Method::POST, url, kind, body));
    assert_eq!(post("text/plain", "eleven byte".into()).await, refused(413, "ticket_size"));
    assert_eq!(post("image/png", "hello".into()).await, refused(415, "type_not_allowed"));
    let as_page = format!("{url}&filename=a.html");
    assert_eq!(place.upload(&as_page).await, refused(415, "type_not_allowed"));
    let pieces = stream::iter((0..1000).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 4096])));
    // It is refused while it still sends, so the answer may be lost with the connection; what matters is that none is good.
    let endless = place.fetch(Method::POST, url, "text/plain", Body::wrap_stream(pieces)).send().await;
    assert!(endless.is_err() || endless.is_ok_and(|answer| answer.status() == 413));
    let named = url.replace("/v1/files?", "/v1/upload/a.txt?");
    assert_eq!(outcome(place.fetch(Method::PUT, &named, "text/plain", "hello")).await, (201, String::new()));

    let short = place.ticket(&json!({"expires_in": 1, "max_uses": 1000})).await;
    until("end of the ticket", SOON, async || {
        let found = place.upload(text(&short, "upload_url")).await;
        if found == refused(403, "ticket_expired") { Ok(()) } else { Err(format!("{found:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_in_pieces_goes_on_by_its_ticket_only() {
    let place = Place::start().await;
    let ticket = place.ticket(&json!({})).await;
    let other = place.ticket(&json!({})).await;
    let create = place
        .page
        .ask(Method::POST, text(&ticket, "resumable_url"))
        .header(PAGE.0, PAGE.1)
        .header("tus-resumable", "1.0.0")
        .header("upload-defer-length", "1")
        .header("upload-metadata", "filetype dGV4dC9wbGFpbg==");
    let answer = create.send().await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::CREATED);
    let url = place.node().url(answer.headers()["location"].to_str().expect("text"));
    let patch = |offset: &str, ticket: &Value, more: Option<&str>, body: &'static str| {
        let kind = "application/offset+octet-stream";
        let request = place.fetch(Method::PATCH, &url, kind, body).header("tus-resumable", "1.0.0");
        let request = request.header("upload-offset", offset).header("fdfs-ticket", text(ticket, "ticket"));
        outcome(if let Some(length) = more { request.header("upload-length", length) } else { request })
    };
    assert_eq!(patch("0", &other, None, "hello").await, refused(403, "other_owner"));
    assert_eq!(patch("0", &ticket, None, "hello").await.0, 204);
    assert_eq!(patch("5", &ticket, None, "six by").await, refused(413, "ticket_size"));
    assert_eq!(patch("5", &ticket, Some("11"), "six by").await, refused(413, "ticket_size"));
    assert_eq!(patch("5", &ticket, Some("10"), "world").await.0, 204);
    let head = place.page.ask(Method::HEAD, &url).header("tus-resumable", "1.0.0");
    let state = head.header("fdfs-ticket", text(&ticket, "ticket")).send().await.expect("an answer");
    let id = state.headers()["fdfs-file-id"].to_str().expect("text").to_owned();
    let file = crate::one_store::get(&place.node().url(&format!("/{id}"))).await;
    assert_eq!(file, (StatusCode::OK, b"helloworld".to_vec()));
}

/// A tracker sends uploads on with a ticket, since no token follows to another host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_sends_an_upload_on_with_a_ticket() {
    let place = Place::start().await;
    for (method, path) in [
        (Method::POST, "/v1/files?group=group1&ext=txt"),
        (Method::PUT, "/v1/upload/a.txt?group=group1"),
        (Method::POST, "/v1/uploads?group=group1"),
    ] {
        let ask = |url: &str| {
            let request = place.page.ask(method.clone(), url).body("hello");
            if path.starts_with("/v1/uploads") {
                let request = request.header("tus-resumable", "1.0.0").header("upload-length", "5");
                return request.header("content-type", "application/offset+octet-stream");
            }
            request
        };
        let url = place.site.tracker.url(path);
        let answer = showing(ask(&url), &place.token.text).send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT, "{path}");
        let location = answer.headers()["location"].to_str().expect("text").to_owned();
        assert!(location.starts_with(&place.node().url(path)) && location.contains("&ticket="), "{location}");
        assert_eq!(outcome(ask(&location)).await, (201, String::new()), "{location}");
        assert_eq!(outcome(ask(&location)).await, refused(403, "ticket_used"), "{path}");
        // Who shows nothing gets none, and is refused where it arrives; a bad token gets nowhere.
        let answer = ask(&url).send().await.expect("an answer");
        let location = answer.headers()["location"].to_str().expect("text").to_owned();
        assert!(!location.contains("ticket"), "{location}");
        assert_eq!(outcome(ask(&location)).await, refused(401, "token_needed"), "{path}");
        assert_eq!(outcome(showing(ask(&url), "fdfs_guess")).await, refused(401, "invalid_token"), "{path}");
    }
}
