//! Whole files: created, or replaced by what their source has now.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use gateway::files::WriteError;
use protocol::LogicName;
use protocol::file_id::{FileKind, StorePathIndex};
use rustix::fs::FileType;

use super::super::alter::is_there;
use super::super::binlog::{Op, Record, Side};
use super::super::temporary::Temporary;
use super::super::trunk::Container;
use super::super::upload::gone;
use super::super::{Inner, Store, StorePath, io_failed, trunk};
use super::{Begun, NO_PATH, Outcome, in_dir, set_time};

/// What a whole file is sent for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncomingMode {
    /// Not written if there is a file of this size.
    Create,
    /// Written whatever is there.
    Update,
}

/// A file that another member sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingFile {
    /// Its name.
    pub name: LogicName,
    /// Time of its record, unix seconds.
    pub time: i32,
    /// Bytes of content.
    pub size: u64,
    /// Why it is sent.
    pub mode: IncomingMode,
}

/// A file on its way. Dropped before its commit, it leaves nothing behind.
pub struct Receive {
    store: Store,
    file: IncomingFile,
    path: Arc<StorePath>,
    /// Away while a piece is written.
    temporary: Option<Temporary>,
}

impl Store {
    /// Takes files whose content is in memory: one job for each store path, one write for its records. The outcomes are in
    /// the order of the files.
    pub async fn receive(&self, files: Vec<(IncomingFile, Bytes)>) -> Vec<Result<Outcome, WriteError>> {
        let mut outcomes: Vec<_> = files.iter().map(|_| Err(WriteError::Busy)).collect();
        let mut by_path: BTreeMap<StorePathIndex, (Vec<usize>, Vec<_>)> = BTreeMap::new();
        for (at, file) in files.into_iter().enumerate() {
            let (places, files) = by_path.entry(file.0.name.store_path()).or_default();
            places.push(at);
            files.push(file);
        }
        let received =
            by_path.into_values().map(async |(places, files)| (places, self.try_receive(files).await));
        for (places, received) in join_all(received).await {
            match received {
                Ok(some) => places.into_iter().zip(some).for_each(|(at, outcome)| outcomes[at] = outcome),
                Err(WriteError::Invalid(reason)) => {
                    places.into_iter().for_each(|at| outcomes[at] = Err(WriteError::Invalid(reason)));
                }
                // The first tells it in full; the others stay busy.
                Err(error) => {
                    places.into_iter().take(1).zip([error]).for_each(|(at, error)| outcomes[at] = Err(error));
                }
            }
        }
        outcomes
    }

    /// The same for files of one store path.
    async fn try_receive(
        &self,
        files: Vec<(IncomingFile, Bytes)>,
    ) -> Result<Vec<Result<Outcome, WriteError>>, WriteError> {
        let Some((first, _)) = files.first() else { return Ok(Vec::new()) };
        let path = Arc::clone(self.0.path(first.name.store_path()).ok_or(NO_PATH)?);
        // In order of names, so that two batches never wait for each other.
        let mut names: Vec<LogicName> = files
            .iter()
            .map(|(file, _)| file.name.metadata_owner().unwrap_or_else(|| file.name.clone()))
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut locks = Vec::with_capacity(names.len());
        for name in &names {
            locks.push(self.0.locks.lock(name).await);
        }
        let (inner, own_path, is_short) = (Arc::clone(&self.0), Arc::clone(&path), files.len() <= SHORT);
        let job = move || {
            let outcomes = inner.receive_all(&own_path, &files);
            drop(locks);
            outcomes
        };
        let outcomes = if is_short { path.pool.run_short(job).await } else { path.pool.run(job).await };
        outcomes.map_err(gone)
    }

    /// Opens a file whose content comes piece by piece.
    pub async fn begin_receive(&self, file: IncomingFile) -> Result<Begun<Receive>, WriteError> {
        self.0.counters.sync_in_bytes.asked(file.size);
        let path = Arc::clone(self.0.path(file.name.store_path()).ok_or(NO_PATH)?);
        let (inner, own_path) = (Arc::clone(&self.0), Arc::clone(&path));
        let job = move || {
            if !inner.wants(&own_path, &file)? {
                return Ok(None);
            }
            temporary_for(&own_path, &file.name).map(|temporary| Some((file, temporary)))
        };
        Ok(match path.pool.run(job).await.map_err(gone)?? {
            Some((file, temporary)) => {
                Begun::Wanted(Receive { store: self.clone(), file, path, temporary: Some(temporary) })
            }
            None => Begun::Over(Outcome::Present),
        })
    }

