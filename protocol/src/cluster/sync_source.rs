//! Who feeds old files to whom: commands 86, 87, 88 and 79. Source 16, until 8; an empty answer means nobody.

use bytes::{BufMut, BytesMut};

use crate::wire::{DecodeError, Reader, Request, Response, plain_request};
use crate::{Command, GroupName, StorageId};

/// A source of old files, 24 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncSource {
    /// The storage that feeds, if any.
    pub source: Option<StorageId>,
    /// Files up to this time come from it, unix seconds.
    pub until: i64,
}

impl SyncSource {
    fn encode(&self, out: &mut BytesMut) {
        StorageId::encode_optional(self.source.as_ref(), out);
        out.put_i64(self.until);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let source = StorageId::decode_optional(reader)?;
        Ok(Self { source, until: reader.i64("until")? })
    }
}

/// A member asks who feeds `destination`, command 86. Needs no join. Answered with [`SyncSourceAnswer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncSourceRequest {
    /// Group of both.
    pub group: GroupName,
    /// The storage that is fed.
    pub destination: StorageId,
}

impl Request for SyncSourceRequest {
    const COMMAND: Command = Command::SYNC_SRC_REQ;

    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        self.destination.encode(out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        let destination = StorageId::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self { group, destination })
    }
}

/// The source, or nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncSourceAnswer(pub Option<SyncSource>);

impl Response for SyncSourceAnswer {
    fn encode_body(&self, out: &mut BytesMut) {
        if let Some(source) = &self.0 {
            source.encode(out);
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        if body.is_empty() {
            return Ok(Self(None));
        }
        let mut reader = Reader::new(body);
        let source = SyncSource::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self(Some(source)))
    }
}

plain_request!(
    /// A new storage asks for a source of old files. Answered with [`SyncSourceAnswer`].
    SyncDestRequest,
    Command::SYNC_DEST_REQ
);
plain_request!(
    /// A storage asks for the source that it has. Answered with [`SyncSourceAnswer`].
    SyncDestQuery,
    Command::SYNC_DEST_QUERY
);

/// A storage tells the source that it has, command 88. Answered with an empty body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncNotify(pub SyncSource);

impl Request for SyncNotify {
    const COMMAND: Command = Command::SYNC_NOTIFY;

    fn encode_body(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let source = SyncSource::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self(source))
    }
}
