//! Give an appender file a normal name, command 38. The body is the logic name, without a group. Answered with
//! `FileCreated`.

use bytes::BytesMut;

use super::{MIN_APPENDER_NAME, name_of};
use crate::Command;
use crate::file_id::LogicName;
use crate::wire::{DecodeError, Request};

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regenerate {
    /// The appender file.
    pub name: LogicName,
}

impl Request for Regenerate {
    const COMMAND: Command = Command::REGENERATE_APPENDER_FILENAME;

    fn encode_body(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.name.as_str().as_bytes());
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        if body.len() < MIN_APPENDER_NAME {
            return Err(DecodeError::Short { field: "file name", need: MIN_APPENDER_NAME, have: body.len() });
        }
        Ok(Self { name: name_of(body)? })
    }
}
