//! The snapshot: taken under the state's lock as text, written without it.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use protocol::cluster::StorageStats;
use protocol::daemon::replace_file;

use super::{CHANGELOG, FileError, GROUPS, RW_SET, SAVED_COUNTERS, SERVERS, TIMESTAMPS};
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

impl Snapshot {
    /// One file, by the number that trackers give it when they copy each other's.
    pub(crate) fn file(&self, number: u8) -> Option<&[u8]> {
        match number {
            0 => Some(self.groups.as_bytes()),
            1 => Some(self.servers.as_bytes()),
            2 => Some(self.timestamps.as_bytes()),
            3 => Some(&self.changelog),
            _ => None,
        }
    }
}

/// One step of a save, after each of which the files can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'a> {
    Replace(&'static str, &'a [u8]),
    Remove(&'static str),
}

impl Step<'_> {
    fn run(self, data: &Path) -> Result<(), FileError> {
        let (name, doing, result) = match self {
            Self::Replace(name, content) => (name, "write", write(&data.join(name), content)),
            Self::Remove(name) => (name, "remove", remove(&data.join(name))),
        };
        let path = data.join(name).display().to_string();
        result.map_err(|source| FileError { doing, path, source })
    }
}

/// A file that is as it should be stays: most changes concern one file, and every sync may wait for a busy disk.
fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    replace_file(path, content)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes all files, each as a whole.
pub(crate) fn save(data: &Path, snapshot: &Snapshot) -> Result<(), FileError> {
    let saved = fs::read_to_string(data.join(TIMESTAMPS)).unwrap_or_default();
    steps(snapshot, &saved).into_iter().try_for_each(|step| step.run(data))
}

/// The order in which a crash at any moment leaves files that FastDFS's tracker reads too: it refuses to start where
/// timestamps do not match the storages, or storages name an unknown group or lie past the changelog's end. A missing
/// file of timestamps it accepts, so that is what stands there while the members change.
fn steps<'a>(snapshot: &'a Snapshot, saved_timestamps: &str) -> Vec<Step<'a>> {
    let members_changed = !rows(saved_timestamps).eq(rows(&snapshot.timestamps));
    let mut steps = Vec::with_capacity(5);
    if members_changed {
        steps.push(Step::Remove(TIMESTAMPS));
    }
    steps.extend([
        Step::Replace(CHANGELOG, &snapshot.changelog),
        Step::Replace(GROUPS, snapshot.groups.as_bytes()),
        Step::Replace(SERVERS, snapshot.servers.as_bytes()),
        Step::Replace(TIMESTAMPS, snapshot.timestamps.as_bytes()),
    ]);
    steps
}

/// Group and source of every row.
fn rows(timestamps: &str) -> impl Iterator<Item = (Option<&str>, Option<&str>)> {
    timestamps.lines().map(|row| {
        let mut columns = row.split(',');
        (columns.next(), columns.next())
    })
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
        let trunk_server = group.trunk_server.filter(|id| kept(group).any(|member| member.id == *id));
        line(&mut out, "trunk_server", trunk_server.map(|id| id.to_string()).unwrap_or_default());
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
    if let Some(mode) = member.rw_set {
        line(out, RW_SET, mode.word());
    }
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

#[cfg(test)]
pub(super) mod tests;
