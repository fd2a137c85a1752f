//! What a site decides about its file URLs and uploads.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use protocol::config::web_conf::WebConf;
use thiserror::Error;

use crate::token::Tokens;
use crate::{MimeTable, ResponseMode};

/// Longest page for visitors without a token.
const MAX_FAIL_PAGE: u64 = 1 << 20;

/// Who may write over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Clients on this machine.
    Loopback,
    /// Everybody who reaches the port.
    Everybody,
}

/// Settings of a gateway.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Types by extension.
    pub mime: MimeTable,
    /// Whether several ranges of one request are served; else such a request gets the whole file.
    pub multi_range: bool,
    /// Who may write.
    pub writers: Writers,
    /// Longest silence of a client that sends a body.
    pub body_timeout: Duration,
    /// What is done about files that only other members have.
    pub response_mode: ResponseMode,
    pub(crate) tokens: Option<Tokens>,
}

/// Settings that cannot be used.
#[derive(Debug, Error)]
#[error("{key}: cannot read {path}")]
pub struct BadSettings {
    key: &'static str,
    path: String,
    source: io::Error,
}

impl Settings {
    /// Settings without tokens, with the built-in types.
    pub fn plain() -> Self {
        Self {
            mime: MimeTable::built_in("application/octet-stream"),
            multi_range: true,
            writers: Writers::Loopback,
            body_timeout: Duration::from_secs(60),
            response_mode: ResponseMode::default(),
            tokens: None,
        }
    }

    /// Settings of a configuration; reads the files that it names. Blocking.
    pub fn load(conf: &WebConf, network_timeout: Duration) -> Result<Self, BadSettings> {
        let body_timeout = conf.limits.client_body_timeout.unwrap_or(network_timeout);
        let bad = |key, path: &PathBuf| {
            let path = path.display().to_string();
            move |source| BadSettings { key, path, source }
        };
        let mut mime = MimeTable::built_in(&conf.default_content_type);
        if let Some(path) = &conf.mime_types_filename {
            let text = std::fs::read_to_string(path).map_err(bad("http.mime_types_filename", path))?;
            mime.add(&text);
        }
        let tokens = match &conf.tokens {
            None => None,
            Some(tokens) => {
                let page = match &tokens.token_check_fail {
                    None => None,
                    Some(path) => {
                        let key = "http.anti_steal.token_check_fail";
                        let content = read_page(path).map_err(bad(key, path))?;
                        let ext = path.extension().and_then(|ext| ext.to_str()).unwrap_or_default();
                        Some((mime.of(ext), content))
                    }
                };
                Some(Tokens::new(&tokens.secret_key, tokens.token_ttl, page))
            }
        };
        let writers = if conf.remote_writes { Writers::Everybody } else { Writers::Loopback };
        let response_mode = if conf.redirects { ResponseMode::Redirect } else { ResponseMode::Proxy };
        Ok(Self { mime, multi_range: conf.multi_range, writers, body_timeout, response_mode, tokens })
    }
}

/// A page that is sent instead of a file.
pub(crate) type Page = (HeaderValue, Bytes);

fn read_page(path: &PathBuf) -> io::Result<Bytes> {
    let len = std::fs::metadata(path)?.len();
    if len > MAX_FAIL_PAGE {
        return Err(io::Error::other("the page is longer than 1 MiB"));
    }
    Ok(std::fs::read(path)?.into())
}
