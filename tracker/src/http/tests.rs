//! REST without sockets: statuses, bodies, HEAD, and that its scheduling is the native one.

mod access;

use std::net::{Ipv4Addr, SocketAddr};

use axum::body::{Body, to_bytes};
use gateway::contract::Server as Which;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, Request};
use protocol::cluster::{
    Join, PathSpace, ReplicationReport, SenderReport, SenderState, StorageStatus, TrackerAddress,
};
use protocol::{GroupName, StorageId};
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::peers::{self, last_run::LastRun};
use crate::saver::Saver;
use crate::state::{Cluster, Group, Member, Peer, Reported, Rules, Session};

/// A file of 10.0.0.1, old enough to be everywhere.
const FILE: &str = "group1/M00/00/00/CgAAAWVT8QCAEjRWAAAAZBI0Vng001.txt";

fn shared(members: &[&str]) -> Arc<Shared> {
    shared_with_room(members, 5000)
}

/// A tracker whose storages have so much room, of which 1000 MB are kept.
fn shared_with_room(members: &[&str], free_mb: i64) -> Arc<Shared> {
    let rules = Rules::plain();
    let mut group = Group::new(GroupName::parse("group1").unwrap());
    for ip in members {
        let mut member = Member::new(StorageId::parse(ip).unwrap(), ip.parse().unwrap(), 23_000);
        member.status = StorageStatus::ACTIVE;
        member.paths = vec![PathSpace { total_mb: 9000, free_mb }];
        (member.total_mb, member.free_mb) = (9000, free_mb);
        group.insert(member);
    }
    let groups = if members.is_empty() { Vec::new() } else { vec![group] };
    serving(Cluster::restore(rules, groups, Vec::new()))
}

/// A tracker with this state.
fn serving(cluster: Cluster) -> Arc<Shared> {
    let saver = Saver::new(std::path::PathBuf::new());
    Arc::new(Shared::new(cluster, saver, String::new(), 8888, LastRun::default()))
}

/// Status, headers and body of an answer.
async fn ask(shared: &Arc<Shared>, method: Method, path: &str) -> (u16, HeaderMap, Vec<u8>) {
    send(shared, Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
}

async fn send(shared: &Arc<Shared>, request: Request<Body>) -> (u16, HeaderMap, Vec<u8>) {
    send_from(shared, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 50_000), request).await
}

/// The same by a client at `client`.
async fn send_from(
    shared: &Arc<Shared>,
    client: SocketAddr,
    mut request: Request<Body>,
) -> (u16, HeaderMap, Vec<u8>) {
    request.extensions_mut().insert(ClientAddress(client));
    request.extensions_mut().insert(gateway::Client {
        address: client,
        behind_proxy: false,
        is_secure: false,
    });
    gateway::routes::fold_file_id(request.uri_mut());
    let response = routes(Arc::clone(shared)).into_router().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    (head.status.as_u16(), head.headers, to_bytes(body, 1 << 20).await.unwrap().to_vec())
}

async fn json(shared: &Arc<Shared>, path: &str) -> (u16, Value) {
    let (status, _, body) = ask(shared, Method::GET, path).await;
    (status, serde_json::from_slice(&body).unwrap())
}

#[test]
fn routes_are_those_of_the_document() {
    let routes = routes(shared(&[]));
    assert_eq!(gateway::contract::differences(Which::Tracker, routes.list()), Vec::<String>::new());
}

#[tokio::test]
async fn health_and_readiness() {
    let (empty, full) = (shared(&[]), shared(&["10.0.0.1"]));
    for (shared, path, status, word) in
        [(&empty, "/healthz", 200, "ok"), (&full, "/healthz", 200, "ok"), (&full, "/readyz", 200, "ready")]
    {
        let (found, body) = json(shared, path).await;
        assert_eq!((found, body["status"].as_str()), (status, Some(word)), "{path}");
    }
    let (status, body) = json(&empty, "/readyz").await;
    assert_eq!((status, body["code"].as_str()), (503, Some("no_active_storage")));
}

