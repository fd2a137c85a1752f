//! Identity of a storage inside its group: its address text, or a number where the cluster uses storage ids.

use std::fmt;

use bytes::BytesMut;
use thiserror::Error;

use crate::wire::{DecodeError, Reader, put_padded, until_nul};

/// Bytes of the field on the wire; 15 are usable.
pub const STORAGE_ID_LEN: usize = 16;

/// A storage id: 1 to 15 printable ASCII characters. Ordered as text, as trackers order members
/// (`10.0.0.10` before `10.0.0.9`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageId([u8; STORAGE_ID_LEN]);

/// The text is not a storage id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a storage id is 1 to 15 printable ASCII characters")]
pub struct BadStorageId;

impl StorageId {
    /// Parses an id without padding.
    pub fn parse(text: &str) -> Result<Self, BadStorageId> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() >= STORAGE_ID_LEN || !bytes.iter().all(u8::is_ascii_graphic) {
            return Err(BadStorageId);
        }
        let mut id = [0; STORAGE_ID_LEN];
        id[..bytes.len()].copy_from_slice(bytes);
        Ok(Self(id))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(until_nul(&self.0)).expect("parse admits ASCII only")
    }

    /// Reads the 16-byte field; an empty field is `None`.
    pub fn decode_optional(reader: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        match reader.padded_str(STORAGE_ID_LEN, "storage id")? {
            "" => Ok(None),
            text => Self::parse(text).map(Some).map_err(|_| DecodeError::BadText { field: "storage id" }),
        }
    }

    /// Reads the 16-byte field, which must not be empty.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode_optional(reader)?.ok_or(DecodeError::BadText { field: "storage id" })
    }

    /// Appends the 16-byte field.
    pub fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }

    /// Appends the 16-byte field, all NUL for `None`.
    pub fn encode_optional(id: Option<&Self>, out: &mut BytesMut) {
        put_padded(out, id.map_or(&[][..], |id| until_nul(&id.0)), STORAGE_ID_LEN);
    }
}

impl fmt::Display for StorageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for StorageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_fit_fifteen_characters_and_sort_as_text() {
        assert!(StorageId::parse("192.168.100.100").is_ok());
        assert!(StorageId::parse("1234567890123456").is_err());
        assert!(StorageId::parse("").is_err());
        assert!(StorageId::parse("10.0.0.10").unwrap() < StorageId::parse("10.0.0.9").unwrap());
    }
}
