//! A storage as its tracker knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use protocol::StorageId;
use protocol::address::AddressKind;
use protocol::cluster::{Brief, PathSpace, StorageStats, StorageStatus};
use protocol::config::storage_ids::RwMode;
use protocol::file_id::Source;

use super::Reported;

/// A member of a group.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its id: its address as text, or its number.
    pub id: StorageId,
    /// Its first address.
    pub ip: IpAddr,
    /// Its other address, of another kind.
    pub alternate_ip: Option<IpAddr>,
    /// Its native port.
    pub port: u16,
    /// Where it stands.
    pub status: StorageStatus,
    /// What clients may ask of it.
    pub rw: RwMode,
    /// What an operator set it to; counts more than the table of ids.
    pub rw_set: Option<RwMode>,
    /// Version text.
    pub version: String,
    /// First start.
    pub join_time: i64,
    /// This start; 0 while it is not connected.
    pub up_time: i64,
    /// Its store paths.
    pub store_path_count: i64,
    /// Its directories per level.
    pub subdir_count: i64,
    /// Lower is preferred.
    pub upload_priority: i64,
    /// Who feeds it old files.
    pub source: Option<StorageId>,
    /// Old files up to this time.
    pub sync_until: i64,
    /// Space per store path, as last reported.
    pub paths: Vec<PathSpace>,
    /// Sum over its store paths.
    pub total_mb: i64,
    /// Sum over its store paths.
    pub free_mb: i64,
    /// Store path for the next upload.
    pub current_write_path: usize,
    /// Counters, as last reported.
    pub stats: StorageStats,
    /// Last heart beat.
    pub last_beat: i64,
    /// How far it has read the changelog.
    pub changelog_offset: usize,
    /// How far others' writes have surely arrived.
    pub last_synced: i64,
    /// Newest record received from each other member.
    pub synced_from: BTreeMap<StorageId, i32>,
    /// Number of the connection that it joined on.
    pub connection: Option<u64>,
    /// The newest file that it made and cannot give any more, as it has lost its disk since.
    pub lost_until: i64,
    /// Grows whenever it begins to be filled anew, and so lacks what peers held it for having.
    pub fills: u64,
    /// Who of the others has to give it all of its own files: its source was not counted on to have them.
    pub give_all: BTreeSet<StorageId>,
    /// The filling of each other member for which its sender has started anew.
    pub started_for: BTreeMap<StorageId, u64>,
    /// How far its senders are, if it is ours.
    pub reported: Option<Reported>,
    /// How often it was told to copy all files after it was deleted, and did not.
    pub refusals: u8,
}

impl Member {
    /// A member that was never heard of.
    pub fn new(id: StorageId, ip: IpAddr, port: u16) -> Self {
        Self {
            id,
            ip,
            alternate_ip: None,
            port,
            status: StorageStatus::INIT,
            rw: RwMode::Both,
            rw_set: None,
            version: String::new(),
            join_time: 0,
            up_time: 0,
            store_path_count: 0,
            subdir_count: 0,
            upload_priority: 0,
            source: None,
            sync_until: 0,
            paths: Vec::new(),
            total_mb: 0,
            free_mb: 0,
            current_write_path: 0,
            stats: StorageStats::default(),
            last_beat: 0,
            changelog_offset: 0,
            last_synced: 0,
            synced_from: BTreeMap::new(),
            connection: None,
            lost_until: 0,
            fills: 0,
            give_all: BTreeSet::new(),
            started_for: BTreeMap::new(),
            reported: None,
            refusals: 0,
        }
    }

    /// Whether uploads may go to it.
    pub fn is_writable(&self) -> bool {
        self.status == StorageStatus::ACTIVE && self.rw.writes()
    }

    /// Whether downloads may go to it.
    pub fn is_readable(&self) -> bool {
        self.status == StorageStatus::ACTIVE && self.rw.reads()
    }

    /// Where it serves HTTP, if it is fdfs and has said so. Without a slash at the end.
    pub fn http_url(&self) -> Option<&str> {
        let url = &self.reported.as_ref()?.report.http_url;
        Some(url.trim_end_matches('/')).filter(|url| !url.is_empty())
    }

    /// Whether it is a tombstone.
    pub fn is_gone(&self) -> bool {
        matches!(self.status, StorageStatus::DELETED | StorageStatus::IP_CHANGED)
    }

    /// Whether it waits for old files or receives them.
    pub fn is_filling(&self) -> bool {
        matches!(self.status, StorageStatus::WAIT_SYNC | StorageStatus::SYNCING)
    }

    /// Time of the newest record that it surely has of another member's, 0 if there is none.
    pub fn has_from(&self, other: &StorageId) -> i64 {
        self.synced_from.get(other).copied().unwrap_or(0).into()
    }

    /// The same, or up to when its source gave it everybody's files.
    pub fn was_given(&self, other: &StorageId) -> i64 {
        let filled = if self.is_settled() && self.source.is_some() { self.sync_until } else { 0 };
        self.has_from(other).max(filled)
    }

    /// It begins to be filled: nothing that was known of its content holds.
    pub fn begin_fill(&mut self) {
        self.fills += 1;
        self.refusals = 0;
        self.synced_from.clear();
        self.last_synced = 0;
    }

    /// Its disk is empty or out of date, and nobody feeds it yet.
    pub fn forget_content(&mut self) {
        let refusals = self.refusals;
        self.begin_fill();
        self.refusals = refusals;
        self.source = None;
        self.sync_until = 0;
    }

    /// Whether it is or was in service: what the source of a new member must be.
    pub fn is_settled(&self) -> bool {
        matches!(self.status, StorageStatus::OFFLINE | StorageStatus::ONLINE | StorageStatus::ACTIVE)
    }

    /// The address to give to a peer: the other one if it is of the peer's kind.
    pub fn address_for(&self, peer: IpAddr) -> IpAddr {
        match self.alternate_ip {
            Some(alternate) if AddressKind::of(alternate) == AddressKind::of(peer) => alternate,
            _ => self.ip,
        }
    }

    /// Whether it made a name that carries `source`.
    pub fn is_source(&self, source: Source) -> bool {
        match source {
            Source::Ip(ip) => [Some(self.ip), self.alternate_ip].contains(&Some(ip.into())),
            Source::Id(number) => self.id.as_str().parse() == Ok(number),
        }
    }

    /// What peers are told.
    pub fn brief_for(&self, peer: IpAddr) -> Brief {
        Brief { status: self.status, port: self.port, id: Some(self.id), ip: Some(self.address_for(peer)) }
    }
}