#[tokio::test]
async fn an_upload_is_scheduled_as_by_the_native_call() {
    let shared = shared(&["10.0.0.1", "10.0.0.2"]);
    let mut ips = Vec::new();
    for _ in 0..3 {
        let (status, found) = json(&shared, "/v1/schedule/upload").await;
        let place = &found["places"][0];
        assert_eq!((status, &place["group"], &place["store_path"]), (200, &"group1".into(), &0.into()));
        assert_eq!(place["upload_url"], Value::Null, "it has not told where it serves HTTP");
        ips.push(place["ip"].as_str().unwrap().to_owned());
    }
    let native = shared.state().query_store(None, Ipv4Addr::LOCALHOST.into()).unwrap();
    ips.push(native.servers[0].ip.to_string());
    assert_eq!(ips, ["10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2"], "both take the same turns");
}

#[tokio::test]
async fn downloads_updates_and_redirects_name_members_that_have_the_file() {
    let shared = shared(&["10.0.0.1", "10.0.0.2"]);
    let (status, found) = json(&shared, &format!("/v1/schedule/download/{FILE}")).await;
    assert_eq!((status, found["places"].as_array().unwrap().len()), (200, 2));
    let (_, found) = json(&shared, &format!("/v1/schedule/update/{FILE}")).await;
    assert_eq!(found["places"][0]["url"], format!("http://10.0.0.1:8888/{FILE}"));
    let (status, headers, _) = ask(&shared, Method::GET, &format!("/{FILE}")).await;
    assert_eq!((status, headers[CACHE_CONTROL].to_str().unwrap()), (307, "no-store"));
    assert_eq!(headers[LOCATION], format!("http://10.0.0.2:8888/{FILE}"), "the list took a turn, too");
}

#[tokio::test]
async fn lists() {
    let shared = shared(&["10.0.0.1", "10.0.0.2"]);
    let (_, found) = json(&shared, "/v1/groups").await;
    let group = &found["groups"][0];
    assert_eq!(
        (&group["name"], &group["writable"], &group["free_mb"]),
        (&"group1".into(), &2.into(), &5000.into())
    );
    let (_, found) = json(&shared, "/v1/groups/group1/storages").await;
    let storage = &found["storages"][1];
    assert_eq!((&storage["status"], &storage["mode"]), (&"ACTIVE".into(), &"rw".into()));
    assert_eq!(storage["paths"], serde_json::json!([{"index": 0, "total_mb": 9000, "free_mb": 5000}]));
    assert_eq!(storage["counters"]["upload_count"], serde_json::json!({"total": 0, "success": 0}));
    let (_, one) = json(&shared, "/v1/groups/group1").await;
    assert_eq!((&one, &one["available_mb"]), (group, &4000.into()));
}

/// Of two members the first is ours and a third behind; the second is FastDFS's.
fn mixed() -> Arc<Shared> {
    let [first, second] = ["10.0.0.1", "10.0.0.2"].map(|id| StorageId::parse(id).unwrap());
    let shared = shared(&["10.0.0.1", "10.0.0.2"]);
    let mut groups = shared.state().groups().to_vec();
    let sender = SenderReport {
        peer: second,
        state: SenderState::BEHIND,
        lag_seconds: 7,
        files_to_go: 50,
        bytes_to_go: 4000,
        per_second: 20,
        dead_letters: 1,
        binlog_index: 0,
        binlog_offset: 99,
    };
    let report = ReplicationReport { http_url: "https://files.example/".into(), senders: vec![sender] };
    let member = groups[0].member_mut(&first).unwrap();
    member.reported = Some(Reported { report, at: shared.now() + 100 });
    member.synced_from.insert(second, 1_700_000_000);
    groups[0].member_mut(&second).unwrap().stats.last_source_update = 1_700_000_030;
    let cluster = Cluster::restore(shared.state().rules().clone(), groups, Vec::new());
    serving(cluster)
}

