//! Calls from member to member.

use http::Method;

use gateway::authority::{FDFS_CLUSTER, Grant, Scope, Scopes, UploadLimits};
use gateway::files::Carrier;
use gateway::server::HttpLimits;

use super::{HERE, ID, MAY, Place, VISITOR};
use crate::ask::{ask_from, request};
use crate::policy::settings;
use crate::rest::appender;
use crate::sockets::Running;

fn grant(scope: Scope) -> Grant {
    Grant {
        who: "ci".to_owned(),
        scopes: Scopes::NONE.with(scope),
        group: None,
        limits: UploadLimits::default(),
        expires: None,
    }
}

fn vouched(place: &Place, scope: Scope, path: &str) -> String {
    let value = place.authority().vouch(&grant(scope), &Method::DELETE, &path.parse().unwrap()).unwrap();
    value.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_a_member_vouches_for_is_done_once() {
    let place = Place::new();
    let path = format!("/v1/files/{ID}");
    let value = vouched(&place, Scope::Delete, &path);
    assert_eq!(place.delete(VISITOR, &[(FDFS_CLUSTER.as_str(), &value)]).await, MAY);
    assert_eq!(place.delete(VISITOR, &[(FDFS_CLUSTER.as_str(), &value)]).await, "cluster_replayed");
    assert_eq!(place.audit()[0]["who"], "ci");
}

#[tokio::test]
async fn what_it_vouches_for_is_not_more_than_it_says() {
    let place = Place::new();
    let path = format!("/v1/files/{ID}");
    let value = vouched(&place, Scope::Read, &path);
    assert_eq!(place.delete(VISITOR, &[(FDFS_CLUSTER.as_str(), &value)]).await, "insufficient_scope");
    let other = vouched(&place, Scope::Delete, &path.replace("468.txt", "469.txt"));
    assert_eq!(place.delete(VISITOR, &[(FDFS_CLUSTER.as_str(), &other)]).await, "cluster_refused");
    assert_eq!(
        place.delete(VISITOR, &[(FDFS_CLUSTER.as_str(), "t=1, n=1, g=1, mac=1")]).await,
        "cluster_refused"
    );
}

/// A node judges the client, and the member takes its word: it has no tokens of its own here, and sees no local client.
#[tokio::test]
async fn a_member_takes_the_word_of_the_node_that_passes_a_write_on() {
    let (here, there) = (Place::new(), Place::new());
    let secret = format!("http.cluster_secret_file = {}", there.directory.path().join("secret").display());
    let member = Running::start(settings(&secret), HttpLimits::default()).await;
    let id = appender(&member.store, "abc");
    let (native, url) = ("127.0.17.2:23000".parse().unwrap(), Some(format!("http://{}", member.address)));
    *here.store.0.carrier.lock().unwrap() = Some(Carrier::Member { native, url });
    let path = format!("/v1/files/{id}");
    let refused = here.ask(VISITOR, "DELETE", &path, &[("authorization", "Bearer reader")]).await;
    assert_eq!(refused.code(), "insufficient_scope");
    assert!(member.store.content(&id).is_some());
    let metadata = request(
        "PUT",
        &format!("{path}/metadata"),
        &[("authorization", "Bearer all")],
        r#"{"a":"1"}"#.into(),
    );
    assert_eq!(ask_from(&here.gateway, VISITOR, metadata).await.status, 200);
    let deleted = here.ask(HERE, "DELETE", &path, &[]).await;
    assert_eq!((deleted.status.as_u16(), member.store.content(&id)), (204, None), "{:?}", deleted.body);
    member.finish().await;
}

/// What is rewritten on the way through is judged as it came.
#[tokio::test]
async fn what_a_member_vouches_for_by_name_is_stored() {
    let place = Place::new();
    let path = "/v1/upload/a.txt?group=group1";
    let value = place.authority().vouch(&grant(Scope::Write), &Method::PUT, &path.parse().unwrap()).unwrap();
    let headers = [("fdfs-cluster", value.to_str().unwrap())];
    let answer = ask_from(&place.gateway, VISITOR, request("PUT", path, &headers, "hello".into())).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
}
