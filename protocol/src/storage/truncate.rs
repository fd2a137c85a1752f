//! Cut or extend an appender file, command 36. Answered with an empty body.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | length of the name |
//! | 8 | 8 | new size |
//! | 16 | n | logic name; the reference ignores what follows it, and so does this |

use bytes::BytesMut;

use super::{MIN_APPENDER_NAME, name_of};
use crate::Command;
use crate::file_id::{LogicName, MAX_NAME_LEN};
use crate::wire::{DecodeError, Reader, Request, put_size};

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truncate {
    /// The appender file.
    pub name: LogicName,
    /// Size it shall have; larger than now fills with zeros.
    pub size: u64,
}

impl Request for Truncate {
    const COMMAND: Command = Command::TRUNCATE_FILE;

    fn encode_body(&self, out: &mut BytesMut) {
        let name = self.name.as_str().as_bytes();
        put_size(out, name.len() as u64);
        put_size(out, self.size);
        out.extend_from_slice(name);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let name_len = reader.len("name length", MIN_APPENDER_NAME, MAX_NAME_LEN)?;
        let size = reader.size("new size")?;
        Ok(Self { name: name_of(reader.take(name_len, "file name")?)?, size })
    }
}