#[tokio::test]
async fn replication_is_shown_for_every_pair() {
    let shared = mixed();
    let sends = serde_json::json!({
        "source": "10.0.0.1", "destination": "10.0.0.2", "known_by": "reports", "state": "behind", "lag_seconds": 7,
        "files_to_go": 50, "bytes_to_go": 4000, "per_second": 20, "seconds_to_go": 3, "dead_letters": 1,
        "last_synced": null
    });
    let receives = serde_json::json!({
        "source": "10.0.0.2", "destination": "10.0.0.1", "known_by": "timestamps", "state": null, "lag_seconds": 30,
        "files_to_go": null, "bytes_to_go": null, "per_second": null, "seconds_to_go": null, "dead_letters": null,
        "last_synced": 1_700_000_000
    });
    let (_, found) = json(&shared, "/v1/groups").await;
    assert_eq!(found["groups"][0]["replication"], serde_json::json!([sends, receives]));
    let (status, found) = json(&shared, "/v1/groups/group1/storages/10.0.0.1").await;
    assert_eq!((status, &found["status"]), (200, &"ACTIVE".into()));
    assert_eq!((&found["sends"][0], &found["receives"][0]), (&sends, &receives));
    assert_eq!(
        (found["sends"].as_array().unwrap().len(), found["receives"].as_array().unwrap().len()),
        (1, 1)
    );
    assert_eq!((&found["http_url"], &found["sync_source"]), (&"https://files.example".into(), &Value::Null));
    let (_, other) = json(&shared, "/v1/groups/group1/storages/10.0.0.2").await;
    assert_eq!((&other["sends"][0], &other["receives"][0]), (&receives, &sends));
}

#[tokio::test]
async fn a_member_is_reached_where_it_says() {
    let shared = mixed();
    let (_, _, body) = ask(&shared, Method::GET, &format!("/v1/schedule/download/{FILE}")).await;
    let found: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(found["places"][0]["url"], format!("https://files.example/{FILE}"));
    assert_eq!(found["places"][1]["url"], format!("http://10.0.0.2:8888/{FILE}"));
}

/// Where a request is sent.
async fn leads(shared: &Arc<Shared>, request: http::request::Builder) -> Result<String, u16> {
    let (status, headers, _) = send(shared, request.body(Body::empty()).unwrap()).await;
    match headers.get(LOCATION) {
        Some(location) if status == 307 => Ok(location.to_str().unwrap().to_owned()),
        _ => Err(status),
    }
}

#[tokio::test]
async fn what_a_node_would_answer_is_sent_on_with_path_and_query() {
    let (shared, ours) = (mixed(), "https://files.example");
    let encoded = FILE.replace('/', "%2F");
    for (method, path, expected) in [
        ("POST", "/v1/files?filename=a%20b.txt".to_owned(), format!("{ours}/v1/files?filename=a%20b.txt")),
        ("PUT", "/v1/upload/a%20b.txt?x".to_owned(), format!("{ours}/v1/upload/a%20b.txt?x")),
        ("POST", "/v1/batch/info".to_owned(), format!("{ours}/v1/batch/info")),
        ("POST", "/v1/uploads".to_owned(), format!("{ours}/v1/uploads?redirect=1")),
        ("POST", "/v1/uploads?group=group1".to_owned(), format!("{ours}/v1/uploads?group=group1&redirect=1")),
        ("GET", format!("/v1/files/{FILE}"), format!("{ours}/v1/files/{FILE}")),
        ("HEAD", format!("/v1/files/{encoded}"), format!("{ours}/v1/files/{FILE}")),
        ("DELETE", format!("/v1/files/{FILE}"), format!("{ours}/v1/files/{FILE}")),
        ("PATCH", format!("/v1/files/{FILE}?offset=1"), format!("{ours}/v1/files/{FILE}?offset=1")),
        (
            "PUT",
            format!("/v1/files/{encoded}/metadata/a%2Fb?x=/"),
            format!("{ours}/v1/files/{FILE}/metadata/a%2Fb?x=/"),
        ),
        ("GET", format!("/v1/files/{FILE}/metadata/k"), format!("{ours}/v1/files/{FILE}/metadata/k")),
    ] {
        for _ in 0..2 {
            let found = leads(&shared, Request::builder().method(method).uri(&path)).await;
            assert_eq!(found, Ok(expected.clone()), "{method} {path}: never to FastDFS's, which has no REST");
        }
    }
    let with_query = format!("/{FILE}?token=0a&ts=7&filename=%C3%A4.txt");
    let found: Vec<_> = [
        leads(&shared, Request::get(&with_query)).await.unwrap(),
        leads(&shared, Request::get(&with_query)).await.unwrap(),
    ]
    .into();
    assert_eq!(
        found,
        [format!("{ours}{with_query}"), format!("http://10.0.0.2:8888{with_query}")],
        "reads take turns"
    );
}

