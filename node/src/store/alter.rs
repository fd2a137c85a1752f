//! Truncate, rename, link and delete: changes without content.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use gateway::files::{Committed, Current, WriteError};
use protocol::LogicName;
use protocol::file_id::{FileExt, FileKind, SlavePrefix, TrunkSlot, slave_name};
use rustix::fs::FileType;

use super::binlog::{Op, Record, Side};
use super::change::{current, open_appender};
use super::layout::unix_seconds;
use super::name_maker::{self, NameSpec, SizeOf};
use super::upload::gone;
use super::{Inner, Store, StorePath, io_failed, read, read_failed, trunk};

/// Tries at a name that nothing has.
const NAME_TRIES: u32 = 10;

/// A link to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSpec {
    /// Name the link as a slave of this file; else it gets a name of its own.
    pub master: Option<(LogicName, SlavePrefix)>,
    /// Extension of the link's name.
    pub ext: FileExt,
    /// The file that it leads to.
    pub source: LogicName,
}

impl Store {
    /// Runs a blocking change of a file on its store path, under the file's lock.
    pub(super) async fn alter<T: Send + 'static>(
        &self,
        name: &LogicName,
        change: impl FnOnce(&Inner, &Arc<StorePath>, &LogicName) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, WriteError> {
        let path =
            Arc::clone(self.0.path(name.store_path()).ok_or(WriteError::Invalid("no such store path"))?);
        let lock = self.0.locks.lock(name).await;
        let (inner, own_path, name) = (Arc::clone(&self.0), Arc::clone(&path), name.clone());
        let job = move || {
            let outcome = change(&inner, &own_path, &name);
            drop(lock);
            outcome
        };
        path.pool.run(job).await.map_err(gone)?
    }

    /// Cuts or extends an appender file.
    pub async fn truncate(&self, name: &LogicName, size: u64) -> Result<(), WriteError> {
        self.truncate_to(name, move |_| Ok::<_, Infallible>(size)).await.map(|Ok(_)| ())
    }

    /// The same to the size that `decide` gives once it sees the file, locked; it may refuse.
    pub async fn truncate_to<N: Send + 'static>(
        &self,
        name: &LogicName,
        decide: impl FnOnce(&Current) -> Result<u64, N> + Send + 'static,
    ) -> Result<Result<Current, N>, WriteError> {
        self.0.counters.truncates.asked(1);
        let outcome = self.alter(name, move |inner, path, name| inner.truncate(path, name, decide)).await?;
        if outcome.is_ok() {
            self.0.counters.truncates.done(1);
        }
        Ok(outcome)
    }

    /// Gives an appender file a normal name, and its metadata the name that belongs to it.
    pub async fn regenerate(&self, name: &LogicName) -> Result<Committed, WriteError> {
        self.alter(name, Inner::regenerate).await
    }

    /// Deletes a file or link, and its metadata.
    pub async fn delete(&self, name: &LogicName) -> Result<(), WriteError> {
        self.0.counters.deletes.asked(1);
        self.alter(name, Inner::delete).await?;
        self.0.counters.deletes.done(1);
        Ok(())
    }

    /// Makes a link to a file.
    pub async fn create_link(&self, link: LinkSpec) -> Result<Committed, WriteError> {
        self.0.counters.create_links.asked(1);
        let source = link.source.clone();
        let made = self.alter(&source, move |inner, path, _| inner.create_link(path, &link)).await?;
        self.0.counters.create_links.done(1);
        Ok(made)
    }
}

