//! Changing appender files in place: append and modify. One change of a file at a time.
//!
//! An append that does not reach its commit is cut off again. A modify cannot be undone, so the part that was written
//! is recorded: the other members have to get it.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use gateway::files::{Current, Start, WriteError};
use protocol::LogicName;
use protocol::file_id::FileKind;
use rustix::fs::{FileType, fstat};

use super::binlog::{Op, Record, Side};
use super::incoming::set_time;
use super::locks::FileLock;
use super::under_change::UnderChange;
use super::upload::gone;
use super::{Inner, Store, StorePath, Tally, io_failed, read};

/// Which change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Append,
    Modify,
}

/// Who wants the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Client,
    /// Another member; `time` is its record's, `len` the part's. It sends again what was broken off.
    Member {
        time: i32,
        len: u64,
    },
}

/// The file of a change, its first byte, and which change it is.
pub(super) type Opened = (File, u64, Kind);

/// A change under way. Dropped before its commit, an append leaves nothing behind.
pub struct Change {
    /// Away while a piece is written: then the job has it, and undoes the change if nobody waits for it any more.
    parts: Option<Parts>,
}

struct Parts {
    store: Arc<Inner>,
    path: Arc<StorePath>,
    name: LogicName,
    kind: Kind,
    origin: Origin,
    file: Arc<File>,
    /// First byte of the change.
    offset: u64,
    written: u64,
    /// Whether the length was counted when the change began.
    is_announced: bool,
    state: State,
    /// So that a crash in the middle is made good.
    note: Option<UnderChange>,
    lock: Option<FileLock>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Finished,
}

impl Store {
    /// Opens an append at the end of an appender file.
    pub async fn begin_append(&self, name: &LogicName, len: u64) -> Result<Change, WriteError> {
        self.0.counters.appends.asked(1);
        self.0.counters.append_bytes.asked(len);
        let opened = self.begin_client_change(name, |_| Ok::<_, Infallible>(Start::End)).await;
        opened.map(|Ok(change)| change)
    }

    /// Opens a modify of an appender file from `offset` on, which is at most its size.
    pub async fn begin_modify(&self, name: &LogicName, offset: u64, len: u64) -> Result<Change, WriteError> {
        self.0.counters.modifies.asked(1);
        self.0.counters.modify_bytes.asked(len);
        let opened = self.begin_client_change(name, move |_| Ok::<_, Infallible>(Start::At(offset))).await;
        opened.map(|Ok(change)| change)
    }

    /// Opens either, as `decide` says once it sees the file, locked. A length that was not announced is counted when it
    /// is known.
    pub async fn begin_change<N: Send + 'static>(
        &self,
        name: &LogicName,
        len: Option<u64>,
        decide: impl FnOnce(&Current) -> Result<Start, N> + Send + 'static,
    ) -> Result<Result<Change, N>, WriteError> {
        let mut opened = self.begin_client_change(name, decide).await?;
        if let Ok(Change { parts: Some(parts) }) = &mut opened {
            let (count, bytes) = parts.client_counters();
            count.asked(1);
            bytes.asked(len.unwrap_or(0));
            parts.is_announced = len.is_some();
        }
        Ok(opened)
    }

    async fn begin_client_change<N: Send + 'static>(
        &self,
        name: &LogicName,
        decide: impl FnOnce(&Current) -> Result<Start, N> + Send + 'static,
    ) -> Result<Result<Change, N>, WriteError> {
        self.open_change(name, Origin::Client, |path, name| {
            let (file, size) = open_appender(path, name)?;
            match decide(&current(&file)?) {
                Ok(Start::End) => Ok(Ok((file, size, Kind::Append))),
                Ok(Start::At(offset)) if offset > size => {
                    Err(WriteError::Invalid("the offset lies behind the end of the file"))
                }
                Ok(Start::At(offset)) => Ok(Ok((file, offset, Kind::Modify))),
                Err(refusal) => Ok(Err(refusal)),
            }
        })
        .await
    }

    /// Opens a change: `open` finds, under the file's lock, what is to be done, or that it is nothing.
    pub(super) async fn open_change<N: Send + 'static>(
        &self,
        name: &LogicName,
        origin: Origin,
        open: impl FnOnce(&StorePath, &LogicName) -> Result<Result<Opened, N>, WriteError> + Send + 'static,
    ) -> Result<Result<Change, N>, WriteError> {
        let place = self.lock_for_change(name).await?;
        let path = Arc::clone(&place.path);
        let parts = path.pool.run(move || place.open(origin, open)).await.map_err(gone)??;
        Ok(parts.map(|parts| Change { parts: Some(parts) }))
    }

    /// The same, and all the rest with content that is in memory: one job.
    pub(super) async fn change<N: Send + 'static>(
        &self,
        name: &LogicName,
        origin: Origin,
        open: impl FnOnce(&StorePath, &LogicName) -> Result<Result<Opened, N>, WriteError> + Send + 'static,
        content: Bytes,
    ) -> Result<Result<(), N>, WriteError> {
        let place = self.lock_for_change(name).await?;
        let path = Arc::clone(&place.path);
        let job = move || match place.open(origin, open)? {
            Ok(mut parts) => {
                parts.write(&content).map_err(|error| io_failed("writing a file", error))?;
                parts.commit().map(|_| Ok(()))
            }
            Err(nothing) => Ok(Err(nothing)),
        };
        path.pool.run_short(job).await.map_err(gone)?
    }

    async fn lock_for_change(&self, name: &LogicName) -> Result<Place, WriteError> {
        let path = self.0.path(name.store_path()).ok_or(WriteError::Invalid("no such store path"))?;
        let lock = self.0.locks.lock(name).await;
        Ok(Place { store: Arc::clone(&self.0), path: Arc::clone(path), name: name.clone(), lock })
    }
}

