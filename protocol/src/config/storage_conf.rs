//! `storage.conf`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::daemon_conf::{DaemonConf, HttpListen};
use super::diagnostic::Diagnostics;
use super::ini::Ini;
use super::local_facts::LocalFacts;
use super::log_conf::AccessLogConf;
pub use super::promise::{Durability, MOST_REPLICAS, Promise};
use super::reader::KeyReader;
use super::schema::{self, Files};
use super::server_address::ServerAddress;
use super::value::TimeOfDay;
use super::web_conf::WebConf;
use super::{flow, legacy};
use crate::group_name::{GROUP_NAME_LEN, GroupName};
use crate::storage_id::StorageId;

/// Native port unless set.
pub const DEFAULT_PORT: u16 = 23000;
/// HTTP port unless set.
pub const DEFAULT_HTTP_PORT: u16 = 8888;

const DEFAULT_TRACKER_PORT: u16 = super::tracker_conf::DEFAULT_PORT;
/// Store paths: file names have one byte for the index.
const MAX_STORE_PATHS: u32 = 256;
/// Sub-directories on each of two levels.
const MAX_SUBDIRS: u32 = 256;
/// Prefixes in `if_alias_prefix`.
const MAX_ALIAS_PREFIXES: usize = 4;
/// Sync threads of one peer.
const MAX_SYNC_THREADS: u32 = 256;

/// One directory of files. Its index in the list is part of every file name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorePath {
    /// The directory that holds `data/`.
    pub path: PathBuf,
    /// Takes no new files.
    pub readonly: bool,
}

/// How files are spread over sub-directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DistributeMode {
    /// 0: fill one for `file_distribute_rotate_count` files, then the next.
    RoundRobin,
    /// 1: by a hash of the name.
    Hash,
}

/// Threads of the C storage. Read and checked; use them as hints or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskThreads {
    /// Threads for reads and for writes are not the same.
    pub disk_rw_separated: bool,
    /// Readers for each store path.
    pub disk_reader_threads: u32,
    /// Writers for each store path.
    pub disk_writer_threads: u32,
    /// Threads that restore a lost disk.
    pub disk_recovery_threads: u32,
    /// Least sync threads of a peer.
    pub sync_min_threads: u32,
    /// Most sync threads of a peer; `auto` is twice the number of store paths.
    pub sync_max_threads: u32,
}

/// All keys of `storage.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageConf {
    /// Keys of both daemons.
    pub daemon: DaemonConf,
    /// HTTP: file URLs, REST and metrics.
    pub http: HttpListen,
    /// How file URLs are served.
    pub web: WebConf,
    /// Own group; `None` asks the tracker, which needs storage ids.
    pub group_name: Option<GroupName>,
    /// Trackers, sorted, each once.
    pub tracker_servers: Vec<ServerAddress>,
    /// Bind outgoing sockets to `bind_addr`.
    pub client_bind: bool,
    /// Own id, for storages behind address translation.
    pub server_id: Option<StorageId>,
    /// Interval of heartbeats.
    pub heart_beat_interval: Duration,
    /// Interval of disk usage reports.
    pub stat_report_interval: Duration,
    /// Store paths in the order of their index; at least one.
    pub store_paths: Vec<StorePath>,
    /// Sub-directories on each of two levels, 1 to 256.
    pub subdir_count_per_path: u32,
    /// Threads.
    pub disk_threads: DiskThreads,
    /// Wait before the binlog is read again.
    pub sync_wait: Duration,
    /// Pause after each replicated file.
    pub sync_interval: Duration,
    /// Beginning of the daily time in which files are replicated.
    pub sync_start_time: TimeOfDay,
    /// End of it.
    pub sync_end_time: TimeOfDay,
    /// Replication progress is saved every so many files.
    pub write_mark_file_freq: u32,
    /// Choice of sub-directories.
    pub file_distribute_path_mode: DistributeMode,
    /// Files in a sub-directory before the next is taken.
    pub file_distribute_rotate_count: u32,
    /// Sync a file while it is written, every so many bytes; 0 is off.
    pub fsync_after_written_bytes: u64,
    /// Interval of flushing the binlog.
    pub sync_binlog_buff_interval: Duration,
    /// Interval of saving statistics.
    pub sync_stat_file_interval: Duration,
    /// Reported to trackers, which may prefer low ones.
    pub upload_priority: i32,
    /// Interfaces whose addresses count as own; empty means all.
    pub if_alias_prefix: Vec<String>,
    /// Skip bad binlog records instead of stopping.
    pub file_sync_skip_invalid_record: bool,
    /// Compress old binlogs.
    pub compress_binlog: bool,
    /// Time of day for that.
    pub compress_binlog_time: TimeOfDay,
    /// Guard store paths by a mark file.
    pub check_store_path_mark: bool,
    /// When an upload is acknowledged, as far as this node's disk goes.
    pub durability: Durability,
    /// Other members that have to confirm it before; 0 for none.
    pub replicas: u8,
    /// How long they are waited for.
    pub replica_timeout: Duration,
    /// The access log.
    pub access_log: AccessLogConf,
}

