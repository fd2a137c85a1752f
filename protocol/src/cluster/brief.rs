//! A storage in 67 bytes: status 1, port 4, id 16, address 46.

use std::net::IpAddr;

use bytes::{BufMut, BytesMut};

use super::StorageStatus;
use crate::address::{decode_address, put_address};
use crate::wire::{DecodeError, Reader, Response};
use crate::{AddressWidth, StorageId};

/// Bytes of a brief.
pub const BRIEF_LEN: usize = 67;

/// A storage, or a tracker where the leader is told. All empty means unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brief {
    /// Where it stands.
    pub status: StorageStatus,
    /// Native port.
    pub port: u16,
    /// Its id; the leader's is its address cut to 15 characters.
    pub id: Option<StorageId>,
    /// Its address.
    pub ip: Option<IpAddr>,
}

impl Brief {
    /// Nobody.
    pub const NONE: Self = Self { status: StorageStatus::INIT, port: 0, id: None, ip: None };

    /// Appends 67 bytes.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.status.0);
        out.put_i32(self.port.into());
        StorageId::encode_optional(self.id.as_ref(), out);
        put_address(out, self.ip, AddressWidth::V6.field());
    }

    /// Reads 67 bytes.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let status = StorageStatus(reader.u8("status")?);
        let value = reader.i32("port")?;
        let port = u16::try_from(value).map_err(|_| DecodeError::OutOfRange {
            field: "port",
            value: value.into(),
            min: 0,
            max: 65_535,
        })?;
        let id = StorageId::decode_optional(reader)?;
        Ok(Self { status, port, id, ip: decode_address(reader, AddressWidth::V6.field())? })
    }

    /// The briefs that fill the rest of a body, at most `max`.
    pub(super) fn decode_list(reader: &mut Reader<'_>, max: usize) -> Result<Vec<Self>, DecodeError> {
        let len = reader.remaining();
        if !len.is_multiple_of(BRIEF_LEN) || len / BRIEF_LEN > max {
            return Err(DecodeError::BadLength { message: "list of storages", len });
        }
        let mut briefs = Vec::with_capacity(len / BRIEF_LEN);
        while reader.remaining() > 0 {
            briefs.push(Self::decode(reader)?);
        }
        Ok(briefs)
    }
}

/// The answer to a question about one storage (71).
impl Response for Brief {
    fn encode_body(&self, out: &mut BytesMut) {
        self.encode(out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let brief = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(brief)
    }
}
