//! What clients send to a tracker, one file a message.

mod admin;
mod group_record;
mod ids;
mod lists;
mod query_file;
mod query_store;
mod statistics;
mod storage_record;

pub use admin::{DeleteGroup, DeleteStorage, GetLeader, SetStorageMode, SetTrunkServer};
pub use group_record::{GROUP_RECORD_LEN, GroupRecord};
pub use ids::{FetchStorageIds, ParameterRequest, StorageIdsChunk, StorageIdsText};
pub use lists::{GroupList, ListAllGroups, ListOneGroup, ListStorages, StorageList};
pub use query_file::{FileName, QueryFetch, QueryFetchAll, QueryUpdate, ServerAnswer, ServerListAnswer};
pub use query_store::{
    QueryStore, QueryStoreAll, QueryStoreInGroup, QueryStoreInGroupAll, StoreAllAnswer, StoreAnswer,
};
pub use statistics::Connections;
pub use statistics::{
    GroupStatistics, GroupStatisticsAnswer, QueryGroupStatistics, QueryStorageStatistics,
    QueryTrackerStatistics, StorageStatistics, StorageStatisticsAnswer, TrackerStatistics,
    TrackerStatisticsAnswer,
};
pub use storage_record::StorageRecord;

use std::net::IpAddr;

use bytes::{BufMut, BytesMut};

use crate::AddressWidth;
use crate::address::{decode_address, put_address};
use crate::wire::{DecodeError, Reader};

/// Address and native port of a storage in an answer: `slot + 8` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Server {
    /// The address that fits the asking client.
    pub ip: IpAddr,
    /// Native port.
    pub port: u16,
}

impl Server {
    const fn len(width: AddressWidth) -> usize {
        width.slot() + 8
    }

    fn encode(&self, width: AddressWidth, out: &mut BytesMut) {
        put_address(out, Some(self.ip), width.slot());
        out.put_u64(self.port.into());
    }

    fn decode(reader: &mut Reader<'_>, width: AddressWidth) -> Result<Self, DecodeError> {
        let ip = decode_address(reader, width.slot())?.ok_or(DecodeError::BadText { field: "address" })?;
        Ok(Self { ip, port: decode_port(reader)? })
    }
}

/// A port in an 8-byte field.
fn decode_port(reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
    let value = reader.i64("port")?;
    u16::try_from(value).map_err(|_| DecodeError::OutOfRange { field: "port", value, min: 0, max: 65_535 })
}

/// The servers that fill the rest of a body. Where both widths divide it, the narrow one is meant, as the C client
/// reads it.
fn decode_servers(reader: &mut Reader<'_>) -> Result<(Vec<Server>, AddressWidth), DecodeError> {
    let len = reader.remaining();
    let width = [AddressWidth::V4, AddressWidth::V6]
        .into_iter()
        .find(|width| len.is_multiple_of(Server::len(*width)))
        .ok_or(DecodeError::BadLength { message: "server list", len })?;
    let mut servers = Vec::with_capacity(len / Server::len(width));
    while reader.remaining() > 0 {
        servers.push(Server::decode(reader, width)?);
    }
    Ok((servers, width))
}
