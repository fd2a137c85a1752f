//! A name inside a group, `Mxx/HH/LL/NAME`: parsed once, then safe to use as a path.

use std::fmt;

use super::{BadName, CODE_LEN, NameCode, NameTail, TRUNK_SLOT_LEN, TrunkSlot};

/// Longest logic name; the reference keeps names in 128 bytes with a NUL.
pub const MAX_NAME_LEN: usize = 127;

const MIN_NAME_LEN: usize = 11;
/// `HH/LL/`
const DIRS_LEN: usize = 6;
const NORMAL_LEN: usize = 44;
const TRUNK_LEN: usize = NORMAL_LEN + TRUNK_SLOT_LEN;

/// Index of a store path: `M00` to `MFF` in names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StorePathIndex(pub u8);

impl fmt::Display for StorePathIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "M{:02X}", self.0)
    }
}

/// What a name says about its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Uploaded whole, never changed. Also links, which only the disk can tell.
    Normal,
    /// May be appended to, modified and truncated. Also the slaves and metadata of one.
    Appender,
    /// Belongs to a master, whose code its name carries. Also metadata files.
    Slave,
    /// Lies in a slot of a trunk file.
    Trunk(TrunkSlot),
}

/// A parsed logic name.
///
/// Invariants: 11 to 127 bytes of printable ASCII; `HH/LL/` upper-case hex; no further `/`; the last segment is
/// not `.` or `..`. Names from before FastDFS 1.12 have no `Mxx/` and lie on store path 0.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogicName {
    text: Box<str>,
    path: StorePathIndex,
    /// Length of `Mxx/`, or 0.
    path_len: u8,
}

impl LogicName {
    /// Parses a name as storages check it; the index still has to meet the store's path count.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        if !(MIN_NAME_LEN..=MAX_NAME_LEN).contains(&text.len()) {
            return Err(BadName::Length(text.len()));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(BadName::Characters);
        }
        let (path, path_len) = match text.as_bytes() {
            [b'M', high, low, b'/', ..] => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (high, low) = (digit(*high), digit(*low));
                let (Some(high), Some(low)) = (high, low) else { return Err(BadName::StorePath) };
                (StorePathIndex(high << 4 | low), 4)
            }
            [b'M', ..] => return Err(BadName::StorePath),
            _ => (StorePathIndex(0), 0),
        };
        let true_name = &text.as_bytes()[usize::from(path_len)..];
        let hex = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
        match true_name {
            [a, b, b'/', c, d, b'/', name @ ..] if [a, b, c, d].into_iter().all(hex) => match name {
                b"" | b"." | b".." => return Err(BadName::Characters),
                _ if name.contains(&b'/') => return Err(BadName::Characters),
                _ => {}
            },
            _ => return Err(BadName::Directories),
        }
        Ok(Self { text: text.into(), path, path_len })
    }

    /// Parses a name from peer bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadName> {
        Self::parse(std::str::from_utf8(bytes).map_err(|_| BadName::Characters)?)
    }

    /// The whole logic name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Store path that holds the file.
    pub fn store_path(&self) -> StorePathIndex {
        self.path
    }

    /// `HH/LL/NAME`, to be joined below `<store path>/data/`.
    pub fn true_name(&self) -> &str {
        &self.text[usize::from(self.path_len)..]
    }

    /// The last segment.
    pub fn base_name(&self) -> &str {
        &self.true_name()[DIRS_LEN..]
    }

    /// The name of the file's metadata, `NAME-m`, unless that would be too long.
    pub fn metadata_name(&self) -> Result<Self, BadName> {
        Self::parse(&format!("{self}-m"))
    }

    /// The name that this one is the metadata of, by its form alone: a slave or extension may end in `-m` too.
    pub fn metadata_owner(&self) -> Option<Self> {
        Self::parse(self.text.strip_suffix("-m")?).ok()
    }

    /// The extension after the last dot of the last segment, empty if there is none.
    pub fn extension(&self) -> &str {
        self.base_name().rsplit_once('.').map_or("", |(_, ext)| ext)
    }

    /// What the 27 characters say; an error for names of another form, which storages serve as plain paths.
    pub fn code(&self) -> Result<NameCode, BadName> {
        NameCode::decode(self.base_name().as_bytes().get(..CODE_LEN).ok_or(BadName::Code)?)
    }

    /// Kind of the file; an error for names that hold no code, which say nothing.
    ///
    /// Masters have 44 or, in a trunk, 60 characters; every other length is a slave. The reference takes slaves
    /// that are shorter than their master for normal files and reports the master's size and CRC32. A slave that
    /// is exactly as long as its master nobody can tell.
    pub fn kind(&self) -> Result<FileKind, BadName> {
        let len = self.text.len();
        if self.path_len == 0 && len < NORMAL_LEN {
            return Err(BadName::Code);
        }
        let size = self.code()?.size;
        Ok(if size.is_appender() {
            FileKind::Appender
        } else if len == TRUNK_LEN && size.is_trunk() {
            let slot = self.base_name().as_bytes().get(CODE_LEN..CODE_LEN + TRUNK_SLOT_LEN);
            FileKind::Trunk(TrunkSlot::decode(slot.ok_or(BadName::Code)?)?)
        } else if len == NORMAL_LEN {
            FileKind::Normal
        } else {
            FileKind::Slave
        })
    }

    /// Whether a storage made the name up, random digits included, so that no other file will ever have it. Slaves and
    /// metadata are named after their file and may come back.
    pub fn is_made_once(&self) -> bool {
        let is_master = match self.kind() {
            Ok(FileKind::Normal | FileKind::Appender) => self.text.len() == NORMAL_LEN,
            Ok(FileKind::Trunk(_)) => true,
            _ => false,
        };
        let has_digits = || {
            let tail = self.tail()?;
            let stem = tail.as_bytes().split(|byte| *byte == b'.').next()?;
            Some(stem.iter().all(u8::is_ascii_digit))
        };
        is_master && has_digits() == Some(true)
    }

    /// The seven characters at the end.
    pub fn tail(&self) -> Option<NameTail> {
        NameTail::of(self.base_name().as_bytes())
    }
}

impl fmt::Display for LogicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for LogicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