/// A node of another group asks FastDFS's storages natively; where resumable uploads lie is its own disk.
#[tokio::test]
async fn what_is_for_a_group_without_http_goes_to_any_node() {
    let shared = mixed();
    let mut group = Group::new(GroupName::parse("group2").unwrap());
    let mut member = Member::new(StorageId::parse("10.0.0.7").unwrap(), "10.0.0.7".parse().unwrap(), 23_000);
    member.status = StorageStatus::ACTIVE;
    member.paths = vec![PathSpace { total_mb: 9000, free_mb: 5000 }];
    (member.total_mb, member.free_mb) = (9000, 5000);
    group.insert(member);
    let both = shared.state().groups().iter().cloned().chain([group]).collect();
    let shared = serving(Cluster::restore(Rules::plain(), both, Vec::new()));
    let ours = "https://files.example";
    let file = FILE.replace("group1", "group2").replace("CgAAA", "CgAAB");
    for (method, path) in [
        ("POST", "/v1/files?group=group2".to_owned()),
        ("PUT", "/v1/upload/a.txt?group=group2".to_owned()),
        ("PATCH", format!("/v1/files/{file}")),
        ("GET", format!("/v1/files/{file}/metadata")),
    ] {
        let found = leads(&shared, Request::builder().method(method).uri(&path)).await;
        assert_eq!(found, Ok(format!("{ours}{path}")), "{method}");
    }
    assert_eq!(leads(&shared, Request::post("/v1/uploads?group=group2")).await, Err(503));
    assert_eq!(leads(&shared, Request::post("/v1/files?group=group3")).await, Err(404));
}

#[tokio::test]
async fn an_upload_goes_where_it_has_room() {
    let shared = mixed();
    for (name, value, expected) in [
        (CONTENT_LENGTH.as_str(), "4193255424", true),
        (CONTENT_LENGTH.as_str(), "4193255425", false),
        ("upload-length", "4193255425", false),
        ("upload-length", "18446744073709551616", true),
    ] {
        let found = leads(&shared, Request::post("/v1/files").header(name, value)).await;
        let expected = if expected { Ok("https://files.example/v1/files".to_owned()) } else { Err(507) };
        assert_eq!(found, expected, "{name}: {value}; 4000 MB are above the reserve, and one has to stay");
    }
}

#[tokio::test]
async fn several_places_take_turns_and_say_how_to_reach_them() {
    let shared = shared(&["10.0.0.1", "10.0.0.2"]);
    let (_, found) = json(&shared, "/v1/schedule/upload?count=3&size=1000&group=group1").await;
    let ids: Vec<_> =
        found["places"].as_array().unwrap().iter().map(|place| place["storage"].clone()).collect();
    assert_eq!(ids, ["10.0.0.1", "10.0.0.2", "10.0.0.1"]);
    let (_, found) = json(&mixed(), "/v1/schedule/upload").await;
    let expected = serde_json::json!({"places": [{
        "group": "group1", "storage": "10.0.0.1", "ip": "10.0.0.1", "native_port": 23000,
        "native_address": "10.0.0.1:23000", "store_path": 0, "store_path_choice": "round_robin",
        "upload_url": "https://files.example/v1/files", "resumable_url": "https://files.example/v1/uploads"
    }]});
    assert_eq!(found, expected, "over HTTP, members of fdfs come first");
}

