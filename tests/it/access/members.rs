//! Writes that one node passes on to another, which does not know the client's token.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{Site, Token, Visitor, outcome, showing};
use crate::one_store::get;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_takes_the_word_of_the_node_that_knows_the_token() {
    let known = Token::new(&["--name", "ci", "--scopes", "read,write,delete"]);
    let bound = Token::new(&["--name", "bound", "--scopes", "write", "--group", "group1"]);
    let nobody = Token::new(&["--name", "nobody", "--scopes", "read"]);
    let site = Site::start(&[&nobody], [&[&known, &bound], &[&nobody]]).await;
    let [first, second] = &site.nodes;
    let visitor = Visitor::new();
    let ask = |method: Method, url: &str, token: &Token| showing(visitor.ask(method, url), &token.text);

    let direct = ask(Method::POST, &second.url("/v1/files"), &known).body("hello");
    assert_eq!(outcome(direct).await, (401, "invalid_token".to_owned()));
    let mut ids = Vec::new();
    for (method, path) in
        [(Method::POST, "/v1/files?group=group2&ext=txt"), (Method::PUT, "/v1/upload/b.txt?group=group2")]
    {
        let refused = ask(method.clone(), &first.url(path), &bound).body("hello");
        assert_eq!(outcome(refused).await, (403, "token_of_other_group".to_owned()), "{path}");
        let stored =
            super::json(ask(method, &first.url(path), &known).body("hello"), StatusCode::CREATED).await;
        ids.push(stored["file_id"].as_str().expect("an ID").to_owned());
    }
    for id in &ids {
        assert!(id.starts_with("group2/"), "{id}");
        assert_eq!(get(&second.url(&format!("/{id}"))).await, (StatusCode::OK, b"hello".to_vec()));
        let made = [("who", json!("ci")), ("status", json!(201)), ("file_ids", json!([id]))];
        site.audited("b", &made).await;
        site.audited("a", &made).await;
    }

    let [changed, deleted] = &ids[..] else { panic!("two were stored") };
    let metadata = format!("/v1/files/{changed}/metadata");
    let change = |token: &Token| {
        ask(Method::PUT, &first.url(&metadata), token)
            .header("content-type", "application/json")
            .body(r#"{"author": "bob"}"#)
    };
    assert_eq!(outcome(change(&bound)).await, (403, "token_of_other_group".to_owned()));
    assert_eq!(outcome(change(&known)).await, (200, String::new()));
    let kept = super::json(ask(Method::GET, &second.url(&metadata), &nobody), StatusCode::OK).await;
    assert_eq!(kept["author"], "bob", "{kept}");
    site.audited("b", &[("who", json!("ci")), ("method", json!("PUT")), ("status", json!(200))]).await;

    let delete = ask(Method::DELETE, &first.url(&format!("/v1/files/{deleted}")), &known);
    assert_eq!(outcome(delete).await, (204, String::new()));
    assert_eq!(get(&second.url(&format!("/{deleted}"))).await.0, StatusCode::NOT_FOUND);
    let several = ask(Method::POST, &first.url("/v1/batch/delete"), &known);
    let several = several.header("content-type", "application/json").body(json!([changed]).to_string());
    let answer = super::json(several, StatusCode::OK).await;
    assert!(!answer.to_string().contains("refused"), "{answer}");
    assert_eq!(get(&second.url(&format!("/{changed}"))).await.0, StatusCode::NOT_FOUND);
    site.audited("b", &[("who", json!("ci")), ("scope", json!("delete")), ("status", json!(204))]).await;
}
