//! Which pages may show the files (`http.valid_referers`): the others get a refusal, or a page or picture of the site.

use axum::extract::Request;
use http::StatusCode;
use http::header::{HOST, REFERER};
use protocol::config::web_conf::ReferersConf;

use crate::error_pages::Page;
use crate::problem::Problem;
use crate::refusal::{Refusal, refuse_by_page};

/// The check, as configured.
#[derive(Debug, Clone)]
pub(crate) struct Referers {
    pub(crate) conf: ReferersConf,
    pub(crate) page: Option<Page>,
}

impl Referers {
    /// Refuses a request that comes from another site's page.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Refusal> {
        let referer = request.headers().get(REFERER).map(http::HeaderValue::as_bytes);
        if self.conf.permit(referer, host(request)) {
            return Ok(());
        }
        let detail = "the page that this file was asked for may not show it; open it from a page of the site";
        let problem = Problem::new(StatusCode::FORBIDDEN, "referer_refused", detail);
        Err(refuse_by_page(problem, self.page.as_ref()))
    }
}

/// The host that a request is for, without its port.
fn host(request: &Request) -> &str {
    if let Some(host) = request.uri().host() {
        return host;
    }
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let end = if host.starts_with('[') { host.find(']').map(|at| at + 1) } else { host.find(':') };
    &host[..end.unwrap_or(host.len())]
}
