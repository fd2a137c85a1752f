//! Copying a tracker's files: start (61), pieces of each file (63), end (62).

use bytes::{BufMut, Bytes, BytesMut};

use crate::Command;
use crate::wire::{DecodeError, Reader, Request, Response, plain_request, put_size};

/// Files there are: groups, storages, sync timestamps, changelog.
pub const SYSTEM_FILES: u8 = 4;
/// Longest piece of a file in one answer.
pub const MAX_PIECE: usize = 8173;

plain_request!(
    /// Freezes the files for this connection. Answered with an empty body; `ENOENT` while there is no group.
    GetSystemFilesStart,
    Command::GET_SYS_FILES_START
);
plain_request!(
    /// Lets go of them. Answered with an empty body.
    GetSystemFilesEnd,
    Command::GET_SYS_FILES_END
);

/// A piece of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GetOneSystemFile {
    /// Which file, below [`SYSTEM_FILES`].
    pub index: u8,
    /// From where.
    pub offset: u64,
}

impl Request for GetOneSystemFile {
    const COMMAND: Command = Command::GET_ONE_SYS_FILE;

    fn encode_body(&self, out: &mut BytesMut) {
        out.put_u8(self.index);
        put_size(out, self.offset);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let index = reader.u8("file index")?;
        if index >= SYSTEM_FILES {
            let max = i64::from(SYSTEM_FILES) - 1;
            return Err(DecodeError::OutOfRange { field: "file index", value: index.into(), min: 0, max });
        }
        let offset = reader.size("offset")?;
        reader.finish()?;
        Ok(Self { index, offset })
    }
}

/// The piece, and how long the whole file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemFilePiece {
    /// Bytes of the whole file.
    pub total: u64,
    /// Bytes from the offset on, at most [`MAX_PIECE`]; empty at the end.
    pub bytes: Bytes,
}

impl Response for SystemFilePiece {
    fn encode_body(&self, out: &mut BytesMut) {
        put_size(out, self.total);
        out.put_slice(&self.bytes);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let total = reader.size("file size")?;
        Ok(Self { total, bytes: Bytes::copy_from_slice(reader.rest()) })
    }
}