#[tokio::test]
async fn holders_are_known_by_timestamps() {
    let shared = mixed();
    let (status, found) = json(&shared, &format!("/v1/schedule/holders/{FILE}")).await;
    let has: Vec<_> =
        found["holders"].as_array().unwrap().iter().map(|holder| holder["has"].clone()).collect();
    assert_eq!((status, has), (200, vec!["yes".into(), "yes".into()]), "it is a day old");
    assert_eq!(found["holders"][0]["is_source"], true);
}

#[tokio::test]
async fn the_summary_counts_and_warns() {
    let shared = mixed();
    let (_, found) = json(&shared, "/v1/cluster").await;
    assert_eq!((&found["totals"]["active"], &found["totals"]["free_mb"]), (&2.into(), &5000.into()));
    let codes: Vec<_> = found["warnings"].as_array().unwrap().iter().map(|it| it["code"].clone()).collect();
    assert_eq!(codes, ["dead_letters"]);
    let (_, found) = json(&shared_with_room(&["10.0.0.1"], 1000), "/v1/cluster").await;
    assert_eq!(found["warnings"][0]["code"], "group_full");
}

#[tokio::test]
async fn what_cannot_be_served_is_a_problem_with_a_code() {
    let (full, empty) = (shared(&["10.0.0.1"]), shared(&[]));
    for (shared, method, path, status, code) in [
        (&full, "GET", "/nothing", 404, "no_such_path"),
        (&full, "GET", "/v1/schedule/upload?group=group-1", 400, "bad_group_name"),
        (&full, "GET", "/v1/schedule/upload?group=group9", 404, "no_such_group"),
        (&empty, "GET", "/v1/schedule/upload", 503, "no_active_storage"),
        (&full, "GET", "/v1/groups/group9/storages", 404, "no_such_group"),
        (&full, "GET", "/v1/groups/group9/storages/10.0.0.1", 404, "no_such_group"),
        (&full, "GET", "/v1/groups/group9", 404, "no_such_group"),
        (&full, "GET", "/v1/groups/group9/replication", 404, "no_such_group"),
        (&full, "GET", "/v1/groups/a-b", 400, "bad_group_name"),
        (&full, "GET", "/v1/schedule/upload?size=-1", 400, "bad_parameter"),
        (&full, "POST", "/v1/schedule/upload?size=9223372036854775808", 400, "bad_parameter"),
        (&full, "GET", "/v1/schedule/upload?count=0", 400, "bad_parameter"),
        (&full, "GET", "/v1/schedule/upload?count=101", 400, "bad_parameter"),
        (&full, "GET", "/v1/schedule/upload?size=9000000000", 507, "no_space"),
        (
            &full,
            "GET",
            "/v1/schedule/holders/group9/M00/00/00/CgAAAWVT8QCAEjRWAAAAZBI0Vng001.txt",
            404,
            "no_such_group",
        ),
        (&full, "GET", "/group9/M00/00/00/CgAAAWVT8QCAEjRWAAAAZBI0Vng001.txt", 404, "no_such_group"),
        (&full, "GET", "/M00/00/00/CgAAAWVT8QCAEjRWAAAAZBI0Vng001.txt", 404, "no_such_path"),
        (&full, "GET", "/v1/files/nothing", 404, "no_such_path"),
        (&full, "PUT", "/v1/files/nothing", 404, "no_such_path"),
        (&full, "POST", "/v1/batch/delete", 503, "no_http_storage"),
        (&empty, "POST", "/v1/batch/info", 503, "no_active_storage"),
        (&full, "DELETE", "/v1/files/group1/M00/00/00/..", 404, "bad_file_id"),
        (&full, "PUT", "/v1/schedule/upload", 405, "method_not_allowed"),
        (&full, "POST", "/group1/M00/00/00/CgAAAWVT8QCAEjRWAAAAZBI0Vng001.txt", 405, "method_not_allowed"),
        (&full, "POST", "/v1/files", 503, "no_http_storage"),
        (&empty, "POST", "/v1/files", 503, "no_active_storage"),
        (&empty, "POST", "/v1/uploads?group=group9", 404, "no_such_group"),
        (&full, "GET", "/v1/groups/group1/storages/10.0.0.9", 404, "no_such_storage"),
        (&full, "GET", "/v1/schedule/download/group1/M00/00/00/..", 404, "bad_file_id"),
        (&full, "GET", "/group1/M00/00/zz/x.txt", 404, "bad_file_id"),
        (&full, "DELETE", "/healthz", 405, "method_not_allowed"),
    ] {
        let (found, headers, body) = ask(shared, method.parse().unwrap(), path).await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((found, body["code"].as_str()), (status, Some(code)), "{method} {path}");
        assert_eq!(headers[CONTENT_TYPE], "application/problem+json", "{path}");
        assert_eq!(headers.get(ALLOW).is_some(), status == 405, "{path}");
    }
    let (status, body) = json(&shared_with_room(&["10.0.0.1"], 1000), "/v1/schedule/upload").await;
    assert_eq!((status, body["code"].as_str()), (507, Some("no_space")));
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let shared = shared(&["10.0.0.1"]);
    for path in ["/healthz", "/readyz", "/v1/groups", "/nothing", &format!("/{FILE}")] {
        let (got, got_headers, _) = ask(&shared, Method::GET, path).await;
        let (head, head_headers, body) = ask(&shared, Method::HEAD, path).await;
        assert_eq!((head, body.len()), (got, 0), "{path}");
        assert_eq!(head_headers.get(CONTENT_TYPE), got_headers.get(CONTENT_TYPE), "{path}");
        assert_eq!(head_headers.get(LOCATION), got_headers.get(LOCATION), "{path}");
    }
}

