//! What a site decides about its file URLs and uploads.

use std::io;
use std::path::Path;
use std::time::Duration;

use protocol::config::web_conf::{FileUrlConf, ResumableConf, WebConf};
use thiserror::Error;

use crate::access_log::AccessLog;
use crate::audit::AuditLog;
use crate::authority::{Authority, Writers};
use crate::compression::Compression;
use crate::error_pages::ErrorPages;
use crate::file_urls::FileUrls;
use crate::policy::Policy;
use crate::{MimeTable, ResponseMode};

/// Settings of a gateway.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Types by extension.
    pub mime: MimeTable,
    /// Who may do what.
    pub authority: Authority,
    /// Longest silence of a client that sends a body.
    pub body_timeout: Duration,
    /// What is done about files that only other members have.
    pub response_mode: ResponseMode,
    /// Scheme, host and perhaps a path under which the trackers send clients here, if it is not the own address.
    pub advertise_url: Option<String>,
    /// Bytes of memory for files that are kept ready; from the start on.
    pub(crate) file_cache: u64,
    /// How long what was known of the name of such a file counts, where this process alone takes names from files.
    pub(crate) file_cache_valid: Duration,
    /// Uploads that are continued.
    pub resumable: ResumableConf,
    pub(crate) urls: FileUrls,
    pub(crate) error_pages: Option<ErrorPages>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) audit_log: Option<AuditLog>,
    pub(crate) policy: Policy,
    pub(crate) compression: Option<Compression>,
}

/// Settings that cannot be used.
#[derive(Debug, Error)]
#[error("{key}: cannot open {path}")]
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
            authority: Authority::new(Writers::Loopback, None),
            body_timeout: Duration::from_secs(60),
            response_mode: ResponseMode::default(),
            advertise_url: None,
            file_cache: FileUrlConf::default().file_cache,
            file_cache_valid: FileUrlConf::default().file_cache_valid,
            resumable: ResumableConf::default(),
            urls: FileUrls::of(&FileUrlConf::default()),
            error_pages: None,
            access_log: None,
            audit_log: None,
            policy: Policy::default(),
            compression: None,
        }
    }

    /// Whether nothing about a request but its path counts for the answer of a file that is here, and nobody wants to know
    /// more of it than can be told at once.
    pub(crate) fn is_plain(&self) -> bool {
        self.access_log.as_ref().is_none_or(AccessLog::takes_plain) && self.policy.is_plain()
    }

    /// Settings of a configuration; reads the files that it names. Blocking.
    pub fn load(conf: &WebConf, network_timeout: Duration) -> Result<Self, BadSettings> {
        let body_timeout = conf.limits.client_body_timeout.unwrap_or(network_timeout);
        let bad = |key, path: &Path| {
            let path = path.display().to_string();
            move |source| BadSettings { key, path, source }
        };
        let mut mime = MimeTable::built_in(&conf.default_content_type);
        if let Some(path) = &conf.mime_types_filename {
            let text = std::fs::read_to_string(path).map_err(bad("http.mime_types_filename", path))?;
            mime.add(&text);
        }
        if let Some(charset) = &conf.file_urls.charset {
            mime.set_charset(charset, &conf.file_urls.charset_types);
        }
        let policy = Policy::load(conf, &mime).map_err(|(key, path, source)| bad(key, &path)(source))?;
        let authority = Authority::load(conf, policy.cors.clone())
            .map_err(|(key, path, source)| bad(key, &path)(source))?;
        let response_mode = if conf.redirects { ResponseMode::Redirect } else { ResponseMode::Proxy };
        let pages = &conf.pages.error_pages;
        let error_pages = ErrorPages::load(pages, &mime)
            .map_err(|(index, source)| bad("http.error_page", &pages[index].file)(source))?;
        let urls = FileUrls::of(&conf.file_urls);
        let access_log = match &conf.logs {
            None => None,
            Some(log) => Some(AccessLog::open(log).map_err(bad("http.access_log", &log.path))?),
        };
        let audit_log = match &conf.authority.audit_log {
            None => None,
            Some(path) => Some(AuditLog::open(path).map_err(bad("http.audit_log", path))?),
        };
        let compression = Compression::new(&conf.compression);
        Ok(Self {
            mime,
            file_cache: conf.file_urls.file_cache,
            file_cache_valid: conf.file_urls.file_cache_valid,
            urls,
            error_pages,
            authority,
            body_timeout,
            response_mode,
            advertise_url: conf.advertise_url.as_ref().map(|url| url.trim_end_matches('/').to_owned()),
            resumable: conf.resumable.clone(),
            policy,
            access_log,
            audit_log,
            compression,
        })
    }
}
