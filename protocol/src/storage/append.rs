//! Append to an appender file, command 24. Answered with an empty body.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | length of the name |
//! | 8 | 8 | content size |
//! | 16 | n | logic name |
//! | 16+n | size | content |

use bytes::BytesMut;

use super::{MIN_APPENDER_NAME, check_content, head_is_there, name_of};
use crate::Command;
use crate::file_id::{LogicName, MAX_NAME_LEN};
use crate::wire::{DecodeError, Reader, StreamRequest, put_size};

const FIXED_LEN: usize = 16;

/// The request before its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The appender file.
    pub name: LogicName,
    /// Bytes to append.
    pub size: u64,
}

impl StreamRequest for Append {
    const COMMAND: Command = Command::APPEND_FILE;

    fn encode_head(&self, out: &mut BytesMut) {
        let name = self.name.as_str().as_bytes();
        put_size(out, name.len() as u64);
        put_size(out, self.size);
        out.extend_from_slice(name);
    }

    fn content_len(&self) -> u64 {
        self.size
    }

    fn decode_head(have: &[u8], body_len: u64) -> Result<Option<(Self, usize)>, DecodeError> {
        if !head_is_there(have, FIXED_LEN, body_len, "append head")? {
            return Ok(None);
        }
        let mut reader = Reader::new(have);
        let name_len = reader.len("name length", MIN_APPENDER_NAME, MAX_NAME_LEN)?;
        let size = reader.size("content size")?;
        let head_len = FIXED_LEN + name_len;
        check_content(size, body_len, head_len)?;
        if have.len() < head_len {
            return Ok(None);
        }
        Ok(Some((Self { name: name_of(reader.take(name_len, "file name")?)?, size }, head_len)))
    }
}
