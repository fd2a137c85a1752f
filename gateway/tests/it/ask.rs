//! Requests that go straight to the router, and their answers.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use gateway::server::ClientAddress;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// A header's value, empty if it is missing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The stable name of a refusal.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        self.json()["code"].as_str().unwrap().to_owned()
    }
}

/// Asks as a client on `peer` does.
pub async fn ask_from(router: &Router, peer: &str, mut request: Request<Body>) -> Answer {
    request.extensions_mut().insert(ClientAddress(peer.parse().unwrap()));
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, body }
}

/// Asks as a client on this machine does.
pub async fn ask(router: &Router, request: Request<Body>) -> Answer {
    ask_from(router, "127.0.17.1:4000", request).await
}

/// A request with headers.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}