#[tokio::test]
async fn trackers_and_their_leader_are_shown() {
    let shared = shared(&["10.0.0.11"]);
    let (status, body) = json(&shared, "/v1/trackers").await;
    assert_eq!((status, &body["leader"], &body["trackers"]), (200, &Value::Null, &Value::Array(Vec::new())));

    let list = |ips: &[&str]| {
        let tracker = |ip: &&str| TrackerAddress { ips: vec![ip.parse().unwrap()], port: 22_122 };
        Join {
            group: GroupName::parse("group1").unwrap(),
            port: 23_000,
            store_path_count: 1,
            subdir_count: 256,
            upload_priority: 10,
            join_time: 0,
            up_time: 0,
            version: "6.16.1".into(),
            is_new: 1,
            status: None,
            id: None,
            tracker_ip: None,
            trackers: ips.iter().map(tracker).collect(),
        }
    };
    let session = Session::new(Peer {
        address: "10.0.0.11:40000".parse().unwrap(),
        local: "10.0.0.1:22122".parse().unwrap(),
        connection: 1,
    });
    peers::heard(&shared, &session, &list(&["10.0.0.1"])).unwrap();
    let (_, body) = json(&shared, "/v1/trackers").await;
    assert_eq!(body["leader"], "10.0.0.1:22122", "alone, it leads");
    assert_eq!(body["trackers"][0]["is_leader"], true);
    peers::heard(&shared, &session, &list(&["10.0.0.1", "10.0.0.2"])).unwrap();
    let (_, body) = json(&shared, "/v1/trackers").await;
    assert_eq!(body["leader"], "10.0.0.1:22122", "and goes on leading");
    let other = serde_json::json!({"address": "10.0.0.2:22122", "is_own": false, "is_leader": false});
    assert_eq!(body["trackers"][1], other);
}

