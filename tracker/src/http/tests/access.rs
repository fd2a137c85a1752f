//! Who may ask a tracker what: tickets, the gate of reads, and what redirects take along.

use std::path::Path;

use gateway::Settings;
use gateway::authority::ticket::TicketSpec;
use gateway::authority::{FDFS_CLUSTER, UploadLimits};
use protocol::config::local_facts::LocalFacts;
use protocol::config::tracker_conf::TrackerConf;

use super::*;

/// From far away, and on this machine.
const VISITOR: &str = "192.0.2.7:4000";
const HERE: &str = "127.0.17.1:4000";

/// printf all | sha256sum, and so on.
const TOKENS: &str = "\
all sha256:5ef5ef0364b6939c4ca61f34b393f7b368d1be8619647aaf83d5b395919ab629 scopes=read,write,delete,admin
reader sha256:3d0941964aa3ebdcb00ccef58b1bb399f9f898465e9886d5aec7f31090a0fb30 scopes=read
own sha256:5b3975651c3cab92d044c096dc30a1c2d9525497457472de48c51ecb363d1f4a scopes=write group=group1
other sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa scopes=write group=group2
soon sha256:4a754148b88a68e18df1a02489950666d187e904cd88d2dc0aa16c103b94045f scopes=write expires=SECONDS
";

/// A tracker with two storages that takes tokens.
struct Place {
    shared: Arc<Shared>,
}

impl Place {
    /// With more lines of tracker.conf.
    fn with(lines: &str) -> Self {
        Self::over(mixed(), lines)
    }

    fn over(shared: Arc<Shared>, lines: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let soon =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 100;
        let tokens = TOKENS.replace("SECONDS", &soon.to_string());
        std::fs::write(path("tokens"), tokens).unwrap();
        std::fs::write(path("secret"), "0123456789abcdef0123456789abcdef\n").unwrap();
        let text = format!(
            "base_path = {}\nhttp.tokens_file = {}\nhttp.cluster_secret_file = {}\n{lines}\n",
            path(""),
            path("tokens"),
            path("secret")
        );
        let (conf, _) = TrackerConf::parse(&text, Path::new("tracker.conf"), &LocalFacts::none()).unwrap();
        shared.site.set(Settings::load(&conf.web, std::time::Duration::from_secs(5)).unwrap());
        Self { shared }
    }

    fn new() -> Self {
        Self::with("")
    }