    /// Takes note of a file that its source knows to be here.
    pub async fn receive_known(&self, file: IncomingFile) -> Result<Outcome, WriteError> {
        let name = file.name.clone();
        self.take_in(&name, move |inner, _| {
            inner.record_replica(file.time, file.mode.op(), &file.name)?;
            Ok(Outcome::Present)
        })
        .await
    }
}

impl IncomingFile {
    fn record(&self) -> Record<'_> {
        let (time, op) = (self.time.into(), self.mode.op());
        Record { time, side: Side::Replica, op, name: self.name.as_str() }
    }
}

impl Receive {
    /// Appends content; the next piece waits until this one is written.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        let Some(temporary) = self.temporary.take() else { return Err(OVER) };
        let counter = &self.store.0.counters.file_writes;
        counter.asked(1);
        let job = move || {
            temporary.file().write_all(&chunk)?;
            Ok(temporary)
        };
        let written: io::Result<Temporary> = self.path.pool.run(job).await.map_err(gone)?;
        self.temporary = Some(written.map_err(|error| io_failed("writing a file", error))?);
        counter.done(1);
        Ok(())
    }

    /// Gives the file its name, unless it came on another way meanwhile, and records it.
    pub async fn commit(mut self) -> Result<Outcome, WriteError> {
        let Some(mut temporary) = self.temporary.take() else { return Err(OVER) };
        let Self { store, file, path, .. } = self;
        let lock = store.0.lock_for(&file.name).await;
        let (inner, own_path) = (Arc::clone(&store.0), Arc::clone(&path));
        let job = move || {
            let outcome = match inner.wants(&own_path, &file)? {
                true => inner.finish_whole(&own_path, &file, &mut temporary),
                false => Ok(Outcome::Present),
            };
            drop(lock);
            outcome
        };
        path.pool.run(job).await.map_err(gone)?
    }
}

const OVER: WriteError = WriteError::Invalid("the file failed before");

impl IncomingMode {
    fn op(self) -> Op<&'static str> {
        match self {
            Self::Create => Op::Create,
            Self::Update => Op::Update,
        }
    }
}

/// Files that one short job takes in; for more, a change of threads does not matter.
const SHORT: usize = 4;

impl Inner {
    /// Writes files, and then their records. Blocking.
    fn receive_all(
        &self,
        path: &Arc<StorePath>,
        files: &[(IncomingFile, Bytes)],
    ) -> Vec<Result<Outcome, WriteError>> {
        let mut records = Vec::with_capacity(files.len());
        let mut outcomes = Vec::with_capacity(files.len());
        for (file, content) in files {
            let written = self.receive_one(path, file, content);
            if let Ok((_, true)) = written {
                records.push(file.record());
            }
            outcomes.push(written);
        }
        let recorded = self.record_replicas(&records).is_ok();
        let told = |written: Result<(Outcome, bool), WriteError>| match written {
            // Whoever sends it again finds it here, and then it is recorded.
            Ok((_, true)) if !recorded => Err(WriteError::Busy),
            Ok((outcome, _)) => Ok(outcome),
            Err(error) => Err(error),
        };
        outcomes.into_iter().map(told).collect()
    }

    /// Writes a file; whether it is to be recorded. Blocking.
    fn receive_one(
        &self,
        path: &Arc<StorePath>,
        file: &IncomingFile,
        content: &[u8],
    ) -> Result<(Outcome, bool), WriteError> {
        self.counters.sync_in_bytes.asked(file.size);
        if self.is_gone_for_good(&file.name) {
            return Ok((Outcome::Present, false));
        }
        if self.holds(path, file)? {
            return Ok((Outcome::Present, true));
        }
        if self.receive_member(path, file, |container, at| container.file().write_all_at(content, at))? {
            return Ok((Outcome::Applied, true));
        }
        let mut temporary = temporary_for(path, &file.name)?;
        self.counters.file_writes.asked(1);
        temporary.file().write_all(content).map_err(|error| io_failed("writing a file", error))?;
        self.counters.file_writes.done(1);
        self.publish_whole(path, file, &mut temporary)?;
        Ok((Outcome::Applied, true))
    }

