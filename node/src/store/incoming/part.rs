//! Parts of appender files: appended or overwritten.

use std::fs::File;
use std::io;

use gateway::files::WriteError;
use protocol::LogicName;
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

use super::super::change::{Change, Kind, Origin};
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

impl Store {
    /// Opens an append: what lies before the part must be here, and nothing of the part itself.
    pub async fn begin_receive_append(&self, part: IncomingPart) -> Result<Begun<Change>, WriteError> {
        self.begin_part(part, Kind::Append, |size, offset, end| {
            if size == offset {
                None
            } else if size >= end {
                Some(Outcome::Present)
            } else {
                Some(Outcome::Missing)
            }
        })
        .await
    }

    /// Opens a modify: what lies before the part must be here.
    pub async fn begin_receive_modify(&self, part: IncomingPart) -> Result<Begun<Change>, WriteError> {
        self.begin_part(part, Kind::Modify, |size, offset, _| (size < offset).then_some(Outcome::Missing))
            .await
    }

    async fn begin_part(
        &self,
        part: IncomingPart,
        kind: Kind,
        nothing_to_do: impl FnOnce(u64, u64, u64) -> Option<Outcome> + Send + 'static,
    ) -> Result<Begun<Change>, WriteError> {
        let IncomingPart { name, offset, len, time } = part;
        self.0.counters.sync_in_bytes.asked(len);
        let end = offset.saturating_add(len);
        let origin = Origin::Member { time };
        let opened = self.begin_change(&name, kind, origin, move |path, name| {
            Ok(match open_present(path, name)? {
                Found::Nothing => Err(Outcome::Missing),
                Found::Other => Err(Outcome::Present),
                Found::File(file, size) => match nothing_to_do(size, offset, end) {
                    Some(outcome) => Err(outcome),
                    None => Ok((file, offset)),
                },
            })
        });
        Ok(match opened.await? {
            Ok(change) => Begun::Wanted(change),
            Err(outcome) => Begun::Over(outcome),
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
