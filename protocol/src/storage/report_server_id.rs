//! Sender's storage id, command 9: 16 bytes, not empty. Tags the connection for sync statistics. Answered with an
//! empty body.

use bytes::BytesMut;

use crate::wire::{DecodeError, Reader, Request};
use crate::{Command, StorageId};

/// The request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportServerId(pub StorageId);

impl Request for ReportServerId {
    const COMMAND: Command = Command::REPORT_SERVER_ID;

    fn encode_body(&self, out: &mut BytesMut) {
        self.0.encode(out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let id = StorageId::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self(id))
    }
}
