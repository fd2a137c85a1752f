//! The members of a file's group: who of them holds it, and who carries out a write of it.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use gateway::files::{Carrier, Holder, Holds, HttpMember, NoCarrier};
use protocol::cluster::{GroupReplication, QueryReplication};
use protocol::config::web_conf::is_base_url;
use protocol::storage::{FileInfo, QueryFileInfo};
use protocol::tracker::{
    FileName, ListStorages, QueryStoreInGroup, QueryUpdate, ServerAnswer, StorageList, StorageRecord,
    StoreAnswer,
};
use protocol::wire::{Request, Response};
use protocol::{Command, FileId, GroupName, Status, StorageId};
use tokio::time::timeout;

use super::{NO_CHECKSUM, Remote, call};
use crate::peers::{Peer, is_tombstone};

/// Longest wait for a member, or for the trackers: whoever asks wants an overview.
const PATIENCE: Duration = Duration::from_secs(3);

impl Remote {
    /// The other members of the file's group, and whether they hold it.
    pub(crate) async fn holders(&self, id: &FileId) -> Vec<Holder> {
        let members = self.members(id.group).await;
        join_all(members.into_iter().map(|(member, url)| async move {
            let address = SocketAddr::new(member.ip, member.port);
            let holds = self.holds(address, id).await;
            Holder { id: member.id.to_string(), address, status: member.status, url, holds }
        }))
        .await
    }

    /// The member whose disk is read here, as a holder.
    pub(crate) fn own_holder(&self, group: GroupName, holds: Holds) -> Option<Holder> {
        let own = self.0.standpoint.own_member(group)?;
        let address = SocketAddr::new(own.ip, own.port);
        let url = self.0.view.http_url(&own.id);
        Some(Holder { id: own.id.to_string(), address, status: own.status, url, holds })
    }

    /// Who a tracker names for an upload into a group.
    pub(crate) async fn carrier_of_upload(&self, group: GroupName) -> Result<Carrier, NoCarrier> {
        let answer: StoreAnswer = self.ask_for_carrier(&QueryStoreInGroup(group)).await?;
        let server = answer.server;
        Ok(self.carrier_at(group, SocketAddr::new(server.ip, server.port)).await)
    }

    /// Who a tracker names for a change of a file: the member that made it, if that is in service.
    pub(crate) async fn carrier_of_change(&self, id: &FileId) -> Result<Carrier, NoCarrier> {
        let name = FileName::new(id.name.as_str().as_bytes()).map_err(|_| NoCarrier::Nobody)?;
        let ServerAnswer { server, .. } =
            self.ask_for_carrier(&QueryUpdate { group: id.group, name }).await?;
        Ok(self.carrier_at(id.group, SocketAddr::new(server.ip, server.port)).await)
    }

    async fn ask_for_carrier<Q: Request, A: Response>(&self, request: &Q) -> Result<A, NoCarrier> {
        match timeout(PATIENCE, self.0.trackers.ask(request)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.status().is_some() => Err(NoCarrier::Nobody),
            Ok(Err(_)) | Err(_) => Err(NoCarrier::NoTracker),
        }
    }

    async fn carrier_at(&self, group: GroupName, native: SocketAddr) -> Carrier {
        if self.0.standpoint.is_own(native) {
            return Carrier::Here;
        }
        let known = self.0.standpoint.member_at(native);
        let known = known.and_then(|member| Some((member.id, self.0.view.http_url(&member.id)?)));
        let found = match known {
            Some(found) => Some(found),
            None => {
                let mut members = self.listed(group).await.into_iter();
                members
                    .find(|(member, _)| SocketAddr::new(member.ip, member.port) == native)
                    .and_then(|(member, url)| Some((member.id, url?)))
            }
        };
        let http = found.filter(|(_, url)| is_base_url(url));
        Carrier::Member { native, http: http.map(|(id, url)| HttpMember { id: id.to_string(), url }) }
    }

    /// The others that are not gone for good, and where browsers reach them if they said so.
    async fn members(&self, group: GroupName) -> Vec<(Peer, Option<String>)> {
        let members = match self.0.standpoint.peers(group) {
            Some(peers) => {
                let with_url = |peer: Peer| (peer, self.0.view.http_url(&peer.id));
                peers.list().into_iter().map(with_url).collect()
            }
            None => self.listed(group).await,
        };
        let is_other = |peer: &Peer| {
            !is_tombstone(peer.status) && !self.0.standpoint.is_own(SocketAddr::new(peer.ip, peer.port))
        };
        members.into_iter().filter(|(peer, _)| is_other(peer)).collect()
    }

    /// The members of a group as a tracker lists them. FastDFS's trackers do not know where HTTP is.
    async fn listed(&self, group: GroupName) -> Vec<(Peer, Option<String>)> {
        let (trackers, members, urls) =
            (&self.0.trackers, ListStorages { group, id: None }, QueryReplication(group));
        let (list, reports) = tokio::join!(
            timeout(PATIENCE, trackers.ask::<_, StorageList>(&members)),
            timeout(PATIENCE, trackers.ask::<_, GroupReplication>(&urls)),
        );
        let Ok(Ok(list)) = list else { return Vec::new() };
        let reports = reports.ok().and_then(Result::ok).map(|reports| reports.0).unwrap_or_default();
        let url_of = |id: &StorageId| {
            let report = reports.iter().find(|(member, _)| member == id);
            report.map(|(_, report)| report.http_url.clone()).filter(|url| !url.is_empty())
        };
        list.storages.iter().filter_map(peer).map(|peer| (peer, url_of(&peer.id))).collect()
    }

    async fn holds(&self, at: SocketAddr, id: &FileId) -> Holds {
        let (pool, frame) =
            (self.0.pool.clone(), QueryFileInfo(id.clone()).to_frame_with(NO_CHECKSUM).freeze());
        let ask =
            |connection| call::<FileInfo>(pool.clone(), connection, Command::QUERY_FILE_INFO, frame.clone());
        match self.0.ask_member(at, PATIENCE, ask).await {
            Ok((_, info)) => Holds::Yes(info.size),
            Err(error) if error.status() == Some(Status::ENOENT) => Holds::No,
            Err(_) => Holds::Unknown,
        }
    }
}

/// A member that has an address.
fn peer(record: &StorageRecord) -> Option<Peer> {
    let port = u16::try_from(record.port).ok().filter(|port| *port > 0)?;
    Some(Peer { id: record.id, status: record.status, ip: record.ip?, port })
}
