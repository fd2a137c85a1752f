//! What a request meets, in this order, and what is done to its answer on the way back.
//!
//! One stage a module; each is a function of the settings in force. A request is a file URL unless it has a route.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use http::header::{CONTENT_LENGTH, Entry};
use http::{Method, StatusCode};
use http_body::Body as _;

use crate::body::Body;
use crate::error_pages::Wants;
use crate::files::Files;
use crate::read;
use crate::server::{App, ClientAddress, Connection};
use crate::settings::Settings;
use crate::site::Site;

/// The gateway over a node's files, with all its routes.
#[derive(Debug)]
pub struct Gateway<F> {
    files: Arc<F>,
    site: Site,
    routes: Router,
}

impl<F> Clone for Gateway<F> {
    fn clone(&self) -> Self {
        Self { files: Arc::clone(&self.files), site: self.site.clone(), routes: self.routes.clone() }
    }
}

impl<F: Files> Gateway<F> {
    /// The gateway; `more` are routes of the daemon's own.
    pub fn new(files: Arc<F>, site: Site, more: Router) -> Self {
        let routes = crate::router::router(Arc::clone(&files), site.clone()).merge(more);
        Self { files, site, routes }
    }
}

impl<F: Files> App for Gateway<F> {
    async fn call(&self, connection: &Connection, mut request: Request) -> Response<Body> {
        let settings = self.site.now();
        request.extensions_mut().insert(ClientAddress(connection.peer));
        let log = settings.access_log.as_ref().map(|log| log.begin(connection, connection.peer, &request));
        let response = self.answer(&settings, request).await;
        match log {
            Some(log) => log.answered(response),
            None => response,
        }
    }
}

impl<F: Files> Gateway<F> {
    async fn answer(&self, settings: &Settings, request: Request) -> Response<Body> {
        if is_route(request.uri().path()) {
            return crate::router::route(&self.routes, request).await;
        }
        let is_head = request.method() == Method::HEAD;
        let wants = settings.error_pages.as_ref().map(|_| Wants::of(request.headers()));
        let mut response = read::serve(Arc::clone(&self.files), settings, request).await;
        if let (Some(pages), Some(wants)) = (&settings.error_pages, wants) {
            response = pages.apply(wants, response);
        }
        if is_head { head_only(response) } else { response }
    }
}

/// What HEAD answers: all that GET would say, but the content. A 304 has no length: it would be that of the 200 (RFC 9110,
/// 8.6).
fn head_only(mut response: Response<Body>) -> Response<Body> {
    let has_content = !matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let len = response.body().size_hint().exact().filter(|_| has_content);
    if let (Some(len), Entry::Vacant(place)) = (len, response.headers_mut().entry(CONTENT_LENGTH)) {
        place.insert(len.into());
    }
    response.map(|_| Body::empty())
}

/// Whether a path is one of the routes; no group has such a name with what follows it.
fn is_route(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz") || path == "/v1" || path.starts_with("/v1/")
}
