//! The join, and who feeds this node the files that the group has already.
//!
//! One tracker decides that for a new member, and all are told. A member that has its old files does not name its source
//! any more: a tracker that forgot that they arrived, because it died uncleanly, then takes it as settled at once.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use protocol::HostPort;
use protocol::cluster::{
    Brief, ChangeStatus, GetStorageStatus, Join, JoinAnswer, StorageStatus, SyncDestQuery, SyncDestRequest,
    SyncNotify, SyncSource, SyncSourceAnswer, TrackerAddress,
};
use protocol::tracker::GetLeader;
use protocol::wire::Empty;
use protocol::{Status, StorageId};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::own::{is_settled, is_waiting};
use super::session::Session;
use super::{Link, LinkError, blocking};
use crate::store::InitFlag;

/// The FastDFS version that this node behaves like.
const VERSION: &str = "6.16.1";
/// How long a new member leaves the choice of its source to the leader. The others may not know all members.
const LEADER_PATIENCE: Duration = Duration::from_secs(5);
const LEADER_STEP: Duration = Duration::from_millis(200);

impl Session<'_> {
    /// Joins, and arranges who feeds this node old files.
    pub(super) async fn join(&mut self) -> Result<(), LinkError> {
        let link = self.link;
        let flag = link.store.init_flag();
        let facts = &link.facts;
        let request = Join {
            group: facts.group,
            port: facts.port,
            store_path_count: facts.store_path_count,
            subdir_count: facts.subdir_count,
            upload_priority: facts.upload_priority,
            join_time: flag.join_time,
            up_time: facts.up_time,
            version: VERSION.to_owned(),
            is_new: u8::from(!flag.sync_old_done),
            status: link.own.for_join(self.index, link.trackers.count()),
            id: self.params.use_storage_id.then_some(self.id),
            tracker_ip: Some(self.tracker.ip()),
            trackers: self.tracker_list(),
        };
        let answer: JoinAnswer = match self.ask(&request).await {
            Err(LinkError::Client(error)) if error.status() == Some(Status::EINVAL) => {
                return Err(LinkError::JoinRefused(error));
            }
            answer => answer?,
        };
        self.note_status(answer.status);
        if !flag.sync_old_done {
            self.arrange_source().await?;
        }
        self.tell_source(answer.status).await?;
        self.note_arrangement(answer.status).await
    }

    /// What the tracker has this node for after all that, which only a leader says, and not at once.
    async fn note_arrangement(&mut self, joined: StorageStatus) -> Result<(), LinkError> {
        let link = self.link;
        let (status, source) = (self.status.unwrap_or(joined), link.source().source);
        if is_settled(status) && source.is_some() && link.own.is_filling() {
            // The tracker remembers an earlier life of this node. With the files gone it is a new member.
            let Empty = self.ask(&ChangeStatus(StorageStatus::WAIT_SYNC)).await?;
            self.note_status(StorageStatus::WAIT_SYNC);
        } else if status == StorageStatus::INIT {
            self.note_status(if source.is_some() { StorageStatus::WAIT_SYNC } else { StorageStatus::ONLINE });
        } else if is_waiting(status) && source.is_none() {
            // FastDFS's tracker takes the member's word that it needs nothing; one of ours knows better.
            self.note_status(StorageStatus::ONLINE);
            self.refresh_status().await?;
            if self.status.is_some_and(is_waiting) {
                self.adopt_source().await?;
            }
        }
        Ok(())
    }

    /// The tracker has a source for this node, which has forgotten it.
    async fn adopt_source(&mut self) -> Result<(), LinkError> {
        let SyncSourceAnswer(told) = self.ask(&SyncDestQuery).await?;
        if let Some(source) = told.filter(|told| told.source.is_some()) {
            self.told_source = Some(source);
            remember(self.link, Some(source)).await?;
        }
        Ok(())
    }

    /// All trackers whose address is known, the one that was dialled among them.
    fn tracker_list(&self) -> Vec<TrackerAddress> {
        let numeric = self.link.trackers.numeric();
        let mut list: Vec<TrackerAddress> =
            numeric.into_iter().map(|(ips, port)| TrackerAddress { ips, port }).collect();
        let dialled = self.tracker;
        if !list.iter().any(|known| known.port == dialled.port() && known.ips.contains(&dialled.ip())) {
            list.push(TrackerAddress { ips: vec![dialled.ip()], port: dialled.port() });
        }
        list
    }

    /// Asks who feeds this node, if nobody has decided yet.
    async fn arrange_source(&mut self) -> Result<(), LinkError> {
        let link = self.link;
        self.leave_it_to_the_leader().await?;
        let _turn = link.arranging.lock().await;
        if link.store.init_flag().sync_old_done {
            return Ok(());
        }
        self.ask_source().await
    }

    /// Asks who feeds this node. The caller has the turn.
    async fn ask_source(&mut self) -> Result<(), LinkError> {
        let link = self.link;
        let asked: Result<SyncSourceAnswer, LinkError> = self.ask(&SyncDestRequest).await;
        let SyncSourceAnswer(source) = match asked {
            Err(error) if error.is_not_found() => return Err(LinkError::NobodyFeeds),
            asked => asked?,
        };
        remember(link, source).await?;
        if source.is_some() {
            self.note_status(StorageStatus::WAIT_SYNC);
        }
        if let Some(from) = source.and_then(|told| told.source) {
            info!(source = %from, tracker = %self.tracker, "old files will come from this member");
        }
        Ok(())
    }

    /// Waits until this tracker leads, another has decided, or patience ends. A tracker that has lost its files, or is
    /// new, would say that the group has no other members.
    async fn leave_it_to_the_leader(&mut self) -> Result<(), LinkError> {
        let start = Instant::now();
        while start.elapsed() < LEADER_PATIENCE && !self.link.store.init_flag().sync_old_done {
            if self.leads().await? {
                break;
            }
            sleep(LEADER_STEP).await;
        }
        Ok(())
    }

    /// Whether this tracker leads. It is asked, since it tells that unasked only after a beat.
    async fn leads(&mut self) -> Result<bool, LinkError> {
        if self.link.trackers.count() == 1 {
            return Ok(true);
        }
        match self.ask::<_, Bytes>(&GetLeader).await {
            Ok(text) => Ok(parse_address(&text).is_some_and(|leader| leader == self.tracker)),
            Err(error) if error.status().is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells the tracker who feeds this node.
    async fn tell_source(&mut self, joined: StorageStatus) -> Result<(), LinkError> {
        let source = self.link.source();
        self.told_source = Some(source);
        match self.ask::<_, Empty>(&SyncNotify(source)).await {
            Err(error) if error.is_not_found() => self.is_refused(source, joined).await,
            told => told.map(|Empty| ()),
        }
    }

    /// The tracker does not know the member that feeds this node, or does not believe that this node needs none. The
    /// leader is right about that, or all together; another may just have lost its files, and hears of members yet.
    async fn is_refused(&mut self, told: SyncSource, joined: StorageStatus) -> Result<(), LinkError> {
        let link = self.link;
        let all_refuse = link.own.refuses_source(self.index);
        if !all_refuse && !self.leads().await? {
            return Err(LinkError::SourceRefused);
        }
        let turn = link.arranging.lock().await;
        // Another tracker's session may have seen to it meanwhile.
        if link.source() == told && link.store.init_flag().sync_old_done {
            match told.source {
                Some(from) => {
                    warn!(tracker = %self.tracker, source = %from, "the member that old files came from is unknown to the tracker, forgetting it");
                    let highest = self.highest_status().await.unwrap_or(joined).max(joined);
                    self.replace_source(highest).await?;
                }
                None => {
                    info!(tracker = %self.tracker, "this node was deleted and is back: it gets all files of the group");
                    self.replace_source(joined).await?;
                }
            }
        }
        drop(turn);
        let source = link.source();
        self.told_source = Some(source);
        let Empty = self.ask(&SyncNotify(source)).await?;
        Ok(())
    }

    /// A settled member needs no source any more; any other starts over, and may be given another. The caller has the
    /// turn.
    async fn replace_source(&mut self, highest: StorageStatus) -> Result<(), LinkError> {
        if highest >= StorageStatus::OFFLINE {
            return remember(self.link, None).await;
        }
        self.start_over().await?;
        match self.ask::<_, SyncSourceAnswer>(&SyncDestQuery).await {
            Ok(SyncSourceAnswer(Some(source))) => remember(self.link, Some(source)).await,
            Ok(SyncSourceAnswer(None)) => self.ask_source().await,
            Err(error) if error.status().is_some() => self.ask_source().await,
            Err(error) => Err(error),
        }
    }

    /// Tells the tracker of another source, or of none any more, if that was arranged elsewhere since the join.
    pub(super) async fn retell_source(&mut self) -> Result<(), LinkError> {
        let flag_is_set = self.link.store.init_flag().sync_old_done;
        match self.told_source {
            Some(told) if flag_is_set && told != self.link.source() => {
                self.tell_source(self.status.unwrap_or(StorageStatus::INIT)).await
            }
            _ => Ok(()),
        }
    }

    /// The highest status that any tracker has this node in.
    async fn highest_status(&self) -> Option<StorageStatus> {
        let answers: Vec<_> = self.link.trackers.ask_each::<_, Brief>(&self.status_request()).await;
        answers.into_iter().filter_map(|answer| Some(answer.ok()?.status)).max()
    }

    pub(super) fn status_request(&self) -> GetStorageStatus {
        let address = HostPort { host: self.ip.to_string(), port: self.link.facts.port };
        GetStorageStatus { group: self.link.facts.group, address }
    }

    /// A waiting member whose source is gone is a new member again, and may be given another source.
    pub(super) async fn start_over(&mut self) -> Result<(), LinkError> {
        change_flag(self.link, |flag| {
            flag.sync_old_done = false;
            forget(flag);
        })
        .await
    }

    /// Tells a tracker that is not the leader how the leader sees this node, if it sees it otherwise.
    pub(super) async fn align_status(&mut self) -> Result<(), LinkError> {
        let link = self.link;
        if link.own.to_tell(self.index, link.trackers.leader()).is_none() {
            return Ok(());
        }
        // What is known of its view may be old: only a leader tells unasked.
        self.refresh_status().await?;
        let Some(status) = link.own.to_tell(self.index, link.trackers.leader()) else { return Ok(()) };
        info!(tracker = %self.tracker, here = ?self.status, leader = %status, "telling the tracker the leader's view of this node");
        match self.ask::<_, Empty>(&ChangeStatus(status)).await {
            Err(error) if error.status().is_some() => {
                info!(tracker = %self.tracker, %error, "the tracker keeps its own view");
            }
            told => {
                let Empty = told?;
            }
        }
        self.refresh_status().await
    }

    async fn refresh_status(&mut self) -> Result<(), LinkError> {
        match self.ask::<_, Brief>(&self.status_request()).await {
            Ok(brief) => self.note_status(brief.status),
            Err(error) if error.status() == Some(Status::ENOENT) => {
                return Err(LinkError::Again("it forgot this node"));
            }
            Err(error) if error.status().is_some() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Old files have come: whoever fed them is of no more use.
    pub(super) async fn settle(&mut self) -> Result<(), LinkError> {
        if let Some(source) = self.link.source().source {
            info!(%source, "the group's old files are here");
            remember(self.link, None).await?;
        }
        Ok(())
    }
}

impl Link {
    /// Who feeds this node, as decided before.
    pub(super) fn source(&self) -> SyncSource {
        let flag = self.store.init_flag();
        SyncSource { source: StorageId::parse(&flag.sync_src_server).ok(), until: flag.sync_until_timestamp }
    }
}

/// Keeps what was arranged.
async fn remember(link: &Link, source: Option<SyncSource>) -> Result<(), LinkError> {
    link.own.set_filling(source.is_some_and(|source| source.source.is_some()));
    change_flag(link, move |flag| {
        flag.sync_old_done = true;
        forget(flag);
        if let Some(SyncSource { source: Some(from), until }) = source {
            flag.sync_src_server = from.to_string();
            flag.sync_until_timestamp = until;
        }
    })
    .await
}

async fn change_flag(
    link: &Link,
    change: impl FnOnce(&mut InitFlag) + Send + 'static,
) -> Result<(), LinkError> {
    blocking(&link.store, move |store| store.update_init_flag(change)).await
}

fn forget(flag: &mut InitFlag) {
    flag.sync_src_server.clear();
    flag.sync_until_timestamp = 0;
}

fn parse_address(text: &[u8]) -> Option<SocketAddr> {
    std::str::from_utf8(text).ok()?.trim_end_matches('\0').parse().ok()
}
