//! New files: content into a temporary file, then commit, which `publish` does.

use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use crc32fast::Hasher;
use futures_util::FutureExt;
use gateway::files::{Committed, UploadKind, UploadSpec, WriteError};
use protocol::LogicName;
use protocol::config::params::StorePathChoice;
use protocol::config::storage_conf::Durability;
use protocol::file_id::{FileExt, NameTail, SlavePrefix, Source, StorePathIndex, SubDir, slave_name};
use protocol::metadata::Metadata;

use super::locks::FileLock;
use super::name_maker::{self, SizeOf};
use super::pool::{Pool, PoolGone};
use super::temporary::Temporary;
use super::trunk::{Draft, Space, TrunkClient};
use super::{Inner, Store, StorePath, io_failed, pieces};

/// Of names that leave no room for `-m`.
pub(super) const TOO_LONG: &str = "the name is too long to have metadata";

/// The first bytes of a file, which are written where they arrive if the disk is quick. What is larger soon takes more than
/// the kernel keeps in memory.
const IN_PLACE: u64 = 4 << 20;

/// What the new file will be called.
pub(super) enum Naming {
    /// A name of its own.
    Own { size: fn(u64) -> SizeOf, source: Source, tail: NameTail },
    /// Named after its master.
    Slave(LogicName),
}

/// Where the new file goes, and what it will be.
pub(super) struct Place {
    pub(super) store: Arc<Inner>,
    pub(super) index: StorePathIndex,
    pub(super) path: Arc<StorePath>,
    /// Directory of the file.
    pub(super) dir: SubDir,
    pub(super) naming: Naming,
    pub(super) ext: FileExt,
    /// Text of the metadata; empty for none.
    pub(super) metadata: Bytes,
    pub(super) durability: Durability,
}

/// An upload under way. Dropped before its commit, it leaves nothing behind.
pub struct Upload {
    place: Place,
    /// Away while a piece is written.
    open: Option<Open>,
}

/// Content on its way to a name.
pub(super) struct Open {
    pub(super) body: Body,
    pub(super) crc: Hasher,
    /// Bytes.
    pub(super) len: u64,
}

/// What has the content.
pub(super) enum Body {
    /// A file of its own.
    File(Temporary),
    /// A slot of a trunk file.
    Slot(Draft),
}

impl Body {
    /// Appends content. Blocking.
    fn write(&mut self, content: &[Bytes]) -> Result<(), WriteError> {
        match self {
            Self::File(temporary) => {
                let mut file = temporary.file();
                let written = match content {
                    [one] => file.write_all(one),
                    many => pieces::write_all(many, |slices| file.write_vectored(slices)),
                };
                written.map_err(|error| io_failed("writing a file", error))
            }
            Self::Slot(draft) => draft.write(content),
        }
    }
}

impl Store {
    /// Opens an upload.
    pub async fn begin(&self, spec: UploadSpec) -> Result<Upload, WriteError> {
        self.0.counters.uploads.asked(1);
        let place = self.place(&spec).await?;
        let draft = match spec.len.and_then(|len| place.trunk_server(len)) {
            // The upload's own from the start: what becomes of the trunk server meanwhile does not matter.
            Some((server, need)) => Box::pin(place.slot_of(server, need, &[])).await?,
            None => None,
        };
        let path = Arc::clone(&place.path);
        let begin = move || match draft {
            Some(draft) => Ok((place, Body::Slot(draft))),
            None => place.begin(spec.len).map(|body| (place, body)),
        };
        let (place, body) = path.pool.run_short(begin).await.map_err(gone)??;
        Ok(Upload { place, open: Some(Open { body, crc: Hasher::new(), len: 0 }) })
    }

    /// Stores content that is in memory as a whole, pieces in order: one job for the store path's threads.
    pub async fn put(&self, spec: UploadSpec, content: Vec<Bytes>) -> Result<Committed, WriteError> {
        self.0.counters.uploads.asked(1);
        let mut place = self.place(&spec).await?;
        let len = content.iter().map(|piece| piece.len() as u64).sum();
        if let Some((server, need)) = place.trunk_server(len) {
            // Boxed: it is the rarer way, and every upload has room for the longest.
            place = match Box::pin(place.put_in_slot_of(server, need, &content)).await? {
                Way::Done(made) => return Ok(made),
                Way::OwnFile(place) => place,
            };
        }
        let path = Arc::clone(&place.path);
        let lock = place.lock().await;
        let job = move || {
            let made = place.put(&content);
            drop(lock);
            made
        };
        path.pool.run_short(job).await.map_err(gone)?
    }

