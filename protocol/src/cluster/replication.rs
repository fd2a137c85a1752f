//! fdfs's own: what a member tells a tracker of its senders (200), and what anyone may ask about it (201).
//!
//! A FastDFS tracker answers both with `EINVAL`. Text and lists are counted; numbers are 8 bytes.

use bytes::{BufMut, BytesMut};

use crate::wire::{DecodeError, Reader, Request, Response, plain_request, put_size};
use crate::{Command, StorageId};

const MAX_URL_LEN: usize = 512;
const MAX_MEMBERS: usize = 64;

/// What a sender is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SenderState(pub u8);

impl SenderState {
    /// The peer is not in service.
    pub const WAITING: Self = Self(0);
    /// No connection yet.
    pub const CONNECTING: Self = Self(1);
    /// Filling a new member.
    pub const OLD_FILES: Self = Self(2);
    /// The peer has everything.
    pub const IN_STEP: Self = Self(3);
    /// The peer gets what it lacks.
    pub const BEHIND: Self = Self(4);
    /// The peer refuses or does not answer.
    pub const STALLED: Self = Self(5);

    /// A word for people and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::WAITING => "waiting",
            Self::CONNECTING => "connecting",
            Self::OLD_FILES => "old_files",
            Self::IN_STEP => "in_step",
            Self::BEHIND => "behind",
            Self::STALLED => "stalled",
            _ => "unknown",
        }
    }
}

/// One sender, as its member reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderReport {
    /// Who is sent to.
    pub peer: StorageId,
    /// What the sender is doing.
    pub state: SenderState,
    /// Age of the oldest record that the peer lacks, seconds; 0 when in step.
    pub lag_seconds: i64,
    /// Records that the peer lacks; an estimate when many.
    pub files_to_go: i64,
    /// Bytes of binlog that hold them.
    pub bytes_to_go: i64,
    /// Records that the peer took in the last seconds, per second.
    pub per_second: i64,
    /// Records set aside because the peer refuses them.
    pub dead_letters: i64,
    /// Position of the mark: number of the binlog file.
    pub binlog_index: i64,
    /// Position of the mark: byte in it.
    pub binlog_offset: i64,
}

impl SenderReport {
    /// Seconds until the peer has everything, at the present pace; `None` if it gets nothing.
    pub fn seconds_to_go(&self) -> Option<i64> {
        match (self.files_to_go, self.per_second) {
            (..=0, _) => Some(0),
            (_, ..=0) => None,
            (files, pace) => Some(files / pace + i64::from(files % pace != 0)),
        }
    }

    fn encode(&self, out: &mut BytesMut) {
        self.peer.encode(out);
        out.put_u8(self.state.0);
        for number in [
            self.lag_seconds,
            self.files_to_go,
            self.bytes_to_go,
            self.per_second,
            self.dead_letters,
            self.binlog_index,
            self.binlog_offset,
        ] {
            out.put_i64(number);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            peer: StorageId::decode(reader)?,
            state: SenderState(reader.u8("state of a sender")?),
            lag_seconds: reader.i64("lag")?,
            files_to_go: reader.i64("files to go")?,
            bytes_to_go: reader.i64("bytes to go")?,
            per_second: reader.i64("pace")?,
            dead_letters: reader.i64("dead letters")?,
            binlog_index: reader.i64("binlog index")?,
            binlog_offset: reader.i64("binlog offset")?,
        })
    }
}

/// Command 200, after a join: the sender's own HTTP address and its senders. Answered with an empty body.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplicationReport {
    /// Where browsers and members reach this node, such as `http://10.0.0.1:8888`; empty if it has no HTTP.
    pub http_url: String,
    /// One for each peer.
    pub senders: Vec<SenderReport>,
}

impl ReplicationReport {
    fn encode(&self, out: &mut BytesMut) {
        put_size(out, self.http_url.len() as u64);
        out.put_slice(self.http_url.as_bytes());
        put_size(out, self.senders.len() as u64);
        self.senders.iter().for_each(|sender| sender.encode(out));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let len = reader.len("length of an URL", 0, MAX_URL_LEN)?;
        let url = std::str::from_utf8(reader.take(len, "URL")?);
        let http_url = url.map_err(|_| DecodeError::BadText { field: "URL" })?.to_owned();
        let count = reader.len("number of senders", 0, MAX_MEMBERS)?;
        let senders = (0..count).map(|_| SenderReport::decode(reader)).collect::<Result<_, _>>()?;
        Ok(Self { http_url, senders })
    }
}

impl Request for ReplicationReport {
    const COMMAND: Command = Command::REPLICATION_REPORT;

    fn encode_body(&self, out: &mut BytesMut) {
        self.encode(out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let report = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(report)
    }
}

plain_request!(
    /// Command 201: the reports of a group's members. Answered with [`GroupReplication`].
    QueryReplication(group),
    Command::QUERY_REPLICATION
);

/// The members that have reported, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupReplication(pub Vec<(StorageId, ReplicationReport)>);

impl Response for GroupReplication {
    fn encode_body(&self, out: &mut BytesMut) {
        put_size(out, self.0.len() as u64);
        for (id, report) in &self.0 {
            id.encode(out);
            report.encode(out);
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let count = reader.len("number of members", 0, MAX_MEMBERS)?;
        let mut members = Vec::with_capacity(count);
        for _ in 0..count {
            let id = StorageId::decode(&mut reader)?;
            members.push((id, ReplicationReport::decode(&mut reader)?));
        }
        reader.finish()?;
        Ok(Self(members))
    }
}
