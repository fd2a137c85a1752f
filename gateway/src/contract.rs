//! openapi.yaml, compiled in: what the HTTP ports of node and tracker answer, and who answers it.
//!
//! The document's `servers` say who: those of an operation, else of its path, else of the document. The build script makes
//! JSON of it.

mod served;

use std::collections::BTreeSet;

use http::Method;
use serde_json::Value;

pub use served::routes;

/// The document as it was written.
pub const YAML: &str = include_str!("../../openapi.yaml");
/// The same as JSON, keys in the same order.
pub const JSON: &str = include_str!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// What a node answers by the names of files, which is no route.
pub const FILE_URLS: [(Method, &str); 2] = [
    (Method::GET, "/{group}/{store_path}/{high}/{low}/{name}"),
    (Method::OPTIONS, "/{group}/{store_path}/{high}/{low}/{name}"),
];

/// Who answers an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Port 8888.
    Node,
    /// Port 8080.
    Tracker,
}

impl Server {
    /// As the document writes it.
    pub fn url(self) -> &'static str {
        match self {
            Self::Node => "http://127.0.0.1:8888",
            Self::Tracker => "http://127.0.0.1:8080",
        }
    }
}

/// One operation of the document.
#[derive(Debug, Clone)]
pub struct Operation<'a> {
    /// Its method.
    pub method: Method,
    /// Its path with parameters in braces.
    pub path: &'a str,
    /// What the document says of the path.
    pub item: &'a Value,
    /// What the document says of the operation.
    pub value: &'a Value,
}

/// All operations of the document, by path.
pub fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    for (path, item) in entries(&document["paths"]) {
        for (key, value) in entries(item) {
            let method = key.to_ascii_uppercase();
            if METHODS.contains(&method.as_str())
                && let Ok(method) = Method::from_bytes(method.as_bytes())
            {
                operations.push(Operation { method, path, item, value });
            }
        }
    }
    operations
}

impl Operation<'_> {
    /// Whether `server` answers it.
    pub fn is_on(&self, document: &Value, server: Server) -> bool {
        let given = [self.value, self.item, document].into_iter().find_map(|at| at["servers"].as_array());
        given.is_some_and(|servers| servers.iter().any(|one| one["url"] == server.url()))
    }
}

/// Methods that a path of the document may have.
const METHODS: [&str; 8] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"];

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

/// Where the routes of a server and the document differ, a line each; for tests.
pub fn differences<'a>(
    server: Server,
    routes: impl IntoIterator<Item = &'a (Method, &'static str)>,
) -> Vec<String> {
    let document: Value = match serde_json::from_str(JSON) {
        Ok(document) => document,
        Err(error) => return vec![format!("openapi.yaml: {error}")],
    };
    let name = |method: &Method, path: &str| format!("{method} {path}");
    let served: BTreeSet<String> = routes.into_iter().map(|(method, path)| name(method, path)).collect();
    let documented: BTreeSet<String> = operations(&document)
        .iter()
        .filter(|operation| operation.is_on(&document, server))
        .map(|operation| name(&operation.method, operation.path))
        .collect();
    let missing = served.difference(&documented).map(|one| format!("openapi.yaml lacks {one} of {server:?}"));
    let idle = documented.difference(&served).map(|one| format!("no route of {server:?} answers {one}"));
    missing.chain(idle).collect()
}
