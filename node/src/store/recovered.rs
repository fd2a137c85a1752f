//! Files that come back from another member after a disk was replaced: placed under the name that they had. Those of which
//! the binlog of this node does not know are recorded before.
//!
//! What has the name already stays: a file that survived, or was replicated meanwhile, is as new as the marks of the
//! members say. Only a file whose length belies its own name is replaced.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use crc32fast::Hasher;
use gateway::files::WriteError;
use protocol::LogicName;
use protocol::file_id::{FileKind, StorePathIndex};
use rustix::fs::{FileType, Timespec, Timestamps, futimens, syncfs};

use super::binlog::{Op, Record, Side};
use super::temporary::Temporary;
use super::upload::gone;
use super::{Entry, Inner, Store, StorePath, io_failed, trunk};

/// Content that is held before it is written.
const PIECE: usize = 1 << 20;

/// A file under way. Dropped before its commit, it leaves nothing behind.
pub(crate) struct Recovered {
    store: Arc<Inner>,
    path: Arc<StorePath>,
    name: LogicName,
    temporary: Temporary,
    /// Whether something false has the name.
    replaces: bool,
    held: Vec<Bytes>,
    held_len: usize,
    crc: Hasher,
    len: u64,
}

impl Store {
    /// Store paths whose disk was replaced and whose files have to come from other members.
    pub(crate) fn paths_to_recover(&self) -> &[StorePathIndex] {
        &self.0.to_recover
    }

    /// `data` of a store path.
    pub(crate) fn data_dir(&self, index: StorePathIndex) -> Option<PathBuf> {
        Some(self.0.path(index)?.dir.path().to_owned())
    }

    /// Records files that are about to come back, as made by other members. What was deleted here stays known as that.
    /// Blocking.
    pub(crate) fn record_recovered(&self, entries: &[Entry]) -> io::Result<()> {
        let records: Vec<_> = entries.iter().map(made_elsewhere).filter(Record::fits).collect();
        if records.is_empty() { Ok(()) } else { self.0.binlog.append_all(&records) }
    }

    /// Whether a file is here, wherever it lies. Blocking.
    pub(crate) fn is_here(&self, name: &LogicName) -> bool {
        self.0.open(name).is_ok()
    }

    /// Begins a file; `None` if it is there.
    pub(crate) async fn begin_recovered(&self, name: &LogicName) -> Result<Option<Recovered>, WriteError> {
        let (store, path, name) = (Arc::clone(&self.0), self.recovered_path(name)?, name.clone());
        let pool = Arc::clone(&path);
        pool.pool.run(move || Recovered::begin(store, path, name)).await.map_err(gone)?
    }

    /// Makes a link; false if something has its name.
    pub(crate) async fn recover_link(
        &self,
        link: &LogicName,
        target: &LogicName,
    ) -> Result<bool, WriteError> {
        let (path, link) = (self.recovered_path(link)?, link.clone());
        let target = self.recovered_path(target)?.dir.path().join(target.true_name());
        let pool = Arc::clone(&path);
        let make = move || match path.dir.symlink(&target, link.true_name()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(io_failed("making a link", error)),
        };
        pool.pool.run(make).await.map_err(gone)?
    }

    /// Puts all that a store path holds on the disk.
    pub(crate) async fn sync_path(&self, index: StorePathIndex) -> Result<(), WriteError> {
        let path = self.0.path(index).ok_or(WriteError::Invalid("no such store path"))?;
        let data = path.dir.path().to_owned();
        let sync = move || Ok(syncfs(std::fs::File::open(data)?)?);
        path.pool.run(sync).await.map_err(gone)?.map_err(|error| io_failed("syncing a store path", error))
    }

    fn recovered_path(&self, name: &LogicName) -> Result<Arc<StorePath>, WriteError> {
        self.0.path(name.store_path()).cloned().ok_or(WriteError::Invalid("no such store path"))
    }
}

