//! What clients add to a name: an extension, a slave's prefix; and the seven characters at a name's end.

use std::fmt;

use bytes::BytesMut;

use super::BadName;
use crate::wire::{DecodeError, Reader, put_padded, until_nul};

/// Bytes of the extension field on the wire, and the longest extension.
const EXT_LEN: usize = 6;
/// Bytes of the prefix field on the wire, and the longest prefix.
const PREFIX_LEN: usize = 16;

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

/// A file extension without its dot: 0 to 6 characters of `[A-Za-z0-9._-]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FileExt([u8; EXT_LEN]);

impl FileExt {
    /// No extension.
    pub const NONE: Self = Self([0; EXT_LEN]);

    /// Parses an extension; a leading dot is part of it, as on the reference.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let mut ext = [0; EXT_LEN];
        let place = ext.get_mut(..text.len()).ok_or(BadName::Extension)?;
        if !text.bytes().all(is_allowed) {
            return Err(BadName::Extension);
        }
        place.copy_from_slice(text.as_bytes());
        Ok(Self(ext))
    }

    /// The extension that FastDFS clients send for a file name: the text after the last dot, or after the one
    /// before it while that stays within six characters (`a.tar.gz` gives `tar.gz`); else none.
    pub fn of_file_name(name: &str) -> Self {
        let base = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let Some((stem, last)) = base.rsplit_once('.') else { return Self::NONE };
        let double =
            stem.rsplit_once('.').map(|(_, second)| &base[base.len() - second.len() - 1 - last.len()..]);
        double.and_then(|ext| Self::parse(ext).ok()).or_else(|| Self::parse(last).ok()).unwrap_or(Self::NONE)
    }

    /// Reads the 6-byte field up to its first NUL.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let text = reader.padded_str(EXT_LEN, "extension")?;
        Self::parse(text).map_err(|_| DecodeError::BadText { field: "extension" })
    }

    /// Appends the 6-byte field.
    pub fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }

    /// The extension as text, empty if there is none.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(until_nul(&self.0)).expect("parse admits ASCII only")
    }
}

impl fmt::Debug for FileExt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// A slave's prefix: 1 to 16 characters of `[A-Za-z0-9._-]`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SlavePrefix([u8; PREFIX_LEN]);

impl SlavePrefix {
    /// Parses a prefix.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let mut prefix = [0; PREFIX_LEN];
        let place = prefix.get_mut(..text.len()).ok_or(BadName::Extension)?;
        if text.is_empty() || !text.bytes().all(is_allowed) {
            return Err(BadName::Extension);
        }
        place.copy_from_slice(text.as_bytes());
        Ok(Self(prefix))
    }

    /// Reads the 16-byte field up to its first NUL.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let text = reader.padded_str(PREFIX_LEN, "prefix")?;
        Self::parse(text).map_err(|_| DecodeError::BadText { field: "prefix" })
    }

    /// Appends the 16-byte field.
    pub fn encode(&self, out: &mut BytesMut) {
        put_padded(out, self.as_str().as_bytes(), PREFIX_LEN);
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(until_nul(&self.0)).expect("parse admits ASCII only")
    }
}

impl fmt::Debug for SlavePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// The seven characters at the end of a master's name: random digits, then `.ext`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameTail([u8; 7]);

impl NameTail {
    /// Fills the places that `ext` leaves with digits of `random`, drawn once per upload.
    pub fn new(ext: FileExt, random: u32) -> Self {
        let ext = ext.as_str().as_bytes();
        let digits = if ext.is_empty() { 7 } else { 6 - ext.len() };
        let mut tail = [b'.'; 7];
        let mut left = random;
        for place in tail.iter_mut().take(digits) {
            let digit = u8::try_from(left % 10).unwrap_or(0);
            *place = b'0' + digit;
            left /= 10;
        }
        if let Some(place) = tail.get_mut(digits + 1..) {
            place.copy_from_slice(ext);
        }
        Self(tail)
    }

    /// The tail of an existing name, kept when an appender file gets a normal name.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        name.last_chunk::<7>().copied().map(Self)
    }

    /// The seven characters.
    pub fn as_bytes(&self) -> &[u8; 7] {
        &self.0
    }
}

impl fmt::Debug for NameTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.escape_ascii().to_string())
    }
}
