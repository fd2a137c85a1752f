//! Uploads that are continued, in memory.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gateway::files::{Committed, WriteError};
use gateway::partials::{Held, Partial, PartialId, PartialSpec, PartialState, Partials};
use tokio::sync::OwnedMutexGuard;

use super::Fake;

/// What is here of all of them.
#[derive(Debug, Default)]
pub struct Shelf {
    all: Mutex<HashMap<PartialId, Arc<tokio::sync::Mutex<Kept>>>>,
    /// As everybody sees them.
    seen: Mutex<HashMap<PartialId, PartialState>>,
}

impl Shelf {
    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

#[derive(Debug)]
struct Kept {
    state: PartialState,
    content: Vec<u8>,
    hold: Option<usize>,
}

/// One that is open.
pub struct FakePartial {
    store: Fake,
    id: PartialId,
    kept: OwnedMutexGuard<Kept>,
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

impl Partials for Fake {
    type Partial = FakePartial;

    async fn create(&self, spec: PartialSpec, expires: i64) -> Result<FakePartial, WriteError> {
        self.refusal()?;
        let mut bytes = [0; 16];
        bytes[8..].copy_from_slice(&u64::from(self.0.next.fetch_add(1, Ordering::Relaxed)).to_be_bytes());
        let id = PartialId::new(bytes);
        let state = PartialState { spec, offset: 0, expires, stored: None };
        let kept = Arc::new(tokio::sync::Mutex::new(Kept { state, content: Vec::new(), hold: None }));
        self.0.shelf.all.lock().unwrap().insert(id, Arc::clone(&kept));
        let partial = FakePartial { store: self.clone(), id, kept: kept.lock_owned().await };
        partial.show();
        Ok(partial)
    }

    async fn open(&self, id: PartialId) -> Result<FakePartial, WriteError> {
        let kept = self.0.shelf.all.lock().unwrap().get(&id).cloned().ok_or(WriteError::NotFound)?;
        let mut kept = kept.lock_owned().await;
        if kept.state.expires <= now() {
            return Err(WriteError::NotFound);
        }
        if let Some(hold) = kept.hold.take() {
            kept.content.truncate(hold);
        }
        Ok(FakePartial { store: self.clone(), id, kept })
    }

    async fn look(&self, id: PartialId) -> Result<PartialState, WriteError> {
        let state = self.0.shelf.seen.lock().unwrap().get(&id).cloned();
        state.filter(|state| state.expires > now()).ok_or(WriteError::NotFound)
    }
}

impl FakePartial {
    fn show(&self) {
        self.store.0.shelf.seen.lock().unwrap().insert(self.id, self.kept.state.clone());
    }

    fn count(&mut self) {
        self.kept.state.offset = self.kept.hold.unwrap_or(self.kept.content.len()) as u64;
        self.show();
    }
}

impl Partial for FakePartial {
    fn id(&self) -> PartialId {
        self.id
    }

    fn state(&self) -> &PartialState {
        &self.kept.state
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        self.store.refuse_pieces()?;
        self.kept.content.extend_from_slice(&chunk);
        self.count();
        Ok(())
    }

    async fn hold(&mut self) -> Result<(), WriteError> {
        self.kept.hold = Some(self.kept.content.len());
        Ok(())
    }

    async fn settle(&mut self, held: Held) -> Result<(), WriteError> {
        let hold = self.kept.hold.take().unwrap();
        if held == Held::Dropped {
            self.kept.content.truncate(hold);
        }
        self.count();
        Ok(())
    }

    async fn append(&mut self, part: &mut Self) -> Result<(), WriteError> {
        let content = part.kept.content.clone();
        self.kept.content.extend_from_slice(&content);
        self.count();
        Ok(())
    }

    async fn save(&mut self, len: Option<u64>, expires: i64) -> Result<(), WriteError> {
        if len.is_some() {
            self.kept.state.spec.upload.len = len;
        }
        self.kept.state.expires = expires;
        self.show();
        Ok(())
    }

    async fn commit(&mut self, expires: i64) -> Result<Committed, WriteError> {
        self.store.refusal()?;
        let content = std::mem::take(&mut self.kept.content);
        self.store.0.specs.lock().unwrap().push(self.kept.state.spec.upload.clone());
        let made = self.store.keep_with(&self.kept.state.spec.upload, content.into());
        self.kept.state.expires = expires;
        self.kept.state.stored = Some(made.clone());
        self.show();
        Ok(made)
    }

    async fn remove(self) -> Result<(), WriteError> {
        self.store.0.shelf.all.lock().unwrap().remove(&self.id);
        self.store.0.shelf.seen.lock().unwrap().remove(&self.id);
        Ok(())
    }
}
