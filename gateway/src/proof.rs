//! What a file URL has to prove before anything is told about the file: the nginx module's tokens, or a signature.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::Request;
use http::StatusCode;
use protocol::FileId;
use protocol::config::web_conf::ProofConf;

use crate::MimeTable;
use crate::error_pages::{Page, read_page};
use crate::query::QueryString;
use crate::refusal::{Refusal, refuse_by_page};
use crate::signed_url::UrlKeys;
use crate::token::Tokens;

/// The checks of a site. A URL that has a signature is judged by it, any other by its token.
#[derive(Debug, Clone)]
pub(crate) struct Proof {
    tokens: Option<Tokens>,
    keys: Option<UrlKeys>,
    /// Sent to visitors without a good one.
    page: Option<Page>,
    status: StatusCode,
}

impl Proof {
    /// Reads the files that the configuration names; an error says which key. Blocking.
    pub(crate) fn load(
        conf: &ProofConf,
        mime: &MimeTable,
    ) -> Result<Option<Self>, (&'static str, std::path::PathBuf, io::Error)> {
        if !conf.is_on() {
            return Ok(None);
        }
        let keys = match &conf.signed_url_keys {
            None => None,
            Some(path) => {
                let keys = UrlKeys::read(path);
                Some(keys.map_err(|error| ("http.signed_url.keys", path.clone(), error))?)
            }
        };
        let page = match &conf.token_check_fail {
            None => None,
            Some(path) => {
                let page = read_page(path, mime);
                Some(page.map_err(|error| ("http.anti_steal.token_check_fail", path.clone(), error))?)
            }
        };
        let status = StatusCode::from_u16(conf.status).unwrap_or(StatusCode::FORBIDDEN);
        Ok(Some(Self { tokens: conf.tokens.as_ref().map(Tokens::new), keys, page, status }))
    }

    /// Refuses a request whose URL does not prove that it may have the file.
    pub(crate) fn check(&self, id: &FileId, request: &Request) -> Result<(), Refusal> {
        let query = QueryString::of(request.uri());
        let now = unix_now();
        let outcome = match (&self.keys, &self.tokens) {
            (Some(keys), None) => keys.check(id, query, now),
            (Some(keys), Some(_)) if query.has("signature") => keys.check(id, query, now),
            (_, Some(tokens)) => tokens.check(&id.name, query, request.headers(), now),
            (None, None) => Ok(()),
        };
        outcome.map_err(|problem| refuse_by_page(problem.with_status(self.status), self.page.as_ref()))
    }
}

fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
