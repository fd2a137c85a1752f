//! Delete a file and its metadata, command 12: group 16, logic name. Answered with an empty body.

use bytes::BytesMut;

use super::{decode_file, encode_file};
use crate::wire::{DecodeError, Reader, Request};
use crate::{Command, FileId};

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete(pub FileId);

impl Request for Delete {
    const COMMAND: Command = Command::DELETE_FILE;

    fn encode_body(&self, out: &mut BytesMut) {
        encode_file(&self.0, out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        decode_file(&mut Reader::new(body)).map(Self)
    }
}
