//! Uploads into the store, and changes of its files.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use gateway::files::{Change, Committed, Current, Start, Upload, UploadKind, UploadSpec, WriteError, Writes};
use protocol::FileId;
use protocol::file_id::FileExt;
use protocol::metadata::Metadata;
use tokio::sync::OwnedMutexGuard;

use super::{Fake, Mood};

/// An upload into the store.
pub struct FakeUpload {
    store: Fake,
    spec: UploadSpec,
    content: BytesMut,
    done: bool,
}

impl Upload for FakeUpload {
    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        if *self.store.0.mood.lock().unwrap() == Mood::FullLater {
            return Err(WriteError::NoSpace);
        }
        self.content.extend_from_slice(&chunk);
        Ok(())
    }

    fn set_metadata(&mut self, metadata: Metadata) {
        self.spec.metadata = metadata;
    }

    async fn commit(mut self) -> Result<Committed, WriteError> {
        self.done = true;
        let content = self.content.split().freeze();
        Ok(self.store.keep_with(&self.spec, content))
    }
}

impl Drop for FakeUpload {
    fn drop(&mut self) {
        self.store.0.live.fetch_sub(1, Ordering::SeqCst);
        if !self.done {
            self.store.0.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A change of a file of the store.
pub struct FakeChange {
    store: Fake,
    id: FileId,
    offset: usize,
    content: BytesMut,
    done: bool,
    _alone: OwnedMutexGuard<()>,
}

impl Change for FakeChange {
    fn offset(&self) -> u64 {
        self.offset as u64
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        if *self.store.0.mood.lock().unwrap() == Mood::FullLater {
            return Err(WriteError::NoSpace);
        }
        self.content.extend_from_slice(&chunk);
        Ok(())
    }

    async fn commit(mut self) -> Result<Current, WriteError> {
        self.done = true;
        let old = self.store.entry(&self.id).ok_or(WriteError::NotFound)?.content;
        let end = self.offset + self.content.len();
        let rest = old.get(end..).unwrap_or_default();
        Ok(self.store.set_content(&self.id, [&old[..self.offset], &self.content, rest].concat().into()))
    }
}

impl Drop for FakeChange {
    fn drop(&mut self) {
        self.store.0.live.fetch_sub(1, Ordering::SeqCst);
        if !self.done {
            self.store.0.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Writes for Fake {
    type Upload = FakeUpload;
    type Change = FakeChange;

    async fn begin(&self, spec: UploadSpec) -> Result<FakeUpload, WriteError> {
        self.refusal()?;
        self.check_slave(&spec.kind, spec.ext)?;
        self.0.specs.lock().unwrap().push(spec.clone());
        self.0.live.fetch_add(1, Ordering::SeqCst);
        Ok(FakeUpload { store: self.clone(), spec, content: BytesMut::new(), done: false })
    }

    async fn put(&self, spec: UploadSpec, content: Vec<Bytes>) -> Result<Committed, WriteError> {
        self.refusal()?;
        self.check_slave(&spec.kind, spec.ext)?;
        self.0.specs.lock().unwrap().push(spec.clone());
        Ok(self.keep_with(&spec, content.concat().into()))
    }

    async fn delete(&self, id: &FileId) -> Result<(), WriteError> {
        let gone = self.take_away(&id.to_string());
        self.0.metadata.lock().unwrap().remove(&id.to_string());
        gone.map(|_| ()).ok_or(WriteError::NotFound)
    }

    async fn begin_change<N: Send + 'static>(
        &self,
        id: &FileId,
        _len: Option<u64>,
        decide: impl FnOnce(&Current) -> Result<Start, N> + Send + 'static,
    ) -> Result<Result<FakeChange, N>, WriteError> {
        self.refusal()?;
        let alone = Arc::clone(&self.0.changing).lock_owned().await;
        let current = self.to_change(id)?.current();
        let offset = match decide(&current) {
            Ok(Start::End) => current.len,
            Ok(Start::At(offset)) if offset <= current.len => offset,
            Ok(Start::At(_)) => return Err(WriteError::Invalid("behind the end")),
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.0.live.fetch_add(1, Ordering::SeqCst);
        let offset = usize::try_from(offset).unwrap();
        let (store, content) = (self.clone(), BytesMut::new());
        Ok(Ok(FakeChange { store, id: id.clone(), offset, content, done: false, _alone: alone }))
    }

    async fn truncate<N: Send + 'static>(
        &self,
        id: &FileId,
        decide: impl FnOnce(&Current) -> Result<u64, N> + Send + 'static,
    ) -> Result<Result<Current, N>, WriteError> {
        let _alone = self.0.changing.lock().await;
        let entry = self.to_change(id)?;
        let mut content = entry.content.to_vec();
        match decide(&entry.current()) {
            Ok(len) => content.resize(usize::try_from(len).unwrap(), 0),
            Err(refusal) => return Ok(Err(refusal)),
        }
        Ok(Ok(self.set_content(id, content.into())))
    }

    async fn finish(&self, id: &FileId) -> Result<Committed, WriteError> {
        let _alone = self.0.changing.lock().await;
        let entry = self.to_change(id)?;
        let ext = FileExt::parse(id.name.extension()).unwrap();
        let made = self.keep(&UploadKind::Normal, ext, entry.content);
        self.0.stored.lock().unwrap().remove(&id.to_string());
        let mut metadata = self.0.metadata.lock().unwrap();
        if let Some(items) = metadata.remove(&id.to_string()) {
            metadata.insert(made.id.to_string(), items);
        }
        Ok(made)
    }

    async fn edit_metadata<N: Send + 'static>(
        &self,
        id: &FileId,
        edit: impl FnOnce(&Metadata) -> Result<Metadata, N> + Send + 'static,
    ) -> Result<Result<Metadata, N>, WriteError> {
        self.refusal()?;
        if self.entry(id).is_none() {
            return Err(WriteError::NotFound);
        }
        let mut metadata = self.0.metadata.lock().unwrap();
        let items = metadata.entry(id.to_string()).or_default();
        let edited = edit(items);
        if let Ok(new) = &edited {
            *items = new.clone();
        }
        Ok(edited)
    }
}
