//! A part of an appender file: append (25) and modify (35).
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | length of the name |
//! | 8 | 8 | first byte of the part |
//! | 16 | 8 | bytes |
//! | 24 | 4 | time of the record |
//! | 28 | 16 | group |
//! | 44 | n | logic name |
//! | 44+n | bytes | content |

use bytes::{BufMut, BytesMut};

use crate::file_id::{LogicName, MAX_NAME_LEN};
use crate::storage::{check_content, head_is_there, name_of};
use crate::wire::{DecodeError, Reader, StreamRequest, put_size};
use crate::{Command, GroupName};

const FIXED_LEN: usize = 44;

/// The request before its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRange {
    /// The appender file.
    pub name: LogicName,
    /// First byte of the part.
    pub offset: u64,
    /// Bytes of it.
    pub len: u64,
    /// Time of the record, unix seconds.
    pub time: i32,
    /// Group of both members.
    pub group: GroupName,
}

impl SyncRange {
    fn encode(&self, out: &mut BytesMut) {
        let name = self.name.as_str().as_bytes();
        put_size(out, name.len() as u64);
        put_size(out, self.offset);
        put_size(out, self.len);
        out.put_i32(self.time);
        self.group.encode(out);
        out.extend_from_slice(name);
    }

    fn decode(have: &[u8], body_len: u64) -> Result<Option<(Self, usize)>, DecodeError> {
        if !head_is_there(have, FIXED_LEN, body_len, "head of a replicated part")? {
            return Ok(None);
        }
        let mut reader = Reader::new(have);
        let name_len = reader.len("name length", 1, MAX_NAME_LEN)?;
        let offset = reader.size("offset")?;
        let len = reader.size("length of the part")?;
        let time = reader.i32("time")?;
        let group = GroupName::decode(&mut reader)?;
        let head_len = FIXED_LEN + name_len;
        check_content(len, body_len, head_len)?;
        if have.len() < head_len {
            return Ok(None);
        }
        let name = name_of(reader.take(name_len, "file name")?)?;
        Ok(Some((Self { name, offset, len, time, group }, head_len)))
    }
}

macro_rules! part {
    ($(#[$doc:meta])* $name:ident, $command:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub SyncRange);

        impl StreamRequest for $name {
            const COMMAND: Command = $command;

            fn encode_head(&self, out: &mut BytesMut) {
                self.0.encode(out);
            }

            fn content_len(&self) -> u64 {
                self.0.len
            }

            fn decode_head(have: &[u8], body_len: u64) -> Result<Option<(Self, usize)>, DecodeError> {
                Ok(SyncRange::decode(have, body_len)?.map(|(part, len)| (Self(part), len)))
            }
        }
    };
}

part!(
    /// Command 25: the file grew by this part. `EEXIST` if it is that long already, `ENOENT` if the receiver lacks what
    /// lies before.
    SyncAppend,
    Command::SYNC_APPEND_FILE
);
part!(
    /// Command 35: the part was overwritten. `ENOENT` if the receiver lacks what lies before.
    SyncModify,
    Command::SYNC_MODIFY_FILE
);
