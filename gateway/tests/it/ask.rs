//! Requests that go straight to the gateway, and their answers.

use axum::body::Body;
use bytes::Bytes;
use gateway::server::{App, Connection};
use gateway::{Gateway, Settings, Site};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;

use crate::fake::Fake;

/// A client on this machine.
const HERE: &str = "127.0.17.1:4000";

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

/// Who a gateway over a store is among the members.
pub const OWN_ID: &str = "127.0.17.2";

/// A gateway over a store.
pub fn over(store: &Fake, settings: Settings) -> Gateway<Fake> {
    let site = Site::new(settings);
    site.identify(|| Some(OWN_ID.to_owned()));
    Gateway::new(store.clone().into(), site, gateway::routes::Routes::new())
}

/// Asks as a client on `peer` does.
pub async fn ask_from(gateway: &Gateway<Fake>, peer: &str, request: Request<Body>) -> Answer {
    let (head, body) = gateway.call(&from(peer), request).await.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: head.status, headers: head.headers, body }
}

/// Asks as a client on this machine does.
pub async fn ask(gateway: &Gateway<Fake>, request: Request<Body>) -> Answer {
    ask_from(gateway, HERE, request).await
}

/// A connection of a client on this machine.
pub fn here() -> Connection {
    from(HERE)
}

fn from(peer: &str) -> Connection {
    Connection {
        peer: peer.parse().unwrap(),
        local: "127.0.17.1:80".parse().unwrap(),
        secure: false,
        proxied: None,
    }
}

/// A request with headers.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: Body) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body).unwrap()
}
