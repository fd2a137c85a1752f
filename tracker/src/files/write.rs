//! The snapshot: taken under the state's lock as text, written without it.

use std::fmt::Write;
use std::path::Path;

use protocol::cluster::StorageStats;
use protocol::daemon::replace_file;

use super::{CHANGELOG, FileError, GROUPS, SAVED_COUNTERS, SERVERS, TIMESTAMPS};
use crate::state::{Cluster, Group, Member};

/// The files' contents at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    groups: String,
    servers: String,
    timestamps: String,
    changelog: Vec<u8>,
}

impl Snapshot {
    /// Takes the contents.
    pub(crate) fn of(cluster: &Cluster) -> Self {
        Self {
            groups: groups(cluster),
            servers: servers(cluster),
            timestamps: timestamps(cluster),
            changelog: cluster.changelog().to_vec(),
        }
    }
}

/// Writes all files, each as a whole; the changelog first, since the storages file holds offsets into it.
pub(crate) fn save(data: &Path, snapshot: &Snapshot) -> Result<(), FileError> {
    for (name, content) in [
        (CHANGELOG, &snapshot.changelog[..]),
        (TIMESTAMPS, snapshot.timestamps.as_bytes()),
        (SERVERS, snapshot.servers.as_bytes()),
        (GROUPS, snapshot.groups.as_bytes()),
    ] {
        let path = data.join(name);
        replace_file(&path, content).map_err(|source| FileError {
            doing: "write",
            path: path.display().to_string(),
            source,
        })?;
    }
    Ok(())
}

/// Members that have rows: tombstones have none.
fn kept(group: &Group) -> impl Iterator<Item = &Member> {
    group.members.iter().filter(|member| !member.is_gone())
}

fn line(out: &mut String, key: &str, value: impl std::fmt::Display) {
    writeln!(out, "\t{key}={value}").expect("writing to a string cannot fail");
}

fn groups(cluster: &Cluster) -> String {
    let mut out = String::from("[Global]\n");
    line(&mut out, "group_count", cluster.groups().len());
    for (number, group) in cluster.groups().iter().enumerate() {
        writeln!(out, "\n# group: {}\n[Group{:03}]", group.name, number + 1)
            .expect("writing to a string cannot fail");
        line(&mut out, "group_name", group.name);
        line(&mut out, "storage_port", group.wire_port());
        line(&mut out, "store_path_count", group.store_path_count);
        line(&mut out, "subdir_count_per_path", group.subdir_count);
        line(&mut out, "current_trunk_file_id", group.trunk_file_id);
        line(&mut out, "trunk_server", group.trunk_server.map(|id| id.to_string()).unwrap_or_default());
        line(
            &mut out,
            "last_trunk_server",
            group.last_trunk_server.map(|id| id.to_string()).unwrap_or_default(),
        );
    }
    out.push('\n');
    out
}

fn servers(cluster: &Cluster) -> String {
    let mut out = String::new();
    let mut count = 0;
    for group in cluster.groups() {
        for member in kept(group) {
            count += 1;
            server(&mut out, cluster, group, member, count);
        }
    }
    out.push_str("\n[Global]\n");
    line(&mut out, "storage_count", count);
    out
}

fn server(out: &mut String, cluster: &Cluster, group: &Group, member: &Member, number: usize) {
    writeln!(out, "# storage: {}:{}\n[Storage{number:03}]", member.ip, member.port)
        .expect("writing to a string cannot fail");
    if cluster.rules().ids.is_some() {
        line(out, "id", member.id);
    }
    line(out, "group_name", group.name);
    line(out, "ip_addr", member.ip);
    line(out, "status", member.status.0);
    line(out, "version", &member.version);
    line(out, "join_time", member.join_time);
    line(out, "storage_port", member.port);
    let source = member.source.filter(|source| group.member(source).is_some_and(|source| !source.is_gone()));
    line(out, "sync_src_server", source.map(|id| id.to_string()).unwrap_or_default());
    line(out, "sync_until_timestamp", member.sync_until);
    line(out, "total_mb", member.total_mb);
    line(out, "free_mb", member.free_mb);
    line(out, "changelog_offset", member.changelog_offset);
    line(out, "store_path_count", member.store_path_count);
    line(out, "subdir_count_per_path", member.subdir_count);
    line(out, "upload_priority", member.upload_priority);
    for counter in SAVED_COUNTERS {
        for kind in ["total", "success"] {
            let name = format!("{kind}_{counter}");
            line(out, &name, stat(&member.stats, &name));
        }
    }
    line(out, "last_source_update", member.stats.last_source_update);
    line(out, "last_sync_update", member.stats.last_sync_update);
    line(out, "last_synced_timestamp", member.last_synced);
    line(out, "last_heart_beat_time", member.last_beat);
    out.push('\n');
}

/// A counter by its name.
fn stat(stats: &StorageStats, name: &str) -> i64 {
    StorageStats::NAMES
        .iter()
        .zip(stats.numbers())
        .find(|(field, _)| **field == name)
        .map_or(0, |(_, value)| value)
}

fn timestamps(cluster: &Cluster) -> String {
    let mut out = String::new();
    for group in cluster.groups() {
        for source in kept(group) {
            write!(out, "{},{}", group.name, source.id).expect("writing to a string cannot fail");
            for destination in kept(group) {
                let timestamp = destination.synced_from.get(&source.id).copied().unwrap_or(0);
                write!(out, ",{timestamp}").expect("writing to a string cannot fail");
            }
            out.push('\n');
        }
    }
    out
}
