//! The trunk server's reports: highest trunk file (73), free space (74); and the tracker's knowledge (72).

use bytes::{BufMut, BytesMut};

use crate::Command;
use crate::wire::{DecodeError, Reader, Request, Response, plain_request};

plain_request!(
    /// Command 72: highest trunk file known. Answered with [`TrunkFileId`].
    FetchTrunkFileId,
    Command::FETCH_TRUNK_FID
);

/// Highest trunk file, 4 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrunkFileId(pub i32);

impl Response for TrunkFileId {
    fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32(self.0);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let id = reader.i32("trunk file id")?;
        reader.finish()?;
        Ok(Self(id))
    }
}

/// Command 73, 4 bytes. Answered with an empty body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportTrunkFileId(pub i32);

impl Request for ReportTrunkFileId {
    const COMMAND: Command = Command::REPORT_TRUNK_FID;

    fn encode_body(&self, out: &mut BytesMut) {
        out.put_i32(self.0);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        TrunkFileId::decode_body(body).map(|TrunkFileId(id)| Self(id))
    }
}

/// Command 74: free MB, 8 bytes. Answered with an empty body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportTrunkFree(pub i64);

impl Request for ReportTrunkFree {
    const COMMAND: Command = Command::REPORT_TRUNK_FREE;

    fn encode_body(&self, out: &mut BytesMut) {
        out.put_i64(self.0);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let free_mb = reader.i64("free_mb")?;
        reader.finish()?;
        Ok(Self(free_mb))
    }
}