impl Recovered {
    /// Blocking.
    fn begin(store: Arc<Inner>, path: Arc<StorePath>, name: LogicName) -> Result<Option<Self>, WriteError> {
        if matches!(name.kind(), Ok(FileKind::Trunk(slot)) if trunk::open(&store, &name, slot).is_ok()) {
            return Ok(None);
        }
        let replaces = match path.dir.stat(name.true_name()) {
            Ok(stat) => {
                let len = u64::try_from(stat.st_size).unwrap_or(0);
                let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                if !is_file || fits(&name, len, None) {
                    return Ok(None);
                }
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(io_failed("looking for a file", error)),
        };
        let making = |error| io_failed("making a file", error);
        let temporary = if replaces {
            Temporary::create_named(&path).map_err(making)?
        } else {
            let parent = name.true_name().rsplit_once('/').map_or(".", |(parent, _)| parent);
            Temporary::create(&path, parent).map_err(making)?
        };
        let (held, crc) = (Vec::new(), Hasher::new());
        Ok(Some(Self { store, path, name, temporary, replaces, held, held_len: 0, crc, len: 0 }))
    }

    /// Appends content.
    pub(crate) async fn write(mut self, piece: Bytes) -> Result<Self, WriteError> {
        self.held_len += piece.len();
        self.held.push(piece);
        if self.held_len < PIECE {
            return Ok(self);
        }
        self.finish().await
    }

    /// Writes what is held.
    pub(crate) async fn finish(mut self) -> Result<Self, WriteError> {
        if self.held.is_empty() {
            return Ok(self);
        }
        let path = Arc::clone(&self.path);
        path.pool
            .run(move || {
                self.flush()?;
                Ok(self)
            })
            .await
            .map_err(gone)?
    }

    /// Blocking.
    fn flush(&mut self) -> Result<(), WriteError> {
        for piece in self.held.drain(..) {
            self.crc.update(&piece);
            self.len += piece.len() as u64;
            let written = self.temporary.file().write_all(&piece);
            written.map_err(|error| io_failed("writing a file", error))?;
        }
        self.held_len = 0;
        Ok(())
    }

    /// Whether the content written so far can be what the name stands for.
    pub(crate) fn fits(&self) -> bool {
        let (len, crc32) = self.sum();
        fits(&self.name, len, Some(crc32))
    }

    /// Length and CRC32 of the content written so far.
    pub(crate) fn sum(&self) -> (u64, u32) {
        (self.len, self.crc.clone().finalize())
    }

    /// Gives the file its name and its time. False if something got the name meanwhile, and stays.
    pub(crate) async fn commit(self, time: i64) -> Result<bool, WriteError> {
        let path = Arc::clone(&self.path);
        path.pool.run(move || self.place(time)).await.map_err(gone)?
    }

    /// Blocking.
    fn place(mut self, time: i64) -> Result<bool, WriteError> {
        self.flush()?;
        let file = self.temporary.file();
        if let Ok(FileKind::Trunk(slot)) = self.name.kind() {
            let fill = |container: &trunk::Container, at| trunk::copy(file, container, at, self.len);
            if trunk::replicate(&self.store, &self.path, &self.name, slot, self.len, fill)? {
                self.store.mark_received(&self.path, &self.name);
                return Ok(true);
            }
        }
        let time = Timespec { tv_sec: time, tv_nsec: 0 };
        futimens(file, &Timestamps { last_access: time, last_modification: time })
            .map_err(|error| io_failed("setting a file's time", error.into()))?;
        self.store.sync_content(file)?;
        let placed = if self.replaces {
            self.temporary.replace(self.name.true_name())
        } else {
            self.temporary.publish(self.name.true_name())
        };
        match placed {
            Ok(()) => {
                self.store.mark_received(&self.path, &self.name);
                self.store.sync_name(&self.path.dir, &self.name).map(|()| true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(io_failed("naming a file", error)),
        }
    }
}

fn made_elsewhere(entry: &Entry) -> Record<'_> {
    let op = match &entry.op {
        Op::Link(target) => Op::Link(target.as_str()),
        _ => Op::Create,
    };
    Record { time: entry.time, side: Side::Replica, op, name: entry.name.as_str() }
}

/// Whether content of this length and, if it is known, checksum can be the file's. Only normal files' names tell; and of
/// the names that look normal, those of links hold no checksum, and those of some slaves are their master's.
fn fits(name: &LogicName, len: u64, crc32: Option<u32>) -> bool {
    let (Ok(FileKind::Normal), Ok(code)) = (name.kind(), name.code()) else { return true };
    code.size.size().is_none_or(|size| size == len) && crc32.is_none_or(|crc32| crc32 == code.crc32)
}
