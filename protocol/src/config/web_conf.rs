//! How file URLs are served: the keys of `http.conf`, which `storage.conf` may include or hold itself.

mod access;
pub mod access_log;
mod authority;
mod compression;
mod cors;
mod file_urls;
mod headers;
mod limits;
mod listen;
pub mod log_format;
mod pages;
mod referers;
mod resumable;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;

use std::path::PathBuf;
use std::time::Duration;

pub use access::{AccessConf, AccessLine, LimitReqConf, RealIpConf, RealIpHeader};
pub use access_log::HttpLogConf;
pub use authority::{AuthorityConf, JwtConf};
pub use compression::CompressionConf;
pub use cors::{CorsConf, OriginPattern, Origins};
pub use file_urls::FileUrlConf;
pub use headers::{AddedHeader, HeadersConf, PaceConf};
pub use limits::LimitsConf;
pub use listen::ListenOn;
pub use pages::{ErrorPage, PagesConf};
pub use referers::{ReferersConf, SitePattern};
pub use resumable::ResumableConf;
pub use tls::{CertificatePair, TlsConf};
pub use tokens::{ProofConf, TokenConf};

use super::reader::KeyReader;

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
    /// What URLs have to prove: tokens and signatures.
    pub proof: ProofConf,
    /// `http.allow_remote_writes`: whether uploads and deletions by HTTP are taken from other machines too. Anyone who
    /// reaches the port may then write. Off, they are taken from this machine only.
    pub remote_writes: bool,
    /// `http.idempotency_key_lifetime`: how long answers to uploads with a key are remembered; zero remembers none.
    pub idempotency_key_lifetime: Duration,
    /// Who may do what over HTTP.
    pub authority: AuthorityConf,
    /// `response_mode=redirect`: clients are sent to a member that has what this one lacks; else its bytes pass through.
    pub redirects: bool,
    /// `http.advertise_url`: scheme, host and port, and perhaps a path before that of a file, under which browsers reach
    /// this node, where that is not its own address and port.
    pub advertise_url: Option<String>,
    /// What connections may take.
    pub limits: LimitsConf,
    /// Uploads that are continued.
    pub resumable: ResumableConf,
    /// The access log, if it is on.
    pub logs: Option<HttpLogConf>,
    /// Compression of answers.
    pub compression: CompressionConf,
    /// TLS and HTTP/2.
    pub tls: TlsConf,
    /// Who may ask.
    pub access: AccessConf,
    /// What is added to answers.
    pub headers: HeadersConf,
    /// How fast answers are sent.
    pub pace: PaceConf,
}

impl Default for WebConf {
    fn default() -> Self {
        Self {
            default_content_type: "application/octet-stream".to_owned(),
            mime_types_filename: None,
            file_urls: FileUrlConf::default(),
            pages: PagesConf::default(),
            proof: ProofConf::default(),
            remote_writes: false,
            idempotency_key_lifetime: Duration::from_secs(KEY_LIFETIME.into()),
            authority: AuthorityConf::default(),
            redirects: false,
            advertise_url: None,
            limits: LimitsConf::default(),
            resumable: ResumableConf::default(),
            logs: None,
            compression: CompressionConf::default(),
            tls: TlsConf::default(),
            access: AccessConf::default(),
            headers: HeadersConf::default(),
            pace: PaceConf::default(),
        }
    }
}

/// A day, in seconds.
const KEY_LIFETIME: u32 = 86_400;
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
        let remote_writes = keys.flag("http.allow_remote_writes", false);
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
            remote_writes,
            idempotency_key_lifetime: keys.seconds_or_zero("http.idempotency_key_lifetime", KEY_LIFETIME),
            authority: AuthorityConf::read(keys, remote_writes),
            redirects: read_response_mode(keys),
            advertise_url: read_advertise_url(keys),
            limits: LimitsConf::read(keys),
            resumable: ResumableConf::read(keys),
            logs: HttpLogConf::read(keys),
            compression: CompressionConf::read(keys),
            tls: TlsConf::read(keys),
            proof: ProofConf::read(keys, disabled),
            access: AccessConf::read(keys),
            headers: HeadersConf::read(keys),
            pace: PaceConf::read(keys),
        }
    }

    /// What a tracker has of it, which serves no files.
    pub(super) fn read_of_tracker(keys: &mut KeyReader<'_>) -> Self {
        Self {
            limits: LimitsConf::read(keys),
            logs: HttpLogConf::read(keys),
            tls: TlsConf::read(keys),
            access: AccessConf::read_of_tracker(keys),
            authority: AuthorityConf::read(keys, false),
            ..Self::default()
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

/// Whether a text can be the name of a header or a method (RFC 9110, 5.6.2).
fn is_token(text: &str) -> bool {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_char)
}

/// Whether a text can be the value of a header without doubt about its encoding.
fn is_field_value(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
}
