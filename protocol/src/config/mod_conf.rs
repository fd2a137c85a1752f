//! `mod_fastdfs.conf`, with the `http.conf` that it includes: a gateway in front of an existing FastDFS storage.
//!
//! The file is the nginx module's. What only nginx decided (the port, the log, the pid file) has keys of its own here,
//! with those names and defaults that storages have.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client_conf::{IdSource, read_id_source};
use super::daemon_conf::{HttpListen, read_base_path};
use super::diagnostic::Diagnostics;
use super::ini::Ini;
use super::local_facts::LocalFacts;
use super::log_conf::{LogConf, LogLevel};
use super::reader::KeyReader;
use super::schema::{self, Files};
use super::server_address::ServerAddress;
use super::storage_conf::{DEFAULT_HTTP_PORT, DEFAULT_PORT, warn_of_uncounted_paths};
use super::tracker_conf;
use super::web_conf::WebConf;
use super::{flow, legacy};
use crate::group_name::GroupName;

/// Groups, and store paths of one: names have one byte for the index of a path.
const MAX_GROUPS: u32 = 256;
const MAX_STORE_PATHS: u32 = 256;
/// The gateway's own directory below `base_path`, which is often that of a storage.
const OWN_DIR: &str = "fdfs-gateway";

/// A group whose store paths are on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedGroup {
    /// Its name.
    pub name: GroupName,
    /// Store paths in the order of their index, as in that storage's `storage.conf`.
    pub store_paths: Vec<PathBuf>,
    /// Native port of the storage that has them.
    pub storage_port: u16,
}

/// All keys of `mod_fastdfs.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleConf {
    /// Directory of the gateway's own log and pid file: `<base_path>/fdfs-gateway`.
    pub own_dir: PathBuf,
    /// `log_filename`; without it, `logs/gateway.log` in the own directory.
    pub log_filename: Option<PathBuf>,
    /// Least level that is logged.
    pub log_level: LogLevel,
    /// How the log is rotated.
    pub error_log: LogConf,
    /// Effective group after binding.
    pub run_by_group: Option<String>,
    /// Effective user after binding.
    pub run_by_user: Option<String>,
    /// Where HTTP is served.
    pub http: HttpListen,
    /// How file URLs are served.
    pub web: WebConf,
    /// Groups that are served from this machine's disks; at least one. URLs without a group are of the first.
    pub groups: Vec<ServedGroup>,
    /// Trackers, sorted, each once. Without any, only what is here is served.
    pub tracker_servers: Vec<ServerAddress>,
    /// Limit for connecting to trackers and storages.
    pub connect_timeout: Duration,
    /// Limit for each read or write.
    pub network_timeout: Duration,
    /// Age from which a file is taken to be with all members of its group, where that is not learnt from the trackers.
    pub max_delay: Option<Duration>,
    /// Where the table of storage ids comes from, until a tracker gives one.
    pub id_source: IdSource,
}

flow::entrances!(ModuleConf);

impl ModuleConf {
    fn build(mut ini: Ini, _facts: &LocalFacts, found: &mut Diagnostics) -> Self {
        legacy::apply(&mut ini, Files::MODULE, found);
        schema::check(&ini, Files::MODULE, found);
        let keys = &mut KeyReader::new(&ini, Files::MODULE, found);
        let base_path = read_base_path(keys);
        Self {
            log_filename: keys.text_or_none("log_filename").map(|name| keys.ini.relative(name)),
            log_level: LogLevel::read(keys),
            error_log: LogConf::read_error_log(keys),
            run_by_group: keys.text_or_none("run_by_group").map(str::to_owned),
            run_by_user: keys.text_or_none("run_by_user").map(str::to_owned),
            http: HttpListen::read_alone(keys, DEFAULT_HTTP_PORT),
            web: WebConf::read(keys),
            groups: read_groups(keys, &base_path),
            tracker_servers: read_trackers(keys),
            connect_timeout: keys.seconds("connect_timeout", 10),
            network_timeout: keys.seconds("network_timeout", 30),
            max_delay: read_max_delay(keys),
            id_source: read_id_source(keys),
            own_dir: base_path.join(OWN_DIR),
        }
    }
}

