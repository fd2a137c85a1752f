//! File IDs: `group1/M00/00/02/wAACAmsDYWyADTFLAAAABTYQpoY219.txt`.
//!
//! A file ID is a group name, `/`, and a [`LogicName`]. The 27 characters after the directories are 20 bytes
//! ([`NameCode`]): source, time, size and CRC32. So a name says what the file is, without a metadata server.
//!
//! | part | characters | meaning |
//! |---|---|---|
//! | `Mxx` | 3 | store path index, upper-case hex |
//! | `HH/LL` | 5 | directories |
//! | code | 27 | base64 of 20 bytes |
//! | trunk slot | 16 | trunk files only: base64 of 12 bytes |
//! | tail | 7 | random digits, then `.ext` |
//!
//! A slave puts its prefix before the extension, and so describes its master.

pub mod base64;
mod code;
mod ext;
mod logic_name;
mod make;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

pub use code::{CODE_LEN, NameCode, SizeField, Source, TRUNK_SLOT_LEN, TrunkSlot};
pub use ext::{FileExt, NameTail, SlavePrefix};
pub use logic_name::{FileKind, LogicName, MAX_NAME_LEN, StorePathIndex};
pub use make::{SubDir, slave_name};

use crate::GroupName;

/// Why a name is refused. Native servers answer `EINVAL`, HTTP servers 404.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadName {
    /// More than 127 bytes, or too short to hold its directories.
    #[error("a file name has 11 to 127 characters, this has {0}")]
    Length(usize),
    /// The text before the first `/` is not a group name.
    #[error("a file ID starts with a group name and '/'")]
    Group,
    /// The store path is not `M` and two hex digits.
    #[error("a store path is written M00 to MFF")]
    StorePath,
    /// The directories are not two pairs of upper-case hex digits.
    #[error("the directories are not HH/HH in upper-case hex")]
    Directories,
    /// Characters that no FastDFS server writes, such as a further `/` or a control character.
    #[error("the name has characters that are not allowed")]
    Characters,
    /// The 27 characters are not the base64 of 20 bytes, or the trunk slot is impossible.
    #[error("the name does not hold 20 encoded bytes")]
    Code,
    /// An extension or prefix that is too long or has other characters than letters, digits, `.`, `_` and `-`.
    #[error("an extension has up to 6, a prefix 1 to 16 characters, all letters, digits, '.', '_' or '-'")]
    Extension,
    /// A slave cannot be named after this file.
    #[error("no slave can be named after this file")]
    Master,
}

/// A group name and a logic name.
///
/// Invariants: both parts parsed; no `..`, no empty segment, no control character; safe to join below
/// `<store path>/data/` through [`LogicName::true_name`] only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FileId {
    /// Group that holds the file.
    pub group: GroupName,
    /// Name inside the group.
    pub name: LogicName,
}

impl FileId {
    /// Parses `group/Mxx/HH/LL/name`; the group ends at the first `/`. A leading `/` is not accepted.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let (group, name) = text.split_once('/').ok_or(BadName::Group)?;
        Ok(Self {
            group: GroupName::parse(group).map_err(|_| BadName::Group)?,
            name: LogicName::parse(name)?,
        })
    }
}

impl FromStr for FileId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.name)
    }
}

impl fmt::Debug for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests;
