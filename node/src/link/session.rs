//! One connection to one tracker: what is asked before the join, and the loop that keeps it.
//!
//! The join itself is in `join`, what is reported in `reports`, what is heard back in `hear`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use protocol::client::{ClientError, Connection};
use protocol::cluster::{Brief, ChangelogRequest, GetMyIp, IpChanged, StorageStatus, SyncSource};
use protocol::config::params::ClusterParams;
use protocol::config::server_address::ServerAddress;
use protocol::tracker::{ListStorages, ParameterRequest, StorageList, StorageRecord};
use protocol::wire::{Empty, Request, Response};
use protocol::{Command, Status, StorageId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::own::is_waiting;
use super::reports::Reported;
use super::{Link, LinkError, blocking, changelog, identity};
use crate::peers::{Peer, is_tombstone};
use crate::view::Standing;

/// Longest answer of a tracker.
const MAX_ANSWER: u64 = 1 << 20;
/// Longest time between beats while the group is not steady.
const UNSETTLED_BEAT: Duration = Duration::from_secs(2);
/// How often the leader is asked where peers stand that are not in service by what this node was told.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Step of the main loop.
const TICK: Duration = Duration::from_millis(250);

/// A connection to a tracker, and what was learnt over it.
pub(super) struct Session<'a> {
    pub(super) link: &'a Link,
    connection: Connection,
    pub(super) tracker: SocketAddr,
    /// Place of the tracker in the configuration.
    pub(super) index: usize,
    /// The tracker as it is configured.
    name: String,
    pub(super) params: ClusterParams,
    /// Own id: an address as text, or a number.
    pub(super) id: StorageId,
    /// Own address, as this tracker sees it.
    pub(super) ip: IpAddr,
    /// Own status as the tracker last told it.
    pub(super) status: Option<StorageStatus>,
    /// Who feeds this node, as the tracker was told last.
    pub(super) told_source: Option<SyncSource>,
    pub(super) reported: Reported,
    /// When the last question was sent.
    pub(super) asked: Instant,
}

impl<'a> Session<'a> {
    /// Connects and learns who this node is and how the cluster works.
    pub(super) async fn open(
        link: &'a Link,
        index: usize,
        server: &ServerAddress,
        tracker: SocketAddr,
    ) -> Result<Self, LinkError> {
        let mut connection = Connection::open(tracker, &link.limits).await?;
        link.trackers.met(server, tracker);
        let request = GetMyIp { group: link.facts.group, port: link.facts.port };
        let text: Bytes = ask(&mut connection, &request).await?;
        let addresses = identity::parse_addresses(&text)?;
        let text: Bytes = ask(&mut connection, &ParameterRequest).await?;
        let params = ClusterParams::parse(&String::from_utf8_lossy(&text))?;
        let ids =
            if params.use_storage_id { Some(identity::fetch_ids(&mut connection).await?) } else { None };
        let ip = *addresses.first().ok_or_else(identity::no_address)?;
        let id = identity::own_id(link, &mut connection, &params, ids.as_ref(), &addresses).await?;
        identity::same_everywhere(link, &id)?;
        let identity = identity::identity(&params, &id, addresses)?;
        link.store.set_params(&params);
        blocking(&link.store, move |store| store.set_identity(identity)).await?;
        link.peers.set_own(id);
        link.view.learn(params.clone(), ids);
        let name = server.primary.to_string();
        let (status, told_source, reported, asked) = (None, None, Reported::default(), Instant::now());
        let mut session = Self {
            link,
            connection,
            tracker,
            index,
            name,
            params,
            id,
            ip,
            status,
            told_source,
            reported,
            asked,
        };
        session.tell_new_address().await?;
        Ok(session)
    }

    /// Sends a request and reads its answer.
    pub(super) async fn ask<Q: Request, A: Response>(&mut self, request: &Q) -> Result<A, LinkError> {
        self.asked = Instant::now();
        ask(&mut self.connection, request).await
    }

