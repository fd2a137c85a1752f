//! The trunk binlog between members and the tracker: its lines (30), its size (31), the end of a member's own past (32),
//! and a new beginning of it (33).

use bytes::{BufMut, Bytes, BytesMut};

use crate::Command;
use crate::wire::{DecodeError, Reader, Request, Response, plain_request};

/// Most bytes of lines in one request, the reference's.
pub const MAX_LINES: usize = 64 * 1024;

/// Command 30, from the trunk server to every member: whole lines, to be appended to the member's trunk binlog as they
/// are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkBinlogLines(pub Bytes);

impl Request for TrunkBinlogLines {
    const COMMAND: Command = Command::TRUNK_SYNC_BINLOG;

    fn encode_body(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        match body {
            [.., b'\n'] if body.len() <= MAX_LINES => Ok(Self(Bytes::copy_from_slice(body))),
            _ => Err(DecodeError::BadLength { message: "lines of the trunk binlog", len: body.len() }),
        }
    }
}

plain_request!(
    /// Command 31, from the tracker. Answered with [`TrunkBinlogSize`]; `ENOENT` if there is none, `EINVAL` if the member
    /// knows of no trunk files.
    GetTrunkBinlogSize,
    Command::TRUNK_GET_BINLOG_SIZE
);

/// Bytes of a member's trunk binlog, 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrunkBinlogSize(pub u64);

impl Response for TrunkBinlogSize {
    fn encode_body(&self, out: &mut BytesMut) {
        out.put_u64(self.0);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let value = reader.i64("size of the trunk binlog")?;
        reader.finish()?;
        let size = u64::try_from(value);
        size.map(Self).map_err(|_| DecodeError::OutOfRange {
            field: "size of the trunk binlog",
            value,
            min: 0,
            max: i64::MAX,
        })
    }
}

plain_request!(
    /// Command 32, from the tracker to the member that will be the trunk server: what it remembers of an earlier time as
    /// one is deleted, its snapshot of the free space and how far members have its trunk binlog.
    DeleteBinlogMarks,
    Command::TRUNK_DELETE_BINLOG_MARKS
);
plain_request!(
    /// Command 33, from the trunk server: the member's trunk binlog begins anew.
    TruncateTrunkBinlog,
    Command::TRUNK_TRUNCATE_BINLOG_FILE
);