    async fn place(&self, spec: &UploadSpec) -> Result<Place, WriteError> {
        let store = Arc::clone(&self.0);
        let own = |size| -> Result<Naming, WriteError> {
            Ok(Naming::Own { size, source: store.source()?, tail: name_maker::tail(spec.ext) })
        };
        let (naming, fixed) = match &spec.kind {
            UploadKind::Normal => (own(SizeOf::Normal)?, None),
            UploadKind::Appender => (own(|_| SizeOf::Appender)?, None),
            UploadKind::Slave { master, prefix } => {
                let name = self.slave(master, *prefix, spec.ext).await?;
                let index = name.store_path();
                (Naming::Slave(name), Some(index))
            }
        };
        let (index, path) = match fixed {
            Some(index) => {
                let path = store.path(index).ok_or(WriteError::Invalid("no such store path"))?;
                let paths = store.paths.len();
                if !path.space.admits(spec.len.unwrap_or(0), store.rules(), paths) {
                    return Err(WriteError::NoSpace);
                }
                (index, Arc::clone(path))
            }
            None => store.choose(spec.store_path, spec.len.unwrap_or(0))?,
        };
        let dir = match &naming {
            Naming::Own { .. } => store.names.next_dir(),
            Naming::Slave(name) => name.sub_dir(),
        };
        let durability = store.durability.max(spec.durability.unwrap_or_default());
        let metadata = spec.metadata.to_text();
        if let Naming::Slave(name) = &naming
            && !metadata.is_empty()
            && name.metadata_name().is_err()
        {
            return Err(WriteError::Invalid(TOO_LONG));
        }
        Ok(Place { store, index, path, dir, naming, ext: spec.ext, metadata, durability })
    }

    /// Checks the master and makes the slave's name.
    async fn slave(
        &self,
        master: &LogicName,
        prefix: SlavePrefix,
        ext: FileExt,
    ) -> Result<LogicName, WriteError> {
        let name = slave_name(master, prefix, ext)
            .map_err(|_| WriteError::Invalid("no slave of this name can be made of this master"))?;
        if !self.exists(master).await? {
            return Err(WriteError::NotFound);
        }
        // The commit decides; this spares the client that asks twice the sending of the content.
        if self.exists(&name).await? { Err(WriteError::Exists) } else { Ok(name) }
    }
}

impl Inner {
    /// The store path for a new file: the one asked for, or the one that the trackers' rule chooses.
    pub(super) fn choose(
        &self,
        wanted: Option<StorePathIndex>,
        len: u64,
    ) -> Result<(StorePathIndex, Arc<StorePath>), WriteError> {
        let rules = self.rules();
        let count = self.paths.len();
        if let Some(index) = wanted {
            let path = self.path(index).ok_or(WriteError::Invalid("no such store path"))?;
            if !path.readonly {
                let admitted = path.space.admits(len, rules, count);
                return if admitted { Ok((index, Arc::clone(path))) } else { Err(WriteError::NoSpace) };
            }
        }
        let open = |path: &&Arc<StorePath>| !path.readonly && path.space.admits(len, rules, count);
        let chosen = match rules.choice {
            StorePathChoice::RoundRobin => {
                let start = fastrand::usize(..count);
                (start..start + count).filter_map(|at| self.paths.get(at % count)).find(open)
            }
            StorePathChoice::MostFree => {
                self.paths.iter().filter(open).max_by_key(|path| path.space.free_mb())
            }
        };
        let path = chosen.ok_or(WriteError::NoSpace)?;
        let index = self.paths.iter().position(|other| Arc::ptr_eq(other, path)).unwrap_or(0);
        let index = u8::try_from(index).map_err(|_| WriteError::NoSpace)?;
        Ok((StorePathIndex(index), Arc::clone(path)))
    }
}

impl Upload {
    /// Appends content; the next piece waits until this one is written.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        let Some(mut open) = self.open.take() else {
            return Err(WriteError::Invalid("the upload failed before"));
        };
        self.place.store.counters.file_writes.asked(1);
        let is_short = open.len < IN_PLACE;
        let write = move || {
            open.crc.update(&chunk);
            open.len += chunk.len() as u64;
            open.body.write(&[chunk])?;
            Ok(open)
        };
        let open = run(&self.place.path.pool, is_short, write).await.map_err(gone)??;
        self.place.store.counters.file_writes.done(1);
        self.open = Some(open);
        Ok(())
    }

    /// Records the file and gives it its name, which makes it visible.
    pub async fn commit(mut self) -> Result<Committed, WriteError> {
        let Some(open) = self.open.take() else {
            return Err(WriteError::Invalid("the upload failed before"));
        };
        let place = self.place;
        let path = Arc::clone(&place.path);
        let lock = place.lock().await;
        let is_short = open.len <= IN_PLACE;
        let job = move || {
            let made = place.commit(open);
            drop(lock);
            made
        };
        run(&path.pool, is_short, job).await.map_err(gone)?
    }
}

impl gateway::files::Upload for Upload {
    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        Self::write(self, chunk).await
    }

    fn set_metadata(&mut self, metadata: Metadata) {
        self.place.metadata = metadata.to_text();
    }

    async fn commit(self) -> Result<Committed, WriteError> {
        Self::commit(self).await
    }
}

impl Place {
    /// Where content goes that lies on a store path already.
    pub(super) fn of_partial(
        store: &Arc<Inner>,
        index: StorePathIndex,
        spec: &UploadSpec,
    ) -> Result<Self, WriteError> {
        let durability = store.durability.max(spec.durability.unwrap_or_default());
        let path = store.path(index).ok_or(WriteError::NotFound)?;
        let size = if spec.kind == UploadKind::Appender { |_| SizeOf::Appender } else { SizeOf::Normal };
        let naming = Naming::Own { size, source: store.source()?, tail: name_maker::tail(spec.ext) };
        Ok(Self {
            store: Arc::clone(store),
            index,
            path: Arc::clone(path),
            dir: store.names.next_dir(),
            naming,
            ext: spec.ext,
            metadata: spec.metadata.to_text(),
            durability,
        })
    }

