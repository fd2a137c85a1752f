//! A deleted file, command 17: time 4, group 16, logic name. `ENOENT` if it is not there.

use bytes::{BufMut, BytesMut};

use crate::file_id::LogicName;
use crate::storage::name_of;
use crate::wire::{DecodeError, Reader, Request};
use crate::{Command, GroupName};

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncDelete {
    /// Time of the record, unix seconds.
    pub time: i32,
    /// Group of both members.
    pub group: GroupName,
    /// The file.
    pub name: LogicName,
}

impl Request for SyncDelete {
    const COMMAND: Command = Command::SYNC_DELETE_FILE;

    fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32(self.time);
        self.group.encode(out);
        out.extend_from_slice(self.name.as_str().as_bytes());
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let time = reader.i32("time")?;
        let group = GroupName::decode(&mut reader)?;
        Ok(Self { time, group, name: name_of(reader.rest())? })
    }
}
