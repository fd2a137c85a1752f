//! `tracker.conf`.

use std::path::PathBuf;
use std::time::Duration;

use super::daemon_conf::{AddressFamily, DaemonConf, HttpListen};
use super::diagnostic::{ConfigError, Diagnostic, Diagnostics};
use super::ini::Ini;
use super::local_facts::LocalFacts;
use super::params::{ClusterParams, IdType, StorePathChoice};
use super::reader::KeyReader;
use super::schema::{self, Files};
use super::space::ReservedSpace;
use super::storage_ids::StorageIds;
use super::trunk_conf::TrunkConf;
use super::web_conf::WebConf;
use super::{flow, legacy};
use crate::address::AddressWidth;
use crate::group_name::GroupName;

/// Native port unless set.
pub const DEFAULT_PORT: u16 = 22122;
/// Port of REST and console unless set.
pub const DEFAULT_HTTP_PORT: u16 = 8080;

/// How the group for an upload is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreLookup {
    /// 0: one after the other.
    RoundRobin,
    /// 1: always `store_group`.
    Fixed(GroupName),
    /// 2: the one with most free space.
    MostFree,
}

/// How the storage for an upload is chosen within the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreServer {
    /// 0: one after the other.
    RoundRobin,
    /// 1: the first by the text of its id.
    First,
    /// 2: the one with the lowest `upload_priority`.
    LowestPriority,
}

/// How the storage for a download is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownloadServer {
    /// 0: one after the other.
    RoundRobin,
    /// 1: the one that the file was uploaded to.
    Source,
}

/// Width of address fields in answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseIpAddrSize {
    /// Wide only where storage ids are used and a storage has an IPv6 address.
    Auto,
    /// Always wide.
    Wide,
}

/// All keys of `tracker.conf`.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackerConf {
    /// Keys of both daemons.
    pub daemon: DaemonConf,
    /// REST, console and metrics.
    pub http: HttpListen,
    /// What HTTP connections may take, who may ask and do what.
    pub web: WebConf,
    /// HTTP port of storages, for the URLs that REST answers; the native protocol does not carry it.
    pub storage_http_port: u16,
    /// Choice of the group, with `store_group`.
    pub store_lookup: StoreLookup,
    /// Choice of the storage. With trunk files on, never round robin.
    pub store_server: StoreServer,
    /// Choice of the store path.
    pub store_path: StorePathChoice,
    /// Choice of the storage for downloads.
    pub download_server: DownloadServer,
    /// Room that groups keep.
    pub reserved_storage_space: ReservedSpace,
    /// A storage without heartbeat for this long is offline.
    pub check_active_interval: Duration,
    /// Follow storages that change their address.
    pub storage_ip_changed_auto_adjust: bool,
    /// A file older than this is taken to be on all members.
    pub storage_sync_file_max_delay: Duration,
    /// Limit for copying one file to a member.
    pub storage_sync_file_max_time: Duration,
    /// Trunk files.
    pub trunk: TrunkConf,
    /// Storages have numbers.
    pub use_storage_id: bool,
    /// The table of numbers, if they are used. Relative ones are resolved against the directory of this file.
    pub storage_ids_filename: Option<PathBuf>,
    /// What new file names carry. `Ip` unless ids are used.
    pub id_type_in_filename: IdType,
    /// Believe the id that a storage says it has.
    pub trust_storage_server_id: bool,
    /// Store slave files as links.
    pub store_slave_file_use_link: bool,
    /// Width of address fields in answers.
    pub response_ip_addr_size: ResponseIpAddrSize,
}

flow::entrances!(TrackerConf);

impl TrackerConf {
    /// Loads the table of storage ids, if they are used.
    pub fn load_storage_ids(
        &self,
        facts: &LocalFacts,
    ) -> Result<Option<(StorageIds, Vec<Diagnostic>)>, ConfigError> {
        let path = self.storage_ids_filename.as_deref().filter(|_| self.use_storage_id);
        path.map(|path| StorageIds::load(path, facts)).transpose()
    }

    /// What storages and clients are told. `ids` is the table, where ids are used.
    pub fn params(&self, ids: Option<&StorageIds>) -> ClusterParams {
        let v6 = ids.filter(|_| self.use_storage_id).is_some_and(StorageIds::has_v6);
        let wide = self.response_ip_addr_size == ResponseIpAddrSize::Wide || v6;
        ClusterParams {
            use_storage_id: self.use_storage_id,
            id_type_in_filename: self.id_type_in_filename,
            trust_storage_server_id: self.trust_storage_server_id,
            response_ip_addr_size: if wide { AddressWidth::V6 } else { AddressWidth::V4 },
            storage_ip_changed_auto_adjust: self.storage_ip_changed_auto_adjust,
            storage_sync_file_max_delay: self.storage_sync_file_max_delay,
            store_path: self.store_path,
            reserved_storage_space: self.reserved_storage_space,
            trunk: self.trunk.clone(),
            store_slave_file_use_link: self.store_slave_file_use_link,
        }
    }

