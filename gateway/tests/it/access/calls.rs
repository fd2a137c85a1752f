//! Calls from member to member.

use std::sync::Arc;

use axum::body::Body;
use gateway::authority::{Call, FDFS_CLUSTER, Grant, Scope, Scopes, UploadLimits};
use gateway::files::{Carrier, HttpMember};
use gateway::server::HttpLimits;
use gateway::{Gateway, Site};
use http::Method;

use super::{HERE, ID, ID_OF_PLACE, MAY, Place, VISITOR};
use crate::ask::{OWN_ID, ask_from, request};
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

/// That of a call without a body.
fn vouched(place: &Place, scope: Scope, path: &str) -> String {
    vouched_to(ID_OF_PLACE, place, (scope, Method::DELETE, path), &[])
}

fn vouched_to(
    to: &str,
    place: &Place,
    (scope, method, path): (Scope, Method, &str),
    headers: &[(&str, &str)],
) -> String {
    let request = request(method.as_str(), path, headers, Body::empty());
    let call = Call { to, method: &method, uri: request.uri(), headers: request.headers() };
    place.authority().vouch(&grant(scope), &call).unwrap().to_str().unwrap().to_owned()
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

/// Who reads the wire between two members knows a good call; it is good for no third one.
#[tokio::test]
async fn what_is_for_one_member_another_does_not_take() {
    let place = Place::new();
    let path = format!("/v1/files/{ID}");
    let other = vouched_to("192.168.0.9", &place, (Scope::Delete, Method::DELETE, &path), &[]);
    assert_eq!(place.delete(VISITOR, &[(FDFS_CLUSTER.as_str(), &other)]).await, "cluster_refused");
    // Who does not know yet who it is takes none.
    let secret = format!("http.cluster_secret_file = {}", place.directory.path().join("secret").display());
    let site = Site::new(settings(&secret));
    let nobody = Gateway::new(Arc::new(place.store.clone()), site, gateway::routes::Routes::new());
    let value = vouched(&place, Scope::Delete, &path);
    let asked = request("DELETE", &path, &[(FDFS_CLUSTER.as_str(), &value)], Body::empty());
    assert_eq!(ask_from(&nobody, VISITOR, asked).await.code(), "cluster_refused");
}

/// A node judges the client, and the member takes its word: it has no tokens of its own here, and sees no local client.
#[tokio::test]
async fn a_member_takes_the_word_of_the_node_that_passes_a_write_on() {
    let (here, there) = (Place::new(), Place::new());
    let secret = format!("http.cluster_secret_file = {}", there.directory.path().join("secret").display());
    let member = Running::start(settings(&secret), HttpLimits::default()).await;
    let id = appender(&member.store, "abc");
    let http = HttpMember { id: OWN_ID.to_owned(), url: format!("http://{}", member.address) };
    let native = "127.0.17.2:23000".parse().unwrap();
    *here.store.0.carrier.lock().unwrap() = Some(Carrier::Member { native, http: Some(http) });
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
    let length = ("content-length", "5");
    let value = vouched_to(ID_OF_PLACE, &place, (Scope::Write, Method::PUT, path), &[length]);
    let headers = [("fdfs-cluster", value.as_str()), length];
    let answer = ask_from(&place.gateway, VISITOR, request("PUT", path, &headers, "hello".into())).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
}
