//! Who this node is, as a tracker tells it: its addresses, its id, and what its file names carry.

use std::net::IpAddr;

use bytes::Bytes;
use protocol::client::Connection;
use protocol::cluster::GetServerId;
use protocol::config::StorageIds;
use protocol::config::params::{ClusterParams, IdType};
use protocol::file_id::Source;
use protocol::tracker::StorageIdsText;
use protocol::{HostPort, StorageId};
use tracing::warn;

use super::session::ask;
use super::{Link, LinkError};
use crate::store::Identity;

/// The tracker's text about a caller's addresses: one, or two with a comma.
pub(super) fn parse_addresses(text: &[u8]) -> Result<Vec<IpAddr>, LinkError> {
    let text = String::from_utf8_lossy(text);
    let addresses: Result<Vec<IpAddr>, _> =
        text.trim_end_matches('\0').split(',').map(|part| part.trim().parse()).collect();
    addresses.map_err(|_| LinkError::Identity(format!("the tracker takes this node's address for '{text}'")))
}

pub(super) fn no_address() -> LinkError {
    LinkError::Identity("the tracker sees no address of this node".to_owned())
}

/// Refuses a tracker that takes this node for another member than the others do: the group would have it twice.
pub(super) fn same_everywhere(link: &Link, id: &StorageId) -> Result<(), LinkError> {
    match link.own.claim(*id) {
        None => Ok(()),
        Some(own) => Err(LinkError::Identity(format!(
            "the tracker takes this node for {id}, but others take it for {own}; set bind_addr to one address, make the \
             trackers' storage ids equal, or, if the address has changed, start the node again"
        ))),
    }
}

/// The table of storage ids, chunk by chunk.
pub(super) async fn fetch_ids(connection: &mut Connection) -> Result<StorageIds, LinkError> {
    let mut table = StorageIdsText::default();
    while let Some(request) = table.next() {
        table.take(&ask(connection, &request).await?);
    }
    Ok(StorageIds::parse_served(table.lines(), "the tracker's storage ids")?)
}

/// The id: by the table or the tracker's word where the cluster has ids, else the address.
pub(super) async fn own_id(
    link: &Link,
    connection: &mut Connection,
    params: &ClusterParams,
    ids: Option<&StorageIds>,
    addresses: &[IpAddr],
) -> Result<StorageId, LinkError> {
    let ip = addresses.first().copied();
    let ip = ip.ok_or_else(no_address)?;
    let facts = &link.facts;
    let Some(ids) = ids else {
        return StorageId::parse(&ip.to_string())
            .map_err(|_| LinkError::Identity(format!("{ip} cannot be a storage's id; use storage ids")));
    };
    if params.trust_storage_server_id {
        let by_address =
            || addresses.iter().find_map(|ip| Some(ids.by_address(&facts.group, *ip, facts.port)?.id));
        if let Some(id) = facts.server_id.or_else(by_address) {
            return Ok(id);
        }
    }
    let address = HostPort { host: ip.to_string(), port: facts.port };
    let text: Bytes = ask(connection, &GetServerId { group: facts.group, address }).await?;
    let text = String::from_utf8_lossy(&text);
    StorageId::parse(text.trim_end_matches('\0'))
        .map_err(|_| LinkError::Identity(format!("the tracker's id for this node, '{text}', is none")))
}

/// What file names and the own state carry.
pub(super) fn identity(
    params: &ClusterParams,
    id: &StorageId,
    addresses: Vec<IpAddr>,
) -> Result<Identity, LinkError> {
    if params.use_storage_id && params.id_type_in_filename == IdType::Id {
        let number = id.as_str().parse().map_err(|_| {
            LinkError::Identity(format!("the id {id} is no number, but file names have to carry it"))
        })?;
        return Ok(Identity { source: Source::Id(number), addresses });
    }
    match addresses.first() {
        Some(IpAddr::V4(ip)) => {
            if ip.octets()[3] == 0 {
                warn!(%ip, "names made by this address read back as a storage id; use storage ids");
            }
            Ok(Identity { source: Source::Ip(*ip), addresses })
        }
        Some(IpAddr::V6(ip)) => {
            let octets = ip.octets();
            let part = [octets[8], octets[9], octets[10], octets[11]];
            Ok(Identity { source: Source::Ip(part.into()), addresses })
        }
        None => Err(no_address()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_read_as_trackers_write_them() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let read = parse_addresses(text.as_bytes()).ok();
            let read: Option<Vec<String>> = read.map(|ips| ips.iter().map(IpAddr::to_string).collect());
            assert_eq!(
                read.as_deref(),
                expected.map(|ips| ips.iter().map(|ip| (*ip).to_owned()).collect::<Vec<_>>()).as_deref()
            );
        };
        check("127.0.1.1", Some(&["127.0.1.1"]));
        check("10.0.0.1,1.2.3.4", Some(&["10.0.0.1", "1.2.3.4"]));
        check("::1", Some(&["::1"]));
        check("127.0.1.1\0\0", Some(&["127.0.1.1"]));
        check("", None);
        check("nonsense", None);
    }
}
