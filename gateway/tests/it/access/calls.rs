//! Calls from member to member.

use http::Method;

use super::{ID, MAY, Place, VISITOR};
use gateway::authority::{FDFS_CLUSTER, Grant, Scope, Scopes, UploadLimits};

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