/// A file that is about to change.
struct Place {
    store: Arc<Inner>,
    path: Arc<StorePath>,
    name: LogicName,
    lock: FileLock,
}

impl Place {
    /// Blocking.
    fn open<N>(
        self,
        origin: Origin,
        open: impl FnOnce(&StorePath, &LogicName) -> Result<Result<Opened, N>, WriteError>,
    ) -> Result<Result<Parts, N>, WriteError> {
        let Self { store, path, name, lock } = self;
        let (file, offset, kind) = match open(&path, &name)? {
            Ok(opened) => opened,
            Err(nothing) => return Ok(Err(nothing)),
        };
        let op = match origin {
            Origin::Client => kind.op(offset, u64::MAX),
            Origin::Member { len, .. } => kind.op(offset, len),
        };
        let record = Record { time: i64::MAX, side: Side::Source, op, name: name.as_str() };
        if !record.fits() {
            return Err(WriteError::Invalid("the name is too long for the binlog"));
        }
        let note = match origin {
            Origin::Client => Some(UnderChange::note(path.dir.path(), &name)),
            // A part that was broken off is sent again.
            Origin::Member { .. } => None,
        };
        let note = note.transpose().map_err(|error| io_failed("noting a change", error))?;
        let (file, lock) = (Arc::new(file), Some(lock));
        let (state, is_announced) = (State::Open, true);
        let written = 0;
        Ok(Ok(Parts {
            store,
            path,
            name,
            kind,
            origin,
            file,
            offset,
            written,
            is_announced,
            state,
            note,
            lock,
        }))
    }
}

/// Opens a file that may change, and gives its size. Blocking.
pub(super) fn open_appender(path: &StorePath, name: &LogicName) -> Result<(File, u64), WriteError> {
    let file = match path.dir.open_write(name.true_name()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(WriteError::NotFound),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => return Err(NOT_REGULAR),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(NOT_REGULAR);
        }
        Err(error) => return Err(io_failed("opening a file", error)),
    };
    if !matches!(name.kind(), Ok(FileKind::Appender)) {
        return Err(WriteError::Invalid("not an appender file; only those can change"));
    }
    let stat = fstat(&file).map_err(|error| io_failed("asking a file's size", error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(NOT_REGULAR);
    }
    Ok((file, u64::try_from(stat.st_size).unwrap_or(0)))
}

const NOT_REGULAR: WriteError = WriteError::Invalid("not a regular file");

/// Size and time of an open file. Blocking.
pub(super) fn current(file: &File) -> Result<Current, WriteError> {
    let stat = fstat(file).map_err(|error| io_failed("asking a file's size", error.into()))?;
    Ok(Current { len: u64::try_from(stat.st_size).unwrap_or(0), modified: read::mtime(&stat) })
}