fn read_max_delay(keys: &mut KeyReader<'_>) -> Option<Duration> {
    let key = "storage_sync_file_max_delay";
    if !keys.is_given(key) {
        return None;
    }
    let max_delay = keys.seconds(key, 86_400);
    if keys.flag("load_fdfs_parameters_from_tracker", false) {
        keys.found.info(&keys.place(key), format!("{key} has no effect: it is loaded from the trackers"));
        return None;
    }
    Some(max_delay)
}

fn read_trackers(keys: &mut KeyReader<'_>) -> Vec<ServerAddress> {
    if keys.is_given("tracker_server") {
        return keys.servers("tracker_server", tracker_conf::DEFAULT_PORT);
    }
    if keys.flag("load_fdfs_parameters_from_tracker", false) {
        let why = "missing; write it for each tracker, or load_fdfs_parameters_from_tracker = false";
        keys.refuse("tracker_server", why);
    } else {
        let why =
            "not given: only files on this machine's disks are served, none is fetched from another member";
        keys.found.warn(&keys.ini.whole(), format!("tracker_server: {why}"));
    }
    Vec::new()
}

fn read_groups(keys: &mut KeyReader<'_>, base_path: &Path) -> Vec<ServedGroup> {
    let count = keys.count("group_count", 0);
    if count > MAX_GROUPS {
        keys.refuse("group_count", format_args!("{count}; at most {MAX_GROUPS} are possible"));
    }
    if count == 0 {
        if keys.ini.has_section("group1") {
            let why = "0, so [group1] and those after it are not read; write their number to serve them";
            keys.warn("group_count", why);
        }
        return read_group(keys, Some(base_path)).into_iter().collect();
    }
    for key in ["group_name", "store_path_count", "store_path0"] {
        if keys.is_given(key) {
            let why = "not used here, because group_count is given; it counts in the sections [group1] ...";
            keys.warn(key, why);
        }
    }
    let mut groups: Vec<ServedGroup> = Vec::new();
    for number in 1..=count.min(MAX_GROUPS) {
        let section = format!("group{number}");
        if !keys.ini.has_section(&section) {
            let why = format!("{count}, but there is no section [{section}]; write it or correct the count");
            keys.refuse("group_count", why);
            continue;
        }
        let group = keys.section(&section).own(|keys| read_group(keys, None));
        match group {
            Some(group) if groups.iter().any(|other| other.name == group.name) => {
                keys.refuse("group_count", format_args!("[{section}] names {} once more", group.name));
            }
            group => groups.extend(group),
        }
    }
    groups
}

/// Reads the keys of one group, where the reader stands.
fn read_group(keys: &mut KeyReader<'_>, base_path: Option<&Path>) -> Option<ServedGroup> {
    let storage_port = keys.port("storage_server_port", DEFAULT_PORT);
    let count = keys.positive("store_path_count", 1);
    if count > MAX_STORE_PATHS {
        keys.refuse("store_path_count", format_args!("{count}; at most {MAX_STORE_PATHS} are possible"));
    }
    let mut store_paths = Vec::new();
    for index in 0..count.min(MAX_STORE_PATHS) {
        let key = format!("store_path{index}");
        let path = keys.path(&key).or_else(|| base_path.filter(|_| index == 0).map(Path::to_owned));
        match path {
            Some(path) => store_paths.push(path),
            None => keys.refuse(&key, "missing; write the same paths as in storage.conf, in the same order"),
        }
    }
    warn_of_uncounted_paths(keys, count);
    let name = keys.text("group_name").unwrap_or_default();
    match GroupName::parse(name) {
        Ok(name) => Some(ServedGroup { name, store_paths, storage_port }),
        Err(_) if name.is_empty() => {
            keys.refuse("group_name", "missing; write the group of the storage whose files are served");
            None
        }
        Err(why) => {
            keys.refuse("group_name", format_args!("'{name}': {why}"));
            None
        }
    }
}

#[cfg(test)]
mod tests;
