//! One record after the other, until all of a store path's files are back.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gateway::files::WriteError;
use protocol::client::ClientError;
use protocol::daemon::Chain;
use protocol::file_id::StorePathIndex;
use protocol::{FileId, LogicName};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::cluster::Others;
use super::list::{self, Batch};
use super::source::{Fetched, Sources, container};
use super::{Recovery, RecoveryError};
use crate::store::{Entry, Op, Recovered};

/// Records between two marks.
pub(super) const BATCH: u64 = 1000;
/// Rounds over all members before a file that none of them gives is given up.
const ROUNDS: u32 = 3;
/// Pause while no member can be reached.
const PAUSE: Duration = Duration::from_secs(2);

/// What workers share while they restore one store path.
pub(super) struct Work<'a> {
    pub(super) recovery: &'a Recovery,
    pub(super) index: StorePathIndex,
    pub(super) data: PathBuf,
    /// Members to ask, in this order.
    pub(super) members: Mutex<Vec<SocketAddr>>,
    pub(super) tally: Tally,
    /// Whether it was said that no member can be reached.
    pub(super) said_unreachable: AtomicBool,
}

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Records in all.
    pub(super) all: AtomicU64,
    /// Records dealt with.
    pub(super) done: AtomicU64,
    /// Files and links that are back.
    pub(super) restored: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// Files that were here.
    pub(super) there: AtomicU64,
    /// Files that no member has any more, or that were deleted here.
    pub(super) gone: AtomicU64,
    /// Files that are back with content that does not fit their names.
    pub(super) odd: AtomicU64,
    pub(super) failed: AtomicU64,
}

fn count(number: &AtomicU64) {
    number.fetch_add(1, Ordering::Relaxed);
}

/// What became of a record.
enum Outcome {
    Restored(u64),
    Odd(u64),
    There,
    Gone,
    Failed(String),
}

