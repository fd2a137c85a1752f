//! Uploads that are continued (`gateway::partials`): their content lies in `data/.uploads/<id>.part` of a store path, what
//! is remembered besides in `<id>.state` beside it.
//!
//! FastDFS reads neither, since it lists no directory below `data` but those of two hex digits. Members hear of an upload
//! when it is committed, by the same door as all others: the content gets its final name by a rename. Before that, the
//! state says which name that is, so a kill between the two is no loss.
//!
//! How much is here is the length of the content, so every byte that was written counts after a kill. The state has the
//! checksum up to some point; the rest is read again when the upload is opened.

mod content;
mod note;
mod sweep;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use gateway::files::{Committed, WriteError};
use gateway::partials::{Held, PartialId, PartialSpec, PartialState, Partials};
use protocol::config::storage_conf::Durability;
use protocol::file_id::StorePathIndex;
use rustix::rand::{GetRandomFlags, getrandom};

use super::layout::unix_seconds;
use super::locks::Lock;
use super::shelves::StorePath;
use super::temporary::Temporary;
use super::upload::{self, gone};
use super::{Inner, Store, io_failed};
use content::{Content, Found};
use note::Note;
pub(super) use sweep::remove_leftovers;

/// Below `data`.
const DIR: &str = ".uploads";
/// Content whose checksum is not noted, at most: it would have to be read again after a kill.
const UNNOTED: u64 = 64 << 20;
/// Longer pieces are written by the store path's threads in any case.
const SHORT: usize = 64 * 1024;

type PartialLock = Lock<PartialId>;

/// An upload that is continued.
pub struct Partial {
    store: Arc<Inner>,
    index: StorePathIndex,
    path: Arc<StorePath>,
    id: PartialId,
    state: PartialState,
    /// Away while something is done to it, and when it has become a file.
    content: Option<Content>,
    /// Bytes whose checksum is noted.
    noted: u64,
}

impl Partials for Store {
    type Partial = Partial;

    async fn create(&self, spec: PartialSpec, expires: i64) -> Result<Partial, WriteError> {
        let store = Arc::clone(&self.0);
        let (index, path) = store.choose(spec.upload.store_path, spec.upload.len.unwrap_or(0))?;
        let id = new_id(index)?;
        let lock = store.partials.lock(&id).await;
        let state = PartialState { spec, offset: 0, expires, stored: None };
        let note = Note { state: state.clone(), crc32: 0, hold: None, naming: None };
        let (on, syncs) = (Arc::clone(&path), syncs(&store, &state));
        let made = path.pool.run_short(move || {
            let content = Content::create(&on.dir, id, lock)?;
            note.save(&on.dir, id, syncs)?;
            Ok(content)
        });
        let content =
            made.await.map_err(gone)?.map_err(|error: io::Error| io_failed("making an upload", error))?;
        Ok(Partial { store, index, path, id, state, content: Some(content), noted: 0 })
    }

    async fn open(&self, id: PartialId) -> Result<Partial, WriteError> {
        let store = Arc::clone(&self.0);
        let (index, path) = place_of(&store, id)?;
        let lock = store.partials.lock(&id).await;
        let (on, group, now) = (Arc::clone(&path), store.group, now());
        let found = path.pool.run(move || content::find(&on.dir, group, id, now, lock));
        let found = found.await.map_err(gone)?.map_err(|error| io_failed("opening an upload", error))?;
        let (state, content) = match found {
            Found::Unfinished(state, content) => (state, Some(content)),
            Found::Stored(state) => (state, None),
        };
        let noted = state.offset;
        Ok(Partial { store, index, path, id, state, content, noted })
    }

    async fn look(&self, id: PartialId) -> Result<PartialState, WriteError> {
        let (_, path) = place_of(&self.0, id)?;
        let (on, group, now) = (Arc::clone(&path), self.0.group, now());
        let seen = path.pool.run_short(move || content::look(&on.dir, group, id, now)).await.map_err(gone)?;
        seen.map_err(|error| io_failed("reading the state of an upload", error))
    }
}

/// A random name; its first byte says which store path has the upload.
fn new_id(index: StorePathIndex) -> Result<PartialId, WriteError> {
    let mut bytes = [0; 16];
    // The kernel's randomness: who guesses a name may go on with the upload.
    getrandom(&mut bytes, GetRandomFlags::empty())
        .map_err(|error| io_failed("making a name", error.into()))?;
    bytes[0] = index.0;
    Ok(PartialId::new(bytes))
}

fn place_of(store: &Inner, id: PartialId) -> Result<(StorePathIndex, Arc<StorePath>), WriteError> {
    let index = StorePathIndex(id.as_bytes()[0]);
    let path = store.path(index).ok_or(WriteError::NotFound)?;
    Ok((index, Arc::clone(path)))
}

fn now() -> i64 {
    unix_seconds(SystemTime::now())
}

fn syncs(store: &Inner, state: &PartialState) -> bool {
    store.durability.max(state.spec.upload.durability.unwrap_or_default()) != Durability::Write
}

impl Partial {
    /// Does something to the content; after an error there is none to go on with.
    async fn change(
        &mut self,
        is_short: bool,
        doing: &'static str,
        change: impl FnOnce(&StorePath, &mut Content) -> io::Result<()> + Send + 'static,
    ) -> Result<(), WriteError> {
        let mut content = self.content.take().ok_or(WriteError::Invalid("the upload cannot be changed"))?;
        let path = Arc::clone(&self.path);
        let job = move || change(&path, &mut content).map(|()| content);
        let done = if is_short { self.path.pool.run_short(job).await } else { self.path.pool.run(job).await };
        let content = done.map_err(gone)?.map_err(|error| io_failed(doing, error))?;
        self.state.offset = content.hold.as_ref().map_or(content.len, |(start, _)| *start);
        self.content = Some(content);
        Ok(())
    }

