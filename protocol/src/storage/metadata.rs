//! Set metadata, command 13, and get it, command 15.
//!
//! | offset | size | field of 13 |
//! |---|---|---|
//! | 0 | 8 | length of the name |
//! | 8 | 8 | length of the metadata |
//! | 16 | 1 | `O` overwrite, `M` merge |
//! | 17 | 16 | group |
//! | 33 | n | logic name |
//! | 33+n | m | metadata text |
//!
//! 15 is group 16 and logic name; its answer is the stored text.

use bytes::{BufMut, Bytes, BytesMut};

use super::{decode_file, encode_file, name_of};
use crate::file_id::MAX_NAME_LEN;
use crate::wire::{DecodeError, Reader, Request, Response, put_size};
use crate::{Command, FileId, GroupName};

/// Longest metadata text in a request: the reference takes requests up to its buffer of 256 KiB.
const MAX_METADATA_LEN: usize = 256 * 1024;

/// How new metadata meets old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataMode {
    /// Replace all of it; an empty text deletes it.
    Overwrite,
    /// Replace equal names, add the others.
    Merge,
}

/// The request to set metadata. Answered with an empty body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetMetadata {
    /// The file.
    pub file: FileId,
    /// How new metadata meets old.
    pub mode: MetadataMode,
    /// Rows as sent: `name 0x02 value 0x01 name 0x02 value`.
    pub text: Bytes,
}

impl Request for SetMetadata {
    const COMMAND: Command = Command::SET_METADATA;

    fn encode_body(&self, out: &mut BytesMut) {
        let name = self.file.name.as_str().as_bytes();
        put_size(out, name.len() as u64);
        put_size(out, self.text.len() as u64);
        out.put_u8(match self.mode {
            MetadataMode::Overwrite => b'O',
            MetadataMode::Merge => b'M',
        });
        self.file.group.encode(out);
        out.extend_from_slice(name);
        out.extend_from_slice(&self.text);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let name_len = reader.len("name length", 1, MAX_NAME_LEN)?;
        let text_len = reader.len("metadata length", 0, MAX_METADATA_LEN)?;
        let mode = match reader.u8("metadata mode")? {
            b'O' => MetadataMode::Overwrite,
            b'M' => MetadataMode::Merge,
            _ => return Err(DecodeError::BadText { field: "metadata mode" }),
        };
        let group = GroupName::decode(&mut reader)?;
        let name = name_of(reader.take(name_len, "file name")?)?;
        let text = Bytes::copy_from_slice(reader.take(text_len, "metadata")?);
        reader.finish()?;
        Ok(Self { file: FileId { group, name }, mode, text })
    }
}

/// The request to get metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetMetadata(pub FileId);

impl Request for GetMetadata {
    const COMMAND: Command = Command::GET_METADATA;

    fn encode_body(&self, out: &mut BytesMut) {
        encode_file(&self.0, out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        decode_file(&mut Reader::new(body)).map(Self)
    }
}

/// An answer of opaque bytes: metadata, parameters, ids.
impl Response for Bytes {
    fn encode_body(&self, out: &mut BytesMut) {
        out.extend_from_slice(self);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self::copy_from_slice(body))
    }
}
