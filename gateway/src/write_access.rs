//! Who may write over HTTP. Without tokens, only programs on this machine: a port that is open for reading is not meant
//! to be open for writing.
//!
//! Behind a proxy nothing proves that the client is on this machine: a header that says so may be the client's own, and a
//! proxy on this machine makes everybody come from it. So who came by one does not count as local, whatever it tells. A
//! browser on this machine is no such program either when a page of another site makes it write.

use axum::extract::Request;
use http::header::{FORWARDED, HeaderName, ORIGIN, VIA};
use http::{HeaderValue, StatusCode};

use crate::client::Client;
use crate::problem::Problem;
use crate::settings::{Settings, Writers};

/// Headers of proxies: behind one, the peer's address says nothing about the client.
const PROXY_HEADERS: [HeaderName; 4] =
    [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];

/// Refuses writes from elsewhere unless the site allows them.
pub(crate) fn check(settings: &Settings, request: &Request) -> Result<(), Problem> {
    if settings.writers == Writers::Everybody {
        return Ok(());
    }
    let client = request.extensions().get::<Client>();
    let local = client.is_some_and(|client| client.address.ip().is_loopback() && !client.behind_proxy);
    let proxied = PROXY_HEADERS.iter().any(|name| request.headers().contains_key(name));
    if !local || proxied {
        let detail = "uploads and deletes over HTTP are taken from this machine only, and not by way of a proxy; set \
                      http.allow_remote_writes = true in storage.conf to take them from all who reach this port";
        return Err(Problem::new(StatusCode::FORBIDDEN, "remote_write", detail));
    }
    let origins = request.headers().get_all(ORIGIN);
    let is_ours = |origin: &HeaderValue| {
        is_of_this_machine(origin) || settings.policy.cors.as_ref().is_some_and(|cors| cors.names(origin))
    };
    if !origins.iter().all(is_ours) {
        let detail = "a page of another site made this browser write here; name its origin by http.cors_allow_origin \
                      if it may, or set http.allow_remote_writes = true";
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail));
    }
    Ok(())
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
