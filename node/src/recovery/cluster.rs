//! What a recovery asks the trackers, and tells them: who this node is to them, and who has its files.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use protocol::client::{ClientError, Pool, TrackerClient};
use protocol::cluster::{Brief, GetMyIp, GetStorageStatus, ReportStatus, StorageStatus};
use protocol::config::server_address::ServerAddress;
use protocol::file_id::StorePathIndex;
use protocol::tracker::{ListStorages, StorageList, StorageRecord};
use protocol::wire::{Empty, Reader};
use protocol::{GroupName, HostPort, Status, StorageId};
use tracing::warn;

use super::RecoveryError;

/// Bit of a member's rw mode: clients may read from it.
const READABLE: u8 = 4;

/// The trackers, as a node that has not joined asks them.
pub(super) struct Cluster {
    trackers: Vec<TrackerClient>,
    group: GroupName,
    port: u16,
}

/// Who can give the files of a store path.
pub(super) enum Others {
    /// These can, now.
    Sources(Vec<SocketAddr>),
    /// Somebody has them, but does not serve now.
    Away,
    /// Nobody has any.
    Nobody(&'static str),
}

impl Cluster {
    pub(super) fn new(servers: &[ServerAddress], pool: &Pool, group: GroupName, port: u16) -> Self {
        let client =
            |server: &ServerAddress| TrackerClient::new(server.addresses().cloned().collect(), pool.clone());
        Self { trackers: servers.iter().map(client).collect(), group, port }
    }

    /// This node as the tracker that thinks most of it has it; `None` if no tracker knows it as a member with files.
    pub(super) async fn own(&self) -> Result<Option<Brief>, RecoveryError> {
        let mut best: Option<Brief> = None;
        let mut answers = 0;
        let mut last = ClientError::NoTracker;
        for tracker in &self.trackers {
            match self.own_at(tracker).await {
                Ok(brief) => {
                    answers += 1;
                    best = match (best, brief) {
                        (Some(best), Some(brief)) if best.status > brief.status => Some(best),
                        (best, None) => best,
                        (_, brief) => brief,
                    };
                }
                Err(error) => last = error,
            }
        }
        if answers == 0 {
            return Err(last.into());
        }
        let has_no_files = [StorageStatus::INIT, StorageStatus::DELETED, StorageStatus::IP_CHANGED];
        Ok(best.filter(|brief| !has_no_files.contains(&brief.status)))
    }

    async fn own_at(&self, tracker: &TrackerClient) -> Result<Option<Brief>, ClientError> {
        let text: Bytes = tracker.call(&GetMyIp { group: self.group, port: self.port }).await?;
        let text = String::from_utf8_lossy(&text);
        let mut unknown = true;
        for ip in text.trim_end_matches('\0').split(',') {
            let address = HostPort { host: ip.trim().to_owned(), port: self.port };
            let answer = tracker.call::<_, Bytes>(&GetStorageStatus { group: self.group, address }).await;
            match answer {
                Ok(body) => match Brief::decode(&mut Reader::new(&body)) {
                    Ok(brief) => return Ok(Some(brief)),
                    Err(error) => {
                        warn!(%error, "a tracker's answer about this node makes no sense");
                        unknown = false;
                    }
                },
                Err(error) if error.status() == Some(Status::ENOENT) => {}
                Err(error) => return Err(error),
            }
        }
        if unknown { Ok(None) } else { Err(ClientError::NoTracker) }
    }

    /// Who can give files of a store path, and all members as the tracker has them.
    pub(super) async fn others(
        &self,
        path: StorePathIndex,
        own: Option<StorageId>,
    ) -> Result<(Others, Vec<Brief>), RecoveryError> {
        let (mut nobody, mut last) = (None, ClientError::NoTracker);
        for tracker in &self.trackers {
            match self.others_at(tracker, path, own).await {
                // A tracker that has just started may not know all members yet: another one's word may be better.
                Ok((Others::Nobody(reason), members)) => nobody = Some((reason, members)),
                Ok(found) => return Ok(found),
                Err(error) => last = error,
            }
        }
        match nobody {
            Some((reason, members)) => Ok((Others::Nobody(reason), members)),
            None => Err(last.into()),
        }
    }

    async fn others_at(
        &self,
        tracker: &TrackerClient,
        path: StorePathIndex,
        own: Option<StorageId>,
    ) -> Result<(Others, Vec<Brief>), ClientError> {
        let Some(group) = tracker.group(self.group).await? else {
            return Ok((Others::Nobody("the tracker does not know the group"), Vec::new()));
        };
        let list: StorageList = tracker.call(&ListStorages { group: self.group, id: None }).await?;
        let members = list.storages.iter().map(brief).collect();
        if i64::from(path.0) >= group.store_path_count {
            let reason = "the group's other members do not have this store path yet";
            return Ok((Others::Nobody(reason), members));
        }
        Ok((choose(&list.storages, own), members))
    }

    /// Tells all trackers where this node stands; the number of those that took it.
    pub(super) async fn report(&self, own: &Brief, status: StorageStatus) -> Result<usize, RecoveryError> {
        // The port is sent as 0: nobody is to take it for news.
        let storage = Brief { status, port: 0, ..*own };
        let (mut told, mut last) = (0, ClientError::NoTracker);
        for tracker in &self.trackers {
            match tracker.call(&ReportStatus { group: self.group, storage }).await {
                Ok(Empty) => told += 1,
                Err(error) => last = error,
            }
        }
        if told == 0 { Err(last.into()) } else { Ok(told) }
    }
}

fn brief(member: &StorageRecord) -> Brief {
    let port = u16::try_from(member.port).unwrap_or(0);
    Brief { status: member.status, port, id: Some(member.id), ip: member.ip }
}

/// The members other than this one that serve reads.
fn choose(members: &[StorageRecord], own: Option<StorageId>) -> Others {
    let is_gone = |member: &&StorageRecord| {
        [StorageStatus::DELETED, StorageStatus::IP_CHANGED].contains(&member.status)
    };
    let others: Vec<&StorageRecord> =
        members.iter().filter(|member| Some(member.id) != own && !is_gone(member)).collect();
    if others.is_empty() {
        return Others::Nobody("the group has no other member");
    }
    let serves =
        |member: &&&StorageRecord| member.status == StorageStatus::ACTIVE && member.rw_mode & READABLE != 0;
    let address = |member: &&StorageRecord| -> Option<SocketAddr> {
        let ip: IpAddr = member.ip?;
        Some(SocketAddr::new(ip, u16::try_from(member.port).ok()?))
    };
    let sources: Vec<SocketAddr> = others.iter().filter(serves).filter_map(address).collect();
    if sources.is_empty() { Others::Away } else { Others::Sources(sources) }
}
