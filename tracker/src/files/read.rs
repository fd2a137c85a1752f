//! Reading the files back, whoever wrote them.
//!
//! Each of the things that keep FastDFS's tracker from starting (native-cluster.md 7.6), or leave a member waiting for ever
//! (2.7), is put right and said in one line; the next save writes what was put right.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use protocol::cluster::{StorageStats, StorageStatus};
use protocol::config::storage_ids::RwMode;
use protocol::{GroupName, StorageId};
use tracing::{info, warn};

use super::{CHANGELOG, FileError, GROUPS, RW_SET, SERVERS, TIMESTAMPS, timestamps};
use crate::state::{Cluster, Group, Member, MixedPorts, Rules};

/// Loads what was saved; nothing was, on a first start.
pub(crate) fn load(data: &Path, rules: Rules) -> Result<Cluster, FileError> {
    let [groups, servers, timestamps] = [read(data, GROUPS)?, read(data, SERVERS)?, read(data, TIMESTAMPS)?];
    Ok(restore([&groups, &servers, &timestamps], read(data, CHANGELOG)?.into_bytes(), rules))
}

/// The cluster that these groups, servers and timestamps, and this changelog tell of.
pub(crate) fn restore(files: [&str; 3], changelog: Vec<u8>, rules: Rules) -> Cluster {
    let [groups_file, servers_file, timestamps_file] = files;
    let mut groups: Vec<Group> = Vec::new();
    for section in sections(groups_file) {
        let Some(group) = group(&section, &rules) else { continue };
        if groups.iter().any(|other| other.name == group.name) {
            warn!(group = %group.name, "{GROUPS}: listed twice, the second is left out");
        } else {
            groups.push(group);
        }
    }
    let changelog = whole_lines(changelog);
    let mut order = Vec::new();
    for section in sections(servers_file) {
        order.extend(member(&section, &rules, &mut groups, changelog.len()));
    }
    for group in &mut groups {
        mend(group);
    }
    timestamps::read(timestamps_file, &mut groups, &order, |group, text| known(&rules, group, text));
    Cluster::restore(rules, groups, changelog)
}

fn read(data: &Path, name: &str) -> Result<String, FileError> {
    let path = data.join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(FileError { doing: "read", path: path.display().to_string(), source }),
    }
}

