//! Upload of a slave file, command 21. Answered with `FileCreated`.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | length of the master's name |
//! | 8 | 8 | content size |
//! | 16 | 16 | prefix |
//! | 32 | 6 | extension |
//! | 38 | n | the master's logic name |
//! | 38+n | size | content |

use bytes::BytesMut;

use super::{check_content, head_is_there, name_of};
use crate::Command;
use crate::file_id::{FileExt, LogicName, MAX_NAME_LEN, SlavePrefix};
use crate::wire::{DecodeError, Reader, StreamRequest, put_size};

const FIXED_LEN: usize = 38;

/// The request before its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadSlave {
    /// File that the slave is named after.
    pub master: LogicName,
    /// Bytes of content.
    pub size: u64,
    /// What comes after the master's stem.
    pub prefix: SlavePrefix,
    /// Extension of the slave.
    pub ext: FileExt,
}

impl StreamRequest for UploadSlave {
    const COMMAND: Command = Command::UPLOAD_SLAVE_FILE;

    fn encode_head(&self, out: &mut BytesMut) {
        let master = self.master.as_str().as_bytes();
        put_size(out, master.len() as u64);
        put_size(out, self.size);
        self.prefix.encode(out);
        self.ext.encode(out);
        out.extend_from_slice(master);
    }

    fn content_len(&self) -> u64 {
        self.size
    }

    fn decode_head(have: &[u8], body_len: u64) -> Result<Option<(Self, usize)>, DecodeError> {
        if !head_is_there(have, FIXED_LEN, body_len, "slave upload head")? {
            return Ok(None);
        }
        let mut reader = Reader::new(have);
        let master_len = reader.len("master name length", 11, MAX_NAME_LEN)?;
        let size = reader.size("content size")?;
        let head_len = FIXED_LEN + master_len;
        check_content(size, body_len, head_len)?;
        let prefix = SlavePrefix::decode(&mut reader)?;
        let ext = FileExt::decode(&mut reader)?;
        if have.len() < head_len {
            return Ok(None);
        }
        let master = name_of(reader.take(master_len, "master name")?)?;
        Ok(Some((Self { master, size, prefix, ext }, head_len)))
    }
}
