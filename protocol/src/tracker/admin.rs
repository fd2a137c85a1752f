//! Administration: delete a storage (93) or a group (108), choose the trunk server (94), name the leader (95).
//! And fdfs's own: set what clients may ask of a storage (202).

use bytes::BytesMut;

use super::lists::decode_tail_id;
use crate::config::storage_ids::RwMode;
use crate::wire::{DecodeError, Reader, Request, plain_request};
use crate::{Command, GroupName, StorageId};

plain_request!(
    /// Delete an empty group. Answered with an empty body.
    DeleteGroup(group),
    Command::DELETE_GROUP
);
plain_request!(
    /// The leader. Answered with `ip:port` as text, without a NUL.
    GetLeader,
    Command::GET_LEADER
);

/// Delete a storage that is not online. Answered with an empty body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteStorage {
    /// Its group.
    pub group: GroupName,
    /// Its id.
    pub id: StorageId,
}

impl Request for DeleteStorage {
    const COMMAND: Command = Command::DELETE_STORAGE;

    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        out.extend_from_slice(self.id.as_str().as_bytes());
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        let id = decode_tail_id(&mut reader)?.ok_or(DecodeError::BadText { field: "storage id" })?;
        Ok(Self { group, id })
    }
}

/// Set what clients may ask of a storage: group str16, id str16, and the byte that lists show. Answered with an empty body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetStorageMode {
    /// Its group.
    pub group: GroupName,
    /// Its id.
    pub id: StorageId,
    /// What clients may ask.
    pub mode: RwMode,
}

impl Request for SetStorageMode {
    const COMMAND: Command = Command::SET_STORAGE_MODE;

    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        self.id.encode(out);
        out.extend_from_slice(&[self.mode.to_byte()]);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        let id = StorageId::decode(&mut reader)?;
        let mode = RwMode::from_byte(reader.u8("mode")?).ok_or(DecodeError::BadText { field: "mode" })?;
        reader.finish()?;
        Ok(Self { group, id, mode })
    }
}

/// Choose the trunk server, this one or any. Answered with its id and one NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetTrunkServer {
    /// The group.
    pub group: GroupName,
    /// The storage, or `None` to let the tracker choose.
    pub id: Option<StorageId>,
}

impl Request for SetTrunkServer {
    const COMMAND: Command = Command::SET_TRUNK_SERVER;

    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        if let Some(id) = &self.id {
            out.extend_from_slice(id.as_str().as_bytes());
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        Ok(Self { group, id: decode_tail_id(&mut reader)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Request;

    /// A request to leave 10.0.0.1 of group1 to reads, with its header.
    const FRAME: &[u8] = b"\0\0\0\0\0\0\0\x21\xca\0group1\0\0\0\0\0\0\0\0\0\x0010.0.0.1\0\0\0\0\0\0\0\0\x04";

    #[test]
    fn a_mode_comes_back_as_it_was_sent() {
        let (group, id) = (GroupName::parse("group1").unwrap(), StorageId::parse("10.0.0.1").unwrap());
        for mode in [RwMode::Both, RwMode::Read, RwMode::Write, RwMode::None] {
            let request = SetStorageMode { group, id, mode };
            let frame = request.to_frame();
            assert_eq!(SetStorageMode::decode_body(&frame[10..]).unwrap(), request);
            if mode == RwMode::Read {
                assert_eq!(&frame[..], FRAME);
            }
        }
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        let body = &FRAME[10..];
        for len in 0..body.len() {
            assert!(SetStorageMode::decode_body(&body[..len]).is_err(), "{len}");
        }
        assert!(SetStorageMode::decode_body(&[body, b"\0"].concat()).is_err(), "more than it is long");
        for byte in (0..=255).filter(|byte| ![0, 2, 4, 6].contains(byte)) {
            let mut other = body.to_vec();
            *other.last_mut().unwrap() = byte;
            assert!(SetStorageMode::decode_body(&other).is_err(), "{byte}");
        }
    }
}
