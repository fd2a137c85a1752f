//! A node's routes and openapi.yaml say the same.

use std::net::SocketAddr;

use gateway::contract::{FILE_URLS, Server, differences};

use crate::address::fresh;
use crate::running::{build, conf_text};

#[tokio::test]
async fn routes_are_those_of_the_document() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let nobody = SocketAddr::new(fresh(), 1);
    let text = conf_text(directory.path(), fresh(), nobody, "");
    let app = build(&text).await.unwrap_or_else(|error| panic!("{error}"));
    let routes = app.routes();
    assert_eq!(differences(Server::Node, routes.iter().chain(&FILE_URLS)), Vec::<String>::new());
}