    async fn ask(
        &self,
        peer: &str,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
    ) -> (u16, HeaderMap, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (status, headers, body) = send_from(&self.shared, peer.parse().unwrap(), request).await;
        (status, headers, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Status, and code of a refusal.
    async fn outcome(&self, peer: &str, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
        let (status, _, found) = self.ask(peer, method, path, token, body).await;
        (status, found["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// Both storages of [`mixed`] say where they serve HTTP, so that uploads go to them in turn.
fn two_with_http() -> Arc<Shared> {
    let shared = mixed();
    let mut groups = shared.state().groups().to_vec();
    let second = StorageId::parse("10.0.0.2").unwrap();
    let report = ReplicationReport { http_url: "https://two.example".into(), senders: Vec::new() };
    groups[0].member_mut(&second).unwrap().reported = Some(Reported { report, at: shared.now() + 100 });
    serving(Cluster::restore(shared.state().rules().clone(), groups, Vec::new()))
}

fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn tickets_are_made_for_those_who_may_write() {
    let place = Place::new();
    let make = |peer: &'static str, token: &'static str, body: &'static str| {
        place.outcome(peer, "POST", "/v1/tickets", token, body)
    };
    assert_eq!(make(VISITOR, "", "").await, refused(401, "token_needed"));
    assert_eq!(make(VISITOR, "nope", "").await, refused(401, "invalid_token"));
    assert_eq!(make(HERE, "nope", "").await, refused(401, "invalid_token"));
    assert_eq!(make(VISITOR, "reader", "").await, refused(403, "insufficient_scope"));
    assert_eq!(make(VISITOR, "other", r#"{"group": "group1"}"#).await, refused(403, "token_of_other_group"));
    assert_eq!(make(VISITOR, "other", "").await, refused(404, "no_such_group"), "group2 has nobody");
    for (peer, token) in [(VISITOR, "all"), (VISITOR, "own"), (HERE, "")] {
        assert_eq!(make(peer, token, "").await, refused(201, ""), "{token}");
    }
    let strict = Place::with("http.loopback_writes = false");
    assert_eq!(strict.outcome(HERE, "POST", "/v1/tickets", "", "").await, refused(401, "token_needed"));
}

#[tokio::test]
async fn a_ticket_says_what_it_is_for_and_does_not_outlive_its_token() {
    let place = Place::new();
    let body = r#"{"max_size": 10, "types": ["Image/PNG", "text/*"], "expires_in": 604800, "max_uses": 3}"#;
    let now = place.shared.now();
    let (status, _, found) = place.ask(VISITOR, "POST", "/v1/tickets", "soon", body).await;
    assert_eq!(status, 201, "{found}");
    let ticket = found["ticket"].as_str().unwrap();
    for (key, value) in [
        ("group", Value::from("group1")),
        ("storage", "10.0.0.1".into()),
        ("upload_url", format!("https://files.example/v1/files?ticket={ticket}").into()),
        ("resumable_url", format!("https://files.example/v1/uploads?ticket={ticket}").into()),
        ("max_size", 10.into()),
        ("types", serde_json::json!(["image/png", "text/*"])),
        ("max_uses", 3.into()),
    ] {
        assert_eq!(found[key], value, "{key}");
    }
    let expires = found["expires"].as_i64().unwrap() - now;
    assert!((95..=105).contains(&expires), "{expires} s are left, as the token has");
    let (_, _, found) = place.ask(VISITOR, "POST", "/v1/tickets", "all", "").await;
    let expires = found["expires"].as_i64().unwrap() - now;
    assert!((598..=602).contains(&expires), "{expires}");
    assert_eq!((&found["max_size"], &found["max_uses"]), (&Value::Null, &1.into()));
}

#[tokio::test]
async fn what_no_ticket_can_be_is_refused() {
    let place = Place::new();
    let types = format!(r#"{{"types": [{}]}}"#, vec![r#""a/b""#; 17].join(","));
    let long = format!(r#"{{"group": "{}"}}"#, "g".repeat(20_000));
    for body in [
        "x",
        "[]",
        "7",
        r#"{"max_size": -1}"#,
        r#"{"max_size": "1"}"#,
        r#"{"types": ["image"]}"#,
        r#"{"types": ["*/*"]}"#,
        r#"{"types": ["a/b\r\nx: y"]}"#,
        r#"{"expires_in": 0}"#,
        r#"{"expires_in": 604801}"#,
        r#"{"max_uses": 0}"#,
        r#"{"max_uses": 1001}"#,
        r#"{"unheard": 1}"#,
        &types,
        &long,
    ] {
        let found = place.outcome(VISITOR, "POST", "/v1/tickets", "all", body).await;
        assert_eq!(found, refused(400, "bad_ticket"), "{}", &body[..body.len().min(60)]);
    }
    let found = place.outcome(VISITOR, "POST", "/v1/tickets", "all", r#"{"group": "../x"}"#).await;
    assert_eq!(found, refused(400, "bad_group_name"));
    // Without a secret nothing can be signed.
    let found = send(&mixed(), Request::post("/v1/tickets").body(Body::empty()).unwrap()).await;
    let problem: Value = serde_json::from_slice(&found.2).unwrap();
    assert_eq!((found.0, problem["code"].as_str()), (409, Some("no_cluster_secret")));
}

#[tokio::test]
async fn what_is_not_public_is_read_by_those_who_may() {
    let place = Place::new();
    let id = FILE;
    for (path, method) in [
        ("/v1/cluster".to_owned(), "GET"),
        ("/v1/groups".to_owned(), "GET"),
        ("/v1/groups/group1".to_owned(), "HEAD"),
        ("/v1/groups/group1/storages/10.0.0.1".to_owned(), "GET"),
        ("/v1/groups/group1/replication".to_owned(), "GET"),
        ("/v1/trackers".to_owned(), "GET"),
        ("/v1/schedule/upload".to_owned(), "GET"),
        ("/v1/schedule/upload".to_owned(), "POST"),
        (format!("/v1/schedule/download/{id}"), "GET"),
        (format!("/v1/schedule/holders/{id}"), "GET"),
    ] {
        let ask = |peer: &'static str, token: &'static str| {
            let path = path.clone();
            let place = &place;
            async move { place.ask(peer, method, &path, token, "").await.0 }
        };
        assert_eq!(ask(VISITOR, "").await, 401, "{method} {path}");
        assert_eq!(ask(VISITOR, "own").await, 403, "{method} {path}");
        assert_eq!(ask(HERE, "nope").await, 401, "{method} {path}");
        assert_eq!(ask(VISITOR, "reader").await, 200, "{method} {path}");
        assert_eq!(ask(HERE, "").await, 200, "{method} {path}");
    }
    let redirected = [format!("/{id}"), format!("/v1/files/{id}"), format!("/v1/files/{id}/metadata")];
    for path in redirected {
        assert_eq!(place.ask(VISITOR, "GET", &path, "", "").await.0, 307, "{path} is the node's matter");
    }
    for path in ["/healthz", "/readyz", "/openapi.json", "/docs", "/console"] {
        assert_eq!(place.ask(VISITOR, "GET", path, "", "").await.0, 200, "{path}");
    }
    let open = Place::with("http.private_reads = false");
    assert_eq!(open.ask(VISITOR, "GET", "/v1/cluster", "", "").await.0, 200);
}

#[tokio::test]
async fn a_redirect_of_an_upload_carries_a_ticket_for_it_alone() {
    let place = Place::new();
    for (method, path) in [
        ("POST", "/v1/files"),
        ("PUT", "/v1/upload/a.txt"),
        ("POST", "/v1/uploads"),
        ("POST", "/v1/files?ext=txt"),
    ] {
        let (status, headers, _) = place.ask(VISITOR, method, path, "own", "").await;
        let location = headers[LOCATION].to_str().unwrap();
        let sign = if path.contains('?') { '&' } else { '?' };
        let start = format!("https://files.example{path}{sign}ticket=");
        assert!(status == 307 && location.starts_with(&start), "{location}");
        assert_eq!(location.matches("ticket=").count(), 1);
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        // Without a token, the node judges.
        for (peer, token) in [(VISITOR, ""), (HERE, "")] {
            let (status, headers, _) = place.ask(peer, method, path, token, "").await;
            let mark = if path == "/v1/uploads" { "?redirect=1" } else { "" };
            let expected = format!("https://files.example{path}{mark}");
            assert_eq!((status, headers[LOCATION].to_str().unwrap()), (307, expected.as_str()));
        }
        for (token, status, code) in [("nope", 401, "invalid_token"), ("reader", 403, "insufficient_scope")] {
            assert_eq!(
                place.outcome(VISITOR, method, path, token, "").await,
                refused(status, code),
                "{path}"
            );
        }
    }
    let of_other = place.outcome(VISITOR, "POST", "/v1/files?group=group1", "other", "").await;
    assert_eq!(of_other, refused(403, "token_of_other_group"));
}

/// Another node would refuse it.
#[tokio::test]
async fn an_upload_by_a_ticket_goes_to_the_node_of_the_ticket() {
    let place = Place::over(two_with_http(), "");
    let ticket = |node: &str| {
        let group = GroupName::parse("group1").unwrap();
        let limits = UploadLimits::default();
        let (who, node) = ("own".to_owned(), node.to_owned());
        let spec = TicketSpec { who, group, node, limits, expires_in: 60, max_uses: 9 };
        place.shared.site.now().authority.ticket(&spec).unwrap().0
    };
    for (node, base) in [("10.0.0.1", "https://files.example"), ("10.0.0.2", "https://two.example")] {
        let ticket = ticket(node);
        for (method, path, mark) in [
            ("POST", "/v1/files", ""),
            ("PUT", "/v1/upload/a.txt", ""),
            ("POST", "/v1/uploads", "&redirect=1"),
            ("POST", "/v1/files", ""),
        ] {
            let target = format!("{path}?ticket={ticket}");
            let (status, headers, _) = place.ask(VISITOR, method, &target, "", "").await;
            let location = headers[LOCATION].to_str().unwrap();
            assert_eq!((status, location), (307, format!("{base}{target}{mark}").as_str()));
        }
    }
    let gone = format!("/v1/files?ticket={}", ticket("10.0.0.9"));
    assert_eq!(place.outcome(VISITOR, "POST", &gone, "", "").await, refused(503, "no_active_storage"));
    // What is no ticket of this cluster goes anywhere: the node refuses it.
    let forged = format!("/v1/files?ticket={}x", ticket("10.0.0.2"));
    assert_eq!(place.ask(VISITOR, "POST", &forged, "", "").await.0, 307);
}

/// Who has a ticket gets no other one for it, also with a token beside it.
#[tokio::test]
async fn a_ticket_makes_no_ticket() {
    let place = Place::new();
    let (_, _, made) = place.ask(VISITOR, "POST", "/v1/tickets", "own", "").await;
    let ticket = made["ticket"].as_str().unwrap();
    let by_url = format!("/v1/files?ticket={ticket}");
    for authorization in ["Bearer own", "Bearer nope", "Basic x"] {
        for (path, header) in [(by_url.as_str(), "x-nothing"), ("/v1/files", "fdfs-ticket")] {
            let request = Request::post(path).header("authorization", authorization).header(header, ticket);
            let request = request.body(Body::empty()).unwrap();
            let (status, headers, _) = send_from(&place.shared, VISITOR.parse().unwrap(), request).await;
            let location = headers[LOCATION].to_str().unwrap();
            assert_eq!((status, location), (307, format!("https://files.example{path}").as_str()));
        }
    }
    let found = place.outcome(VISITOR, "POST", &format!("/v1/tickets?ticket={ticket}"), "", "").await;
    assert_eq!(found, refused(403, "ticket_scope"));
    let found = place.outcome(VISITOR, "GET", &format!("/v1/cluster?ticket={ticket}"), "", "").await;
    assert_eq!(found, refused(403, "ticket_scope"));
}

/// A query goes on as it came, encoded; nothing in it begins a header.
#[tokio::test]
async fn a_redirect_begins_no_header() {
    let place = Place::new();
    for path in [
        "/v1/files?filename=a%0d%0aX-Injected:%20y".to_owned(),
        "/v1/upload/a%0D%0AX-Injected:y".to_owned(),
        format!("/{FILE}?filename=a%0d%0aX-Injected:y"),
        format!("/v1/files/{FILE}/metadata/a%0d%0aX-Injected:y"),
    ] {
        let method = if path.starts_with("/v1/upload") {
            "PUT"
        } else if path.starts_with("/v1/files?") {
            "POST"
        } else {
            "GET"
        };
        let (status, headers, _) = place.ask(HERE, method, &path, "", "").await;
        assert_eq!(status, 307, "{path}");
        assert!(headers[LOCATION].to_str().unwrap().ends_with(&path), "{headers:?}");
        assert!(!headers.contains_key("x-injected"));
    }
}

/// Members pass nothing on to a tracker, which is no member that could be called.
#[tokio::test]
async fn a_forged_call_of_the_cluster_is_refused() {
    let place = Place::new();
    for value in ["t=1, n=1, g=e30, mac=AAAA", "", "x"] {
        let request = Request::post("/v1/tickets").header(FDFS_CLUSTER, value).body(Body::empty()).unwrap();
        let (status, _, body) = send_from(&place.shared, HERE.parse().unwrap(), request).await;
        let problem: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, problem["code"].as_str()), (403, Some("cluster_refused")), "{value}");
    }
}
