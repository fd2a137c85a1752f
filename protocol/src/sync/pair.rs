//! Two names: a link and its file (19), or an appender's new name and its old one (40).
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | length of the new name |
//! | 8 | 8 | length of the other name |
//! | 16 | 4 | time of the record |
//! | 20 | 16 | group |
//! | 36 | | new name, other name |

use bytes::{BufMut, BytesMut};

use crate::file_id::{LogicName, MAX_NAME_LEN};
use crate::storage::name_of;
use crate::wire::{DecodeError, Reader, Request, put_size};
use crate::{Command, GroupName};

/// The names and what goes with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncPair {
    /// The name that comes into being.
    pub dest: LogicName,
    /// The link's file, or the name that goes.
    pub source: LogicName,
    /// Time of the record, unix seconds.
    pub time: i32,
    /// Group of both members.
    pub group: GroupName,
}

impl SyncPair {
    fn encode(&self, out: &mut BytesMut) {
        put_size(out, self.dest.as_str().len() as u64);
        put_size(out, self.source.as_str().len() as u64);
        out.put_i32(self.time);
        self.group.encode(out);
        out.extend_from_slice(self.dest.as_str().as_bytes());
        out.extend_from_slice(self.source.as_str().as_bytes());
    }

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let dest_len = reader.len("new name length", 1, MAX_NAME_LEN)?;
        let source_len = reader.len("other name length", 1, MAX_NAME_LEN)?;
        let time = reader.i32("time")?;
        let group = GroupName::decode(&mut reader)?;
        let dest = name_of(reader.take(dest_len, "new name")?)?;
        let source = name_of(reader.take(source_len, "other name")?)?;
        reader.finish()?;
        Ok(Self { dest, source, time, group })
    }
}

macro_rules! pair {
    ($(#[$doc:meta])* $name:ident, $command:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub SyncPair);

        impl Request for $name {
            const COMMAND: Command = $command;

            fn encode_body(&self, out: &mut BytesMut) {
                self.0.encode(out);
            }

            fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
                SyncPair::decode(body).map(Self)
            }
        }
    };
}

pair!(
    /// Command 19: `dest` is a link to `source`. FastDFS 6.16.1 breaks on it: its own senders stop for ever.
    SyncLink,
    Command::SYNC_CREATE_LINK
);
pair!(
    /// Command 40: the file is called `dest` now. `EEXIST` if that is there, `ENOENT` if `source` is not.
    SyncRename,
    Command::SYNC_RENAME_FILE
);
