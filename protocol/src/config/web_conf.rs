//! How file URLs are served: the keys of `http.conf`, which `storage.conf` may include or hold itself.

pub mod access_log;
mod file_urls;
mod limits;
mod listen;
pub mod log_format;
mod pages;
mod tls;

use std::path::PathBuf;
use std::time::Duration;

pub use access_log::HttpLogConf;
pub use file_urls::FileUrlConf;
pub use limits::LimitsConf;
pub use listen::ListenOn;
pub use pages::{ErrorPage, PagesConf};
pub use tls::{CertificatePair, TlsConf};

use super::reader::KeyReader;

/// Tokens in file URLs (`http.anti_steal.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenConf {
    /// Secret that tokens are made with.
    pub secret_key: String,
    /// How long a token is valid.
    pub token_ttl: Duration,
    /// File that is sent when a token is wrong.
    pub token_check_fail: Option<PathBuf>,
}

/// Settings of file URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebConf {
    /// Type of files whose extension is unknown.
    pub default_content_type: String,
    /// Table of types by extension. Relative ones are resolved against the directory of the configuration.
    pub mime_types_filename: Option<PathBuf>,
    /// How files are answered.
    pub file_urls: FileUrlConf,
    /// Pages for errors.
    pub pages: PagesConf,
    /// Tokens, if they are on.
    pub tokens: Option<TokenConf>,
    /// `http.allow_remote_writes`: whether uploads and deletions by HTTP are taken from other machines too. Anyone who
    /// reaches the port may then write. Off, they are taken from this machine only.
    pub remote_writes: bool,
    /// `response_mode=redirect`: clients are sent to a member that has what this one lacks; else its bytes pass through.
    pub redirects: bool,
    /// `http.advertise_url`: scheme, host and port, and perhaps a path before that of a file, under which browsers reach
    /// this node, where that is not its own address and port.
    pub advertise_url: Option<String>,
    /// What connections may take.
    pub limits: LimitsConf,
    /// The access log, if it is on.
    pub logs: Option<HttpLogConf>,
    /// TLS and HTTP/2.
    pub tls: TlsConf,
}

impl Default for WebConf {
    fn default() -> Self {
        Self {
            default_content_type: "application/octet-stream".to_owned(),
            mime_types_filename: None,
            file_urls: FileUrlConf::default(),
            pages: PagesConf::default(),
            tokens: None,
            remote_writes: false,
            redirects: false,
            advertise_url: None,
            limits: LimitsConf::default(),
            logs: None,
            tls: TlsConf::default(),
        }
    }
}

/// Longest `http.advertise_url`: members tell it each other.
const MAX_URL_LEN: usize = 512;

/// Whether a text can stand before the path of a file in a URL.
pub fn is_base_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'<>\\^`{|}?#@".contains(&byte);
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(is_plain))
        && text.len() <= MAX_URL_LEN
}

impl WebConf {
    pub(super) fn read(keys: &mut KeyReader<'_>) -> Self {
        let disabled = keys.flag("http.disabled", false);
        let check_token = keys.flag("http.anti_steal.check_token", false);
        if disabled && check_token {
            keys.warn(
                "http.disabled",
                "true turns the token check off; remove the line to have tokens checked",
            );
        }
        Self {
            default_content_type: keys
                .text_or_none("http.default_content_type")
                .unwrap_or("application/octet-stream")
                .to_owned(),
            mime_types_filename: keys
                .text_or_none("http.mime_types_filename")
                .map(|name| keys.ini.relative(name)),
            file_urls: FileUrlConf::read(keys),
            pages: PagesConf::read(keys),
            remote_writes: keys.flag("http.allow_remote_writes", false),
            redirects: read_response_mode(keys),
            advertise_url: read_advertise_url(keys),
            limits: LimitsConf::read(keys),
            logs: HttpLogConf::read(keys),
            tls: TlsConf::read(keys),
            tokens: if check_token && !disabled { read_tokens(keys) } else { None },
        }
    }
}

fn read_response_mode(keys: &mut KeyReader<'_>) -> bool {
    match keys.text_or_none("response_mode") {
        None | Some("proxy") => false,
        Some("redirect") => true,
        Some(other) => {
            keys.warn(
                "response_mode",
                format_args!("'{other}' is neither proxy nor redirect; read as proxy"),
            );
            false
        }
    }
}

fn read_advertise_url(keys: &mut KeyReader<'_>) -> Option<String> {
    let key = "http.advertise_url";
    let text = keys.text_or_none(key)?.trim_end_matches('/');
    if !is_base_url(text) {
        keys.refuse(key, format_args!("'{text}' is no URL; write such as https://img1.example.com:8443"));
        return None;
    }
    Some(text.to_owned())
}

fn read_tokens(keys: &mut KeyReader<'_>) -> Option<TokenConf> {
    let key = "http.anti_steal.secret_key";
    let token_ttl = keys.seconds("http.anti_steal.token_ttl", 600);
    let token_check_fail = keys.path("http.anti_steal.token_check_fail");
    let Some(secret) = keys.text_or_none(key) else {
        keys.refuse(key, "missing; with check_token, write the secret that tokens are made with");
        return None;
    };
    Some(TokenConf { secret_key: secret.to_owned(), token_ttl, token_check_fail })
}
