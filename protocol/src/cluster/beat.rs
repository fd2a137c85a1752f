//! What a joined storage reports: heart beat (83, empty or 348 bytes), disk usage (84, 16 bytes a store path) and
//! sync progress (89, 20 bytes a peer). All are answered with `CheckSync`.

use bytes::{BufMut, BytesMut};

use super::{STATS_LEN, StorageStats};
use crate::wire::{DecodeError, Reader, Request};
use crate::{Command, StorageId};

const MAX_PATHS: usize = 256;
const MAX_MEMBERS: usize = 64;

/// A heart beat, with counters if they changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat(pub Option<StorageStats>);

impl Request for Beat {
    const COMMAND: Command = Command::STORAGE_BEAT;

    fn encode_body(&self, out: &mut BytesMut) {
        if let Some(stats) = &self.0 {
            stats.encode(out);
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        match body.len() {
            0 => Ok(Self(None)),
            STATS_LEN => StorageStats::decode(&mut Reader::new(body)).map(|stats| Self(Some(stats))),
            len => Err(DecodeError::BadLength { message: "heart beat", len }),
        }
    }
}

/// Space of one store path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathSpace {
    /// Space of its file system, MB.
    pub total_mb: i64,
    /// What users may still fill, MB.
    pub free_mb: i64,
}

/// Space of every store path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskUsage(pub Vec<PathSpace>);

impl Request for DiskUsage {
    const COMMAND: Command = Command::REPORT_DISK_USAGE;

    fn encode_body(&self, out: &mut BytesMut) {
        for path in &self.0 {
            out.put_i64(path.total_mb);
            out.put_i64(path.free_mb);
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        if body.is_empty() || !body.len().is_multiple_of(16) || body.len() / 16 > MAX_PATHS {
            return Err(DecodeError::BadLength { message: "disk usage", len: body.len() });
        }
        let mut reader = Reader::new(body);
        let mut paths = Vec::with_capacity(body.len() / 16);
        while reader.remaining() > 0 {
            let total_mb = reader.i64("total_mb")?;
            paths.push(PathSpace { total_mb, free_mb: reader.i64("free_mb")? });
        }
        Ok(Self(paths))
    }
}

/// Newest timestamp received from each member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReport(pub Vec<(StorageId, i32)>);

impl Request for SyncReport {
    const COMMAND: Command = Command::SYNC_REPORT;

    fn encode_body(&self, out: &mut BytesMut) {
        for (source, timestamp) in &self.0 {
            source.encode(out);
            out.put_i32(*timestamp);
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        if body.is_empty() || !body.len().is_multiple_of(20) || body.len() / 20 > MAX_MEMBERS {
            return Err(DecodeError::BadLength { message: "sync report", len: body.len() });
        }
        let mut reader = Reader::new(body);
        let mut sources = Vec::with_capacity(body.len() / 20);
        while reader.remaining() > 0 {
            let source = StorageId::decode_optional(&mut reader)?;
            let timestamp = reader.i32("timestamp")?;
            sources.extend(source.map(|source| (source, timestamp)));
        }
        Ok(Self(sources))
    }
}
