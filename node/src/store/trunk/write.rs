//! Filling a slot: content first, then the binlog's record, then the header, which makes the file visible.
//!
//! A slot that is dropped before is zeroed and given back. Where anything at all stands in the way of a slot, the file
//! becomes one of its own, which is as good for whoever reads it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use gateway::files::WriteError;
use protocol::config::storage_conf::Durability;
use protocol::file_id::{StorePathIndex, TrunkSlot};
use protocol::{LogicName, Status};
use rustix::io::pwritev;
use tracing::{debug, warn};

use super::super::{Inner, StorePath, io_failed, pieces};
use super::claims::Claim;
use super::container::Container;
use super::free::Content;
use super::member::{Header, content_offset};
use super::role::{Return, Space, TrunkClient};
use super::server;
use super::slot::{Slot, container};

/// Who gave the slot.
#[derive(Clone)]
enum Giver {
    Own,
    Member(Arc<dyn TrunkClient>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is a file in it.
    Occupied,
    /// Held by the trunk server for this upload.
    Held,
    /// The upload's own, by the trunk server's log.
    Owned,
    /// A file's.
    Filled,
}

/// A slot on its way to be a file.
pub(in super::super) struct Draft {
    store: Arc<Inner>,
    /// None until it is opened.
    container: Option<Arc<Container>>,
    slot: Slot,
    giver: Giver,
    state: State,
    /// Bytes of content.
    len: u32,
    /// Nobody else writes there meanwhile.
    claim: Option<Claim>,
}

impl Draft {
    /// A slot of this node's own, if it is the trunk server and the content belongs into one. Blocking.
    pub(in super::super) fn own(store: &Arc<Inner>, path: StorePathIndex, content: u64) -> Option<Self> {
        let need = store.trunk.rules().need(content)?;
        match server::give(store, path, need)? {
            Ok((slot, container)) => {
                let claim = store.trunk.claims.claim(&slot);
                if claim.is_none() || !container.has_no_header(slot.at).unwrap_or(false) {
                    // Of the file that was there before something came late.
                    if let Some(server) = store.trunk.server().as_mut() {
                        let _ = server.confirm(store, &slot, Status::EEXIST);
                    }
                    return None;
                }
                let (store, giver, container) = (Arc::clone(store), Giver::Own, Some(container));
                Some(Self { store, container, slot, giver, state: State::Held, len: 0, claim })
            }
            Err(status) => {
                debug!(%status, "no slot in a trunk file; the file becomes one of its own");
                None
            }
        }
    }

    /// A slot that the trunk server has given.
    pub(in super::super) fn of_member(store: &Arc<Inner>, giver: Arc<dyn TrunkClient>, slot: Slot) -> Self {
        let (store, giver) = (Arc::clone(store), Giver::Member(giver));
        Self { store, container: None, slot, giver, state: State::Held, len: 0, claim: None }
    }

