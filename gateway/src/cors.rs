//! Cross-origin requests (WHATWG Fetch, 3.3): preflights, and what answers tell browsers.
//!
//! If all origins may read, all answers say so, which caches can keep. Otherwise answers name the origin that asked, and
//! `Vary` tells caches that they do.

use axum::extract::Request;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use protocol::config::web_conf::{CorsConf, Origins};

use crate::body::Body;
use crate::problem::Problem;
use crate::refusal::{Refusal, refuse};

/// What programs of other origins may do.
#[derive(Debug, Clone)]
pub(crate) struct Cors {
    origins: Origins,
    methods: Option<HeaderValue>,
    headers: Option<HeaderValue>,
    exposed: Option<HeaderValue>,
    max_age: HeaderValue,
    credentials: bool,
}

/// What the answer to one request says about its origin.
#[derive(Debug, Clone)]
pub(crate) struct Grant(Option<HeaderValue>);

impl Cors {
    pub(crate) fn new(conf: &CorsConf) -> Self {
        let list = |names: &str| HeaderValue::from_str(names).ok().filter(|value| !value.is_empty());
        Self {
            origins: conf.origins.clone(),
            methods: list(&conf.methods),
            headers: list(&conf.headers),
            exposed: list(&conf.exposed),
            max_age: conf.max_age.into(),
            credentials: conf.credentials,
        }
    }

    /// Whether an origin is one that the site names; all origins are no name.
    pub(crate) fn names(&self, origin: &HeaderValue) -> bool {
        matches!(&self.origins, Origins::These(_)) && self.permits(origin)
    }

    fn permits(&self, origin: &HeaderValue) -> bool {
        origin.to_str().is_ok_and(|origin| self.origins.permit(origin))
    }

    /// What the answer to a request with these headers will say.
    pub(crate) fn grant(&self, headers: &HeaderMap) -> Grant {
        Grant(match &self.origins {
            Origins::Any => Some(HeaderValue::from_static("*")),
            Origins::These(_) => headers.get(ORIGIN).filter(|origin| self.permits(origin)).cloned(),
        })
    }

    /// Answers the question that browsers ask before some requests.
    pub(crate) fn preflight(&self, request: &Request, grant: &Grant) -> Option<Refusal> {
        let asks = |name| request.headers().contains_key(name);
        if request.method() != Method::OPTIONS || !asks(ORIGIN) || !asks(ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        if grant.0.is_none() {
            let detail = "programs of this origin may not ask here; the site names those that may by http.cors_allow_origin";
            let problem = Problem::new(StatusCode::FORBIDDEN, "origin_denied", detail);
            return Some(refuse(problem));
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        let lists =
            [(ACCESS_CONTROL_ALLOW_METHODS, &self.methods), (ACCESS_CONTROL_ALLOW_HEADERS, &self.headers)];
        for (name, list) in lists {
            if let Some(list) = list {
                headers.insert(name, list.clone());
            }
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        Some(Box::new(response))
    }

    /// Adds to an answer, a refusal too, what browsers need to know.
    pub(crate) fn finish(&self, grant: Grant, headers: &mut HeaderMap) {
        if self.origins != Origins::Any {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = grant.0 else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if let Some(exposed) = &self.exposed
            && !headers.contains_key(ACCESS_CONTROL_MAX_AGE)
        {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }
}
