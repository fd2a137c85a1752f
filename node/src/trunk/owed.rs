//! Slots of files that were deleted while no trunk server answered: told once one does, or when this node is it. They
//! are remembered in memory only; what a stop loses is free space.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::Status;

use super::Shared;
use crate::store::Slot;

/// More are not remembered.
const MAX: usize = 100_000;
/// Told in one go.
const AT_ONCE: usize = 1000;

/// The slots.
#[derive(Default)]
pub(super) struct Owed(Mutex<VecDeque<Slot>>);

impl Owed {
    fn slots(&self) -> MutexGuard<'_, VecDeque<Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers one.
    pub(super) fn add(&self, slot: Slot) {
        let mut slots = self.slots();
        if slots.len() < MAX {
            slots.push_back(slot);
        }
    }

    /// Tells whoever gives out slots now, until one does not arrive.
    pub(super) async fn pay(&self, shared: &Shared) {
        for _ in 0..AT_ONCE {
            let Some(slot) = self.slots().pop_front() else { return };
            match free(shared, slot).await {
                // What it does not take, it never will.
                Ok(()) | Err(Status::EEXIST | Status::ENOENT) => {}
                Err(_) => {
                    self.slots().push_front(slot);
                    return;
                }
            }
        }
    }
}

async fn free(shared: &Shared, slot: Slot) -> Result<(), Status> {
    let trunk = shared.store.trunk();
    if trunk.is_server() {
        let job = tokio::task::spawn_blocking(move || trunk.free(&slot));
        return match job.await.unwrap_or(Err(Status::EIO)) {
            // It is on a store path that is not there any more.
            Err(Status::EINVAL) => Ok(()),
            freed => freed,
        };
    }
    match shared.remote() {
        Some(remote) => remote.free(&slot).await,
        None => Err(Status::EAGAIN),
    }
}
