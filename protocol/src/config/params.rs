//! The tracker's parameter reply (native-client.md 2.8, command 75): what storages and clients learn of a cluster.
//!
//! Text of at most 1023 bytes, `key=value\n`, booleans as 0 and 1. It comes from a peer, so it is not read as a
//! configuration file: no directive and no include means anything in it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use thiserror::Error;

use super::space::ReservedSpace;
use super::trunk_conf::{DEFAULT_TRUNK_FILE_SIZE, MIN_TRUNK_FILE_SIZE, TrunkConf};
use super::value::{TimeOfDay, parse_bool, parse_bytes, parse_int, parse_time_of_day};
use crate::address::AddressWidth;

/// Longest reply: readers have a buffer of 1024 bytes.
pub const MAX_PARAMS_LEN: usize = 1023;
/// Longest reply that is read; a later tracker may know more keys.
const MAX_READ_LEN: usize = 64 << 10;

/// What new file names carry of the storage that made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdType {
    /// Its IPv4 address.
    Ip,
    /// Its number.
    Id,
}

/// How the store path for an upload is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorePathChoice {
    /// 0: one after the other.
    RoundRobin,
    /// 2: the one with most free space.
    MostFree,
}

/// The reply.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterParams {
    /// Storages have numbers.
    pub use_storage_id: bool,
    /// What new file names carry.
    pub id_type_in_filename: IdType,
    /// The tracker believes the id that a storage says it has.
    pub trust_storage_server_id: bool,
    /// Width of address fields in the tracker's answers.
    pub response_ip_addr_size: AddressWidth,
    /// The tracker follows storages that change their address.
    pub storage_ip_changed_auto_adjust: bool,
    /// A file older than this is taken to be on all members.
    pub storage_sync_file_max_delay: Duration,
    /// Choice of the store path.
    pub store_path: StorePathChoice,
    /// Room that groups keep.
    pub reserved_storage_space: ReservedSpace,
    /// Trunk files.
    pub trunk: TrunkConf,
    /// Store slave files as links.
    pub store_slave_file_use_link: bool,
}

/// The reply cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadParams {
    /// Far longer than any tracker sends.
    #[error("the parameter reply has {0} bytes")]
    TooLong(usize),
    /// A value is malformed.
    #[error("parameter {key} = '{value}' is malformed")]
    Value {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
}

impl Default for ClusterParams {
    /// What a reader assumes of a tracker that says nothing.
    fn default() -> Self {
        Self {
            use_storage_id: false,
            id_type_in_filename: IdType::Ip,
            trust_storage_server_id: false,
            response_ip_addr_size: AddressWidth::V6,
            storage_ip_changed_auto_adjust: false,
            storage_sync_file_max_delay: Duration::from_secs(86_400),
            store_path: StorePathChoice::RoundRobin,
            reserved_storage_space: ReservedSpace::default(),
            trunk: TrunkConf::assumed(),
            store_slave_file_use_link: false,
        }
    }
}

struct Reply<'a>(BTreeMap<&'a str, &'a str>);

impl Reply<'_> {
    fn bad(&self, key: &'static str) -> BadParams {
        BadParams::Value { key, value: self.0.get(key).copied().unwrap_or_default().to_owned() }
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.0.get(key).map_or(default, |text| parse_bool(text).value)
    }

    fn count(&self, key: &str, default: u32) -> u32 {
        self.0.get(key).map_or(default, |text| u32::try_from(parse_int(text).value).unwrap_or(0))
    }

    fn seconds(&self, key: &str, default: Duration) -> Duration {
        match self.0.get(key) {
            Some(text) => Duration::from_secs(u64::try_from(parse_int(text).value).unwrap_or(0)),
            None => default,
        }
    }

    fn bytes(&self, key: &'static str, default: u64) -> Result<u64, BadParams> {
        match self.0.get(key) {
            Some(text) => parse_bytes(text).map(|read| read.value).map_err(|_| self.bad(key)),
            None => Ok(default),
        }
    }

    fn time(&self, key: &'static str, default: TimeOfDay) -> Result<TimeOfDay, BadParams> {
        match self.0.get(key) {
            Some(text) => parse_time_of_day(text).map(|read| read.value).map_err(|_| self.bad(key)),
            None => Ok(default),
        }
    }

    fn trunk(&self) -> Result<TrunkConf, BadParams> {
        let assumed = TrunkConf::assumed();
        let trunk_file_size =
            self.bytes("trunk_file_size", DEFAULT_TRUNK_FILE_SIZE)?.max(MIN_TRUNK_FILE_SIZE);
        Ok(TrunkConf {
            use_trunk_file: self.flag("use_trunk_file", assumed.use_trunk_file),
            slot_min_size: self.bytes("slot_min_size", assumed.slot_min_size)?,
            slot_max_size: self.bytes("slot_max_size", trunk_file_size / 4)?,
            trunk_alloc_alignment_size: self.bytes("trunk_alloc_alignment_size", 0)?,
            trunk_file_size,
            trunk_create_file_advance: self.flag("trunk_create_file_advance", false),
            trunk_create_file_time_base: self
                .time("trunk_create_file_time_base", assumed.trunk_create_file_time_base)?,
            trunk_create_file_interval: self
                .seconds("trunk_create_file_interval", assumed.trunk_create_file_interval),
            trunk_create_file_space_threshold: self.bytes("trunk_create_file_space_threshold", 0)?,
            trunk_init_check_occupying: self.flag("trunk_init_check_occupying", false),
            trunk_init_reload_from_binlog: self.flag("trunk_init_reload_from_binlog", false),
            trunk_free_space_merge: self.flag("trunk_free_space_merge", false),
            delete_unused_trunk_files: self.flag("delete_unused_trunk_files", false),
            trunk_compress_binlog_min_interval: self
                .seconds("trunk_compress_binlog_min_interval", Duration::ZERO),
            trunk_compress_binlog_interval: self.seconds("trunk_compress_binlog_interval", Duration::ZERO),
            trunk_compress_binlog_time_base: self
                .time("trunk_compress_binlog_time_base", assumed.trunk_compress_binlog_time_base)?,
            trunk_binlog_max_backups: self.count("trunk_binlog_max_backups", 0),
        })
    }
}

