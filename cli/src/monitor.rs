//! The state of a cluster as text: FastDFS's blocks of a group and of a storage, line for line, which other people's
//! scripts read.

use std::fmt::Write;

use protocol::tracker::{GroupRecord, StorageRecord};
use protocol::{HostPort, StorageId};

use crate::clock::local_time;
use crate::format::{human_mb, human_seconds};

/// A group and its storages.
#[derive(Debug, Clone)]
pub(crate) struct GroupView {
    pub(crate) group: GroupRecord,
    pub(crate) storages: Vec<StorageRecord>,
}

impl GroupView {
    /// The group's block, then its storages'.
    pub(crate) fn text(&self) -> String {
        let mut text = self.group_block();
        for (index, storage) in self.storages.iter().enumerate() {
            text.push_str(&self.storage_block(index + 1, storage));
        }
        text
    }

    fn group_block(&self) -> String {
        let group = &self.group;
        let has_trunk = group.trunk_file_id >= 0;
        let mut text = format!("group name = {}\n", group.name);
        push_space(&mut text, "", group.total_mb, group.free_mb, group.reserved_mb);
        if has_trunk {
            push(&mut text, format_args!("trunk free space = {:>7}", human_mb(group.trunk_free_mb)));
        }
        for (label, number) in [
            ("storage server count", group.storage_count),
            ("readable server count", group.readable_count),
            ("writable server count", group.writable_count),
            ("storage server port", group.storage_port),
            ("store path count", group.store_path_count),
            ("subdir count per path", group.subdir_count),
            ("current write server index", group.current_write_server),
        ] {
            push(&mut text, format_args!("{label} = {number}"));
        }
        let trunk_server = self.storages.iter().find(|storage| storage.is_trunk_server != 0);
        if let (true, Some(server)) = (has_trunk, trunk_server) {
            push(&mut text, format_args!("current trunk server = {} ({})", server.id, ip_of(server)));
            push(&mut text, format_args!("current trunk file id = {}", group.trunk_file_id));
        }
        text.push('\n');
        text
    }

    fn storage_block(&self, number: usize, storage: &StorageRecord) -> String {
        const INDENT: &str = "\t\t";
        let mut text = format!("\tStorage {number}:\n");
        let mut line = |words: std::fmt::Arguments<'_>| push(&mut text, format_args!("{INDENT}{words}"));
        line(format_args!("id = {}", storage.id));
        line(format_args!("host = {}  {}", host(storage), storage.status));
        line(format_args!("read write mode = {}", rw_mode(storage.rw_mode)));
        line(format_args!("version = {}", storage.version));
        line(format_args!("join time = {}", local_time(storage.join_time)));
        let up_time = if storage.up_time == 0 { String::new() } else { local_time(storage.up_time) };
        line(format_args!("up time = {up_time}"));
        push_space(&mut text, INDENT, storage.total_mb, storage.free_mb, storage.reserved_mb);
        let mut line = |words: std::fmt::Arguments<'_>| push(&mut text, format_args!("{INDENT}{words}"));
        line(format_args!("upload priority = {}", storage.upload_priority));
        line(format_args!("store_path_count = {}", storage.store_path_count));
        line(format_args!("subdir_count_per_path = {}", storage.subdir_count));
        line(format_args!("current_write_path = {}", storage.current_write_path));
        line(format_args!("source storage id = {}", storage.source.as_ref().map_or("", StorageId::as_str)));
        line(format_args!("if_trunk_server = {}", storage.is_trunk_server));
        let stats = &storage.stats;
        line(format_args!("connection.alloc_count = {}", stats.connections_alloc));
        line(format_args!("connection.current_count = {}", stats.connections_current));
        line(format_args!("connection.max_count = {}", stats.connections_max));
        const TIMES: [&str; 4] =
            ["last_source_update", "last_sync_update", "last_synced_timestamp", "last_heart_beat_time"];
        for (name, number) in stat_names().zip(stats.numbers()) {
            if !TIMES.contains(&name) {
                // FastDFS misspells this one, and parsers depend on it.
                let label = if name == "total_download_bytes" { "stotal_download_bytes" } else { name };
                line(format_args!("{label} = {number}"));
            }
        }
        line(format_args!("last_heart_beat_time = {}", local_time(stats.last_heart_beat_time)));
        line(format_args!("last_source_update = {}", local_time(stats.last_source_update)));
        line(format_args!("last_sync_update = {}", local_time(stats.last_sync_update)));
        let synced = stats.last_synced_timestamp;
        line(format_args!("last_synced_timestamp = {} {}", local_time(synced), self.delay(storage)));
        text
    }

    /// How far a storage is behind the last write of the others.
    fn delay(&self, storage: &StorageRecord) -> String {
        match self.newest_elsewhere(storage) {
            0 => String::new(),
            _ if storage.stats.last_synced_timestamp == 0 => "(never synced)".to_owned(),
            newest => {
                let delay = newest - storage.stats.last_synced_timestamp;
                format!("({} delay)", human_seconds(delay))
            }
        }
    }

    /// Last write for a client on any other member.
    pub(crate) fn newest_elsewhere(&self, storage: &StorageRecord) -> i64 {
        let others = self.storages.iter().filter(|other| other.id != storage.id);
        others.map(|other| other.stats.last_source_update).max().unwrap_or(0)
    }
}

fn stat_names() -> impl Iterator<Item = &'static str> {
    protocol::cluster::StorageStats::NAMES.iter().copied()
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

fn push_space(text: &mut String, indent: &str, total_mb: i64, free_mb: i64, reserved_mb: i64) {
    let available = (free_mb - reserved_mb).max(0);
    for (label, mb) in [
        ("total space    ", total_mb),
        ("free space     ", free_mb),
        ("reserved space ", reserved_mb),
        ("available space", available),
    ] {
        push(text, format_args!("{indent}disk {label} = {:>7}", human_mb(mb)));
    }
}

fn ip_of(storage: &StorageRecord) -> String {
    storage.ip.map(|ip| ip.to_string()).unwrap_or_default()
}

/// `ip:port` of a storage.
pub(crate) fn host(storage: &StorageRecord) -> String {
    match (storage.ip, u16::try_from(storage.port)) {
        (Some(ip), Ok(port)) => HostPort { host: ip.to_string(), port }.to_string(),
        _ => format!("{}:{}", ip_of(storage), storage.port),
    }
}

/// The words for a storage's mode.
pub(crate) fn rw_mode(mode: u8) -> &'static str {
    match mode {
        0 => "none (disabled)",
        2 => "writeonly",
        4 => "readonly",
        6 => "both (normal)",
        _ => "unknown",
    }
}

#[cfg(test)]
pub(crate) mod tests;
