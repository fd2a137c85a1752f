//! The store on disk: store paths, names, binlog, in FastDFS's layout.
//!
//! Commit is the only door: content is written to a temporary file, gets its final name without replacing another, and
//! is recorded in the binlog, in that order; then the caller hears of it. Blocking work runs on the store path's own
//! threads; reads that the kernel answers from memory do not leave the caller's thread.

mod alter;
mod binlog;
mod change;
mod counters;
mod data_dir;
mod error;
mod expiry;
mod in_place;
mod incoming;
mod init_flag;
mod keyed;
mod layout;
mod lines;
pub(crate) mod locks;
mod marks;
mod metadata;
mod name_maker;
mod orphans;
mod outgoing;
mod partial;
mod path_marks;
mod path_records;
mod pieces;
mod pool;
mod publish;
mod read;
mod recent_deletes;
mod recovered;
mod recovery_flag;
mod shelves;
mod space;
mod spool;
pub(crate) mod state_text;
mod temporary;
mod trunk;
mod under_change;
mod upload;

pub use alter::LinkSpec;
pub use binlog::BinlogPosition;
pub(crate) use binlog::{BinlogReader, Entry, Op, Side};
pub use change::Change;
pub use counters::{Counters, Tally};
pub use error::{ReadError, StoreError};
pub use in_place::Spare;
pub use incoming::{Begun, IncomingFile, IncomingMode, IncomingPart, Outcome, PartMode, Receive};
pub use init_flag::InitFlag;
pub(crate) use keyed::print_position;
pub(crate) use outgoing::Outgoing;
pub use partial::Partial;
pub(crate) use path_records::{PathRecords, Piece};
pub use read::{CrcWanted, SmallRead, StoredInfo};
pub(crate) use recovered::Recovered;
pub(crate) use recovery_flag::RecoveryFlag;
pub use shelves::Reader;
pub(crate) use spool::Spool;
pub use trunk::{Slot, SlotRules, Trunk, TrunkClient};
pub use upload::Upload;

use std::fs::File;
use std::net::IpAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;

use gateway::files::WriteError;
use gateway::partials::PartialId;
use protocol::cluster::PathSpace;
use protocol::config::params::{ClusterParams, StorePathChoice};
use protocol::config::storage_conf::Durability;
use protocol::config::{ReservedSpace, StorageConf};
use protocol::file_id::{Source, StorePathIndex};
use protocol::{GroupName, LogicName};
use tokio::sync::watch;

use binlog::{Announced, Binlog, Record};
use data_dir::DataDir;
use expiry::Expiry;
use locks::{FileLocks, Locks};
use name_maker::NameMaker;
use recent_deletes::RecentDeletes;
use shelves::{Shelves, StorePath};
use trunk::TrunkState;

/// Who this node is in the names that it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What new names carry.
    pub source: Source,
    /// Own addresses, as trackers see them.
    pub addresses: Vec<IpAddr>,
}

struct Inner {
    group: GroupName,
    /// The store paths, and all that reading needs.
    reader: Reader,
    /// `<base_path>/data`, which holds the state files.
    base_data: PathBuf,
    names: NameMaker,
    binlog: Binlog,
    deletes: RecentDeletes,
    expiry: Expiry,
    locks: FileLocks,
    partials: Locks<PartialId>,
    identity: RwLock<Option<Identity>>,
    rules: RwLock<Rules>,
    init_flag: Mutex<InitFlag>,
    durability: Durability,
    trunk: TrunkState,
    /// Store paths whose disk was replaced.
    to_recover: Vec<StorePathIndex>,
}

/// What the trackers say about space.
#[derive(Debug, Clone, Copy)]
struct Rules {
    reserved: ReservedSpace,
    choice: StorePathChoice,
}

/// A node's store. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

impl Store {
    /// Opens the store, blocking: makes and checks directories and path marks, repairs the binlog's tail, loads the
    /// counters, starts the threads. The caller holds the lock of the base path.
    pub fn open(conf: &StorageConf, now: SystemTime) -> Result<Self, StoreError> {
        layout::open(conf, now).map(|inner| Self(Arc::new(inner)))
    }