flow::entrances!(StorageConf);

impl StorageConf {
    fn build(mut ini: Ini, facts: &LocalFacts, found: &mut Diagnostics) -> Self {
        legacy::apply(&mut ini, Files::STORAGE, found);
        schema::check(&ini, Files::STORAGE, found);
        let keys = &mut KeyReader::new(&ini, Files::STORAGE, found);
        refuse_fastdht(keys);
        let daemon = DaemonConf::read(keys, facts, DEFAULT_PORT, 30);
        let store_paths = read_store_paths(keys, &daemon.base_path);
        let Promise { durability, replicas } = read_promise(keys);
        Self {
            http: HttpListen::read(keys, &daemon.listen, DEFAULT_HTTP_PORT),
            web: WebConf::read(keys),
            group_name: read_group_name(keys),
            tracker_servers: keys.servers("tracker_server", DEFAULT_TRACKER_PORT),
            client_bind: keys.flag("client_bind", true),
            server_id: read_server_id(keys),
            heart_beat_interval: keys.seconds("heart_beat_interval", 30),
            stat_report_interval: keys.seconds("stat_report_interval", 300),
            subdir_count_per_path: read_subdirs(keys),
            disk_threads: read_threads(keys, store_paths.len()),
            store_paths,
            sync_wait: milliseconds(keys, "sync_wait_msec", 100),
            sync_interval: milliseconds(keys, "sync_interval", 0),
            sync_start_time: keys.time("sync_start_time", TimeOfDay::at(0, 0)),
            sync_end_time: keys.time("sync_end_time", TimeOfDay::at(23, 59)),
            write_mark_file_freq: keys.positive_or("write_mark_file_freq", 500),
            file_distribute_path_mode: keys.choice(
                "file_distribute_path_mode",
                &[(0, DistributeMode::RoundRobin), (1, DistributeMode::Hash)],
                DistributeMode::RoundRobin,
            ),
            file_distribute_rotate_count: keys.positive_or("file_distribute_rotate_count", 100),
            fsync_after_written_bytes: keys.bytes("fsync_after_written_bytes", 0),
            sync_binlog_buff_interval: keys.seconds("sync_binlog_buff_interval", 60),
            sync_stat_file_interval: keys.seconds("sync_stat_file_interval", 60),
            upload_priority: i32::try_from(keys.int("upload_priority", 10)).unwrap_or(10),
            if_alias_prefix: read_alias_prefixes(keys),
            file_sync_skip_invalid_record: keys.flag("file_sync_skip_invalid_record", false),
            compress_binlog: keys.flag("compress_binlog", false),
            compress_binlog_time: keys.time("compress_binlog_time", TimeOfDay::at(1, 30)),
            check_store_path_mark: keys.flag("check_store_path_mark", true),
            durability,
            replicas,
            replica_timeout: keys.seconds("durability_timeout", 10),
            access_log: AccessLogConf::read(keys),
            daemon,
        }
    }
}

fn refuse_fastdht(keys: &mut KeyReader<'_>) {
    if keys.flag("check_file_duplicate", false) {
        keys.refuse("check_file_duplicate", "needs FastDHT, which is not supported; write false");
    }
}

fn read_group_name(keys: &mut KeyReader<'_>) -> Option<GroupName> {
    let key = "group_name";
    let text = keys.text(key)?;
    let short = super::ini::cut(text, GROUP_NAME_LEN);
    match GroupName::parse(short) {
        Ok(group) => {
            if short.len() < text.len() {
                keys.warn(key, format_args!("'{text}' has more than 16 characters; read as {group}"));
            }
            Some(group)
        }
        Err(why) => {
            keys.refuse(key, format_args!("'{text}': {why}; remove the line to ask the tracker"));
            None
        }
    }
}

fn read_server_id(keys: &mut KeyReader<'_>) -> Option<StorageId> {
    let text = keys.text_or_none("server_id")?;
    match StorageId::parse(text) {
        Ok(id) => Some(id),
        Err(why) => {
            keys.refuse("server_id", format_args!("'{text}': {why}"));
            None
        }
    }
}