    /// The right to give the file its name. Names of their own nobody else makes.
    async fn lock(&self) -> Option<FileLock> {
        match &self.naming {
            Naming::Own { .. } => None,
            Naming::Slave(name) => Some(self.store.locks.lock(name).await),
        }
    }

    /// Where content of this length goes. Blocking.
    fn begin(&self, len: Option<u64>) -> Result<Body, WriteError> {
        if let Some(len) = len
            && self.may_be_member()
            && let Some(draft) = Draft::own(&self.store, self.index, len)
        {
            return Ok(Body::Slot(draft));
        }
        let made = Temporary::create(&self.path, &self.dir.to_path());
        made.map(Body::File).map_err(|error| io_failed("making a file", error))
    }

    /// Blocking.
    fn put(self, content: &[Bytes]) -> Result<Committed, WriteError> {
        let mut crc = Hasher::new();
        let mut len = 0;
        for piece in content {
            crc.update(piece);
            len += piece.len() as u64;
        }
        let mut body = self.begin(Some(len))?;
        self.store.counters.file_writes.asked(1);
        body.write(content)?;
        self.store.counters.file_writes.done(1);
        self.commit(Open { body, crc, len })
    }

    /// Whether the file may lie in a trunk file.
    fn may_be_member(&self) -> bool {
        matches!(&self.naming, Naming::Own { size, .. } if matches!(size(0), SizeOf::Normal(_)))
    }

    /// The member that has to be asked for a slot for so much content, and what to ask for; none if no slot is wanted or
    /// this node has them.
    fn trunk_server(&self, len: u64) -> Option<(Arc<dyn TrunkClient>, u32)> {
        match self.store.trunk.space() {
            Space::Member(server) if self.may_be_member() => {
                self.store.trunk.rules().need(len).map(|need| (server, need))
            }
            _ => None,
        }
    }

    /// A slot that another member gives, filled with content that is at hand and open; none if the file has to be one of
    /// its own.
    async fn slot_of(
        &self,
        server: Arc<dyn TrunkClient>,
        need: u32,
        content: &[Bytes],
    ) -> Result<Option<Draft>, WriteError> {
        let slot = match server.allocate(self.index, need).await {
            Ok(slot) if slot.path == self.index && slot.at.size >= need => slot,
            Ok(slot) => {
                tracing::warn!(?slot, need, "the trunk server gave a slot that cannot be used");
                return Ok(None);
            }
            Err(status) => {
                tracing::debug!(%status, "the trunk server gives no slot; the file becomes one of its own");
                return Ok(None);
            }
        };
        let mut draft = Draft::of_member(&self.store, server, slot);
        let (path, pieces) = (Arc::clone(&self.path), content.to_vec());
        let fill = move || {
            let opened = draft.open().map_err(|error| io_failed("opening a trunk file", error));
            opened.and_then(|()| draft.write(&pieces)).map(|()| draft)
        };
        let mut draft = match path.pool.run_short(fill).await.map_err(gone)? {
            Ok(draft) => draft,
            Err(error) => {
                tracing::debug!(%error, "a slot cannot be filled; the file becomes one of its own");
                return Ok(None);
            }
        };
        if let Err(status) = draft.own_it().await {
            tracing::debug!(%status, "the trunk server does not confirm a slot; the file becomes one of its own");
            return Ok(None);
        }
        Ok(Some(draft))
    }

    /// Stores content in a slot that another member gives.
    async fn put_in_slot_of(
        self,
        server: Arc<dyn TrunkClient>,
        need: u32,
        content: &[Bytes],
    ) -> Result<Way, WriteError> {
        let Some(draft) = self.slot_of(server, need, content).await? else { return Ok(Way::OwnFile(self)) };
        let len = content.iter().map(|piece| piece.len() as u64).sum();
        let path = Arc::clone(&self.path);
        let mut crc = Hasher::new();
        content.iter().for_each(|piece| crc.update(piece));
        let commit = move || self.commit(Open { body: Body::Slot(draft), crc, len });
        path.pool.run_short(commit).await.map_err(gone)?.map(Way::Done)
    }
}

/// What became of an attempt at a slot.
enum Way {
    Done(Committed),
    /// There is none; the file becomes one of its own.
    OwnFile(Place),
}

/// Runs a job, where it comes if it is short and the disk quick.
fn run<T: Send + 'static>(
    pool: &Pool,
    is_short: bool,
    job: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = Result<T, PoolGone>> + Send {
    if is_short { pool.run_short(job).left_future() } else { pool.run(job).right_future() }
}

pub(super) fn gone(_: PoolGone) -> WriteError {
    WriteError::Io {
        doing: "running a job of the store",
        source: io::Error::other("the store's threads have ended"),
    }
}
