//! Tokens, their scopes and groups, at tracker and node, and what a reload and bad guesses do.

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use super::{JWT, JWT_OF_GROUP2, OLD_JWT, SOON, Site, Token, Visitor, outcome, showing, write_tokens};
use crate::wait::until;

/// A token of each kind.
struct Tokens {
    reader: Token,
    writer: Token,
    other: Token,
    late: Token,
    admin: Token,
}

impl Tokens {
    fn new() -> Self {
        let mut late = Token::new(&["--name", "late", "--scopes", "read,write,delete,admin"]);
        late.line.push_str(" expires=2020-01-01T00:00:00Z");
        Self {
            reader: Token::new(&["--name", "reader", "--scopes", "read"]),
            writer: Token::new(&["--name", "writer", "--scopes", "write", "--group", "group1"]),
            other: Token::new(&["--name", "other", "--scopes", "write,delete", "--group", "group2"]),
            late,
            admin: Token::new(&["--name", "admin", "--scopes", "admin"]),
        }
    }

    fn all(&self) -> [&Token; 5] {
        [&self.reader, &self.writer, &self.other, &self.late, &self.admin]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_do_what_they_are_for_at_tracker_and_node() {
    let tokens = Tokens::new();
    let all = tokens.all();
    let site = Site::start(&all, [&all, &all]).await;
    let [node, _] = &site.nodes;
    let visitor = Visitor::new();
    let [reader, writer, other, late, admin] = all.map(|token| token.text.as_str());
    let mode = format!("/v1/groups/group1/storages/{}/mode", node.ip);
    let (upload, tickets, mode) =
        (node.url("/v1/files?ext=txt"), site.tracker.url("/v1/tickets"), site.tracker.url(&mode));
    let (put, post) = (Method::PUT, Method::POST);
    for (method, url, body, token, status, code) in [
        (&post, &upload, "hello", "", 401, "token_needed"),
        (&post, &upload, "hello", "fdfs_guess", 401, "invalid_token"),
        (&post, &upload, "hello", reader, 403, "insufficient_scope"),
        (&post, &upload, "hello", admin, 403, "insufficient_scope"),
        (&post, &upload, "hello", late, 401, "token_expired"),
        (&post, &upload, "hello", OLD_JWT, 401, "token_expired"),
        (&post, &upload, "hello", other, 403, "token_of_other_group"),
        (&post, &upload, "hello", JWT_OF_GROUP2, 403, "token_of_other_group"),
        (&post, &upload, "hello", writer, 201, ""),
        (&post, &upload, "hello", JWT, 201, ""),
        (&post, &tickets, r#"{"group": "group1"}"#, "", 401, "token_needed"),
        (&post, &tickets, r#"{"group": "group1"}"#, reader, 403, "insufficient_scope"),
        (&post, &tickets, r#"{"group": "group1"}"#, late, 401, "token_expired"),
        (&post, &tickets, r#"{"group": "group1"}"#, other, 403, "token_of_other_group"),
        (&post, &tickets, r#"{"group": "group1"}"#, JWT_OF_GROUP2, 403, "token_of_other_group"),
        (&post, &tickets, r#"{"group": "group1"}"#, writer, 201, ""),
        (&put, &mode, r#"{"mode": "rw"}"#, "", 401, "token_needed"),
        (&put, &mode, r#"{"mode": "rw"}"#, writer, 403, "insufficient_scope"),
        (&put, &mode, r#"{"mode": "rw"}"#, admin, 200, ""),
    ] {
        let request = showing(visitor.ask(method.clone(), url).body(body), token);
        assert_eq!(outcome(request).await, (status, code.to_owned()), "{url} by {token:?}");
    }
    // The audit log has all of it, by whom, and no token.
    for (place, who, scope, status) in [
        ("a", "unknown", "write", 401),
        ("a", "writer", "write", 201),
        ("a", "jwt:ann", "write", 201),
        ("tracker", "unknown", "admin", 403),
        ("tracker", "admin", "admin", 200),
        ("tracker", "writer", "write", 201),
    ] {
        site.audited(place, &[("who", json!(who)), ("scope", json!(scope)), ("status", json!(status))]).await;
    }
    for place in ["a", "tracker"] {
        let text = std::fs::read_to_string(site.place(place).join("audit")).expect("the log is there");
        let secrets = all.iter().map(|token| token.text.as_str()).chain([JWT]);
        assert_eq!(secrets.filter(|secret| text.contains(secret)).count(), 0, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_public_is_read_with_a_token_only() {
    let tokens = Tokens::new();
    let all = tokens.all();
    let site = Site::start(&all, [&all, &all]).await;
    let [node, _] = &site.nodes;
    let visitor = Visitor::new();
    let request = visitor.ask(Method::POST, &node.url("/v1/files?filename=a.txt")).body("hello");
    let stored = super::json(showing(request, &tokens.writer.text), reqwest::StatusCode::CREATED).await;
    let id = stored["file_id"].as_str().expect("an ID");
    let public = [node.url(&format!("/{id}")), node.url("/healthz"), site.tracker.url("/healthz")];
    let private = [
        node.url(&format!("/v1/files/{id}/metadata")),
        node.url(&format!("/v1/files/{id}")),
        node.url("/v1/replication"),
        site.tracker.url("/v1/cluster"),
        site.tracker.url("/v1/groups/group1/storages"),
        site.tracker.url(&format!("/v1/schedule/holders/{id}")),
        site.tracker.url("/v1/schedule/upload"),
    ];
    // Whoever comes by way of a proxy is not on this machine, whatever the header says.
    for (name, value) in
        [("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1"), ("x-real-ip", "::1")]
    {
        let ask = |url: &str, token: &str| showing(visitor.ask(Method::GET, url).header(name, value), token);
        for url in &public {
            assert_eq!(outcome(ask(url, "")).await.0, 200, "{url}");
        }
        for url in &private {
            assert_eq!(outcome(ask(url, "")).await, (401, "token_needed".to_owned()), "{url}");
            let writer = outcome(ask(url, &tokens.writer.text)).await;
            assert_eq!(writer, (403, "insufficient_scope".to_owned()), "{url}");
            assert_eq!(outcome(ask(url, &tokens.reader.text)).await.0, 200, "{url}");
        }
    }
    for url in &private {
        assert_eq!(outcome(visitor.ask(Method::GET, url)).await.0, 200, "{url} from this machine");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_takes_the_new_tokens() {
    let (old, new) = (Token::new(&["--name", "old"]), Token::new(&["--name", "new"]));
    let site = Site::start(&[&old], [&[&old], &[&old]]).await;
    let visitor = Visitor::new();
    for (place, daemon, path) in
        [("a", &site.nodes[0], "/v1/files"), ("tracker", &site.tracker, "/v1/tickets")]
    {
        let ask = |token: &Token| outcome(showing(visitor.ask(Method::POST, &daemon.url(path)), &token.text));
        assert_eq!(ask(&old).await.0, 201);
        write_tokens(&site.place(place), &[&new]);
        assert_eq!(ask(&old).await.0, 201, "nothing changes by itself");
        daemon.process.signal(Signal::HUP);
        until("the new tokens", SOON, async || {
            // A refused guess counts, so only the old one is asked for.
            let found = ask(&old).await;
            if found == (401, "invalid_token".to_owned()) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
        assert_eq!(ask(&new).await.0, 201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_is_limited_by_address() {
    let token = Token::new(&["--name", "ci"]);
    let site = Site::start(&[&token], [&[&token], &[&token]]).await;
    for url in [site.nodes[0].url("/v1/files"), site.tracker.url("/v1/tickets")] {
        let (guesser, other) = (Visitor::new(), Visitor::new());
        let ask = |visitor: &Visitor, token: &str| {
            outcome(showing(visitor.ask(Method::POST, &url).header("x-forwarded-for", "192.0.2.9"), token))
        };
        for guess in 0..10 {
            let found = ask(&guesser, &format!("fdfs_guess{guess}")).await;
            assert_eq!(found, (401, "invalid_token".to_owned()), "{url} {guess}");
        }
        for token in ["fdfs_guess", &token.text] {
            assert_eq!(ask(&guesser, token).await, (429, "too_many_failures".to_owned()), "{url}");
        }
        assert_eq!(ask(&other, &token.text).await.0, 201, "{url} from elsewhere");
    }
}