/// The changelog without a line that a crash cut short: the next one would be written behind it.
fn whole_lines(mut changelog: Vec<u8>) -> Vec<u8> {
    let end = changelog.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    if end < changelog.len() {
        warn!(bytes = changelog.len() - end, "{CHANGELOG}: the last line was cut short, left out");
        changelog.truncate(end);
    }
    changelog
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

/// The storage that a file names: by its id, or by its address in files from before the cluster used ids.
fn known(rules: &Rules, group: GroupName, text: &str) -> Option<StorageId> {
    let id = StorageId::parse(text).ok();
    let Some(ids) = &rules.ids else { return id };
    if let Some(entry) = id.and_then(|id| ids.by_id(&id)) {
        return Some(entry.id);
    }
    let ip: IpAddr = text.parse().ok()?;
    ids.entries()
        .iter()
        .find(|entry| entry.group == group && entry.addresses().any(|own| own == ip))
        .map(|entry| entry.id)
}

fn id(section: &Section, key: &str, rules: &Rules, group: GroupName) -> Option<StorageId> {
    let text = section.get(key).filter(|text| !text.is_empty())?;
    known(rules, group, text).or_else(|| StorageId::parse(text).ok())
}

fn group(section: &Section, rules: &Rules) -> Option<Group> {
    let name = section.get("group_name")?;
    let Ok(name) = GroupName::parse(name) else {
        warn!(group = name, "{GROUPS}: an impossible name, left out");
        return None;
    };
    let mut group = Group::new(name);
    let port: i64 = number(section, "storage_port");
    group.port = u16::try_from(port).ok().filter(|port| *port != 0);
    if port < 0 {
        group.mixed_ports = MixedPorts::Yes;
    }
    group.store_path_count = number(section, "store_path_count");
    group.subdir_count = number(section, "subdir_count_per_path");
    group.trunk_file_id = number(section, "current_trunk_file_id");
    group.trunk_server = id(section, "trunk_server", rules, name);
    group.last_trunk_server = id(section, "last_trunk_server", rules, name);
    Some(group)
}

/// Restores a member: whoever was in service is offline until it joins again. Gives where it stands in the file.
fn member(
    section: &Section,
    rules: &Rules,
    groups: &mut Vec<Group>,
    changelog_len: usize,
) -> Option<(GroupName, StorageId)> {
    let (group_name, ip) = (section.get("group_name"), section.get("ip_addr"));
    let mut ips =
        ip.into_iter().flat_map(|ip| ip.split(',')).map_while(|ip| ip.trim().parse::<IpAddr>().ok());
    let name = group_name.and_then(|name| GroupName::parse(name).ok());
    let (Some(name), Some(ip)) = (name, ips.next()) else {
        warn!(?group_name, ?ip, "{SERVERS}: a storage without a group or an address, left out");
        return None;
    };
    let port = number(section, "storage_port");
    let own_id = own_id(section, rules, name, ip, port)?;
    let mut member = Member::new(own_id, ip, port);
    member.alternate_ip = ips.next();
    if let Some(entry) = rules.ids.as_ref().and_then(|ids| ids.by_id(&own_id)) {
        member.rw = entry.rw;
    }
    member.rw_set = section.get(RW_SET).and_then(|word| RwMode::parse(word));
    member.rw = member.rw_set.unwrap_or(member.rw);
    member.status = status(section, name, own_id);
    member.version = section.get("version").cloned().unwrap_or_default();
    member.join_time = number(section, "join_time");
    member.source = id(section, "sync_src_server", rules, name);
    member.sync_until = number(section, "sync_until_timestamp");
    member.total_mb = number(section, "total_mb");
    member.free_mb = number(section, "free_mb");
    member.changelog_offset = number::<usize>(section, "changelog_offset").min(changelog_len);
    member.store_path_count = number(section, "store_path_count");
    member.subdir_count = number(section, "subdir_count_per_path");
    member.upload_priority = number(section, "upload_priority");
    for name in StorageStats::NAMES {
        member.stats.set(name, number(section, name));
    }
    member.last_synced = number(section, "last_synced_timestamp");
    member.last_beat = number(section, "last_heart_beat_time");
    let group = group_of(groups, &member, name);
    if group.member(&own_id).is_some() {
        warn!(group = %name, storage = %own_id, "{SERVERS}: listed twice, the second is left out");
        return None;
    }
    group.insert(member);
    Some((name, own_id))
}

fn own_id(section: &Section, rules: &Rules, group: GroupName, ip: IpAddr, port: u16) -> Option<StorageId> {
    let by_address = || StorageId::parse(&ip.to_string()).ok();
    let Some(ids) = &rules.ids else { return by_address() };
    section
        .get("id")
        .and_then(|id| StorageId::parse(id).ok())
        .or_else(|| ids.by_address(&group, ip, port).map(|entry| entry.id))
        .or_else(by_address)
}

/// The status at a start. FastDFS's tracker does not save when a copy is done, so a member that waits may be done; nothing
/// in the files tells. Its source is asked again, and either goes on or says so.
fn status(section: &Section, group: GroupName, storage: StorageId) -> StorageStatus {
    let status = StorageStatus(number(section, "status"));
    if ![StorageStatus::INIT, StorageStatus::WAIT_SYNC, StorageStatus::SYNCING].contains(&status) {
        return StorageStatus::OFFLINE;
    }
    if status != StorageStatus::INIT {
        info!(%group, %storage, %status, "still waits for old files, its source will be asked to go on");
    }
    status
}

/// The group of a storage; one that the groups file has lost is made from its storages.
fn group_of<'a>(groups: &'a mut Vec<Group>, member: &Member, name: GroupName) -> &'a mut Group {
    let at = groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
        warn!(group = %name, "{GROUPS}: this group is missing, made again from its storages");
        let mut group = Group::new(name);
        group.port = Some(member.port).filter(|port| *port != 0);
        group.store_path_count = member.store_path_count;
        group.subdir_count = member.subdir_count;
        groups.push(group);
        groups.len() - 1
    });
    &mut groups[at]
}

/// Drops names of storages that are not there.
fn mend(group: &mut Group) {
    let known: Vec<_> = group.members.iter().map(|member| member.id).collect();
    for member in &mut group.members {
        if let Some(source) = member.source.filter(|source| *source == member.id || !known.contains(source)) {
            warn!(group = %group.name, storage = %member.id, %source, "{SERVERS}: its sync source is no member, dropped");
            member.source = None;
            member.sync_until = 0;
        }
    }
    if let Some(server) = group.trunk_server.filter(|server| !known.contains(server)) {
        warn!(group = %group.name, %server, "{GROUPS}: its trunk server is no member, dropped");
        group.trunk_server = None;
    }
}

#[cfg(test)]
mod tests;
