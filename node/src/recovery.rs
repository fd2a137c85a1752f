//! Disk recovery: the files of a store path whose disk was replaced come back from another member.
//!
//! It runs before the node joins: to the trackers the node is in recovery, so that nobody sends it clients or replicas,
//! while it serves what it has to those who ask. A member tells what the store path held, and each file is downloaded to
//! its place. `.recovery.flag`, `.binlog.recovery.N` and `.recovery.mark.N` beside the files say how far it is, so that a
//! kill loses at most the work since the last mark. What the own binlog does not know gets a record. What changed meanwhile comes by replication after the join.

mod cluster;
mod list;
mod record;
mod restore;
mod source;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use gateway::files::WriteError;
use protocol::StorageId;
use protocol::client::{ClientError, ClientLimits, Pool};
use protocol::cluster::{Brief, StorageStatus};
use protocol::config::StorageConf;
use protocol::daemon::Chain;
use protocol::file_id::StorePathIndex;
use protocol::sync::{FetchPathBinlog, PathBinlogBody};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::peers::Peers;
use crate::store::{RecoveryFlag, Store, StoreError};
use crate::view::{Standing, View};
use cluster::{Cluster, Others};
use list::{List, NewList, Of};
use restore::{BATCH, Tally, Work};
use source::Sources;

/// Pause before a failed step is tried again, and while nobody serves.
const PAUSE: Duration = Duration::from_secs(5);
/// Times that trackers who know neither this node nor its group are asked again: they may have just started.
const DOUBTS: u32 = 6;
/// The name under which the state of the recovery stands beside those of the trackers.
const STANDING: &str = "recovery";
/// Least time between two marks: for each, all that was written has to be on the disk.
const MARK: Duration = Duration::from_secs(2);
/// Least time between two words about progress.
const TELL: Duration = Duration::from_secs(1);
const LOG: Duration = Duration::from_secs(30);

/// Why a recovery does not go on. It is tried again, from where it is.
#[derive(Debug, Error)]
pub(crate) enum RecoveryError {
    /// A tracker or member cannot be reached, refuses, or talks nonsense.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The own disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The own disk, while content is written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The same, on its way from a member.
    #[error("writing what a member sends failed")]
    Content(#[source] std::io::Error),
    /// A member's list broke off.
    #[error("{0} broke off the list of the store path's files")]
    Torn(SocketAddr),
    /// Wait.
    #[error("no member that has the files serves now")]
    Away,
    /// A job was lost.
    #[error("a job of the recovery was lost")]
    Lost,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Done,
    Stopped,
}

/// The recovery of a node's store paths.
pub(crate) struct Recovery {
    store: Store,
    view: View,
    /// Told here, so that reads of files that are not back yet find the members.
    peers: Peers,
    cluster: Cluster,
    limits: ClientLimits,
    threads: usize,
    own: OnceLock<StorageId>,
}

impl Recovery {
    pub(crate) fn new(
        store: &Store,
        view: &View,
        peers: &Peers,
        conf: &StorageConf,
        limits: &ClientLimits,
    ) -> Self {
        let pool = Pool::new(limits.clone());
        Self {
            store: store.clone(),
            view: view.clone(),
            peers: peers.clone(),
            cluster: Cluster::new(&conf.tracker_servers, &pool, store.group(), conf.daemon.port()),
            limits: limits.clone(),
            threads: usize::try_from(conf.disk_threads.disk_recovery_threads).unwrap_or(1).max(1),
            own: OnceLock::new(),
        }
    }

    fn own(&self) -> Option<StorageId> {
        self.own.get().copied()
    }

    /// Who can give the files of a store path now.
    async fn others(&self, index: StorePathIndex) -> Result<Others, RecoveryError> {
        let (others, members) = self.cluster.others(index, self.own()).await?;
        // What this node knows better nobody is told: it has not joined.
        self.peers.hear(&members);
        Ok(others)
    }

