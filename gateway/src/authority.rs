//! Who may do what over HTTP. Without tokens, only programs on this machine write: a port that is open for reading is not
//! meant to be open for writing.
//!
//! Behind a proxy nothing proves that the client is on this machine: a header that says so may be the client's own, and a
//! proxy on this machine makes everybody come from it. So who came by one does not count as local, whatever it tells. A
//! browser on this machine is no such program either when a page of another site makes it write.

use http::header::{FORWARDED, HeaderName, ORIGIN, VIA};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use protocol::GroupName;

use crate::client::Client;
use crate::cors::Cors;
use crate::problem::Problem;

/// Headers of proxies: behind one, the peer's address says nothing about the client.
const PROXY_HEADERS: [HeaderName; 4] =
    [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];

/// Who may write over HTTP without showing anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writers {
    /// Clients on this machine.
    Loopback,
    /// Everybody who reaches the port.
    Everybody,
}

/// What a client wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// See what is not public: metadata, holders, replication.
    Read,
    /// Upload and change files.
    Write,
    /// Delete files.
    Delete,
    /// Change the cluster.
    Admin,
}

/// What a client was found to be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who it is, for the audit log: the name of a token, or `anonymous`.
    pub who: String,
}

/// A site's rules about it.
#[derive(Debug, Clone)]
pub struct Authority {
    pub(crate) writers: Writers,
    /// Origins that the site names.
    pub(crate) cors: Option<Cors>,
}

impl Authority {
    /// Without tokens.
    pub(crate) fn new(writers: Writers, cors: Option<Cors>) -> Self {
        Self { writers, cors }
    }

    /// Everybody may do everything.
    pub fn open() -> Self {
        Self::new(Writers::Everybody, None)
    }

    /// Whether a request may do that, in that group if it is about one; the refusal says what to do.
    ///
    /// The request's extensions hold its [`Client`].
    pub fn check(&self, request: &Parts, scope: Scope, _group: Option<GroupName>) -> Result<Grant, Problem> {
        let anonymous = Grant { who: "anonymous".to_owned() };
        if scope == Scope::Read || self.writers == Writers::Everybody {
            return Ok(anonymous);
        }
        let client = request.extensions.get::<Client>();
        let local = client.is_some_and(|client| client.address.ip().is_loopback() && !client.behind_proxy);
        let proxied = PROXY_HEADERS.iter().any(|name| request.headers.contains_key(name));
        if !local || proxied {
            let detail = "uploads and deletes over HTTP are taken from this machine only, and not by way of a proxy; set \
                          http.allow_remote_writes = true in storage.conf to take them from all who reach this port";
            return Err(Problem::new(StatusCode::FORBIDDEN, "remote_write", detail));
        }
        let origins = request.headers.get_all(ORIGIN);
        let is_ours = |origin: &HeaderValue| {
            is_of_this_machine(origin) || self.cors.as_ref().is_some_and(|cors| cors.names(origin))
        };
        if !origins.iter().all(is_ours) {
            let detail = "a page of another site made this browser write here; name its origin by http.cors_allow_origin \
                          if it may, or set http.allow_remote_writes = true";
            return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail));
        }
        Ok(anonymous)
    }
}

/// Whether a page comes from this machine. That its host is the one of the request proves nothing: a site can let its name
/// point here.
fn is_of_this_machine(origin: &HeaderValue) -> bool {
    let host = origin.to_str().ok().and_then(|origin| {
        let (_, rest) = origin.split_once("://")?;
        let end =
            if rest.starts_with('[') { rest.find(']')? + 1 } else { rest.find(':').unwrap_or(rest.len()) };
        Some(&rest[..end])
    });
    let Some(host) = host else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_this_machine() {
        for (origin, expected) in [
            ("http://localhost:8080", true),
            ("http://127.0.0.1", true),
            ("https://[::1]:8443", true),
            ("http://localhost.evil.com", false),
            ("http://127.0.0.1.evil.com", false),
            ("http://evil.com", false),
            ("null", false),
            ("", false),
            ("http://[::1", false),
        ] {
            assert_eq!(is_of_this_machine(&HeaderValue::from_static(origin)), expected, "{origin}");
        }
    }
}