    /// Own name source and addresses, known once a tracker answered. Before that nothing can be uploaded.
    pub fn set_identity(&self, identity: Identity) -> Result<(), StoreError> {
        let addresses: Vec<String> = identity.addresses.iter().map(IpAddr::to_string).collect();
        let addresses = addresses.join(",");
        if self.init_flag().last_ip_addr != addresses {
            self.update_init_flag(|flag| flag.last_ip_addr = addresses)?;
        }
        *self.0.identity.write().unwrap_or_else(PoisonError::into_inner) = Some(identity);
        Ok(())
    }

    /// Who this node is, once known.
    pub fn identity(&self) -> Option<Identity> {
        self.0.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes reserved space and the choice of the store path from the trackers' parameters.
    pub fn set_params(&self, params: &ClusterParams) {
        *self.0.rules.write().unwrap_or_else(PoisonError::into_inner) =
            Rules { reserved: params.reserved_storage_space, choice: params.store_path };
        self.0.trunk.set_rules(SlotRules::of(&params.trunk));
    }

    /// Reads files; a gateway in front of a FastDFS storage has one without a store.
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// Own group.
    pub fn group(&self) -> GroupName {
        self.0.group
    }

    /// Number of store paths.
    pub fn store_path_count(&self) -> usize {
        self.0.paths.len()
    }

    /// Counters of what was asked and done. The store counts its own writes; callers count downloads and metadata reads.
    pub fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Total and free space of every store path, measured now. Blocking. Uploads are admitted by the last measurement.
    pub fn measure_space(&self) -> Vec<PathSpace> {
        self.0.paths.iter().map(|path| path.space.measure(&path.dir)).collect()
    }

    /// The node's state of membership.
    pub fn init_flag(&self) -> InitFlag {
        self.0.lock_flag().clone()
    }

    /// Changes the state of membership and writes it. Blocking.
    pub fn update_init_flag(&self, change: impl FnOnce(&mut InitFlag)) -> Result<(), StoreError> {
        self.0.change_init_flag(change)
    }

    /// Reads the binlog from a position on. Blocking.
    pub(crate) fn binlog_reader(&self, from: BinlogPosition) -> std::io::Result<BinlogReader> {
        self.0.binlog.reader(from)
    }

    /// `<base_path>/data/sync`: the binlog and the marks of senders.
    pub(crate) fn sync_dir(&self) -> &std::path::Path {
        self.0.binlog.directory()
    }

    /// Whether this name is known to be gone: deleted by a client or a peer, or renamed. The memory is bounded.
    pub fn was_deleted(&self, name: &LogicName) -> bool {
        self.0.deletes.contains(name)
    }

    /// When it was deleted, unix seconds by the clock of whoever did it.
    pub fn deleted_at(&self, name: &LogicName) -> Option<i64> {
        self.0.deletes.time_of(name)
    }

    /// Hears of every record that the binlog gets.
    pub fn binlog_watch(&self) -> watch::Receiver<BinlogPosition> {
        self.0.binlog.watch()
    }

    /// Writes the counters. Blocking; called from time to time and at the end.
    pub fn save_counters(&self) -> Result<(), StoreError> {
        self.0.counters.save(&self.0.base_data, self.0.names.turn())
    }

    /// Syncs the binlog and saves the counters.
    pub async fn close(&self) -> Result<(), StoreError> {
        let store = self.clone();
        self.0
            .first_path()
            .pool
            .run(move || {
                store.trunk().tend().map_err(StoreError::io("write", store.trunk().directory()))?;
                store.0.binlog.sync()?;
                store.save_counters()
            })
            .await
            .unwrap_or_else(|gone| Err(StoreError::Threads(gone)))
    }
}

/// All that changes files reads them too.
impl Deref for Inner {
    type Target = Shelves;

    fn deref(&self) -> &Shelves {
        &self.reader.0
    }
}

impl Inner {
    fn first_path(&self) -> &StorePath {
        self.paths.first().expect("the configuration has at least one store path")
    }

    fn source(&self) -> Result<Source, WriteError> {
        let identity = self.identity.read().unwrap_or_else(PoisonError::into_inner);
        identity.as_ref().map(|identity| identity.source).ok_or(WriteError::Busy)
    }

