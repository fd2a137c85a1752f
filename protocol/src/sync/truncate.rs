//! A cut or extended appender file, command 37. `EEXIST` if its size is not the old one, `ENOENT` if it is not there.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | length of the name |
//! | 8 | 8 | old size |
//! | 16 | 8 | new size |
//! | 24 | 4 | time of the record |
//! | 28 | 16 | group |
//! | 44 | n | logic name |

use bytes::{BufMut, BytesMut};

use crate::file_id::{LogicName, MAX_NAME_LEN};
use crate::storage::name_of;
use crate::wire::{DecodeError, Reader, Request, put_size};
use crate::{Command, GroupName};

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncTruncate {
    /// The appender file.
    pub name: LogicName,
    /// Size that it had.
    pub old_size: u64,
    /// Size that it has now.
    pub new_size: u64,
    /// Time of the record, unix seconds.
    pub time: i32,
    /// Group of both members.
    pub group: GroupName,
}

impl Request for SyncTruncate {
    const COMMAND: Command = Command::SYNC_TRUNCATE_FILE;

    fn encode_body(&self, out: &mut BytesMut) {
        let name = self.name.as_str().as_bytes();
        put_size(out, name.len() as u64);
        put_size(out, self.old_size);
        put_size(out, self.new_size);
        out.put_i32(self.time);
        self.group.encode(out);
        out.extend_from_slice(name);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let name_len = reader.len("name length", 1, MAX_NAME_LEN)?;
        let old_size = reader.size("old size")?;
        let new_size = reader.size("new size")?;
        let time = reader.i32("time")?;
        let group = GroupName::decode(&mut reader)?;
        let name = name_of(reader.take(name_len, "file name")?)?;
        reader.finish()?;
        Ok(Self { name, old_size, new_size, time, group })
    }
}