/// Status and JSON of an admin call.
async fn admin(shared: &Arc<Shared>, method: &str, path: &str, body: &str) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
    let (status, _, body) = send(shared, request).await;
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn admin_calls_say_what_they_did_or_why_not() {
    let shared = shared(&["10.0.0.1", "10.0.0.2"]);
    let offline = StorageId::parse("10.0.0.2").unwrap();
    let mut groups = shared.state().groups().to_vec();
    groups[0].member_mut(&offline).unwrap().status = StorageStatus::OFFLINE;
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::restore(shared.state().rules().clone(), groups, Vec::new());
    let saver = Saver::new(dir.path().to_path_buf());
    let shared = Arc::new(Shared::new(cluster, saver, String::new(), 8888, LastRun::default()));
    let group = "/v1/groups/group1";
    for (method, path, body, expected) in [
        ("DELETE", "/storages/10.0.0.1", "", (409, "storage_in_service")),
        ("DELETE", "/storages/10.0.0.9", "", (404, "no_such_storage")),
        ("DELETE", "", "", (409, "group_not_empty")),
        ("PUT", "/trunk-server", "{}", (409, "trunk_files_off")),
        ("PUT", "/trunk-server", "", (400, "bad_document")),
        ("PUT", "/trunk-server", "{\"storage\": \"10.0.0.9\"}", (404, "no_such_storage")),
        ("PUT", "/storages/10.0.0.1/mode", "{\"mode\": \"x\"}", (400, "bad_document")),
        ("PUT", "/storages/10.0.0.1/mode", "{\"mode\": \"r\", \"more\": 1}", (400, "bad_document")),
        ("PUT", "/storages/10.0.0.9/mode", "{\"mode\": \"r\"}", (404, "no_such_storage")),
        ("POST", "/storages/10.0.0.1/mode", "", (405, "method_not_allowed")),
    ] {
        let (status, found) = admin(&shared, method, &format!("{group}{path}"), body).await;
        assert_eq!((status, found["code"].as_str()), (expected.0, Some(expected.1)), "{method} {path}");
    }
    let own = serde_json::json!([{"address": null, "is_own": true, "outcome": "done"}]);
    let mode = format!("{group}/storages/10.0.0.1/mode");
    let (status, found) = admin(&shared, "PUT", &mode, "{\"mode\": \"r\"}").await;
    assert_eq!((status, &found["mode"], &found["trackers"]), (200, &"r".into(), &own));
    let (_, found) = json(&shared, &format!("{group}/storages/10.0.0.1")).await;
    assert_eq!((&found["mode"], &found["configured_mode"]), (&"r".into(), &"rw".into()));
    assert_eq!(json(&shared, "/v1/schedule/upload").await.0, 503, "nobody takes uploads now");
    let path = format!("{group}/storages/10.0.0.2");
    let (status, found) = admin(&shared, "DELETE", &path, "").await;
    assert_eq!((status, &found["trackers"]), (200, &own));
    let (status, found) = admin(&shared, "DELETE", &path, "").await;
    assert_eq!((status, found["code"].as_str()), (409, Some("already_deleted")));
    let saved = std::fs::read_to_string(dir.path().join("storage_servers_new.dat")).unwrap();
    assert!(saved.contains("rw_mode=read") && !saved.contains("10.0.0.2"), "{saved}");
}

#[tokio::test]
async fn admin_calls_are_taken_from_this_machine_only() {
    let shared = shared(&["10.0.0.1"]);
    for (method, path) in [
        ("DELETE", "/v1/groups/group1"),
        ("PUT", "/v1/groups/group1/trunk-server"),
        ("DELETE", "/v1/groups/group1/storages/10.0.0.1"),
        ("PUT", "/v1/groups/group1/storages/10.0.0.1/mode"),
    ] {
        for (name, value) in [("x-forwarded-for", "127.0.0.1"), ("origin", "http://evil.example")] {
            let request = Request::builder().method(method).uri(path).header(name, value);
            let (status, ..) = send(&shared, request.body(Body::empty()).unwrap()).await;
            assert_eq!(status, 403, "{method} {path} with {name}");
        }
    }
}