    /// As [`Store::update_init_flag`].
    fn change_init_flag(&self, change: impl FnOnce(&mut InitFlag)) -> Result<(), StoreError> {
        let mut flag = self.lock_flag();
        let mut next = flag.clone();
        change(&mut next);
        if next != *flag {
            next.save(&self.base_data)?;
            *flag = next;
        }
        Ok(())
    }

    fn lock_flag(&self) -> MutexGuard<'_, InitFlag> {
        self.init_flag.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rules(&self) -> Rules {
        *self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a file's content on the disk if the configuration says so. Blocking.
    fn sync_content(&self, file: &File) -> Result<(), WriteError> {
        sync_content(self.durability, file)
    }

    /// The same for the directory that holds a name.
    fn sync_name(&self, dir: &DataDir, name: &LogicName) -> Result<(), WriteError> {
        sync_name(self.durability, dir, name)
    }

    /// Appends a record and waits until it is written, and on the disk if the configuration says so. Blocking.
    fn record(&self, record: &Record<'_>) -> Result<(), WriteError> {
        self.announce(record).map(drop)
    }

    /// The same before a change that follows at once: what this gives is dropped when the change is made or has failed.
    fn announce(&self, record: &Record<'_>) -> Result<Announced<'_>, WriteError> {
        self.counters.last_source_update(record.time);
        self.deletes.follow(record);
        self.binlog.announce(record).map_err(|source| io_failed("writing the binlog", source))
    }

    /// The same for changes that are made together.
    fn announce_all(&self, records: &[Record<'_>]) -> Result<Announced<'_>, WriteError> {
        for record in records {
            self.counters.last_source_update(record.time);
            self.deletes.follow(record);
        }
        self.binlog.announce_all(records).map_err(|source| io_failed("writing the binlog", source))
    }

    /// Puts what was recorded on the disk if that is wanted of one change. Blocking.
    fn sync_records(&self, durability: Durability) -> Result<(), WriteError> {
        if durability <= self.durability {
            // The binlog sees to it.
            return Ok(());
        }
        self.binlog.sync_written().map_err(|source| io_failed("syncing the binlog", source))
    }

    /// The same for a change that another member made at `time`.
    fn record_replica(&self, time: i32, op: Op<&str>, name: &LogicName) -> Result<(), WriteError> {
        self.counters.last_sync_update(layout::unix_seconds(SystemTime::now()));
        self.record_replicas(&[Record { time: time.into(), side: Side::Replica, op, name: name.as_str() }])
    }

    /// The same for several.
    fn record_replicas(&self, records: &[Record<'_>]) -> Result<(), WriteError> {
        self.counters.last_sync_update(layout::unix_seconds(SystemTime::now()));
        records.iter().for_each(|record| self.deletes.follow(record));
        self.binlog.append_all(records).map_err(|source| io_failed("writing the binlog", source))
    }
}

/// Puts a file's content on the disk if that is wanted. Blocking.
fn sync_content(durability: Durability, file: &File) -> Result<(), WriteError> {
    match durability {
        Durability::Write => Ok(()),
        Durability::Fsync => file.sync_all().map_err(|error| io_failed("syncing a file", error)),
    }
}

/// The same for the directory that holds a name.
fn sync_name(durability: Durability, dir: &DataDir, name: &LogicName) -> Result<(), WriteError> {
    match durability {
        Durability::Write => Ok(()),
        Durability::Fsync => {
            dir.sync_parent(name.true_name()).map_err(|error| io_failed("syncing a directory", error))
        }
    }
}

/// A failed system call as the caller hears it: a full disk is a refusal of its own.
fn io_failed(doing: &'static str, source: std::io::Error) -> WriteError {
    use std::io::ErrorKind::{NotFound, QuotaExceeded, StorageFull};
    match source.kind() {
        StorageFull | QuotaExceeded => WriteError::NoSpace,
        NotFound => WriteError::NotFound,
        _ => WriteError::Io { doing, source },
    }
}

/// A file that a write needs, and that cannot be read.
fn read_failed(error: ReadError) -> WriteError {
    match error {
        ReadError::NotFound => WriteError::NotFound,
        ReadError::NotRegular => WriteError::Invalid("not a regular file"),
        ReadError::Invalid(reason) => WriteError::Invalid(reason),
        ReadError::Io(source) => io_failed("looking for a file", source),
    }
}