impl Inner {
    fn truncate<N>(
        &self,
        path: &Arc<StorePath>,
        name: &LogicName,
        decide: impl FnOnce(&Current) -> Result<u64, N>,
    ) -> Result<Result<Current, N>, WriteError> {
        let (file, old) = open_appender(path, name)?;
        let before = current(&file)?;
        let size = match decide(&before) {
            Ok(size) if size == old => return Ok(Ok(before)),
            Ok(size) => size,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // The zeros take no room yet; they will on a member that gets them as bytes.
        if size > old && !path.space.admits(size - old, self.rules(), self.paths.len()) {
            return Err(WriteError::NoSpace);
        }
        let time = unix_seconds(SystemTime::now());
        let record = Record { time, side: Side::Source, op: Op::Truncate(old, size), name: name.as_str() };
        let _announced = self.announce(&record)?;
        file.set_len(size).map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidInput => {
                WriteError::Invalid("the disk's file system takes no file of this size")
            }
            _ => io_failed("changing a file's size", error),
        })?;
        self.sync_content(&file)?;
        current(&file).map(Ok)
    }

    fn regenerate(&self, path: &Arc<StorePath>, old: &LogicName) -> Result<Committed, WriteError> {
        let (file, len) = open_appender(path, old)?;
        let source = self.source()?;
        let crc32 = read::crc_of(&file, 0, len).map_err(|error| io_failed("reading a file", error))?;
        let time = unix_seconds(SystemTime::now());
        let tail = old.tail().ok_or(WriteError::Invalid("the name is too short"))?;
        let timestamp = u32::try_from(time).unwrap_or(0);
        let size = SizeOf::Normal(len);
        let spec =
            NameSpec { path: old.store_path(), dir: old.sub_dir(), source, timestamp, size, crc32, tail };
        let name = first_free(&spec, |name| {
            let op = Op::Rename(old.as_str());
            let _announced = self.announce(&Record { time, side: Side::Source, op, name: name.as_str() })?;
            Ok(path.dir.rename_new(old.true_name(), name.true_name()))
        })?;
        self.sync_name(&path.dir, &name)?;
        // The file has its new name, which the client has to hear whatever becomes of the metadata.
        if let Err(error) = self.rename_metadata(path, old, &name, time) {
            tracing::error!(%old, new = %name, %error, "metadata did not follow its file to the new name");
        }
        Ok(Committed { id: protocol::FileId { group: self.group, name }, len, crc32, timestamp })
    }

    fn rename_metadata(
        &self,
        path: &StorePath,
        old: &LogicName,
        new: &LogicName,
        time: i64,
    ) -> Result<(), WriteError> {
        let (Ok(old), Ok(new)) = (old.metadata_name(), new.metadata_name()) else { return Ok(()) };
        if !is_there(path, &old)? {
            return Ok(());
        }
        let record = |op, name| Record { time, side: Side::Source, op, name };
        let _made = self.announce(&record(Op::Create, new.as_str()))?;
        let _gone = self.announce(&record(Op::Delete, old.as_str()))?;
        let renamed = path.dir.rename_new(old.true_name(), new.true_name());
        renamed.map_err(|error| io_failed("renaming metadata", error))?;
        self.mark_received(path, &new);
        Ok(())
    }

    pub(super) fn delete(&self, path: &Arc<StorePath>, name: &LogicName) -> Result<(), WriteError> {
        self.refuse_metadata(name).map_err(read_failed)?;
        let stat = match path.dir.stat(name.true_name()) {
            // It may be a file of its own nevertheless: that has been looked for.
            Err(error) if error.kind() == io::ErrorKind::NotFound => match name.kind() {
                Ok(FileKind::Trunk(slot)) => return self.delete_member(path, name, slot),
                _ => return Err(WriteError::NotFound),
            },
            outcome => outcome.map_err(|error| io_failed("looking for a file", error))?,
        };
        let is_link = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => false,
            FileType::Symlink => true,
            _ => return Err(WriteError::Invalid("not a file")),
        };
        if is_link {
            self.counters.delete_links.asked(1);
        }
        let time = unix_seconds(SystemTime::now());
        let record = |name| Record { time, side: Side::Source, op: Op::Delete, name };
        let announced = self.announce(&record(name.as_str()))?;
        path.dir.unlink(name.true_name()).map_err(|error| io_failed("deleting a file", error))?;
        drop(announced);
        if is_link {
            self.counters.delete_links.done(1);
        }
        self.sync_name(&path.dir, name)?;
        self.delete_metadata(path, name, time)
    }

    /// Deletes what is in a slot of a trunk file, and frees that.
    fn delete_member(&self, path: &StorePath, name: &LogicName, slot: TrunkSlot) -> Result<(), WriteError> {
        trunk::open(self, name, slot).map_err(read_failed)?;
        let time = unix_seconds(SystemTime::now());
        let record = Record { time, side: Side::Source, op: Op::Delete, name: name.as_str() };
        let announced = self.announce(&record)?;
        if !trunk::erase(self, name, slot)? {
            return Err(WriteError::NotFound);
        }
        drop(announced);
        trunk::release(self, name, slot);
        self.delete_metadata(path, name, time)
    }

    fn delete_metadata(&self, path: &StorePath, of: &LogicName, time: i64) -> Result<(), WriteError> {
        let Ok(metadata) = of.metadata_name() else { return Ok(()) };
        if !is_there(path, &metadata)? {
            return Ok(());
        }
        let record = Record { time, side: Side::Source, op: Op::Delete, name: metadata.as_str() };
        let _announced = self.announce(&record)?;
        path.dir.unlink(metadata.true_name()).map_err(|error| io_failed("deleting metadata", error))
    }

    fn create_link(&self, path: &Arc<StorePath>, link: &LinkSpec) -> Result<Committed, WriteError> {
        let source = &link.source;
        if matches!(source.kind(), Ok(FileKind::Trunk(_))) {
            return Err(WriteError::Invalid("links to files inside trunk files cannot be made here yet"));
        }
        let stat =
            path.dir.stat(source.true_name()).map_err(|error| io_failed("looking for a file", error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(WriteError::Invalid("a link leads to a regular file only"));
        }
        let len = u64::try_from(stat.st_size).unwrap_or(0);
        let target = path.dir.path().join(source.true_name());
        let time = unix_seconds(SystemTime::now());
        let timestamp = u32::try_from(time).unwrap_or(0);
        // Not a checksum: the reference puts 31 random bits there, too.
        let crc32 = fastrand::u32(..1 << 31);
        let name = match &link.master {
            Some((master, prefix)) => {
                if master.store_path() != source.store_path() {
                    return Err(WriteError::Invalid("a link lies on the store path of its file"));
                }
                let name = slave_name(master, *prefix, link.ext)
                    .map_err(|_| WriteError::Invalid("no slave of this name can be made of this master"))?;
                let record =
                    Record { time, side: Side::Source, op: Op::Link(source.as_str()), name: name.as_str() };
                if !record.fits() {
                    return Err(WriteError::Invalid(
                        "the names of link and file are too long for the binlog",
                    ));
                }
                if is_there(path, &name)? {
                    return Err(WriteError::Exists);
                }
                let _announced = self.announce(&record)?;
                match path.dir.symlink(&target, name.true_name()) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        return Err(WriteError::Exists);
                    }
                    outcome => outcome.map_err(|error| io_failed("making a link", error))?,
                }
                name
            }
            None => {
                let dir = self.names.next_dir();
                let (path_index, tail) = (source.store_path(), name_maker::tail(link.ext));
                let size = SizeOf::Normal(len);
                let own = self.source()?;
                let spec = NameSpec { path: path_index, dir, source: own, timestamp, size, crc32, tail };
                first_free(&spec, |name| {
                    let op = Op::Link(source.as_str());
                    let _announced =
                        self.announce(&Record { time, side: Side::Source, op, name: name.as_str() })?;
                    Ok(path.dir.symlink(&target, name.true_name()))
                })?
            }
        };
        self.sync_name(&path.dir, &name)?;
        Ok(Committed { id: protocol::FileId { group: self.group, name }, len, crc32, timestamp })
    }
}

/// Makes names until `take` finds one that nothing has.
fn first_free(
    spec: &NameSpec,
    mut take: impl FnMut(&LogicName) -> Result<io::Result<()>, WriteError>,
) -> Result<LogicName, WriteError> {
    for _ in 0..NAME_TRIES {
        let name = spec.make();
        match take(&name)? {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_failed("naming a file", error)),
        }
    }
    Err(WriteError::Exists)
}

/// Whether anything has a name, so that no change is announced that cannot be.
pub(super) fn is_there(path: &StorePath, name: &LogicName) -> Result<bool, WriteError> {
    match path.dir.stat(name.true_name()) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_failed("looking for a file", error)),
    }
}