fn read_store_paths(keys: &mut KeyReader<'_>, base_path: &Path) -> Vec<StorePath> {
    let count = keys.positive("store_path_count", 1);
    if count > MAX_STORE_PATHS {
        keys.refuse("store_path_count", format_args!("{count}; at most {MAX_STORE_PATHS} are possible"));
    }
    let mut paths: Vec<StorePath> = Vec::new();
    for index in 0..count.min(MAX_STORE_PATHS) {
        let key = format!("store_path{index}");
        let path = keys.path(&key).or_else(|| (index == 0).then(|| base_path.to_owned()));
        let path = path.unwrap_or_else(|| {
            let why = format!("missing, but store_path_count is {count}; write it or correct the count");
            keys.refuse(&key, why);
            PathBuf::new()
        });
        if let Some(other) = paths.iter().position(|other| other.path == path && !path.as_os_str().is_empty())
        {
            keys.warn(
                &key,
                format_args!("the same directory as store_path{other}; each should be a disk of its own"),
            );
        }
        let readonly = keys.flag(&format!("{key}_readonly"), false);
        paths.push(StorePath { path, readonly });
    }
    warn_of_uncounted_paths(keys, count);
    paths
}

pub(super) fn warn_of_uncounted_paths(keys: &mut KeyReader<'_>, count: u32) {
    let uncounted = keys.entries().iter().filter(|entry| {
        let index = entry.name.strip_prefix("store_path").and_then(|index| index.parse::<u32>().ok());
        index.is_some_and(|index| index >= count)
    });
    for entry in uncounted {
        let message = format!(
            "{} is not used, because store_path_count is {count}; raise the count or remove it",
            entry.name
        );
        keys.found.warn(&entry.place, message);
    }
}

fn read_subdirs(keys: &mut KeyReader<'_>) -> u32 {
    let key = "subdir_count_per_path";
    let count = keys.positive(key, MAX_SUBDIRS);
    if count > MAX_SUBDIRS {
        keys.refuse(key, format_args!("{count} is too large; write 1 to {MAX_SUBDIRS}"));
    }
    count.min(MAX_SUBDIRS)
}

fn read_threads(keys: &mut KeyReader<'_>, store_paths: usize) -> DiskThreads {
    let auto = u32::try_from(store_paths * 2).unwrap_or(MAX_SYNC_THREADS);
    let sync_max_threads = match keys.text("sync_max_threads") {
        None => auto,
        Some(text) if text.eq_ignore_ascii_case("auto") => auto,
        Some(text) => {
            let read = super::value::parse_int(text);
            if let Some(doubt) = read.doubt {
                keys.warn("sync_max_threads", doubt);
            }
            u32::try_from(read.value).ok().filter(|threads| *threads > 0).unwrap_or(auto)
        }
    };
    let sync_min_threads = keys.positive("sync_min_threads", 1).min(MAX_SYNC_THREADS);
    DiskThreads {
        disk_rw_separated: keys.flag("disk_rw_separated", true),
        disk_reader_threads: keys.count("disk_reader_threads", 1),
        disk_writer_threads: keys.count("disk_writer_threads", 1),
        disk_recovery_threads: keys.positive("disk_recovery_threads", 1),
        sync_min_threads,
        sync_max_threads: sync_max_threads.clamp(sync_min_threads, MAX_SYNC_THREADS),
    }
}

fn milliseconds(keys: &mut KeyReader<'_>, key: &str, default: u32) -> Duration {
    Duration::from_millis(u64::from(keys.count(key, default)))
}

fn read_alias_prefixes(keys: &mut KeyReader<'_>) -> Vec<String> {
    let text = keys.text("if_alias_prefix").unwrap_or_default();
    let prefixes: Vec<String> =
        text.split(',').map(str::trim).filter(|prefix| !prefix.is_empty()).map(str::to_owned).collect();
    if prefixes.len() > MAX_ALIAS_PREFIXES {
        keys.refuse("if_alias_prefix", format_args!("at most {MAX_ALIAS_PREFIXES} prefixes are possible"));
    }
    prefixes
}

fn read_promise(keys: &mut KeyReader<'_>) -> Promise {
    let Some(text) = keys.text("durability") else { return Promise::default() };
    if let Some(promise) = Promise::parse(&text.to_ascii_lowercase()) {
        return promise;
    }
    let why =
        format!("'{text}' is neither write, fsync, replica:N nor fsync+replica:N; N is 1 to {MOST_REPLICAS}");
    keys.refuse("durability", why);
    Promise::default()
}

#[cfg(test)]
mod tests;