    fn build(mut ini: Ini, facts: &LocalFacts, found: &mut Diagnostics) -> Self {
        legacy::apply(&mut ini, Files::TRACKER, found);
        schema::check(&ini, Files::TRACKER, found);
        let keys = &mut KeyReader::new(&ini, Files::TRACKER, found);
        let daemon = DaemonConf::read(keys, facts, DEFAULT_PORT, 60);
        let trunk = TrunkConf::read(keys);
        let use_storage_id = keys.flag("use_storage_id", false);
        let conf = Self {
            http: HttpListen::read(keys, &daemon.listen, DEFAULT_HTTP_PORT),
            web: WebConf::read_of_tracker(keys),
            storage_http_port: u16::try_from(keys.int("storage_http_port", 8888)).unwrap_or(8888),
            store_lookup: read_store_lookup(keys),
            store_server: read_store_server(keys, trunk.use_trunk_file),
            store_path: keys.choice(
                "store_path",
                &[(0, StorePathChoice::RoundRobin), (2, StorePathChoice::MostFree)],
                StorePathChoice::RoundRobin,
            ),
            download_server: keys.choice(
                "download_server",
                &[(0, DownloadServer::RoundRobin), (1, DownloadServer::Source)],
                DownloadServer::RoundRobin,
            ),
            reserved_storage_space: read_reserved_space(keys),
            check_active_interval: keys.seconds("check_active_interval", 100),
            storage_ip_changed_auto_adjust: keys.flag("storage_ip_changed_auto_adjust", true),
            storage_sync_file_max_delay: keys.seconds("storage_sync_file_max_delay", 86_400),
            storage_sync_file_max_time: keys.seconds("storage_sync_file_max_time", 300),
            trunk,
            use_storage_id,
            storage_ids_filename: read_storage_ids_filename(keys, use_storage_id),
            id_type_in_filename: read_id_type(keys, use_storage_id),
            trust_storage_server_id: keys.flag("trust_storage_server_id", true),
            store_slave_file_use_link: keys.flag("store_slave_file_use_link", false),
            response_ip_addr_size: read_response_size(keys),
            daemon,
        };
        let v6 = conf.daemon.listen.address_family == AddressFamily::V6
            || conf.daemon.listen.address_family == AddressFamily::Both
            || conf.daemon.listen.inner_bind_addr.iter().any(|ip| ip.is_ipv6());
        if v6 && conf.id_type_in_filename == IdType::Ip {
            keys.refuse(
                "address_family",
                "IPv6 needs use_storage_id = true and id_type_in_filename = id: file names have no room for its addresses",
            );
        }
        conf
    }
}

fn read_store_lookup(keys: &mut KeyReader<'_>) -> StoreLookup {
    let group = keys.text_or_none("store_group");
    match keys.int("store_lookup", 0) {
        0 => StoreLookup::RoundRobin,
        2 => StoreLookup::MostFree,
        1 => match group.map(GroupName::parse) {
            Some(Ok(group)) => StoreLookup::Fixed(group),
            Some(Err(why)) => {
                keys.refuse("store_group", why);
                StoreLookup::RoundRobin
            }
            None => {
                keys.refuse("store_lookup", "1 always takes the group that store_group names; write it");
                StoreLookup::RoundRobin
            }
        },
        other => {
            keys.refuse(
                "store_lookup",
                format_args!("{other} is not 0 (round robin), 1 (fixed) or 2 (most free)"),
            );
            StoreLookup::RoundRobin
        }
    }
}

fn read_store_server(keys: &mut KeyReader<'_>, use_trunk_file: bool) -> StoreServer {
    let choices = [(0, StoreServer::RoundRobin), (1, StoreServer::First), (2, StoreServer::LowestPriority)];
    match keys.choice("store_server", &choices, StoreServer::RoundRobin) {
        StoreServer::RoundRobin if use_trunk_file => StoreServer::First,
        choice => choice,
    }
}

fn read_reserved_space(keys: &mut KeyReader<'_>) -> ReservedSpace {
    let key = "reserved_storage_space";
    let Some(text) = keys.text(key) else { return ReservedSpace::default() };
    match ReservedSpace::parse(text) {
        Ok(read) => {
            if let Some(doubt) = read.doubt {
                keys.warn(key, doubt);
            } else if read.value == ReservedSpace::Megabytes(0) && text != "0" {
                keys.warn(
                    key,
                    format_args!("{text} is less than 1 MB; read as 0; write for example 1G or 20%"),
                );
            }
            read.value
        }
        Err(why) => {
            keys.refuse(key, format_args!("'{text}' is {why}"));
            ReservedSpace::default()
        }
    }
}

fn read_storage_ids_filename(keys: &mut KeyReader<'_>, use_storage_id: bool) -> Option<PathBuf> {
    let name = keys.text_or_none("storage_ids_filename");
    if use_storage_id && name.is_none() {
        keys.refuse(
            "storage_ids_filename",
            "missing; with use_storage_id, name the file that lists the storages",
        );
    }
    name.map(|name| keys.ini.relative(name))
}

fn read_id_type(keys: &mut KeyReader<'_>, use_storage_id: bool) -> IdType {
    let key = "id_type_in_filename";
    match keys.text(key) {
        Some(text) if text.eq_ignore_ascii_case("id") && use_storage_id => IdType::Id,
        None => IdType::Ip,
        Some(text) if text.eq_ignore_ascii_case("id") || text.eq_ignore_ascii_case("ip") => IdType::Ip,
        Some(text) => {
            keys.warn(key, format_args!("'{text}' is neither ip nor id; read as ip"));
            IdType::Ip
        }
    }
}

fn read_response_size(keys: &mut KeyReader<'_>) -> ResponseIpAddrSize {
    let key = "response_ip_addr_size";
    match keys.text(key) {
        None => ResponseIpAddrSize::Auto,
        Some(text) if text.eq_ignore_ascii_case("auto") => ResponseIpAddrSize::Auto,
        Some(text) if text.eq_ignore_ascii_case("ipv6") => ResponseIpAddrSize::Wide,
        Some(text) => {
            let why =
                format!("'{text}' is neither auto nor IPv6; read as IPv6, which old clients cannot read");
            keys.warn(key, why);
            ResponseIpAddrSize::Wide
        }
    }
}

#[cfg(test)]
mod tests;
