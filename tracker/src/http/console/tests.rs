//! The console as a browser gets it, without sockets.

use std::net::Ipv4Addr;

use axum::body::{Body, to_bytes};
use gateway::server::ClientAddress;
use http::Request;
use protocol::StorageId;
use protocol::cluster::ReplicationReport;
use tower::ServiceExt;

use super::*;
use crate::http::routes as all_routes;
use crate::peers::last_run::LastRun;
use crate::saver::Saver;
use crate::state::{Cluster, Group, Member, Reported, Rules};

/// A tracker of one group, whose members say that they serve HTTP there.
fn shared(urls: &[&str]) -> Arc<Shared> {
    let mut group = Group::new(protocol::GroupName::parse("group1").unwrap());
    for (index, url) in urls.iter().enumerate() {
        let ip = format!("10.0.0.{}", index + 1);
        let mut member = Member::new(StorageId::parse(&ip).unwrap(), ip.parse().unwrap(), 23_000);
        let report = ReplicationReport { http_url: (*url).to_owned(), senders: Vec::new() };
        member.reported = Some(Reported { report, at: 0 });
        group.insert(member);
    }
    let cluster = Cluster::restore(Rules::plain(), vec![group], Vec::new());
    let saver = Saver::new(std::path::PathBuf::new());
    Arc::new(Shared::new(cluster, saver, String::new(), 8888, LastRun::default()))
}

async fn get(shared: &Arc<Shared>, path: &str, asked: &[(HeaderName, &str)]) -> (u16, HeaderMap, String) {
    let mut request = Request::builder().uri(path);
    for (name, value) in asked {
        request = request.header(name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(ClientAddress((Ipv4Addr::LOCALHOST, 50_000).into()));
    let (head, body) =
        all_routes(Arc::clone(shared)).into_router().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (head.status.as_u16(), head.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn browsers_are_led_to_the_console_and_programs_are_not() {
    let shared = shared(&[]);
    for (accept, expected) in [
        ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", 302),
        ("Text/HTML", 302),
        ("*/*", 404),
        ("application/json", 404),
    ] {
        let (status, headers, _) = get(&shared, "/", &[(ACCEPT, accept)]).await;
        assert_eq!((status, headers[VARY].to_str().unwrap()), (expected, "Accept"), "{accept}");
        assert_eq!(headers.get(LOCATION).is_some(), expected == 302, "{accept}");
    }
    assert_eq!(get(&shared, "/", &[]).await.0, 404);
}

#[tokio::test]
async fn each_part_that_is_named_is_there_and_kept_until_it_changes() {
    let shared = shared(&["http://10.0.0.1:8888"]);
    let mut paths = vec!["/console".to_owned()];
    paths.extend(SCRIPTS.iter().chain(OTHERS).map(|part| format!("/console/{}", part.name)));
    for path in paths {
        let (status, headers, body) = get(&shared, &path, &[]).await;
        assert_eq!((status, headers[CACHE_CONTROL].to_str().unwrap()), (200, "no-cache"), "{path}");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert!(
            headers[CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("default-src 'none'"),
            "{path}"
        );
        assert!(!body.is_empty(), "{path}");
        let tag = headers[ETAG].to_str().unwrap();
        for (asked, expected) in
            [(tag, 304), (&*format!("\"x\", W/{tag}"), 304), ("*", 304), ("\"x\"", 200), (&tag[1..], 200)]
        {
            let (status, again, body) = get(&shared, &path, &[(IF_NONE_MATCH, asked)]).await;
            assert_eq!((status, body.is_empty()), (expected, expected == 304), "{path} {asked}");
            assert_eq!(again[ETAG], headers[ETAG]);
            assert_eq!(again[CONTENT_SECURITY_POLICY], headers[CONTENT_SECURITY_POLICY]);
        }
    }
    assert_eq!(get(&shared, "/console/nothing.js", &[]).await.0, 404);
    assert_eq!(get(&shared, "/console/..%2fconsole.js", &[]).await.0, 404);
}

/// What the page and its scripts name is among the parts, and is all of them: nothing is left out or left over.
#[test]
fn parts_name_one_another() {
    let mut named = BTreeSet::new();
    for part in SCRIPTS.iter().chain([&PAGE]) {
        for start in ["from './", "src=\"console/", "href=\"console/"] {
            for rest in part.content.split(start).skip(1) {
                named.insert(rest.split(['\'', '"']).next().unwrap());
            }
        }
    }
    let parts: BTreeSet<&str> = SCRIPTS.iter().chain(OTHERS).map(|part| part.name).collect();
    assert_eq!(named, parts);
}

/// The policy has no `unsafe-inline`: a page that uses such things would not work. No part asks anybody else for anything.
#[test]
fn nothing_is_inline_and_nothing_comes_from_outside() {
    for part in SCRIPTS.iter().chain(OTHERS).chain([&PAGE]) {
        let name = part.name;
        for foreign in
            ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "@import", " url("]
        {
            assert!(!part.content.contains(foreign), "{name} has {foreign}");
        }
        let namespaces = part.content.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !namespaces.contains("https://") && !namespaces.contains("//cdn"),
            "{name} names another site"
        );
    }
    for inline in ["<style", " style=", " onclick", "<script>"] {
        assert!(!PAGE.content.contains(inline), "the page has {inline}");
    }
}

#[tokio::test]
async fn the_page_may_talk_to_the_members_and_to_nobody_else() {
    for (urls, expected) in [
        (&[][..], "connect-src 'self'; "),
        (&["http://10.0.0.1:8888", ""], "connect-src 'self' http://10.0.0.1:8888 http://10.0.0.2:8888; "),
        (&["https://files.example.com/below"], "connect-src 'self' https://files.example.com; "),
        (&["http://[fd00::1]:8888"], "connect-src 'self' http:; "),
        (&["http://a; script-src *", "http://b, c", "javascript:x", "http://"], "connect-src 'self'; "),
    ] {
        let (_, headers, _) = get(&shared(urls), "/console", &[]).await;
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains(expected), "{urls:?}: {policy}");
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    }
    let many: Vec<String> = (0..200).map(|number| format!("http://node{number}.example:8888")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (_, headers, _) = get(&shared(&many), "/console", &[]).await;
    assert!(headers[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("connect-src 'self' http:; "));
}

#[test]
fn the_document_names_every_part() {
    let document: serde_json::Value = serde_json::from_str(gateway::contract::JSON).unwrap();
    let parameter = &document["paths"]["/console/{part}"]["get"]["parameters"][0];
    let named = parameter["schema"]["enum"].as_array().unwrap();
    let mut named: Vec<&str> = named.iter().map(|name| name.as_str().unwrap()).collect();
    let mut parts: Vec<&str> = SCRIPTS.iter().chain(OTHERS).map(|part| part.name).collect();
    named.sort_unstable();
    parts.sort_unstable();
    assert_eq!(named, parts);
}