impl ClusterParams {
    /// Reads a tracker's reply; what it does not say is as [`ClusterParams::default`] says.
    pub fn parse(text: &str) -> Result<Self, BadParams> {
        if text.len() > MAX_READ_LEN {
            return Err(BadParams::TooLong(text.len()));
        }
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        let reply = Reply(pairs.map(|(key, value)| (key.trim(), value.trim())).collect());
        let use_storage_id = reply.flag("use_storage_id", false);
        let by_id = reply.0.get("id_type_in_filename").is_some_and(|text| text.eq_ignore_ascii_case("id"));
        let reserved = match reply.0.get("reserved_storage_space") {
            Some(text) => ReservedSpace::parse(text).map_err(|_| reply.bad("reserved_storage_space"))?.value,
            None => ReservedSpace::default(),
        };
        let narrow = reply.count("response_ip_addr_size", 46) == 16;
        Ok(Self {
            use_storage_id,
            id_type_in_filename: if by_id && use_storage_id { IdType::Id } else { IdType::Ip },
            trust_storage_server_id: reply.flag("trust_storage_server_id", false),
            response_ip_addr_size: if narrow { AddressWidth::V4 } else { AddressWidth::V6 },
            storage_ip_changed_auto_adjust: reply.flag("storage_ip_changed_auto_adjust", false),
            storage_sync_file_max_delay: reply
                .seconds("storage_sync_file_max_delay", Duration::from_secs(86_400)),
            store_path: match reply.count("store_path", 0) {
                2 => StorePathChoice::MostFree,
                _ => StorePathChoice::RoundRobin,
            },
            reserved_storage_space: reserved,
            trunk: reply.trunk()?,
            store_slave_file_use_link: reply.flag("store_slave_file_use_link", false),
        })
    }

    /// The reply as a tracker sends it, in the reference's order.
    pub fn serialize(&self) -> String {
        let mut out = String::with_capacity(MAX_PARAMS_LEN);
        let mut put = |key: &str, value: &dyn std::fmt::Display| {
            writeln!(out, "{key}={value}").expect("writing into a String does not fail");
        };
        let id_type = match self.id_type_in_filename {
            IdType::Ip => "ip",
            IdType::Id => "id",
        };
        let store_path = match self.store_path {
            StorePathChoice::RoundRobin => 0,
            StorePathChoice::MostFree => 2,
        };
        let trunk = &self.trunk;
        put("use_storage_id", &u8::from(self.use_storage_id));
        put("id_type_in_filename", &id_type);
        put("trust_storage_server_id", &u8::from(self.trust_storage_server_id));
        put("response_ip_addr_size", &self.response_ip_addr_size.field());
        put("storage_ip_changed_auto_adjust", &u8::from(self.storage_ip_changed_auto_adjust));
        put("storage_sync_file_max_delay", &self.storage_sync_file_max_delay.as_secs());
        put("store_path", &store_path);
        put("reserved_storage_space", &self.reserved_storage_space);
        put("use_trunk_file", &u8::from(trunk.use_trunk_file));
        put("slot_min_size", &trunk.slot_min_size);
        put("slot_max_size", &trunk.slot_max_size);
        put("trunk_alloc_alignment_size", &trunk.trunk_alloc_alignment_size);
        put("trunk_file_size", &trunk.trunk_file_size);
        put("trunk_create_file_advance", &u8::from(trunk.trunk_create_file_advance));
        put("trunk_create_file_time_base", &trunk.trunk_create_file_time_base.minutes());
        put("trunk_create_file_interval", &trunk.trunk_create_file_interval.as_secs());
        put("trunk_create_file_space_threshold", &trunk.trunk_create_file_space_threshold);
        put("trunk_init_check_occupying", &u8::from(trunk.trunk_init_check_occupying));
        put("trunk_init_reload_from_binlog", &u8::from(trunk.trunk_init_reload_from_binlog));
        put("trunk_free_space_merge", &u8::from(trunk.trunk_free_space_merge));
        put("delete_unused_trunk_files", &u8::from(trunk.delete_unused_trunk_files));
        put("trunk_compress_binlog_min_interval", &trunk.trunk_compress_binlog_min_interval.as_secs());
        put("trunk_compress_binlog_interval", &trunk.trunk_compress_binlog_interval.as_secs());
        put("trunk_compress_binlog_time_base", &trunk.trunk_compress_binlog_time_base.minutes());
        put("trunk_binlog_max_backups", &trunk.trunk_binlog_max_backups);
        put("store_slave_file_use_link", &u8::from(self.store_slave_file_use_link));
        out
    }
}

#[cfg(test)]
mod tests;
