//! `/docs` of node and tracker in a browser: it lists what the document has, and what it sends is answered.

use reqwest::{Client, Method};

use crate::cluster::Cluster;
use crate::console::{nobody, visit};
use crate::one_store;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_the_contract_lists_operations_and_tries_them() {
    let cluster = Cluster::start().await;
    let stored = one_store::upload(&cluster.node.url("/v1/files"), "a.txt", b"hello".to_vec()).await;
    let author = cluster.node.url(&format!("/v1/files/{}/metadata/author", stored.file_id));
    let request = Client::new().request(Method::PUT, author).body("<img src=x onerror=alert(1)>");
    assert!(request.send().await.expect("an answer").status().is_success());
    let id = stored.file_id.as_str();
    // A name of an operation, a parameter and its value, and what the answer has to hold.
    for (server, tried) in [
        (&cluster.node, ["describeFile", "file_id", id, "\"size\": 5"]),
        (&cluster.node, ["readMetadata", "file_id", id, "<img src=x onerror=alert(1)>"]),
        (&cluster.tracker, ["getGroup", "group", "group1", "\"group1\""]),
    ] {
        visit("docs", &server.url(""), &tried, nobody).await;
    }
}