    /// Recovers all store paths that need it; ends when they are whole or `stop` is cancelled.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        for index in self.store.paths_to_recover() {
            self.tell(*index, "waits for a tracker");
            if self.run_path(*index, stop).await == Ended::Stopped {
                return;
            }
        }
        self.view.forget_standing(STANDING);
    }

    async fn run_path(&self, index: StorePathIndex, stop: &CancellationToken) -> Ended {
        let Some(data) = self.store.data_dir(index) else { return Ended::Done };
        let mut said = String::new();
        let mut doubts = 0;
        loop {
            match self.attempt(index, &data, &mut doubts, stop).await {
                Ok(ended) => return ended,
                Err(error) => {
                    let text = Chain(&error).to_string();
                    self.tell(index, &text);
                    if text != said {
                        warn!(store_path = %index, error = %text, "the recovery of a store path waits, trying again");
                        said = text;
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => return Ended::Stopped,
            }
        }
    }

    fn tell(&self, index: StorePathIndex, what: &str) {
        let text = format!("recovering store path {}: {what}", index.0);
        self.view.set_standing(STANDING, Standing::Waiting(text));
    }

    /// One go, from what an earlier one left.
    async fn attempt(
        &self,
        index: StorePathIndex,
        data: &Path,
        doubts: &mut u32,
        stop: &CancellationToken,
    ) -> Result<Ended, RecoveryError> {
        let load = data.to_owned();
        let Some(mut flag) = blocking(move || RecoveryFlag::load(&load)).await? else {
            return Ok(Ended::Done);
        };
        let own = self.cluster.own().await?;
        if let Some(id) = own.and_then(|brief| brief.id) {
            let _ = self.own.set(id);
            self.peers.set_own(id);
        }
        let mut members = match self.others(index).await? {
            Others::Sources(members) => members,
            Others::Away => return Err(RecoveryError::Away),
            Others::Nobody(_) if own.is_none() && *doubts < DOUBTS => {
                *doubts += 1;
                return Err(RecoveryError::Away);
            }
            Others::Nobody(reason) => {
                error!(store_path = %index, %reason, "the files of a store path cannot be recovered: nobody has them");
                self.end(index, data, None).await?;
                return Ok(Ended::Done);
            }
        };
        if let Some(own) = &own {
            if flag.files.is_none() && own.status != StorageStatus::RECOVERY {
                flag.saved_status = own.status;
                self.save(data, flag).await?;
            }
            self.cluster.report(own, StorageStatus::RECOVERY).await?;
        }
        let source = match flag.files.filter(|files| list::are_there(data, *files)) {
            // Whose list it is was not kept; and a list of FastDFS's making has left no records.
            Some(files) => {
                self.record(index, data, files).await?;
                None
            }
            None => {
                flag.files = None;
                self.save(data, flag).await?;
                let Some(source) = self.fetch_list(index, data, &members, stop).await? else {
                    return Ok(Ended::Stopped);
                };
                flag.files = Some(1);
                self.save(data, flag).await?;
                Some(source)
            }
        };
        members.sort_by_key(|member| Some(*member) != source);
        if self.restore(index, data, flag, &members, stop).await? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        for member in members.iter().filter(|member| Some(**member) != source) {
            if self.complete(index, data, flag, *member, &members, stop).await? == Ended::Stopped {
                return Ok(Ended::Stopped);
            }
        }
        if self.complete_by_binlog(index, data, flag, &members, stop).await? == Ended::Stopped {
            return Ok(Ended::Stopped);
        }
        self.end(index, data, own.map(|own| (own, flag.saved_status))).await?;
        Ok(Ended::Done)
    }

    /// Asks for what the own binlog knows and nobody told of: members of FastDFS do not tell of files that came to them
    /// whole as updates, which is how some files go there.
    async fn complete_by_binlog(
        &self,
        index: StorePathIndex,
        data: &Path,
        mut flag: RecoveryFlag,
        members: &[SocketAddr],
        stop: &CancellationToken,
    ) -> Result<Ended, RecoveryError> {
        flag.files = None;
        self.save(data, flag).await?;
        let (store, create) = (self.store.clone(), data.to_owned());
        let records = blocking(move || list::of_own_binlog(&store, index, &create)).await?;
        if records == 0 {
            return Ok(Ended::Done);
        }
        info!(store_path = %index, records, "asking for what only the own binlog knows of the store path");
        flag.files = Some(1);
        self.save(data, flag).await?;
        self.restore(index, data, flag, members, stop).await
    }

    /// Gets what another member has besides. Members send a file to each of the others once: the one that gave the first
    /// list may lag behind one that had sent a file here already, and will not send it again.
    async fn complete(
        &self,
        index: StorePathIndex,
        data: &Path,
        mut flag: RecoveryFlag,
        member: SocketAddr,
        members: &[SocketAddr],
        stop: &CancellationToken,
    ) -> Result<Ended, RecoveryError> {
        flag.files = None;
        self.save(data, flag).await?;
        self.tell(index, &format!("getting the list of the files that {member} has besides"));
        let fetched = tokio::select! {
            fetched = self.fetch_list_from(index, data, member, Of::MissingFiles) => fetched,
            () = stop.cancelled() => return Ok(Ended::Stopped),
        };
        match fetched {
            Ok((0, _)) => Ok(Ended::Done),
            Ok((records, _)) => {
                info!(store_path = %index, source = %member, records, "another member has more files of the store path");
                flag.files = Some(1);
                self.save(data, flag).await?;
                self.restore(index, data, flag, members, stop).await
            }
            Err(error) => {
                // What it has besides can be read from it; the store path is as whole as one member has it.
                warn!(store_path = %index, source = %member, error = %Chain(&error), "no list of what this member has besides");
                Ok(Ended::Done)
            }
        }
    }

    async fn save(&self, data: &Path, flag: RecoveryFlag) -> Result<(), RecoveryError> {
        let data = data.to_owned();
        blocking(move || flag.save(&data)).await
    }

    /// Gets the list of the store path's files from the first member that gives a whole one; `None` if told to stop.
    async fn fetch_list(
        &self,
        index: StorePathIndex,
        data: &Path,
        members: &[SocketAddr],
        stop: &CancellationToken,
    ) -> Result<Option<SocketAddr>, RecoveryError> {
        let mut last = RecoveryError::Away;
        for member in members {
            self.tell(index, &format!("getting the list of its files from {member}"));
            let fetched = tokio::select! {
                fetched = self.fetch_list_from(index, data, *member, Of::AllFiles) => fetched,
                () = stop.cancelled() => return Ok(None),
            };
            match fetched {
                Ok((records, skipped)) => {
                    info!(store_path = %index, source = %member, records, skipped, "the list of the store path's files is here");
                    return Ok(Some(*member));
                }
                Err(error) => {
                    warn!(store_path = %index, source = %member, error = %Chain(&error), "no list of the store path's files");
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn fetch_list_from(
        &self,
        index: StorePathIndex,
        data: &Path,
        member: SocketAddr,
        of: Of,
    ) -> Result<(u64, u64), RecoveryError> {
        let request = FetchPathBinlog { group: self.store.group(), path: index };
        let connection = source::ask_records(&self.limits, member, request).await?;
        let create = data.to_owned();
        let new = blocking(move || NewList::create(&create, of)).await?;
        let state = Arc::new(Mutex::new((PathBinlogBody::default(), new)));
        let take = |piece: bytes::Bytes| {
            let state = Arc::clone(&state);
            async move {
                let taken = tokio::task::spawn_blocking(move || {
                    let (body, new) = &mut *state.lock().unwrap_or_else(PoisonError::into_inner);
                    let mut text = Vec::new();
                    body.take(&piece, &mut text);
                    new.take(&text)
                });
                taken.await.map_err(std::io::Error::other)?
            }
        };
        source::stream_records(&self.limits, connection, take).await?;
        let state = Arc::into_inner(state).ok_or(RecoveryError::Lost)?;
        let (body, new) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if body.finish().is_none() {
            return Err(RecoveryError::Torn(member));
        }
        let counts = blocking(move || new.finish()).await?;
        self.record(index, data, 1).await?;
        Ok(counts)
    }

    /// Records what members told and the own binlog does not know.
    async fn record(&self, index: StorePathIndex, data: &Path, lists: u32) -> Result<(), RecoveryError> {
        let (store, data) = (self.store.clone(), data.to_owned());
        let records = blocking(move || record::record_unknown(&store, index, &data, lists)).await?;
        if records > 0 {
            info!(store_path = %index, records, "recorded files of which the binlog did not know");
        }
        Ok(())
    }

    /// Works off the lists.
    async fn restore(
        &self,
        index: StorePathIndex,
        data: &Path,
        flag: RecoveryFlag,
        members: &[SocketAddr],
        stop: &CancellationToken,
    ) -> Result<Ended, RecoveryError> {
        let mut lists = Vec::new();
        let tally = Tally::default();
        for number in 0..flag.files.unwrap_or(0) {
            let path = data.to_owned();
            let (list, done, all) = blocking(move || List::open(&path, number)).await?;
            tally.done.fetch_add(done, Ordering::Relaxed);
            tally.all.fetch_add(all, Ordering::Relaxed);
            lists.push(list);
        }
        let work = Work {
            recovery: self,
            index,
            data: data.to_owned(),
            members: Mutex::new(members.to_vec()),
            tally,
            said_unreachable: AtomicBool::new(false),
        };
        let told = async {
            let mut logged = Instant::now();
            loop {
                let text = progress(&work.tally);
                self.tell(index, &text);
                if logged.elapsed() >= LOG {
                    info!(store_path = %index, progress = text, "recovering");
                    logged = Instant::now();
                }
                tokio::time::sleep(TELL).await;
            }
        };
        let ended = tokio::select! {
            ended = self.work_off(&work, lists, stop) => ended?,
            () = told => Ended::Stopped,
        };
        if ended == Ended::Done {
            say_end(index, &work.tally, &list::failed_path(data));
        }
        Ok(ended)
    }

    async fn work_off(
        &self,
        work: &Work<'_>,
        lists: Vec<List>,
        stop: &CancellationToken,
    ) -> Result<Ended, RecoveryError> {
        let worker = |_| Sources::new(self.limits.clone(), self.own());
        let mut workers: Vec<Sources> = (0..self.threads).map(worker).collect();
        for mut list in lists {
            let mut marked = Instant::now();
            loop {
                let (back, batch) = blocking(move || {
                    let batch = list.next(BATCH)?;
                    Ok((list, batch))
                })
                .await?;
                list = back;
                let Some(batch) = batch else { break };
                let end = batch.end;
                if !work.batch(batch, &mut workers, stop).await? {
                    return Ok(Ended::Stopped);
                }
                if marked.elapsed() < MARK {
                    continue;
                }
                // The mark must not be on the disk before the files are.
                self.store.sync_path(work.index).await?;
                list = blocking(move || {
                    list.mark(end)?;
                    Ok(list)
                })
                .await?;
                marked = Instant::now();
            }
        }
        Ok(Ended::Done)
    }

    /// The store path is as whole as it gets: tells the trackers, and forgets that it was not.
    async fn end(
        &self,
        index: StorePathIndex,
        data: &Path,
        own: Option<(Brief, StorageStatus)>,
    ) -> Result<(), RecoveryError> {
        self.store.sync_path(index).await?;
        if let Some((own, saved)) = own {
            self.cluster.report(&own, saved).await?;
        }
        let data: PathBuf = data.to_owned();
        blocking(move || {
            RecoveryFlag::remove(&data)?;
            list::remove(&data)
        })
        .await
    }
}

fn progress(tally: &Tally) -> String {
    let (done, all) = (tally.done.load(Ordering::Relaxed), tally.all.load(Ordering::Relaxed));
    format!("{done} of {all} files")
}

fn say_end(index: StorePathIndex, tally: &Tally, failed_path: &Path) {
    let number = |number: &std::sync::atomic::AtomicU64| number.load(Ordering::Relaxed);
    let (restored, bytes) = (number(&tally.restored), number(&tally.bytes));
    let (there, gone, odd, failed) =
        (number(&tally.there), number(&tally.gone), number(&tally.odd), number(&tally.failed));
    info!(store_path = %index, restored, bytes, there, gone, odd, failed, "the store path is recovered");
    if failed > 0 {
        error!(
            store_path = %index, failed, list = %failed_path.display(),
            "some files could not be recovered from any member"
        );
    }
}

/// Runs a job that waits for the disk off the async threads.
async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, RecoveryError> {
    tokio::task::spawn_blocking(job).await.map_err(|_| RecoveryError::Lost)?.map_err(RecoveryError::Store)
}
