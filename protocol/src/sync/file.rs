//! A whole file: create (16) and update (18), which replaces what is there.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | length of the name |
//! | 8 | 8 | file size |
//! | 16 | 4 | time of the record |
//! | 20 | 16 | group |
//! | 36 | n | logic name |
//! | 36+n | size | content, absent when the header's status is not 0 |

use bytes::{BufMut, BytesMut};

use crate::file_id::{LogicName, MAX_NAME_LEN};
use crate::storage::{check_content, head_is_there, name_of};
use crate::wire::{DecodeError, Reader, StreamRequest, put_size};
use crate::{Command, GroupName};

const FIXED_LEN: usize = 36;

/// The request before its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncFile {
    /// Time of the record, unix seconds; becomes the file's mtime.
    pub time: i32,
    /// Group of both members.
    pub group: GroupName,
    /// The file.
    pub name: LogicName,
    /// Its size.
    pub size: u64,
}

impl SyncFile {
    fn encode(&self, out: &mut BytesMut) {
        let name = self.name.as_str().as_bytes();
        put_size(out, name.len() as u64);
        put_size(out, self.size);
        out.put_i32(self.time);
        self.group.encode(out);
        out.extend_from_slice(name);
    }

    /// Reads the head of a request whose content may be absent, which the caller knows from the header's status.
    pub fn decode(
        have: &[u8],
        body_len: u64,
        has_content: bool,
    ) -> Result<Option<(Self, usize)>, DecodeError> {
        if !head_is_there(have, FIXED_LEN, body_len, "head of a replicated file")? {
            return Ok(None);
        }
        let mut reader = Reader::new(have);
        let name_len = reader.len("name length", 1, MAX_NAME_LEN)?;
        let size = reader.size("file size")?;
        let time = reader.i32("time")?;
        let group = GroupName::decode(&mut reader)?;
        let head_len = FIXED_LEN + name_len;
        check_content(if has_content { size } else { 0 }, body_len, head_len)?;
        if have.len() < head_len {
            return Ok(None);
        }
        let name = name_of(reader.take(name_len, "file name")?)?;
        Ok(Some((Self { time, group, name, size }, head_len)))
    }
}

macro_rules! whole_file {
    ($(#[$doc:meta])* $name:ident, $command:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub SyncFile);

        impl StreamRequest for $name {
            const COMMAND: Command = $command;

            fn encode_head(&self, out: &mut BytesMut) {
                self.0.encode(out);
            }

            fn content_len(&self) -> u64 {
                self.0.size
            }

            fn decode_head(have: &[u8], body_len: u64) -> Result<Option<(Self, usize)>, DecodeError> {
                Ok(SyncFile::decode(have, body_len, true)?.map(|(file, len)| (Self(file), len)))
            }
        }
    };
}

whole_file!(
    /// Command 16: a new file. `EEXIST` if one of the same size is there, which stays.
    SyncCreate,
    Command::SYNC_CREATE_FILE
);
whole_file!(
    /// Command 18: the file has this content now, whatever was there.
    SyncUpdate,
    Command::SYNC_UPDATE_FILE
);