    /// Writes what is remembered. The content comes first to the disk, if it has to be there.
    async fn note(&mut self) -> Result<(), WriteError> {
        let (id, mut state) = (self.id, self.state.clone());
        let syncs = syncs(&self.store, &state);
        let noting = move |path: &StorePath, content: &mut Content| {
            let (len, crc) =
                content.hold.as_ref().map_or((content.len, &content.crc), |(len, crc)| (*len, crc));
            state.offset = len;
            let hold = content.hold.as_ref().map(|(start, _)| *start);
            let note = Note { state, crc32: crc.clone().finalize(), hold, naming: None };
            if syncs {
                content.file.sync_data()?;
            }
            note.save(&path.dir, id, syncs)
        };
        self.change(!syncs, "noting the state of an upload", noting).await?;
        self.noted = self.state.offset;
        Ok(())
    }
}

impl gateway::partials::Partial for Partial {
    fn id(&self) -> PartialId {
        self.id
    }

    fn state(&self) -> &PartialState {
        &self.state
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        if !self.path.space.admits(0, self.store.rules(), self.store.paths.len()) {
            return Err(WriteError::NoSpace);
        }
        self.store.counters.file_writes.asked(1);
        let is_short = chunk.len() <= SHORT;
        self.change(is_short, "writing an upload", move |_, content| content.write(&chunk)).await?;
        self.store.counters.file_writes.done(1);
        if self.state.offset - self.noted >= UNNOTED { self.note().await } else { Ok(()) }
    }

    async fn hold(&mut self) -> Result<(), WriteError> {
        let holding = |_: &StorePath, content: &mut Content| {
            content.hold = Some((content.len, content.crc.clone()));
            Ok(())
        };
        self.change(true, "holding an upload", holding).await?;
        self.note().await
    }

    async fn settle(&mut self, held: Held) -> Result<(), WriteError> {
        let settling = move |_: &StorePath, content: &mut Content| match held {
            Held::Kept => {
                content.hold = None;
                Ok(())
            }
            Held::Dropped => content.drop_held(),
        };
        self.change(true, "taking back a part of an upload", settling).await?;
        self.note().await
    }

    async fn append(&mut self, part: &mut Self) -> Result<(), WriteError> {
        let Some(from) = part.content.as_ref() else {
            return Err(WriteError::Invalid("a part has become a file of its own"));
        };
        let (end, crc) = (from.len, from.crc.clone());
        let source = Arc::new(from.file.try_clone().map_err(|error| io_failed("opening a part", error))?);
        let mut at = 0;
        let start = self.state.offset;
        while at < end {
            if !self.path.space.admits(0, self.store.rules(), self.store.paths.len()) {
                return Err(WriteError::NoSpace);
            }
            let source = Arc::clone(&source);
            let copying = move |_: &StorePath, content: &mut Content| match content.copy(&source, at, end)? {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                _ => Ok(()),
            };
            self.change(false, "joining uploads", copying).await?;
            at = self.state.offset - start;
        }
        let adding = move |_: &StorePath, content: &mut Content| {
            content.crc.combine(&crc);
            Ok(())
        };
        self.change(true, "joining uploads", adding).await
    }

    async fn save(&mut self, len: Option<u64>, expires: i64) -> Result<(), WriteError> {
        if len.is_some() {
            self.state.spec.upload.len = len;
        }
        self.state.expires = expires;
        self.note().await
    }

    async fn commit(&mut self, expires: i64) -> Result<Committed, WriteError> {
        let place = upload::Place::of_partial(&self.store, self.index, &self.state.spec.upload)?;
        let content = self.content.take().ok_or(WriteError::Invalid("the upload cannot be changed"))?;
        self.store.counters.uploads.asked(1);
        let (id, path, mut state) = (self.id, Arc::clone(&self.path), self.state.clone());
        let syncs = syncs(&self.store, &state);
        state.expires = expires;
        let index = self.index;
        let job = move || {
            let mut note = Note { state, crc32: content.crc.clone().finalize(), hold: None, naming: None };
            note.state.offset = content.len;
            let failed = |error| io_failed("committing an upload", error);
            // The name has this time, which is that of the record: as if all had come at once.
            content.file.set_modified(SystemTime::now()).map_err(failed)?;
            let file = content.file.try_clone().map_err(failed)?;
            let (on, mut naming) = (Arc::clone(&path), note.clone());
            let before = move |name: &str| {
                naming.naming = Some(format!("M{:02X}/{name}", index.0));
                naming.save(&on.dir, id, syncs)
            };
            let temporary = Temporary::adopt(&path, content::name(id), file, Box::new(before));
            let made = place.commit(upload::Open {
                body: upload::Body::File(temporary),
                crc: content.crc,
                len: content.len,
            })?;
            note.state.stored = Some(made.clone());
            if let Err(error) = note.save(&path.dir, id, syncs) {
                tracing::warn!(%id, %error, "an upload is stored, which its state does not say yet");
            }
            Ok(made)
        };
        let made: Committed = self.path.pool.run(job).await.map_err(gone)??;
        self.state.expires = expires;
        self.state.offset = made.len;
        self.state.stored = Some(made.clone());
        Ok(made)
    }

    async fn remove(self) -> Result<(), WriteError> {
        let (path, id, content) = (Arc::clone(&self.path), self.id, self.content);
        let job = move || {
            let removed = sweep::remove(&path.dir, id);
            drop(content);
            removed
        };
        self.path.pool.run(job).await.map_err(gone)?.map_err(|error| io_failed("removing an upload", error))
    }
}
