//! The state as lists show it: groups, storages and their statistics.

use std::net::IpAddr;

use protocol::HostPort;
use protocol::cluster::{StorageStats, StorageStatus};
use protocol::tracker::{Connections, GroupRecord, GroupStatistics, StorageRecord, StorageStatistics};

use super::{Cluster, Group, Member, TrunkMode};

impl Cluster {
    /// What the reserve amounts to of `total_mb`.
    pub fn reserved_mb(&self, total_mb: i64) -> i64 {
        let total = u64::try_from(total_mb).unwrap_or(0);
        i64::try_from(self.rules.reserved.reserved_mb(total)).unwrap_or(i64::MAX)
    }

    /// A group as lists show it.
    pub fn group_record(&self, group: &Group) -> GroupRecord {
        let count = |iter: usize| i64::try_from(iter).unwrap_or(i64::MAX);
        GroupRecord {
            name: group.name,
            total_mb: group.total_mb,
            free_mb: group.free_mb,
            reserved_mb: self.reserved_mb(group.total_mb),
            trunk_free_mb: group.trunk_free_mb,
            storage_count: count(group.members.len()),
            storage_port: group.wire_port(),
            readable_count: count(group.readable().count()),
            writable_count: count(group.writable().count()),
            current_write_server: count(group.write_turn),
            store_path_count: group.store_path_count,
            subdir_count: group.subdir_count,
            trunk_file_id: match self.rules.use_trunk_file {
                TrunkMode::On => group.trunk_file_id.into(),
                TrunkMode::Off => -1,
            },
        }
    }

    /// A storage as lists show it to `client`.
    pub fn storage_record(&self, group: &Group, member: &Member, client: IpAddr) -> StorageRecord {
        StorageRecord {
            status: member.status,
            rw_mode: member.rw.to_byte(),
            id: member.id,
            ip: Some(member.address_for(client)),
            source: member.source,
            version: member.version.clone(),
            join_time: member.join_time,
            up_time: member.up_time,
            total_mb: member.total_mb,
            free_mb: member.free_mb,
            reserved_mb: self.reserved_mb(member.total_mb),
            upload_priority: member.upload_priority,
            store_path_count: member.store_path_count,
            subdir_count: member.subdir_count,
            current_write_path: i64::try_from(member.current_write_path).unwrap_or(0),
            port: member.port.into(),
            stats: StorageStats {
                last_synced_timestamp: member.last_synced,
                last_heart_beat_time: member.last_beat,
                ..member.stats
            },
            is_trunk_server: u8::from(group.trunk_server == Some(member.id)),
        }
    }

    /// A storage in the short form of statistics.
    pub fn storage_statistics(&self, group: &Group, member: &Member, client: IpAddr) -> StorageStatistics {
        let host = HostPort { host: member.address_for(client).to_string(), port: member.port };
        StorageStatistics {
            id: member.id,
            host: host.to_string(),
            is_trunk_server: u8::from(group.trunk_server == Some(member.id)),
            status: member.status,
            connections: Connections {
                alloc: member.stats.connections_alloc,
                current: member.stats.connections_current,
                max: member.stats.connections_max,
            },
            version: member.version.clone(),
            up_time: member.up_time,
            last_heart_beat: member.last_beat,
        }
    }

    /// A group in the short form of statistics.
    pub fn group_statistics(&self, group: &Group) -> GroupStatistics {
        let reserved_mb = self.reserved_mb(group.total_mb);
        GroupStatistics {
            name: group.name,
            total_mb: group.total_mb,
            free_mb: group.free_mb,
            reserved_mb,
            available_mb: (group.free_mb - reserved_mb).max(0),
            trunk_free_mb: group.trunk_free_mb,
            disk_available: u8::from(self.group_has_room(group, 0)),
            trunk_available: u8::from(self.group_has_trunk_room(group, 0)),
        }
    }

    /// Whether a group has members that were in service, and none of them is.
    pub fn awaits_storages(&self) -> bool {
        let waits = |group: &Group| {
            let is = |status| group.members.iter().any(|member| member.status == status);
            (is(StorageStatus::OFFLINE) || is(StorageStatus::ONLINE)) && !is(StorageStatus::ACTIVE)
        };
        self.groups.iter().any(waits)
    }

    /// Whether a client can upload somewhere.
    pub fn has_active_storage(&self) -> bool {
        self.groups
            .iter()
            .any(|group| group.members.iter().any(|member| member.status == StorageStatus::ACTIVE))
    }
}
