//! Where to upload: commands 101 and 104 (one server), 106 and 107 (all servers).
//!
//! Requests are empty, or the group's 16 bytes. One server: group 16, address 15 or 45, port 8, store path index 1.
//! All servers: group 16, records of address and port, store path index 1.

use bytes::{BufMut, BytesMut};

use super::{Server, decode_servers};
use crate::file_id::StorePathIndex;
use crate::wire::{DecodeError, Reader, Response, plain_request};
use crate::{AddressWidth, Command, GroupName};

plain_request!(
    /// One place to upload, in a group that the tracker chooses. Answered with [`StoreAnswer`].
    QueryStore,
    Command::QUERY_STORE
);
plain_request!(
    /// One place to upload, in this group. Answered with [`StoreAnswer`].
    QueryStoreInGroup(group),
    Command::QUERY_STORE_IN_GROUP
);
plain_request!(
    /// All places to upload, in a group that the tracker chooses. Answered with [`StoreAllAnswer`].
    QueryStoreAll,
    Command::QUERY_STORE_ALL
);
plain_request!(
    /// All places to upload, in this group. Answered with [`StoreAllAnswer`].
    QueryStoreInGroupAll(group),
    Command::QUERY_STORE_IN_GROUP_ALL
);

/// One place to upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreAnswer {
    /// Chosen group.
    pub group: GroupName,
    /// Chosen storage.
    pub server: Server,
    /// Store path that the client names in its upload.
    pub store_path: StorePathIndex,
    /// Width of the address.
    pub width: AddressWidth,
}

impl Response for StoreAnswer {
    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        self.server.encode(self.width, out);
        out.put_u8(self.store_path.0);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let width = match body.len() {
            40 => AddressWidth::V4,
            70 => AddressWidth::V6,
            len => return Err(DecodeError::BadLength { message: "store answer", len }),
        };
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        let server = Server::decode(&mut reader, width)?;
        let store_path = StorePathIndex(reader.u8("store path")?);
        Ok(Self { group, server, store_path, width })
    }
}

/// All places to upload; the store path is chosen for the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreAllAnswer {
    /// Chosen group.
    pub group: GroupName,
    /// Its writable storages, by id.
    pub servers: Vec<Server>,
    /// Store path on the first of them.
    pub store_path: StorePathIndex,
    /// Width of the addresses.
    pub width: AddressWidth,
}

impl Response for StoreAllAnswer {
    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        self.servers.iter().for_each(|server| server.encode(self.width, out));
        out.put_u8(self.store_path.0);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let Some((&path, list)) = body.split_last() else {
            return Err(DecodeError::BadLength { message: "store answer", len: 0 });
        };
        let mut reader = Reader::new(list);
        let group = GroupName::decode(&mut reader)?;
        let (servers, width) = decode_servers(&mut reader)?;
        Ok(Self { group, servers, store_path: StorePathIndex(path), width })
    }
}