impl Work<'_> {
    /// Restores a batch with as many workers as configured. False if told to stop before its end.
    pub(super) async fn batch(
        &self,
        batch: Batch,
        workers: &mut [Sources],
        stop: &CancellationToken,
    ) -> Result<bool, RecoveryError> {
        let lines = batch.lines;
        let queue = Mutex::new(batch.records.into_iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let before = self.tally.done.load(Ordering::Relaxed);
        let work = workers.iter_mut().map(|sources| async {
            while let Some(entry) = next() {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ok(false),
                    outcome = self.restore(sources, &entry) => self.note(&entry, outcome?).await?,
                }
                count(&self.tally.done);
            }
            Ok::<_, RecoveryError>(true)
        });
        let ended = futures_util::future::try_join_all(work).await?;
        // Lines that are no records are done, too.
        self.tally.done.store(before + lines, Ordering::Relaxed);
        Ok(ended.into_iter().all(|whole| whole))
    }

    async fn note(&self, entry: &Entry, outcome: Outcome) -> Result<(), RecoveryError> {
        let tally = &self.tally;
        match outcome {
            Outcome::Restored(bytes) => {
                count(&tally.restored);
                tally.bytes.fetch_add(bytes, Ordering::Relaxed);
            }
            Outcome::Odd(bytes) => {
                warn!(name = %entry.name, bytes, "the members' content does not fit this name; it is taken as they have it");
                count(&tally.odd);
                tally.bytes.fetch_add(bytes, Ordering::Relaxed);
            }
            Outcome::There => count(&tally.there),
            Outcome::Gone => count(&tally.gone),
            Outcome::Failed(reason) => {
                error!(name = %entry.name, %reason, "a file cannot be recovered");
                count(&tally.failed);
                let (data, line) = (self.data.clone(), format!("{} {reason}", entry.name));
                super::blocking(move || list::note_failed(&data, &line)).await?;
            }
        }
        Ok(())
    }

    async fn restore(&self, sources: &mut Sources, entry: &Entry) -> Result<Outcome, RecoveryError> {
        let store = &self.recovery.store;
        if store.was_deleted(&entry.name) {
            // The member that told of it has not heard of the delete yet.
            return Ok(Outcome::Gone);
        }
        match (&entry.op, container(&entry.name)) {
            (_, Some(container)) => match self.download(sources, container, entry.time).await? {
                // With other members it may have come later, or be a file of its own.
                Outcome::There | Outcome::Gone => {
                    self.download(sources, entry.name.clone(), entry.time).await
                }
                outcome => Ok(outcome),
            },
            (Op::Link(target), None) => match store.recover_link(&entry.name, target).await {
                Ok(true) => Ok(Outcome::Restored(0)),
                Ok(false) => Ok(Outcome::There),
                Err(error) => self.own_failure(error),
            },
            (_, None) => self.download(sources, entry.name.clone(), entry.time).await,
        }
    }

    /// A failure of this node's own disk: a name that cannot be here is given up; all else stops the recovery for now.
    fn own_failure(&self, error: WriteError) -> Result<Outcome, RecoveryError> {
        match error {
            WriteError::Invalid(reason) => Ok(Outcome::Failed(reason.to_owned())),
            WriteError::NotFound => Ok(Outcome::Failed("its directory is not here".to_owned())),
            error => Err(error.into()),
        }
    }

    /// Asks one member after the other, until one has the content that fits the name.
    async fn download(
        &self,
        sources: &mut Sources,
        name: LogicName,
        time: i64,
    ) -> Result<Outcome, RecoveryError> {
        let file = FileId { group: self.recovery.store.group(), name };
        let mut reason = String::new();
        let mut round = 0;
        while round < ROUNDS {
            let members = self.members.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let mut seen = Round::default();
            for member in members {
                match sources.fetch(&self.recovery.store, member, &file).await {
                    Ok(Fetched::There) => return Ok(Outcome::There),
                    Ok(Fetched::Content(content)) if content.fits() => {
                        let (bytes, _) = content.sum();
                        let placed = content.commit(time).await?;
                        return Ok(if placed { Outcome::Restored(bytes) } else { Outcome::There });
                    }
                    Ok(Fetched::Content(content)) => seen.take_odd(content),
                    Ok(Fetched::Missing) => seen.missing = true,
                    Err(RecoveryError::Write(error)) => return self.own_failure(error),
                    Err(RecoveryError::Client(ClientError::Connect { .. })) => self.ask_last(member),
                    Err(RecoveryError::Client(ClientError::Content(error))) => {
                        return Err(RecoveryError::Content(error));
                    }
                    Err(error) => {
                        self.ask_last(member);
                        seen.refused = true;
                        reason = Chain(&error).to_string();
                    }
                }
            }
            if seen.differ {
                return Ok(Outcome::Failed("its content differs between the members".to_owned()));
            }
            if let Some(content) = seen.odd {
                let (bytes, _) = content.sum();
                content.commit(time).await?;
                return Ok(Outcome::Odd(bytes));
            }
            if seen.missing && !seen.refused {
                return Ok(Outcome::Gone);
            }
            // Members that answered may do better in a moment; those that cannot be reached are waited for.
            round += u32::from(seen.refused);
            self.look_around(!seen.refused).await;
        }
        Ok(Outcome::Failed(reason))
    }

    /// A member that failed is asked after all others from now on: its failure may take long.
    fn ask_last(&self, member: SocketAddr) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.sort_by_key(|other| *other == member);
    }

    /// Waits a moment and asks the trackers anew who serves.
    async fn look_around(&self, unreachable: bool) {
        if unreachable && !self.said_unreachable.swap(true, Ordering::Relaxed) {
            warn!("no member that has the files can be reached; waiting");
        }
        tokio::time::sleep(PAUSE).await;
        if let Ok(Others::Sources(found)) = self.recovery.others(self.index).await {
            self.said_unreachable.store(false, Ordering::Relaxed);
            *self.members.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }
}

/// What the members said about one file.
#[derive(Default)]
struct Round {
    missing: bool,
    refused: bool,
    /// Content that does not fit the name.
    odd: Option<Recovered>,
    /// Whether there were several.
    differ: bool,
}

impl Round {
    fn take_odd(&mut self, content: Recovered) {
        match &self.odd {
            Some(known) => self.differ |= known.sum() != content.sum(),
            None => self.odd = Some(content),
        }
    }
}
