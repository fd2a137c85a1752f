//! Where a file is: command 102 (one place to read), 105 (all), 103 (where to change it).
//!
//! Request: group 16, logic name of 22 to 127 bytes, not validated. Answer: group 16, records of address and port:
//! one for 102 and 103, any number for 105.

use bytes::{Bytes, BytesMut};

use super::{Server, decode_servers};
use crate::file_id::{LogicName, MAX_NAME_LEN};
use crate::wire::{DecodeError, Reader, Request, Response};
use crate::{AddressWidth, Command, GroupName};

const MIN_LEN: usize = 22;

/// A name as a client sent it. Trackers decode what they can and never look whether it is a path.
#[derive(Clone, PartialEq, Eq)]
pub struct FileName(Bytes);

impl FileName {
    /// Takes 22 to 127 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, DecodeError> {
        if (MIN_LEN..=MAX_NAME_LEN).contains(&bytes.len()) {
            Ok(Self(Bytes::copy_from_slice(bytes)))
        } else {
            Err(DecodeError::BadLength { message: "file name", len: bytes.len() })
        }
    }

    /// The bytes as sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The parsed name, if it is one.
    pub fn parse(&self) -> Option<LogicName> {
        LogicName::from_bytes(&self.0).ok()
    }
}

impl std::fmt::Debug for FileName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.0, f)
    }
}

macro_rules! file_query {
    ($(#[$doc:meta])* $name:ident, $command:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// Group of the file.
            pub group: GroupName,
            /// Name inside the group.
            pub name: FileName,
        }

        impl Request for $name {
            const COMMAND: Command = $command;

            fn encode_body(&self, out: &mut BytesMut) {
                self.group.encode(out);
                out.extend_from_slice(self.name.as_bytes());
            }

            fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
                let mut reader = Reader::new(body);
                let group = GroupName::decode(&mut reader)?;
                Ok(Self { group, name: FileName::new(reader.rest())? })
            }
        }
    };
}

file_query!(
    /// One place to read a file. Answered with [`ServerAnswer`].
    QueryFetch,
    Command::QUERY_FETCH
);
file_query!(
    /// All places to read a file. Answered with [`ServerListAnswer`].
    QueryFetchAll,
    Command::QUERY_FETCH_ALL
);
file_query!(
    /// The place to change a file. Answered with [`ServerAnswer`].
    QueryUpdate,
    Command::QUERY_UPDATE
);

/// One place: 39 or 69 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerAnswer {
    /// Group of the file.
    pub group: GroupName,
    /// Chosen storage.
    pub server: Server,
    /// Width of the address.
    pub width: AddressWidth,
}

impl Response for ServerAnswer {
    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        self.server.encode(self.width, out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let width = match body.len() {
            39 => AddressWidth::V4,
            69 => AddressWidth::V6,
            len => return Err(DecodeError::BadLength { message: "server answer", len }),
        };
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        Ok(Self { group, server: Server::decode(&mut reader, width)?, width })
    }
}

/// All places, best first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerListAnswer {
    /// Group of the file.
    pub group: GroupName,
    /// Storages that have the file.
    pub servers: Vec<Server>,
    /// Width of the addresses.
    pub width: AddressWidth,
}

impl Response for ServerListAnswer {
    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        self.servers.iter().for_each(|server| server.encode(self.width, out));
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        let (servers, width) = decode_servers(&mut reader)?;
        Ok(Self { group, servers, width })
    }
}