    /// Opens the trunk file, and looks whether there is a file in the slot: then it is not for this one. Blocking.
    pub(in super::super) fn open(&mut self) -> io::Result<()> {
        let path = self.store.path(self.slot.path).ok_or(io::ErrorKind::NotFound)?;
        let container = ensure(&self.store, path, &self.slot)?;
        self.claim = self.store.trunk.claims.claim(&self.slot);
        if self.claim.is_some() && container.is_zero(self.slot.at)? {
            self.container = Some(container);
            return Ok(());
        }
        self.claim = None;
        self.state = State::Occupied;
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn container(&self) -> Result<&Container, WriteError> {
        self.container.as_deref().ok_or(WriteError::Invalid("the slot is not open"))
    }

    pub(in super::super) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// Bytes of content.
    pub(in super::super) fn len(&self) -> u32 {
        self.len
    }

    /// Appends content. Blocking.
    pub(in super::super) fn write(&mut self, content: &[Bytes]) -> Result<(), WriteError> {
        let added: u64 = content.iter().map(|piece| piece.len() as u64).sum();
        let len = u32::try_from(u64::from(self.len) + added).ok().filter(|len| *len <= self.slot.room());
        let len = len.ok_or(WriteError::Invalid("more content than was announced"))?;
        let at = content_offset(self.slot.at) + u64::from(self.len);
        write_at(self.container()?, content, at).map_err(|error| io_failed("writing a file", error))?;
        self.len = len;
        Ok(())
    }

    /// Puts the content on the disk, if that is wanted. Blocking.
    pub(in super::super) fn sync(&self, durability: Durability) -> Result<(), WriteError> {
        self.container()?.sync(durability).map_err(|error| io_failed("syncing a trunk file", error))
    }

    /// Writes the header, which makes the file visible. Blocking.
    pub(in super::super) fn publish(&mut self, name: &LogicName) -> Result<(), WriteError> {
        let header = Header::of(name, self.slot.at).ok_or(WriteError::Invalid("no name of a trunk file"))?;
        let at = u64::from(self.slot.at.offset);
        let written = self.container()?.file.write_all_at(&header.encode(), at);
        written.map_err(|error| io_failed("writing the header of a slot", error))?;
        if self.state == State::Held
            && let Some(server) = self.store.trunk.server().as_mut()
            && let Err(status) = server.confirm(&self.store, &self.slot, Status::OK)
        {
            // Taken from the free space already when this node lost the role and got it back.
            debug!(slot = ?self.slot, %status, "a slot is in use that was not held");
        }
        self.state = State::Filled;
        Ok(())
    }

    /// Makes sure that the trunk server gives the slot to nobody else, whatever becomes of this node and of it.
    pub(in super::super) async fn own_it(&mut self) -> Result<(), Status> {
        if let Giver::Member(giver) = &self.giver
            && self.state == State::Held
        {
            giver.confirm(self.slot, Status::OK).await?;
            self.state = State::Owned;
        }
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.state == State::Filled {
            return;
        }
        let Some(path) = self.store.path(self.slot.path) else { return };
        let (store, slot, giver, state) =
            (Arc::clone(&self.store), self.slot, self.giver.clone(), self.state);
        let Some(container) = self.container.take() else {
            return give_back(&store, giver, slot, state, Content::Unknown);
        };
        let claim = self.claim.take();
        path.pool.run_detached(move || {
            let zeroed = container.zero(slot.at);
            drop(claim);
            if let Err(error) = &zeroed {
                warn!(container = slot.container(), %error, "what was written of a file cannot be removed");
            }
            let content = zeroed.map_or(Content::Unknown, |()| Content::Zeros);
            give_back(&store, giver, slot, state, content);
        });
    }
}

fn give_back(store: &Inner, giver: Giver, slot: Slot, state: State, content: Content) {
    match (giver, state) {
        (Giver::Own, _) => {
            if let Some(server) = store.trunk.server().as_mut() {
                server.give_back(&slot, content);
            }
        }
        (Giver::Member(giver), State::Owned) => store.trunk.give_back(giver, slot, Return::Free),
        (Giver::Member(giver), State::Occupied) => store.trunk.give_back(giver, slot, Return::Occupied),
        (Giver::Member(giver), _) => store.trunk.give_back(giver, slot, Return::Unused),
    }
}

/// Writes a file that another member sent into the slot of its name; false if there is something in it, or the content
/// is not what the name says. Blocking.
pub(in super::super) fn replicate(
    store: &Inner,
    path: &Arc<StorePath>,
    name: &LogicName,
    at: TrunkSlot,
    len: u64,
    fill: impl FnOnce(&Container, u64) -> io::Result<()>,
) -> Result<bool, WriteError> {
    let failed = |error| io_failed("writing into a trunk file", error);
    let slot = Slot { path: name.store_path(), dir: name.sub_dir(), at };
    let Some(header) = Header::of(name, at) else { return Ok(false) };
    let is_whole = u64::from(header.len) == len && header.len <= slot.room();
    if !is_whole || slot.end() > u64::from(i32::MAX.unsigned_abs()) {
        return Ok(false);
    }
    let container = ensure(store, path, &slot).map_err(failed)?;
    let Some(_claim) = store.trunk.claims.claim(&slot) else { return Ok(false) };
    if !container.is_zero(at).map_err(failed)? {
        return Ok(false);
    }
    fill(&container, content_offset(at)).map_err(failed)?;
    container.sync(store.durability).map_err(failed)?;
    container.file.write_all_at(&header.encode(), at.offset.into()).map_err(failed)?;
    container.sync(store.durability).map_err(failed)?;
    Ok(true)
}

/// Copies all of a file to an offset. Blocking.
pub(in super::super) fn copy(from: &File, to: &Container, at: u64, len: u64) -> io::Result<()> {
    const PIECE: u64 = 256 * 1024;
    let (mut piece, mut done) = (Vec::new(), 0);
    while done < len {
        piece.resize(usize::try_from(PIECE.min(len - done)).unwrap_or(0), 0);
        from.read_exact_at(&mut piece, done)?;
        to.file.write_all_at(&piece, at + done)?;
        done += piece.len() as u64;
    }
    Ok(())
}

/// Frees the slot of a file that was deleted here. Blocking.
pub(in super::super) fn release(store: &Inner, name: &LogicName, at: TrunkSlot) {
    let slot = Slot { path: name.store_path(), dir: name.sub_dir(), at };
    match store.trunk.space() {
        Space::Own => {
            if let Some(server) = store.trunk.server().as_mut()
                && let Err(status) = server.free(store, &slot, Content::Zeros)
            {
                warn!(%name, %status, "the space of a deleted file is not free");
            }
            store.trunk.log.write_waiting();
        }
        Space::Member(server) => store.trunk.give_back(server, slot, Return::Free),
        Space::Nobody => warn!(%name, "no trunk server is known; the space of a deleted file is lost"),
    }
}

/// Writes pieces one after the other. Blocking.
fn write_at(container: &Container, content: &[Bytes], mut at: u64) -> io::Result<()> {
    if let [one] = content {
        return container.file.write_all_at(one, at);
    }
    pieces::write_all(content, |slices| {
        let written = pwritev(&container.file, slices, at)?;
        at += written as u64;
        Ok(written)
    })
}

/// Opens the trunk file of a slot, which is made or made longer if need be. Blocking.
fn ensure(store: &Inner, path: &StorePath, slot: &Slot) -> io::Result<Arc<Container>> {
    let opened = path.containers.open(&path.dir, slot.dir, slot.at.file_id);
    let container = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(store, path, slot)?,
        outcome => outcome?,
    };
    let rules = store.trunk.rules();
    let len = if rules.is_on { slot.end().max(rules.file_size.into()) } else { slot.end() };
    container.extend(len)?;
    Ok(container)
}

fn make(store: &Inner, path: &StorePath, slot: &Slot) -> io::Result<Arc<Container>> {
    let name = container(slot.dir, slot.at.file_id);
    let made = match path.dir.create(&name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.dir.make_sub_dir(&slot.dir)?;
            path.dir.create(&name)
        }
        outcome => outcome,
    };
    match made {
        // Another thread was first.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            path.containers.open(&path.dir, slot.dir, slot.at.file_id)
        }
        outcome => {
            let file = outcome?;
            if store.durability == Durability::Fsync {
                path.dir.sync_parent(&name)?;
            }
            path.containers.keep((slot.dir, slot.at.file_id), file)
        }
    }
}
