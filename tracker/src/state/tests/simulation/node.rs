//! A storage as FastDFS's behave (native-cluster.md 1.1, 1.3, 3.3), as far as a tracker can tell: its disk, its view of
//! its peers, and a sender for each of them.

use std::collections::{BTreeMap, BTreeSet};

use protocol::StorageId;
use protocol::cluster::{Brief, StorageStatus};

use super::super::id;
use crate::state::Session;

/// A file: who made it, and its number there.
pub type File = (usize, u32);

/// A record of a binlog.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    pub file: File,
    /// Time in the file's name.
    pub time: i64,
    /// Whether a client wrote it here; what came from a peer is passed on to new members only.
    pub is_own: bool,
}

/// How far a sender is.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    pub at: usize,
    pub need_old: bool,
    pub old_done: bool,
    pub until: i64,
}

/// What the disk keeps.
#[derive(Debug, Default)]
pub struct Disk {
    pub files: BTreeSet<File>,
    pub binlog: Vec<Record>,
    pub marks: BTreeMap<StorageId, Mark>,
    pub asked_for_source: bool,
    pub source: Option<(StorageId, i64)>,
    pub last_write: i64,
    pub last_receipt: i64,
    /// First start on this disk.
    pub join_time: i64,
}

/// A storage.
#[derive(Debug)]
pub struct Node {
    pub number: usize,
    pub ip: String,
    pub is_up: bool,
    pub session: Option<Session>,
    pub disk: Disk,
    /// Its peers and itself, as it last heard.
    pub view: BTreeMap<StorageId, StorageStatus>,
    /// Senders in their inner loop.
    pub sending: BTreeSet<StorageId>,
    /// Newest record received of each peer, since its start.
    pub received: BTreeMap<StorageId, i32>,
    /// Whether a tracker has let it serve since its disk was last empty or out of date, or a source has filled it.
    pub is_filled: bool,
}

impl Node {
    pub fn new(number: usize) -> Self {
        Self {
            number,
            // Ids sort otherwise than numbers.
            ip: format!("10.0.0.{}", [9, 10, 11, 100][number]),
            is_up: false,
            session: None,
            disk: Disk::default(),
            view: BTreeMap::new(),
            sending: BTreeSet::new(),
            received: BTreeMap::new(),
            is_filled: false,
        }
    }

    pub fn id(&self) -> StorageId {
        id(&self.ip)
    }

    /// The process ends: what it only remembered is gone.
    pub fn stop(&mut self) -> Option<Session> {
        self.is_up = false;
        self.view.clear();
        self.sending.clear();
        self.received.clear();
        self.session.take()
    }

    pub fn write(&mut self, file: File, time: i64) {
        self.disk.files.insert(file);
        self.disk.binlog.push(Record { file, time, is_own: true });
        self.disk.last_write = time;
    }

    /// A record arrives from a peer.
    pub fn receive(&mut self, from: StorageId, record: Record, time: i64) {
        self.disk.last_receipt = time;
        if self.disk.files.insert(record.file) {
            self.disk.binlog.push(Record { is_own: false, ..record });
        }
        let newest = self.received.entry(from).or_default();
        *newest = (*newest).max(i32::try_from(record.time).unwrap());
    }

    /// Takes the leader's list as the table of 1.3 says; gives whether it wants to join again.
    pub fn hear(&mut self, members: &[Brief]) -> bool {
        use StorageStatus as S;
        let own = self.id();
        let mut joins_again = false;
        for brief in members {
            let (peer, told) = (brief.id.unwrap(), brief.status);
            let gone = [S::DELETED, S::IP_CHANGED].contains(&told);
            let Some(known) = self.view.get(&peer).copied() else {
                if !gone || peer == own {
                    self.view.insert(peer, told);
                }
                continue;
            };
            let takes = match (known, told) {
                (known, told) if known == told => false,
                (S::ACTIVE | S::ONLINE, S::OFFLINE) | (S::INIT, S::OFFLINE) => true,
                (S::NONE, told) => ![S::DELETED, S::IP_CHANGED, S::OFFLINE].contains(&told),
                (_, S::OFFLINE) => false,
                (S::OFFLINE, _) => true,
                (known, S::WAIT_SYNC | S::SYNCING) if known > told => {
                    joins_again |= peer == own;
                    false
                }
                _ => true,
            };
            if takes {
                self.view.insert(peer, told);
            }
        }
        joins_again
    }

    /// The senders look at their peers' statuses; those of deleted peers end and forget their marks.
    pub fn look(&mut self) {
        let own = self.id();
        for (peer, status) in &mut self.view {
            if *peer != own && *status == StorageStatus::DELETED {
                self.disk.marks.remove(peer);
                *status = StorageStatus::NONE;
            }
            if ![StorageStatus::ACTIVE, StorageStatus::SYNCING].contains(status) {
                self.sending.remove(peer);
            }
        }
    }

    /// The next record for a peer, if its sender has one. Records between that are not for it are passed over.
    pub fn next_record(&self, mark: &mut Mark) -> Option<Record> {
        while let Some(record) = self.disk.binlog.get(mark.at).copied() {
            if record.is_own || (mark.need_old && !mark.old_done && record.time <= mark.until) {
                return Some(record);
            }
            mark.at += 1;
        }
        None
    }
}
