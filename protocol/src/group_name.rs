//! Name of a group: 1 to 16 ASCII letters or digits; on the wire NUL-padded to 16 bytes.

use std::fmt;
use std::str::FromStr;

use bytes::BytesMut;
use thiserror::Error;

use crate::wire::{DecodeError, Reader, put_padded, until_nul};

/// Bytes of the field on the wire.
pub const GROUP_NAME_LEN: usize = 16;

/// A valid group name. Ordered by its text, as trackers order groups.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName([u8; GROUP_NAME_LEN]);

/// The text is not a group name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a group name is 1 to 16 ASCII letters or digits")]
pub struct BadGroupName;

impl GroupName {
    /// Parses a name without padding.
    pub fn parse(text: &str) -> Result<Self, BadGroupName> {
        let bytes = text.as_bytes();
        if bytes.is_empty() || bytes.len() > GROUP_NAME_LEN || !bytes.iter().all(u8::is_ascii_alphanumeric) {
            return Err(BadGroupName);
        }
        let mut name = [0; GROUP_NAME_LEN];
        name[..bytes.len()].copy_from_slice(bytes);
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(until_nul(&self.0)).expect("parse admits ASCII only")
    }

    /// Reads the 16-byte field.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::decode_field(reader, GROUP_NAME_LEN)
    }

    /// Reads a field of another width: JOIN and GET_MY_IP use 17 bytes.
    pub fn decode_field(reader: &mut Reader<'_>, width: usize) -> Result<Self, DecodeError> {
        let text = reader.padded_str(width, "group name")?;
        Self::parse(text).map_err(|_| DecodeError::BadText { field: "group name" })
    }

    /// Appends the 16-byte field.
    pub fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }

    /// Appends a field of another width.
    pub fn encode_field(&self, out: &mut BytesMut, width: usize) {
        put_padded(out, self.as_str().as_bytes(), width);
    }
}

impl FromStr for GroupName {
    type Err = BadGroupName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_alphanumeric() {
        for (text, ok) in [
            ("group1", true),
            ("G", true),
            ("abcdefghij123456", true),
            ("abcdefghij1234567", false),
            ("", false),
            ("a-b", false),
            ("..", false),
            ("gröup", false),
        ] {
            assert_eq!(GroupName::parse(text).is_ok(), ok, "{text}");
        }
    }

    #[test]
    fn garbage_after_the_nul_is_ignored() {
        let field = b"group1\0garbage!!";
        assert_eq!(GroupName::decode(&mut Reader::new(field)), Ok(GroupName::parse("group1").unwrap()));
    }
}
