//! Slots of another member, the trunk server. One that does not answer is left alone for a while: the store makes files
//! of their own meanwhile, and clients do not wait.

use std::future::ready;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use protocol::client::{ClientError, StorageClient};
use protocol::file_id::StorePathIndex;
use protocol::trunk::{AllocateSpace, ConfirmSpace, FreeSpace, SpaceUse, TrunkSpace};
use protocol::wire::Empty;
use protocol::{GroupName, Status};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::owed::Owed;
use super::{slot_of, space_of};
use crate::store::{Slot, TrunkClient};

/// How long a trunk server that did not answer is not asked.
const PAUSE: Duration = Duration::from_secs(5);
/// Tries to say what became of a slot.
const TRIES: usize = 2;

/// The trunk server.
pub(super) struct RemoteServer {
    at: SocketAddr,
    group: GroupName,
    client: StorageClient,
    /// Set while it does not answer: when to ask it again.
    silent: Mutex<Option<Instant>>,
    owed: Arc<Owed>,
}

impl RemoteServer {
    pub(super) fn new(at: SocketAddr, group: GroupName, client: StorageClient, owed: Arc<Owed>) -> Self {
        Self { at, group, client, silent: Mutex::default(), owed }
    }

    fn may_ask(&self) -> Result<(), Status> {
        let silent = *self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if silent.is_some_and(|until| Instant::now() < until) { Err(Status::EAGAIN) } else { Ok(()) }
    }

    /// Takes note of whether it answers; says so once.
    fn note<A>(&self, outcome: Result<A, ClientError>) -> Result<A, Status> {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        // A trunk server that does not know that it is one answers `EINVAL`.
        let failed = match &outcome {
            Ok(_) => None,
            Err(error) if error.status().is_some_and(|status| status != Status::EINVAL) => None,
            Err(error) => Some(error),
        };
        match failed {
            None => {
                if silent.take().is_some() {
                    info!(trunk_server = %self.at, "the trunk server answers again");
                }
            }
            Some(error) => {
                let is_news = silent.replace(Instant::now() + PAUSE).is_none();
                if is_news {
                    warn!(trunk_server = %self.at, %error, "the trunk server gives no slots; small files are files of their own meanwhile");
                }
            }
        }
        outcome.map_err(|error| error.status().unwrap_or(Status::EAGAIN))
    }

    async fn allocate(&self, path: StorePathIndex, need: u32) -> Result<Slot, Status> {
        self.may_ask()?;
        let request = AllocateSpace { group: self.group, size: need, path };
        let answer = self.client.call::<_, TrunkSpace>(self.at, &request).await;
        let space = self.note(answer)?;
        if space.path != path || space.slot.size < need {
            warn!(trunk_server = %self.at, ?space, need, "the trunk server gives a slot that nobody asked for");
            return Err(Status::EINVAL);
        }
        Ok(slot_of(&space))
    }

    /// A lost word would leave the slot to nobody, so it is said again on another connection.
    async fn confirm(&self, slot: &Slot, outcome: Status) -> Result<(), Status> {
        let request = ConfirmSpace { group: self.group, space: space_of(slot) };
        let mut last = Status::EAGAIN;
        for nth in 0..TRIES {
            let said = self.client.confirm_space(self.at, &request, SpaceUse::of(outcome)).await;
            match said {
                Ok(Empty) => return Ok(()),
                // It heard it the first time.
                Err(error) if nth > 0 && error.status() == Some(Status::ENOENT) => return Ok(()),
                Err(error) => {
                    debug!(trunk_server = %self.at, %error, "a slot is not confirmed");
                    let is_final = error.status().is_some();
                    last = error.status().unwrap_or(Status::EAGAIN);
                    if is_final {
                        break;
                    }
                }
            }
        }
        Err(last)
    }

    /// Says that a slot is free again; one that it knows of has been said before.
    pub(super) async fn free(&self, slot: &Slot) -> Result<(), Status> {
        self.may_ask()?;
        let request = FreeSpace { group: self.group, space: space_of(slot) };
        match self.note(self.client.call::<_, Empty>(self.at, &request).await) {
            Ok(Empty) | Err(Status::EEXIST) => Ok(()),
            Err(status) => Err(status),
        }
    }
}

impl TrunkClient for RemoteServer {
    fn allocate(&self, path: StorePathIndex, need: u32) -> BoxFuture<'_, Result<Slot, Status>> {
        self.allocate(path, need).boxed()
    }

    fn confirm(&self, slot: Slot, outcome: Status) -> BoxFuture<'_, Result<(), Status>> {
        async move { self.confirm(&slot, outcome).await }.boxed()
    }

    fn free(&self, slot: Slot) -> BoxFuture<'_, Result<(), Status>> {
        async move {
            // What does not arrive now is said later.
            if self.free(&slot).await.is_err() {
                self.owed.add(slot);
            }
            Ok(())
        }
        .boxed()
    }
}

/// Nobody gives out slots now. What is deleted meanwhile is remembered.
pub(super) struct Absent(pub(super) Arc<Owed>);

impl TrunkClient for Absent {
    fn allocate(&self, _: StorePathIndex, _: u32) -> BoxFuture<'_, Result<Slot, Status>> {
        ready(Err(Status::EAGAIN)).boxed()
    }

    fn confirm(&self, _: Slot, _: Status) -> BoxFuture<'_, Result<(), Status>> {
        ready(Err(Status::EAGAIN)).boxed()
    }

    fn free(&self, slot: Slot) -> BoxFuture<'_, Result<(), Status>> {
        self.0.add(slot);
        ready(Ok(())).boxed()
    }
}
