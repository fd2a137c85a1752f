//! Who may write over HTTP. Without tokens, only programs on this machine: a port that is open for reading is not meant
//! to be open for writing.

use std::net::IpAddr;

use axum::extract::Request;
use http::StatusCode;
use http::header::{FORWARDED, HeaderName, VIA};

use crate::problem::Problem;
use crate::server::ClientAddress;
use crate::settings::Writers;

/// Headers of proxies: behind one, the peer's address says nothing about the client.
const PROXY_HEADERS: [HeaderName; 4] =
    [FORWARDED, VIA, HeaderName::from_static("x-forwarded-for"), HeaderName::from_static("x-real-ip")];

/// Refuses writes from elsewhere unless the site allows them.
pub(crate) fn check(writers: Writers, request: &Request) -> Result<(), Problem> {
    if writers == Writers::Everybody {
        return Ok(());
    }
    let local =
        request.extensions().get::<ClientAddress>().is_some_and(|ClientAddress(peer)| is_loopback(peer.ip()));
    let proxied = PROXY_HEADERS.iter().any(|name| request.headers().contains_key(name));
    if local && !proxied {
        return Ok(());
    }
    let detail = "uploads and deletes over HTTP are taken from this machine only; set http.allow_remote_writes = true in \
                  storage.conf to take them from all who reach this port";
    Err(Problem::new(StatusCode::FORBIDDEN, "remote_write", detail))
}

fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}
