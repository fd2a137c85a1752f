//! Parts of appender files: appended or overwritten.

use std::fs::File;
use std::io;

use bytes::Bytes;
use gateway::files::WriteError;
use protocol::LogicName;
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

use super::super::change::{Change, Kind, Opened, Origin};
use super::super::{Store, StorePath, io_failed};
use super::{Begun, Outcome};

/// A part that another member sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingPart {
    /// The file.
    pub name: LogicName,
    /// First byte.
    pub offset: u64,
    /// Bytes of content.
    pub len: u64,
    /// Time of the record, unix seconds.
    pub time: i32,
}

/// How a part changes its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartMode {
    /// What lies before the part must be here, and nothing of the part itself.
    Append,
    /// What lies before the part must be here.
    Modify,
}

impl Store {
    /// Takes a part whose content is in memory.
    pub async fn receive_part(
        &self,
        mode: PartMode,
        part: IncomingPart,
        content: Bytes,
    ) -> Result<Outcome, WriteError> {
        self.0.counters.sync_in_bytes.asked(part.len);
        let (name, origin) = (part.name.clone(), part.origin());
        let changed = self.change(&name, origin, move |path, _| part.open(mode, path), content).await?;
        Ok(changed.map_or_else(|outcome| outcome, |()| Outcome::Applied))
    }

    /// Opens a part whose content comes piece by piece.
    pub async fn begin_receive_part(
        &self,
        mode: PartMode,
        part: IncomingPart,
    ) -> Result<Begun<Change>, WriteError> {
        self.0.counters.sync_in_bytes.asked(part.len);
        let (name, origin) = (part.name.clone(), part.origin());
        Ok(match self.open_change(&name, origin, move |path, _| part.open(mode, path)).await? {
            Ok(change) => Begun::Wanted(change),
            Err(outcome) => Begun::Over(outcome),
        })
    }
}

impl IncomingPart {
    fn origin(&self) -> Origin {
        Origin::Member { time: self.time, len: self.len }
    }

    /// Opens the file, or tells why the part is not to be written. Blocking.
    fn open(&self, mode: PartMode, path: &StorePath) -> Result<Result<Opened, Outcome>, WriteError> {
        let (file, size) = match open_present(path, &self.name)? {
            Found::File(file, size) => (file, size),
            Found::Other => return Ok(Err(Outcome::Present)),
            Found::Nothing => return Ok(Err(Outcome::Missing)),
        };
        Ok(match mode {
            PartMode::Append if size == self.offset => Ok((file, self.offset, Kind::Append)),
            PartMode::Append if size >= self.offset.saturating_add(self.len) => Err(Outcome::Present),
            PartMode::Modify if size >= self.offset => Ok((file, self.offset, Kind::Modify)),
            PartMode::Append | PartMode::Modify => Err(Outcome::Missing),
        })
    }
}

/// What has the name of a file that is to change.
pub(super) enum Found {
    /// It, and its size.
    File(File, u64),
    /// A link or something stranger.
    Other,
    /// Nothing.
    Nothing,
}

/// Opens a file for writing. Whether it may change its source has decided. Blocking.
pub(super) fn open_present(path: &StorePath, name: &LogicName) -> Result<Found, WriteError> {
    let file = match path.dir.open_write(name.true_name()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::LOOP | Errno::ISDIR)) => {
            return Ok(Found::Other);
        }
        Err(error) => return Err(io_failed("opening a file", error)),
    };
    let stat = fstat(&file).map_err(|error| io_failed("asking a file's size", error.into()))?;
    Ok(if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        Found::File(file, u64::try_from(stat.st_size).unwrap_or(0))
    } else {
        Found::Other
    })
}
