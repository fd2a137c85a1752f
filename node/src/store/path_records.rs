//! What one store path holds, as the binlog tells it: for a member whose disk for this path was replaced.
//!
//! Records that may have made a name count: also updates, since a replica that got a file whole in one has no other record
//! of it (FastDFS's members do not tell of those). What the name is now, the disk says. A file that was made, deleted and
//! made again is told twice, which does no harm.

use std::fmt::Write;
use std::io;
use std::sync::Arc;

use protocol::LogicName;
use protocol::file_id::{FileKind, StorePathIndex};
use rustix::fs::FileType;

use super::{BinlogPosition, BinlogReader, Entry, Inner, Op, ReadError, Side, Store, StorePath};

/// Lines that are looked at in one job.
const LINES: usize = 2000;
/// Text that ends a job.
const TEXT: usize = 64 * 1024;

/// The records, from the first one to the last one of the time of asking.
pub(crate) struct PathRecords {
    store: Arc<Inner>,
    path: Arc<StorePath>,
    index: StorePathIndex,
    reader: BinlogReader,
    end: BinlogPosition,
}

/// Some lines, and how to get more.
pub(crate) struct Piece {
    /// Whole lines, possibly none.
    pub(crate) text: String,
    /// `None` when all were told.
    pub(crate) rest: Option<PathRecords>,
}

impl Store {
    /// Begins to tell what a store path holds.
    pub(crate) async fn path_records(&self, index: StorePathIndex) -> Result<PathRecords, ReadError> {
        let path = Arc::clone(self.0.path(index).ok_or(ReadError::Invalid("no such store path"))?);
        let store = self.clone();
        let end = *self.binlog_watch().borrow();
        let reader = path.pool.run(move || store.binlog_reader(BinlogPosition::default())).await??;
        Ok(PathRecords { store: Arc::clone(&self.0), path, index, reader, end })
    }
}

impl PathRecords {
    /// The next lines.
    pub(crate) async fn next(mut self) -> Result<Piece, ReadError> {
        let path = Arc::clone(&self.path);
        let read = path.pool.run(move || {
            let mut text = String::new();
            for _ in 0..LINES {
                let Some(item) = self.reader.next(self.end)? else { return Ok(Piece { text, rest: None }) };
                // Lines that are no records name nothing.
                if let Ok(entry) = item.entry {
                    self.tell(&entry, &mut text)?;
                }
                if text.len() >= TEXT {
                    break;
                }
            }
            Ok::<_, io::Error>(Piece { text, rest: Some(self) })
        });
        Ok(read.await??)
    }

    /// Appends the line for what an entry made, if it is still there.
    fn tell(&self, entry: &Entry, text: &mut String) -> io::Result<()> {
        let (name, mut time) = (&entry.name, entry.time);
        let may_have_made = matches!(entry.op, Op::Create | Op::Update | Op::Link(_) | Op::Rename(_));
        if name.store_path() != self.index || !may_have_made {
            return Ok(());
        }
        let mut target = None;
        let kind = name.kind().ok();
        if !matches!(kind, Some(FileKind::Trunk(_))) {
            let stat = match self.path.dir.stat(name.true_name()) {
                Ok(stat) => stat,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                Err(error) => return Err(error),
            };
            match FileType::from_raw_mode(stat.st_mode) {
                // Of a file that changes, the time of its last change is the one to have.
                FileType::RegularFile if kind == Some(FileKind::Appender) => time = stat.st_mtime,
                FileType::RegularFile => {}
                FileType::Symlink => match self.target(name)? {
                    Some(found) => target = Some(found),
                    None => return Ok(()),
                },
                _ => return Ok(()),
            }
        }
        let letter = match (&target, entry.side) {
            (None, Side::Source) => 'C',
            (None, Side::Replica) => 'c',
            (Some(_), Side::Source) => 'L',
            (Some(_), Side::Replica) => 'l',
        };
        let written = match target {
            None => writeln!(text, "{time} {letter} {name}"),
            Some(target) => writeln!(text, "{time} {letter} {name} {target}"),
        };
        written.expect("writing to a String cannot fail");
        Ok(())
    }

    /// The file that a link leads to, if both are there.
    fn target(&self, name: &LogicName) -> io::Result<Option<LogicName>> {
        let target = match self.store.link_target(name) {
            Ok(target) => target,
            Err(ReadError::Io(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => return Ok(None),
        };
        match self.path.dir.stat(target.true_name()) {
            Ok(_) => Ok(Some(target)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
