//! What a tracker decides for its cluster: the table of storage ids (69) and the parameters (75).

use bytes::{BufMut, Bytes, BytesMut};

use crate::Command;
use crate::wire::{DecodeError, Reader, Request, Response, plain_request};

plain_request!(
    /// The parameters. Answered with lines `key=value`, at most 1023 bytes.
    ParameterRequest,
    Command::PARAMETER_REQ
);

/// A piece of the table. Before 6.11 the flag was not sent; both forms are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchStorageIds {
    /// First entry wanted.
    pub start: i32,
    /// Whether a cluster without ids answers an empty table instead of an error.
    pub allow_empty: Option<u8>,
}

impl Request for FetchStorageIds {
    const COMMAND: Command = Command::FETCH_STORAGE_IDS;

    fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32(self.start);
        if let Some(flag) = self.allow_empty {
            out.put_u8(flag);
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let start = reader.i32("start index")?;
        let allow_empty = if reader.remaining() == 0 { None } else { Some(reader.u8("allow empty")?) };
        reader.finish()?;
        Ok(Self { start, allow_empty })
    }
}

/// Total 4, returned 4, then lines `id group host:port[ rw=mode]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageIdsChunk {
    /// Entries of the whole table.
    pub total: i32,
    /// Entries in this piece.
    pub returned: i32,
    /// The lines.
    pub lines: Bytes,
}

impl Response for StorageIdsChunk {
    fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32(self.total);
        out.put_i32(self.returned);
        out.extend_from_slice(&self.lines);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let total = reader.i32("total")?;
        let returned = reader.i32("returned")?;
        Ok(Self { total, returned, lines: Bytes::copy_from_slice(reader.rest()) })
    }
}

/// The table as it is put together from its pieces.
#[derive(Debug, Default)]
pub struct StorageIdsText {
    lines: String,
    start: i32,
    pieces: usize,
    done: bool,
}

impl StorageIdsText {
    /// More pieces than this make no table.
    const MAX_PIECES: usize = 64;

    /// What is to be asked next; `None` once the table is whole.
    pub fn next(&self) -> Option<FetchStorageIds> {
        (!self.done).then_some(FetchStorageIds { start: self.start, allow_empty: Some(1) })
    }

    /// Takes a piece.
    pub fn take(&mut self, piece: &StorageIdsChunk) {
        self.lines.push_str(&String::from_utf8_lossy(&piece.lines));
        self.start = self.start.saturating_add(piece.returned);
        self.pieces += 1;
        self.done = self.start >= piece.total || piece.returned <= 0 || self.pieces == Self::MAX_PIECES;
    }

    /// The lines so far.
    pub fn lines(&self) -> &str {
        &self.lines
    }
}
