//! Metadata of a file: pairs of name and value, in messages and on disk `name 0x02 value 0x01 name 0x02 value`.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Separates items.
pub const ITEM: u8 = 1;
/// Separates a value from its name.
pub const VALUE: u8 = 2;
/// Longest name, in bytes; FastDFS cuts longer ones.
pub const MAX_NAME: usize = 64;
/// Longest value, in bytes; FastDFS cuts longer ones.
pub const MAX_VALUE: usize = 256;

/// Names that begin so are the store's own: clients set them only through what owns them.
pub const RESERVED: &str = "fdfs.";
/// The name that a file had where it came from.
pub const FILE_NAME: &str = "fdfs.filename";
/// When a file is deleted, unix seconds.
pub const EXPIRES: &str = "fdfs.expires";
/// Which request stored the file, for one that is sent again.
pub const IDEMPOTENCY: &str = "fdfs.idempotency";

/// An item that cannot be kept as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadItem {
    /// Names have 1 to 64 bytes.
    #[error("a metadata name has 1 to 64 bytes")]
    NameLength,
    /// Values have up to 256 bytes.
    #[error("a metadata value has up to 256 bytes")]
    ValueLength,
    /// The bytes 0, 1 and 2 separate items.
    #[error("metadata holds no control characters 0, 1 and 2")]
    Separator,
}

/// The items, sorted by name. Text that is no UTF-8 shows replacement characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// What a stored text says; rows without a value are dropped, of equal names the last counts.
    pub fn parse(text: &[u8]) -> Self {
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        let rows = text[..end].split(|byte| *byte == ITEM);
        let items = rows.filter_map(|row| {
            let at = row.iter().position(|byte| *byte == VALUE)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some((text(&row[..at]), text(&row[at + 1..])))
        });
        Self(items.collect())
    }

    /// Adds an item, or replaces that of the same name.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), BadItem> {
        if !(1..=MAX_NAME).contains(&name.len()) {
            return Err(BadItem::NameLength);
        }
        if value.len() > MAX_VALUE {
            return Err(BadItem::ValueLength);
        }
        if name.bytes().chain(value.bytes()).any(|byte| byte <= VALUE) {
            return Err(BadItem::Separator);
        }
        self.0.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// The value under a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Takes an item away; true if it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text for messages and the disk.
    pub fn to_text(&self) -> Bytes {
        let mut text = BytesMut::new();
        for (name, value) in &self.0 {
            if !text.is_empty() {
                text.put_u8(ITEM);
            }
            text.extend_from_slice(name.as_bytes());
            text.put_u8(VALUE);
            text.extend_from_slice(value.as_bytes());
        }
        text.freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_go_there_and_back() {
        let mut metadata = Metadata::default();
        metadata.insert("width", "120").unwrap();
        metadata.insert("author", "").unwrap();
        assert_eq!(&metadata.to_text()[..], b"author\x02\x01width\x02120");
        assert_eq!(Metadata::parse(&metadata.to_text()), metadata);
        assert_eq!(
            Metadata::parse(b"a\x021\x01dropped\x01a\x022\0b\x023").iter().collect::<Vec<_>>(),
            [("a", "2")]
        );
    }

    #[test]
    fn items_that_would_be_cut_or_split_are_refused() {
        let mut metadata = Metadata::default();
        assert_eq!(metadata.insert("", "x"), Err(BadItem::NameLength));
        assert_eq!(metadata.insert(&"n".repeat(65), "x"), Err(BadItem::NameLength));
        assert_eq!(metadata.insert("n", &"v".repeat(257)), Err(BadItem::ValueLength));
        assert_eq!(metadata.insert("n", "a\u{1}b"), Err(BadItem::Separator));
        assert!(metadata.is_empty());
    }
}