/// Time of a file's last change. Blocking.
pub(super) fn mtime(file: &File) -> Result<i64, WriteError> {
    let stat = fstat(file).map_err(|error| io_failed("reading a file's time", error.into()))?;
    Ok(stat.st_mtime)
}

impl Change {
    /// Writes the next piece.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        let Some(mut parts) = self.parts.take() else { return Err(OVER) };
        let path = Arc::clone(&parts.path);
        let job = move || parts.write(&chunk).map(|()| parts);
        let written: io::Result<Parts> = path.pool.run(job).await.map_err(gone)?;
        self.parts = Some(written.map_err(|error| io_failed("writing a file", error))?);
        Ok(())
    }

    /// Records the change; gives the file as it now is.
    pub async fn commit(mut self) -> Result<Current, WriteError> {
        let Some(parts) = self.parts.take() else { return Err(OVER) };
        let path = Arc::clone(&parts.path);
        path.pool.run(move || parts.commit()).await.map_err(gone)?
    }
}

impl gateway::files::Change for Change {
    fn offset(&self) -> u64 {
        self.parts.as_ref().map_or(0, |parts| parts.offset)
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        Self::write(self, chunk).await
    }

    async fn commit(self) -> Result<Current, WriteError> {
        Self::commit(self).await
    }
}

const OVER: WriteError = WriteError::Invalid("the change failed before");

impl Kind {
    fn op(self, offset: u64, len: u64) -> Op<&'static str> {
        match self {
            Self::Append => Op::Append(offset, len),
            Self::Modify => Op::Modify(offset, len),
        }
    }
}

impl Parts {
    /// Blocking.
    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.store.counters.file_writes.asked(1);
        self.file.write_all_at(chunk, self.offset + self.written)?;
        self.store.counters.file_writes.done(1);
        self.written += chunk.len() as u64;
        Ok(())
    }

    /// Blocking.
    fn commit(mut self) -> Result<Current, WriteError> {
        self.record()?;
        self.state = State::Finished;
        match self.origin {
            Origin::Member { .. } => self.store.counters.sync_in_bytes.done(self.written),
            Origin::Client => {
                let (count, bytes) = self.client_counters();
                count.done(1);
                if !self.is_announced {
                    bytes.asked(self.written);
                }
                bytes.done(self.written);
            }
        }
        current(&self.file)
    }

    fn client_counters(&self) -> (&Tally, &Tally) {
        let counters = &self.store.counters;
        match self.kind {
            Kind::Append => (&counters.appends, &counters.append_bytes),
            Kind::Modify => (&counters.modifies, &counters.modify_bytes),
        }
    }

    fn record(&self) -> Result<(), WriteError> {
        if self.written == 0 {
            return Ok(());
        }
        let op = self.kind.op(self.offset, self.written);
        match self.origin {
            Origin::Client => {
                self.store.sync_content(&self.file)?;
                let (time, side, name) = (mtime(&self.file)?, Side::Source, self.name.as_str());
                self.store.record(&Record { time, side, op, name })
            }
            Origin::Member { time, .. } => {
                set_time(&self.file, time)?;
                self.store.sync_content(&self.file)?;
                self.store.record_replica(time, op, &self.name)
            }
        }
    }
}

/// What was broken off is undone, with the file still locked.
impl Drop for Parts {
    fn drop(&mut self) {
        if self.state == State::Finished {
            return;
        }
        let undone = Self {
            store: Arc::clone(&self.store),
            path: Arc::clone(&self.path),
            name: self.name.clone(),
            kind: self.kind,
            origin: self.origin,
            file: Arc::clone(&self.file),
            offset: self.offset,
            written: self.written,
            is_announced: self.is_announced,
            state: State::Finished,
            note: self.note.take(),
            lock: self.lock.take(),
        };
        self.path.pool.run_detached(move || undone.undo());
    }
}

impl Parts {
    /// Blocking.
    fn undo(&self) {
        let undone = match self.kind {
            Kind::Append => {
                self.file.set_len(self.offset).map_err(|error| io_failed("cutting a file back", error))
            }
            Kind::Modify => match self.origin {
                Origin::Client => self.record(),
                Origin::Member { .. } => Ok(()),
            },
        };
        if let Err(error) = undone {
            tracing::error!(name = %self.name, %error, "a change that was broken off cannot be undone");
        }
    }
}
