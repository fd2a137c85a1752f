//! Many files by one request.

use axum::body::Body;
use gateway::Settings;
use serde_json::json;

use super::{assert_refused, call, normal};
use crate::ask::{ask_from, over, request};
use crate::fake::Fake;

#[tokio::test]
async fn each_file_has_an_outcome_of_its_own() {
    let store = Fake::new();
    let ids: Vec<String> = ["a", "bb", "ccc"].iter().map(|content| normal(&store, content)).collect();
    let gone = normal(&store, "gone");
    store.lose(&gone);
    let list = json!([ids[0], gone, "nonsense", ids[2]]).to_string();
    let answer = call(&store, "POST", "/v1/batch/info", &[], &list).await;
    assert_eq!(answer.status, 200);
    let results = &answer.json()["results"];
    let seen: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["status"].as_u64().unwrap(), one["file"]["size"].as_u64()))
        .collect();
    assert_eq!(seen, [(200, Some(1)), (404, None), (404, None), (200, Some(3))]);
    assert_eq!(results[1]["code"], "no_such_file");
    assert_eq!(results[2]["code"], "bad_file_id");
    assert_eq!(results[3]["file"]["file_id"], ids[2]);
    let answer = call(&store, "POST", "/v1/batch/delete", &[], &list).await;
    let results = &answer.json()["results"];
    let seen: Vec<_> =
        results.as_array().unwrap().iter().map(|one| one["status"].as_u64().unwrap()).collect();
    assert_eq!(seen, [204, 404, 404, 204]);
    assert_eq!(store.count(), 1);
    assert!(store.content(&ids[1]).is_some());
}

#[tokio::test]
async fn lists_that_are_none_or_too_long_are_refused() {
    let store = Fake::new();
    let many = |count| json!(vec!["x"; count]).to_string();
    for path in ["/v1/batch/delete", "/v1/batch/info"] {
        for body in ["", "{}", "[1]", "\"x\"", &many(1001)] {
            assert_refused(&call(&store, "POST", path, &[], body).await, 400, "bad_list");
        }
        let endless = format!("[\"{}\"]", "x".repeat(300_000));
        assert_refused(&call(&store, "POST", path, &[], &endless).await, 413, "body_too_large");
        for count in [0, 1000] {
            let answer = call(&store, "POST", path, &[], &many(count)).await;
            assert_eq!(answer.json()["results"].as_array().unwrap().len(), count);
        }
        assert_refused(&call(&store, "GET", path, &[], "").await, 405, "method_not_allowed");
    }
    let gateway = over(&store, Settings::plain());
    let foreign = request("POST", "/v1/batch/delete", &[], Body::from("[]"));
    assert_refused(&ask_from(&gateway, "192.0.2.7:4000", foreign).await, 403, "remote_write");
}
