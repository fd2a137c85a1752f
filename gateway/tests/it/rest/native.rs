//! Writes that belong to a member that takes none by HTTP: the store has another one for them.

use axum::body::Body;
use gateway::authority::Authority;
use gateway::files::{Carrier, UploadKind};
use gateway::{ResponseMode, Settings};

use super::{appender, assert_refused, normal};
use crate::ask::{Answer, ask, over, request};
use crate::fake::{Fake, Mood};

/// A store and the member that its files belong to.
fn two() -> (Fake, Fake) {
    let (store, member) = (Fake::new(), Fake::new());
    let native = "127.0.17.2:23000".parse().unwrap();
    *store.0.carrier.lock().unwrap() = Some(Carrier::Member { native, http: None });
    *store.0.member.lock().unwrap() = Some(member.clone());
    (store, member)
}

async fn send(store: &Fake, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut settings = Settings::plain();
    settings.authority = Authority::open();
    // A member without HTTP is nowhere to send a client to.
    settings.response_mode = ResponseMode::Redirect;
    ask(&over(store, settings), request(method, target, headers, Body::from(body.to_owned()))).await
}

#[tokio::test]
async fn changes_are_made_there() {
    let (store, member) = two();
    let id = appender(&member, "abc");
    let target = format!("/v1/files/{id}");
    let appended = send(&store, "PATCH", &target, &[("upload-offset", "3")], "def").await;
    assert_eq!((appended.json()["offset"].as_u64(), appended.header("upload-offset")), (Some(3), "6"));
    let again = send(&store, "PATCH", &target, &[("upload-offset", "3")], "def").await;
    assert_refused(&again, 409, "offset_mismatch");
    send(&store, "PATCH", &format!("{target}?offset=1"), &[], "B").await;
    assert_eq!(member.content(&id).unwrap(), "aBcdef");
    let cut = send(&store, "POST", &format!("{target}/truncate?size=4"), &[], "").await;
    assert_eq!(cut.json()["size"], 4);
    let set = send(&store, "PUT", &format!("{target}/metadata/a"), &[], "1").await;
    assert_eq!((set.status.as_u16(), member.metadata_of(&id).unwrap().get("a")), (204, Some("1")));
    let finished = send(&store, "POST", &format!("{target}/finish"), &[], "").await;
    let new = finished.json()["file_id"].as_str().unwrap().to_owned();
    assert_eq!(member.content(&new).unwrap(), "aBcd");
    let slave =
        send(&store, "POST", &format!("/v1/files/{new}/slaves?prefix=_s&ext=txt"), &[], "small").await;
    assert_eq!(slave.status, 201, "{:?}", slave.body);
    assert_eq!((store.count(), member.count()), (0, 2));
    let unchanging = normal(&member, "abc");
    let refused = send(&store, "PATCH", &format!("/v1/files/{unchanging}"), &[], "x").await;
    assert_refused(&refused, 409, "not_appender");
}

#[tokio::test]
async fn deletes_are_made_there() {
    let (store, member) = two();
    let (one, other) = (normal(&member, "abc"), normal(&member, "def"));
    assert_eq!(send(&store, "DELETE", &format!("/v1/files/{one}"), &[], "").await.status, 204);
    let list = serde_json::json!([other, one]).to_string();
    let answer = send(&store, "POST", "/v1/batch/delete", &[], &list).await.json();
    assert_eq!(
        (&answer["results"][0]["status"], &answer["results"][1]["code"]),
        (&204.into(), &"no_such_file".into())
    );
    assert_eq!(member.count(), 0);
}

#[tokio::test]
async fn uploads_for_another_group_are_made_there() {
    let (store, member) = two();
    let target = "/v1/files?group=group2&ext=txt";
    let headers = [("prefer", "durability=fsync"), ("content-length", "3")];
    let made = send(&store, "POST", target, &headers, "abc").await;
    assert_eq!((made.status.as_u16(), made.header("preference-applied")), (201, ""));
    let id = made.json()["file_id"].as_str().unwrap().to_owned();
    assert_eq!(member.content(&id).unwrap(), "abc");
    let named = send(&store, "PUT", "/v1/upload/a.txt?group=group2", &[], "named").await;
    let id = named.json()["file_id"].as_str().unwrap().to_owned();
    assert_eq!(member.metadata_of(&id).unwrap().get("fdfs.filename"), Some("a.txt"));
    assert_eq!(store.count(), 0);
    assert_refused(&send(&store, "POST", target, &[("expires-in", "60")], "abc").await, 400, "no_expiry");
    member.set_mood(Mood::Full);
    assert_refused(&send(&store, "POST", target, &[], "abc").await, 507, "no_space");
}

/// FastDFS must not be asked for a link.
#[tokio::test]
async fn links_are_made_where_the_file_is() {
    let (store, member) = two();
    let id = store.add(&UploadKind::Normal, "txt", b"abc").to_string();
    store.move_away(&id);
    let target = format!("/v1/files/{id}/links");
    assert_refused(&send(&store, "POST", &target, &[], "").await, 502, "no_link");
    store.0.elsewhere.lock().unwrap().clear();
    assert_refused(&send(&store, "POST", &target, &[], "").await, 404, "no_such_file");
    store.add_as(&id, false, b"abc");
    assert_eq!(send(&store, "POST", &target, &[], "").await.status, 201);
    assert_eq!(member.count(), 0);
}

#[tokio::test]
async fn where_no_member_is_asked_a_client_hears_so() {
    let (store, member) = two();
    let id = appender(&member, "abc");
    *store.0.member.lock().unwrap() = None;
    for (method, target) in [("PATCH", ""), ("DELETE", ""), ("POST", "/finish"), ("PUT", "/metadata")] {
        let answer = send(&store, method, &format!("/v1/files/{id}{target}"), &[], "{}").await;
        assert_refused(&answer, 502, "no_http");
    }
}
