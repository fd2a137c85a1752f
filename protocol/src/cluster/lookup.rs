//! Small questions and reports of storages, most without a join: 59, 60, 70, 71, 76, 77, 78, 85, 109.

use std::net::IpAddr;

use bytes::{BufMut, BytesMut};

use super::{Brief, StorageStatus};
use crate::address::{decode_address, put_address};
use crate::wire::{DecodeError, Reader, Request};
use crate::{AddressWidth, Command, GroupName, HostPort, StorageId};

const WIDE_GROUP_LEN: usize = 17;
const MAX_HOST_LEN: usize = 52;
const MAX_CHANGED: usize = 64;

fn decode_port(reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
    let value = reader.i32("port")?;
    u16::try_from(value).map_err(|_| DecodeError::OutOfRange {
        field: "port",
        value: value.into(),
        min: 0,
        max: 65_535,
    })
}

/// Command 60: group 17, port 4. Answered with the caller's address as text, several joined by commas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetMyIp {
    /// The caller's group.
    pub group: GroupName,
    /// The caller's native port.
    pub port: u16,
}

impl Request for GetMyIp {
    const COMMAND: Command = Command::GET_MY_IP;

    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode_field(out, WIDE_GROUP_LEN);
        out.put_i32(self.port.into());
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode_field(&mut reader, WIDE_GROUP_LEN)?;
        let port = decode_port(&mut reader)?;
        reader.finish()?;
        Ok(Self { group, port })
    }
}

/// Command 109: port 4, or address text and port 4. Answered with the group's 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetGroupName {
    /// The storage's address; `None` means the caller's.
    pub ip: Option<IpAddr>,
    /// Its native port.
    pub port: u16,
}

impl Request for GetGroupName {
    const COMMAND: Command = Command::GET_GROUP_NAME;

    fn encode_body(&self, out: &mut BytesMut) {
        if let Some(ip) = self.ip {
            out.put_slice(ip.to_string().as_bytes());
        }
        out.put_i32(self.port.into());
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let ip_len = body.len().saturating_sub(4);
        let ip = match decode_address(&mut reader, ip_len) {
            Ok(ip) => ip,
            Err(_) => return Err(DecodeError::BadLength { message: "group name request", len: body.len() }),
        };
        let port = decode_port(&mut reader)?;
        Ok(Self { ip, port })
    }
}

macro_rules! of_storage {
    ($(#[$doc:meta])* $name:ident, $command:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// Its group.
            pub group: GroupName,
            /// Its address and native port.
            pub address: HostPort,
        }

        impl Request for $name {
            const COMMAND: Command = $command;

            fn encode_body(&self, out: &mut BytesMut) {
                self.group.encode(out);
                out.put_slice(self.address.to_string().as_bytes());
            }

            fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
                let mut reader = Reader::new(body);
                let group = GroupName::decode(&mut reader)?;
                if reader.remaining() > MAX_HOST_LEN {
                    return Err(DecodeError::BadLength { message: "storage address", len: reader.remaining() });
                }
                let text = reader.rest_str("storage address")?;
                // Port 0 is none, so it stands for an address without a port.
                let address = HostPort::parse(text, 0).ok().filter(|address| address.port != 0);
                let address = address.ok_or(DecodeError::BadText { field: "storage address" })?;
                Ok(Self { group, address })
            }
        }
    };
}

of_storage!(
    /// Command 71. Answered with a brief.
    GetStorageStatus,
    Command::GET_STORAGE_STATUS
);
of_storage!(
    /// Command 70. Answered with the id as text.
    GetServerId,
    Command::GET_SERVER_ID
);

/// Command 76: group 16, brief. A source reports its destination, or a storage itself. Answered with an empty body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportStatus {
    /// Group of the storage.
    pub group: GroupName,
    /// The storage and its new status.
    pub storage: Brief,
}

impl Request for ReportStatus {
    const COMMAND: Command = Command::REPORT_STATUS;

    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        self.storage.encode(out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        let storage = Brief::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self { group, storage })
    }
}

/// Command 77: empty after a join, else group 16 and id 16. Answered with raw changelog text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangelogRequest(pub Option<(GroupName, StorageId)>);

impl Request for ChangelogRequest {
    const COMMAND: Command = Command::CHANGELOG_REQ;

    fn encode_body(&self, out: &mut BytesMut) {
        if let Some((group, id)) = &self.0 {
            group.encode(out);
            id.encode(out);
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        if body.is_empty() {
            return Ok(Self(None));
        }
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        let id = StorageId::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self(Some((group, id))))
    }
}

/// Command 78: group 16, old address 46, new address 46. Answered with an empty body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpChanged {
    /// The storage's group.
    pub group: GroupName,
    /// Address that it had.
    pub old: Option<IpAddr>,
    /// Address that it has.
    pub new: Option<IpAddr>,
}

impl Request for IpChanged {
    const COMMAND: Command = Command::REPORT_IP_CHANGED;

    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        put_address(out, self.old, AddressWidth::V6.field());
        put_address(out, self.new, AddressWidth::V6.field());
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        let old = decode_address(&mut reader, AddressWidth::V6.field())?;
        let new = decode_address(&mut reader, AddressWidth::V6.field())?;
        reader.finish()?;
        Ok(Self { group, old, new })
    }
}

/// Command 85: briefs that a storage sees otherwise than the tracker. Answered with an empty body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaChanged(pub Vec<Brief>);

impl Request for ReplicaChanged {
    const COMMAND: Command = Command::REPLICA_CHG;

    fn encode_body(&self, out: &mut BytesMut) {
        self.0.iter().for_each(|brief| brief.encode(out));
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        if body.is_empty() {
            return Err(DecodeError::BadLength { message: "changed replicas", len: 0 });
        }
        Brief::decode_list(&mut Reader::new(body), MAX_CHANGED).map(Self)
    }
}

/// Command 59: the leader's view of the sender, told to another tracker. Answered with an empty body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeStatus(pub StorageStatus);

impl Request for ChangeStatus {
    const COMMAND: Command = Command::CHANGE_STATUS;

    fn encode_body(&self, out: &mut BytesMut) {
        out.put_u8(self.0.0);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let status = StorageStatus(reader.u8("status")?);
        reader.finish()?;
        Ok(Self(status))
    }
}