    /// Without storage ids the address is the identity: a tracker is told that it changed while the node was down, so
    /// that the group does not take it for a new member; and what happened to others meanwhile is read before the join.
    async fn tell_new_address(&mut self) -> Result<(), LinkError> {
        if !self.params.storage_ip_changed_auto_adjust || self.params.use_storage_id {
            return Ok(());
        }
        let group = self.link.facts.group;
        if let Some(old) = self.link.ip_before.filter(|old| *old != self.ip) {
            let request = IpChanged { group, old: Some(old), new: Some(self.ip) };
            match self.ask::<_, Empty>(&request).await {
                Ok(Empty) => {
                    info!(tracker = %self.tracker, %old, new = %self.ip, "told the tracker of the new address")
                }
                // Unknown, in service, known already, or the new one is: nothing is left to be done.
                Err(error) if error.status().is_some_and(is_done) => {}
                Err(error) => return Err(error),
            }
        }
        match self.ask::<_, Bytes>(&ChangelogRequest(Some((group, self.id)))).await {
            Ok(text) => changelog::apply(self.link, &text, false).await,
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// News of members come as answers to beats, and senders wait for them: while a member comes or is away, or this node
    /// does not serve yet, beats are not spared.
    fn beat_interval(&self) -> Duration {
        let is_quiet =
            self.status == Some(StorageStatus::ACTIVE) && self.link.peers.list().iter().all(is_steady);
        let interval = self.link.heart_beat_interval;
        if is_quiet { interval } else { interval.min(UNSETTLED_BEAT) }
    }

    /// Beats and reports until told to stop or the connection fails.
    pub(super) async fn keep(&mut self, stop: &CancellationToken) -> Result<(), LinkError> {
        let (mut beaten, mut measured, mut looked) = (Instant::now(), Instant::now(), Instant::now());
        let mut timer = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                _ = timer.tick() => {}
                () = stop.cancelled() => {
                    // The tracker sees the connection end if this does not arrive.
                    let quit = protocol::wire::frame(Command::QUIT, Status::OK, |_| {});
                    let _ = self.connection.send(Command::QUIT, &quit).await;
                    return Ok(());
                }
            }
            // A tracker that has gone is noticed now, not at the next beat: clients are sent here only after a new join.
            if self.connection.is_stale() || beaten.elapsed() >= self.beat_interval() {
                self.beat().await?;
                beaten = Instant::now();
            }
            if measured.elapsed() >= self.link.stat_report_interval {
                self.report_disk_usage().await?;
                measured = Instant::now();
            }
            if looked.elapsed() >= LOOK_AGAIN {
                self.look_again().await?;
                looked = Instant::now();
            }
            self.report_trunk().await?;
            self.report_progress().await?;
        }
    }

    /// Asks where peers stand that are not in service. A tracker that led, was frozen, and tells its last list before it
    /// hears of its successor may be heard last; the successor has told its own and tells only what changes.
    async fn look_again(&mut self) -> Result<(), LinkError> {
        let others_lead = self.link.trackers.leader().is_some_and(|leader| leader != self.index);
        if others_lead || self.link.peers.list().iter().all(is_steady) {
            return Ok(());
        }
        let request = ListStorages { group: self.link.facts.group, id: None };
        let list: StorageList = match self.ask(&request).await {
            Ok(list) => list,
            // It may not know the group yet, as one that has just started.
            Err(error) if error.status().is_some() => return Ok(()),
            Err(error) => return Err(error),
        };
        // Who comes and who goes is for the leader's lists to say.
        let is_awaited = |brief: &Brief| {
            let peer = brief.id.and_then(|id| self.link.peers.get(&id));
            peer.is_some_and(|peer| !is_steady(&peer)) && !is_tombstone(brief.status)
        };
        let told: Vec<_> = list.storages.iter().filter_map(StorageRecord::brief).filter(is_awaited).collect();
        self.link.peers.hear(&told);
        Ok(())
    }

    /// Takes a status of this node that the tracker told, or that follows from what it answered.
    pub(super) fn note_status(&mut self, status: StorageStatus) {
        self.status = Some(status);
        self.link.own.told(self.index, status);
        let standing = match status {
            // What a follower says or is assumed to say does not count against the leader's list.
            StorageStatus::ACTIVE if self.link.own.waits() => {
                Standing::Waiting(self.why_waiting(StorageStatus::WAIT_SYNC))
            }
            StorageStatus::ACTIVE => Standing::Active,
            StorageStatus::DELETED => Standing::Waiting(
                "the trackers have this node as DELETED: stop it, or start it again to let it join as a new member"
                    .to_owned(),
            ),
            status if is_waiting(status) => Standing::Waiting(self.why_waiting(status)),
            status => Standing::Waiting(format!("the trackers have this node as {status}")),
        };
        if self.link.view.set_standing(&self.name, standing) {
            info!(tracker = %self.tracker, %status, "own status changed");
        }
    }

    fn why_waiting(&self, status: StorageStatus) -> String {
        let source = self.link.store.init_flag().sync_src_server;
        let from = match source.as_str() {
            "" => "other members".to_owned(),
            source => format!("member {source}"),
        };
        format!(
            "the trackers have this node as {status}: it must first get the group's old files from {from}"
        )
    }

    /// Says what is wrong with this tracker only once.
    pub(super) fn warn_usage_refused(&mut self, paths: usize) {
        if !self.reported.usage_refused {
            warn!(tracker = %self.tracker, paths, "the tracker refuses the room of the store paths; have all members of the group as many?");
        }
        self.reported.usage_refused = true;
    }
}

/// Whether no news of the peer is awaited.
fn is_steady(peer: &Peer) -> bool {
    [StorageStatus::ACTIVE, StorageStatus::NONE].contains(&peer.status) || is_tombstone(peer.status)
}

/// Answers of a tracker to 78 by which the change of address is done as far as it can be.
fn is_done(status: Status) -> bool {
    [Status::ENOENT, Status::EBUSY, Status::EEXIST, Status::EALREADY].contains(&status)
}

/// Sends a request and reads its answer.
pub(super) async fn ask<Q: Request, A: Response>(
    connection: &mut Connection,
    request: &Q,
) -> Result<A, LinkError> {
    let address = connection.address();
    connection.send(Q::COMMAND, &request.to_frame()).await?;
    let body = connection.answer(Q::COMMAND, MAX_ANSWER).await?;
    let decoded = A::decode_body(&body);
    decoded.map_err(|source| ClientError::Answer { address, command: Q::COMMAND, source }.into())
}
