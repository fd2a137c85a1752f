//! Storages as clients reach them: by which URL, and by which native address.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::app::Shared;
use crate::state::Member;

/// Addresses of a storage in answers.
#[derive(Debug, Serialize)]
pub(super) struct Addresses {
    /// Its id.
    storage: String,
    ip: String,
    native_port: u16,
    /// Both, as native clients take it.
    native_address: String,
}

impl Addresses {
    pub(super) fn of(member: &Member, client: IpAddr) -> Self {
        let ip = member.address_for(client);
        Self {
            storage: member.id.to_string(),
            ip: ip.to_string(),
            native_port: member.port,
            native_address: SocketAddr::new(ip, member.port).to_string(),
        }
    }
}

/// Where a storage serves files: as it says itself; of FastDFS's, which do not say, at the configured port, where nginx is.
pub(super) fn base_url(shared: &Shared, member: &Member, client: IpAddr) -> String {
    let at_nginx =
        || format!("http://{}", SocketAddr::new(member.address_for(client), shared.storage_http_port));
    member.http_url().map_or_else(at_nginx, str::to_owned)
}
