//! Reading the files back, whoever wrote them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use protocol::cluster::{StorageStats, StorageStatus};
use protocol::{GroupName, StorageId};
use tracing::warn;

use super::{CHANGELOG, FileError, GROUPS, SERVERS, TIMESTAMPS};
use crate::state::{Cluster, Group, Member, Rules};

/// Loads what was saved; nothing was, on a first start.
pub(crate) fn load(data: &Path, rules: Rules) -> Result<Cluster, FileError> {
    let mut groups = Vec::new();
    for section in sections(&read(data, GROUPS)?) {
        groups.extend(group(&section));
    }
    for section in sections(&read(data, SERVERS)?) {
        member(&section, &rules, &mut groups);
    }
    for group in &mut groups {
        drop_dangling_sources(group);
    }
    timestamps(&read(data, TIMESTAMPS)?, &mut groups);
    let changelog = read(data, CHANGELOG)?.into_bytes();
    Ok(Cluster::restore(rules, groups, changelog))
}

fn read(data: &Path, name: &str) -> Result<String, FileError> {
    let path = data.join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(FileError { doing: "read", path: path.display().to_string(), source }),
    }
}

type Section = BTreeMap<String, String>;

/// Sections of `key=value` lines, without `[Global]`.
fn sections(text: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut is_global = true;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            is_global = line == "[Global]";
            if !is_global {
                sections.push(Section::new());
            }
        } else if let (Some((key, value)), Some(section), false) =
            (line.split_once('='), sections.last_mut(), is_global)
        {
            section.insert(key.trim().to_owned(), value.trim().to_owned());
        }
    }
    sections
}

fn number<T: std::str::FromStr + Default>(section: &Section, key: &str) -> T {
    section.get(key).and_then(|value| value.parse().ok()).unwrap_or_default()
}

fn id(section: &Section, key: &str) -> Option<StorageId> {
    section.get(key).and_then(|value| StorageId::parse(value).ok())
}

fn group(section: &Section) -> Option<Group> {
    let name = section.get("group_name")?;
    let Ok(name) = GroupName::parse(name) else {
        warn!(group = name, "saved group has an impossible name, left out");
        return None;
    };
    let mut group = Group::new(name);
    group.port = u16::try_from(number::<i64>(section, "storage_port")).ok().filter(|port| *port != 0);
    group.store_path_count = number(section, "store_path_count");
    group.subdir_count = number(section, "subdir_count_per_path");
    group.trunk_file_id = number(section, "current_trunk_file_id");
    group.trunk_server = id(section, "trunk_server");
    group.last_trunk_server = id(section, "last_trunk_server");
    Some(group)
}

/// Restores a member: whoever was in service is offline until it joins again.
fn member(section: &Section, rules: &Rules, groups: &mut [Group]) {
    let (group_name, ip) = (section.get("group_name"), section.get("ip_addr"));
    let ip: Option<IpAddr> = ip.and_then(|ip| ip.split(',').next()).and_then(|ip| ip.parse().ok());
    let found = group_name.and_then(|name| groups.iter_mut().find(|group| group.name.as_str() == name));
    let (Some(group), Some(ip)) = (found, ip) else {
        warn!(?group_name, "saved storage without a group or an address, left out");
        return;
    };
    let port = number(section, "storage_port");
    let known = rules.ids.as_ref().and_then(|ids| ids.by_address(&group.name, ip, port));
    let own_id =
        id(section, "id").or(known.map(|entry| entry.id)).or_else(|| StorageId::parse(&ip.to_string()).ok());
    let Some(own_id) = own_id else { return };
    let mut member = Member::new(own_id, ip, port);
    let status = StorageStatus(number(section, "status"));
    member.status = match status {
        StorageStatus::INIT | StorageStatus::WAIT_SYNC | StorageStatus::SYNCING => status,
        _ => StorageStatus::OFFLINE,
    };
    member.version = section.get("version").cloned().unwrap_or_default();
    member.join_time = number(section, "join_time");
    member.source = id(section, "sync_src_server");
    member.sync_until = number(section, "sync_until_timestamp");
    member.total_mb = number(section, "total_mb");
    member.free_mb = number(section, "free_mb");
    member.changelog_offset = number(section, "changelog_offset");
    member.store_path_count = number(section, "store_path_count");
    member.subdir_count = number(section, "subdir_count_per_path");
    member.upload_priority = number(section, "upload_priority");
    for name in StorageStats::NAMES {
        member.stats.set(name, number(section, name));
    }
    member.last_synced = number(section, "last_synced_timestamp");
    member.last_beat = number(section, "last_heart_beat_time");
    group.insert(member);
}

fn drop_dangling_sources(group: &mut Group) {
    let known: Vec<_> = group.members.iter().map(|member| member.id).collect();
    for member in &mut group.members {
        if let Some(source) = member.source.filter(|source| !known.contains(source)) {
            warn!(group = %group.name, storage = %member.id, %source, "saved sync source is no member, dropped");
            member.source = None;
        }
    }
}

/// One row per source: `group,source,t1,...,tN`, a column per member. Rows that do not fit the members are dropped:
/// storages report them again within a heart beat.
fn timestamps(text: &str, groups: &mut [Group]) {
    for row in text.lines().filter(|row| !row.is_empty()) {
        let mut columns = row.split(',');
        let (name, source) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
        let values: Vec<i32> = columns.map(|value| value.trim().parse().unwrap_or(0)).collect();
        let group = groups.iter_mut().find(|group| group.name.as_str() == name);
        let source = StorageId::parse(source).ok();
        match (group, source) {
            (Some(group), Some(source))
                if values.len() == group.members.len() && group.member(&source).is_some() =>
            {
                for (member, timestamp) in group.members.iter_mut().zip(values) {
                    if member.id != source && timestamp > 0 {
                        member.synced_from.insert(source, timestamp);
                    }
                }
            }
            _ => warn!(row, "{TIMESTAMPS}: row does not fit the storages, dropped; they will report again"),
        }
    }
}
