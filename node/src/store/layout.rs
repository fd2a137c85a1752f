//! Opening a store: directories, marks, state files, in an order that a crash at any point leaves repairable.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::config::params::StorePathChoice;
use protocol::config::storage_conf::StorePath as PathConf;
use protocol::config::{ReservedSpace, StorageConf};
use protocol::file_id::StorePathIndex;
use rustix::fs::mkdirat;
use tracing::{info, warn};

use super::binlog::{Binlog, Op, Record, Side};
use super::counters::Counters;
use super::data_dir::{DIR_MODE, DataDir};
use super::expiry::Expiry;
use super::locks::{FileLocks, Locks};
use super::name_maker::NameMaker;
use super::pool::Pool;
use super::recent_deletes::RecentDeletes;
use super::shelves::{Reader, Shelves, StorePath};
use super::space::Space;
use super::trunk::{Containers, Owner, TrunkState};
use super::{
    InitFlag, Inner, RecoveryFlag, Rules, StoreError, orphans, partial, path_marks, temporary, under_change,
};

/// Opens everything. Blocking.
pub(super) fn open(conf: &StorageConf, now: SystemTime) -> Result<Inner, StoreError> {
    let group = conf.group_name.ok_or(StoreError::NoGroup)?;
    let base_data = conf.daemon.base_path.join("data");
    make_dir_all(&base_data)?;
    let flag = InitFlag::load(&base_data, conf.store_paths.len())?;
    let is_new = flag.is_none();
    let data_dirs: Vec<PathBuf> = conf.store_paths.iter().map(|path| path.path.join("data")).collect();
    if is_new && conf.check_store_path_mark && path_marks::any_present(data_dirs.iter().map(PathBuf::as_path))
    {
        return Err(StoreError::State {
            path: base_data.join(".data_init_flag").display().to_string(),
            reason: "missing, but a store path carries a mark of an earlier node; restore the file, or remove the \
                     .fastdfs_vars of every store path to begin anew"
                .to_owned(),
        });
    }
    let is_settled = flag.as_ref().is_some_and(|flag| flag.sync_old_done);
    let mut flag = flag.unwrap_or_else(|| InitFlag { join_time: unix_seconds(now), ..InitFlag::default() });
    let mut paths = Vec::new();
    let mut to_recover = Vec::new();
    for (index, (path, data)) in conf.store_paths.iter().zip(data_dirs).enumerate() {
        let path = open_path(conf, index, path, data, is_settled)?;
        if RecoveryFlag::load(path.dir.path())?.is_some() {
            to_recover.extend(u8::try_from(index).map(StorePathIndex));
        }
        paths.push(Arc::new(path));
    }
    if is_new || flag.last_server_port != conf.daemon.port() {
        flag.last_server_port = conf.daemon.port();
        flag.save(&base_data)?;
    }
    if conf.check_store_path_mark {
        for (index, path) in paths.iter().enumerate() {
            path_marks::check(path.dir.path(), index, &mut flag, &base_data)?;
        }
    }
    let (counters, turn) = Counters::load(&base_data)?;
    let binlog = Binlog::open(&base_data.join("sync"), conf.durability)?;
    for path in &paths {
        record_left_behind(&path.dir, &binlog, unix_seconds(now))?;
    }
    let shelves = Shelves { paths, counters };
    orphans::remove(&shelves, &binlog, unix_seconds(now))?;
    let deletes = RecentDeletes::default();
    for path in binlog.newest_files() {
        deletes.read_tail(&path).map_err(StoreError::io("read", &path))?;
    }
    for path in &shelves.paths {
        path.space.measure(&path.dir);
    }
    Ok(Inner {
        group,
        trunk: TrunkState::new(&base_data),
        expiry: Expiry::open(&base_data)?,
        reader: Reader(Arc::new(shelves)),
        base_data,
        names: NameMaker::new(conf, turn),
        binlog,
        deletes,
        locks: FileLocks::default(),
        partials: Locks::default(),
        identity: RwLock::new(None),
        rules: RwLock::new(Rules { reserved: ReservedSpace::default(), choice: StorePathChoice::RoundRobin }),
        init_flag: Mutex::new(flag),
        durability: conf.durability,
        to_recover,
    })
}

/// Records files whose change a crash broke off, as they are now.
fn record_left_behind(dir: &DataDir, binlog: &Binlog, time: i64) -> Result<(), StoreError> {
    let left = under_change::left_behind(dir.path()).map_err(StoreError::io("read", dir.path()))?;
    for (name, _note) in left {
        if dir.stat(name.true_name()).is_ok() {
            warn!(%name, "a change of this file was broken off by a crash; the other members get it as it is now");
            let record = Record { time, side: Side::Source, op: Op::Update, name: name.as_str() };
            binlog.append(&record).map_err(StoreError::io("write the binlog for", dir.path()))?;
        }
    }
    Ok(())
}

fn open_path(
    conf: &StorageConf,
    index: usize,
    path: &PathConf,
    data: PathBuf,
    is_settled: bool,
) -> Result<StorePath, StoreError> {
    // The first path may be made; a later one that is missing is most likely a disk that is not mounted.
    if index == 0 {
        make_dir_all(&data)?;
    } else {
        match fs::create_dir(&data) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io("create", &data)(error));
            }
            _ => {}
        }
    }
    let dir = DataDir::open(data).map_err(StoreError::io("open", path.path.join("data")))?;
    let count = conf.subdir_count_per_path;
    if !has_sub_dirs(&dir, count) {
        if is_settled && RecoveryFlag::load(dir.path())?.is_none() {
            warn!(
                store_path = %path.path.display(),
                "directories are missing: the disk was replaced, and its files will be fetched from another member"
            );
            RecoveryFlag::BEGUN.save(dir.path())?;
        }
        make_sub_dirs(&dir, count)?;
    }
    temporary::remove_leftovers(&dir)?;
    partial::remove_leftovers(&dir)?;
    let threads =
        usize::try_from(conf.disk_threads.disk_writer_threads.max(conf.disk_threads.disk_reader_threads))
            .unwrap_or(1)
            .clamp(MIN_THREADS, MAX_THREADS);
    let pool = Pool::start(&format!("store-{index}"), threads)
        .map_err(StoreError::io("start threads for", dir.path()))?;
    Ok(StorePath {
        dir,
        pool,
        readonly: path.readonly,
        space: Space::default(),
        containers: Containers::new(Owner::Own),
    })
}

/// Threads of a store path: two keep one busy with the page cache while another waits for the disk.
const MIN_THREADS: usize = 2;
const MAX_THREADS: usize = 64;

fn make_dir_all(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(StoreError::io("create", path))
}

/// Whether the first and the last directory are there; then all are.
fn has_sub_dirs(dir: &DataDir, count: u32) -> bool {
    let last = count.saturating_sub(1);
    let is_there = |number: u32| dir.path().join(format!("{number:02X}/{number:02X}")).is_dir();
    is_there(0) && is_there(last)
}

/// Makes the two levels of directories.
fn make_sub_dirs(dir: &DataDir, count: u32) -> Result<(), StoreError> {
    info!(path = %dir.path().display(), directories = count * count, "making directories");
    let make = |name: &str| match mkdirat(dir.fd(), name, DIR_MODE) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(StoreError::io("create", dir.path().join(name))(error.into())),
    };
    for high in 0..count {
        make(&format!("{high:02X}"))?;
        for low in 0..count {
            make(&format!("{high:02X}/{low:02X}"))?;
        }
    }
    Ok(())
}

pub(super) fn unix_seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