    /// Puts a file into the slot of its name; false if it has none, or there is something in it: then it becomes a file of
    /// its own. Blocking.
    fn receive_member(
        &self,
        path: &Arc<StorePath>,
        file: &IncomingFile,
        fill: impl FnOnce(&Container, u64) -> io::Result<()>,
    ) -> Result<bool, WriteError> {
        let Ok(FileKind::Trunk(slot)) = file.name.kind() else { return Ok(false) };
        // What is a file of its own stays one.
        if is_there(path, &file.name)? {
            return Ok(false);
        }
        let is_written = trunk::replicate(self, path, &file.name, slot, file.size, fill)?;
        if is_written {
            self.mark_received(path, &file.name);
            self.counters.sync_in_bytes.done(file.size);
        }
        Ok(is_written)
    }

    /// Whether a file is to be written. If it is here, that is recorded. Blocking.
    fn wants(&self, path: &StorePath, file: &IncomingFile) -> Result<bool, WriteError> {
        if self.is_gone_for_good(&file.name) {
            return Ok(false);
        }
        if !self.holds(path, file)? {
            return Ok(true);
        }
        self.record_replica(file.time, file.mode.op(), &file.name)?;
        Ok(false)
    }

    /// Whether nothing has to be written: there is a regular file of this size, or a slot of a trunk file. Blocking.
    fn holds(&self, path: &StorePath, file: &IncomingFile) -> Result<bool, WriteError> {
        if file.mode == IncomingMode::Update {
            return Ok(false);
        }
        match path.dir.stat(file.name.true_name()) {
            Ok(stat) => {
                let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                Ok(is_file && u64::try_from(stat.st_size) == Ok(file.size))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(match file.name.kind() {
                Ok(FileKind::Trunk(slot)) => {
                    let member = trunk::open(self, &file.name, slot);
                    matches!(member, Ok(trunk::Member::File(found)) if found.len == file.size)
                }
                _ => false,
            }),
            Err(error) => Err(io_failed("looking for a file", error)),
        }
    }

    /// Makes a received file visible as a whole, over whatever has its name. Blocking; the caller holds the file's lock.
    fn finish_whole(
        &self,
        path: &Arc<StorePath>,
        file: &IncomingFile,
        temporary: &mut Temporary,
    ) -> Result<Outcome, WriteError> {
        let from = temporary.file();
        if !self.receive_member(path, file, |container, at| trunk::copy(from, container, at, file.size))? {
            self.publish_whole(path, file, temporary)?;
        }
        self.record_replicas(&[file.record()])?;
        Ok(Outcome::Applied)
    }

    /// The same without its record.
    fn publish_whole(
        &self,
        path: &StorePath,
        file: &IncomingFile,
        temporary: &mut Temporary,
    ) -> Result<(), WriteError> {
        set_time(temporary.file(), file.time)?;
        self.sync_content(temporary.file())?;
        let name = file.name.true_name();
        let published = in_dir(path, &file.name, || match file.mode {
            IncomingMode::Create => match temporary.publish(name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => temporary.replace(name),
                outcome => outcome,
            },
            IncomingMode::Update => temporary.replace(name),
        });
        published.map_err(|error| io_failed("naming a file", error))?;
        self.mark_received(path, &file.name);
        self.sync_name(&path.dir, &file.name)?;
        self.counters.sync_in_bytes.done(file.size);
        Ok(())
    }
}

/// A file without a name where `name` will be. Blocking.
fn temporary_for(path: &Arc<StorePath>, name: &LogicName) -> Result<Temporary, WriteError> {
    let dir = name.sub_dir().to_path();
    in_dir(path, name, || Temporary::create(path, &dir)).map_err(|error| io_failed("making a file", error))
}
