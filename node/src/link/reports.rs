//! What a joined node tells a tracker: that it lives, its room, and how far it is with the changes of other members.

use std::time::Duration;

use bytes::Bytes;
use protocol::Status;
use protocol::cluster::{
    Beat, ChangelogRequest, CheckSync, DiskUsage, GroupReplication, QueryReplication, ReplicationReport,
    StorageStats, StorageStatus, SyncReport,
};
use protocol::wire::Empty;
use tokio::time::Instant;

use super::own::is_settled;
use super::session::Session;
use super::trunk::ReportedTrunk;
use super::{LinkError, changelog};

/// Shortest time between two reports of progress. Readers are sent by it, so it is not left to the heart beat.
const SYNC_REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// Shortest time between two reports of the senders, and two questions for those of the others.
const REPLICATION_INTERVAL: Duration = Duration::from_secs(5);

/// What the tracker was told in this session.
#[derive(Default)]
pub(super) struct Reported {
    stats: Option<StorageStats>,
    /// Whether the tracker refused the last report of room.
    pub(super) usage_refused: bool,
    /// State of `Received` that was told, and when.
    received: Option<(u64, Instant)>,
    senders: Option<(ReplicationReport, Instant)>,
    others_asked: Option<Instant>,
    /// The members have changed since others were asked.
    pub(super) members_changed: bool,
    /// FastDFS's own tracker knows no senders.
    is_fastdfs: bool,
    /// Of trunk files.
    pub(super) trunk: ReportedTrunk,
}

fn is_due(last: Option<Instant>, interval: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= interval)
}

impl Session<'_> {
    /// Tells that this node lives, and its counters if they changed.
    pub(super) async fn beat(&mut self) -> Result<(), LinkError> {
        let stats = self.stats();
        let news = (self.reported.stats != Some(stats)).then_some(stats);
        let answer: CheckSync = self.ask(&Beat(news)).await?;
        self.reported.stats = Some(stats);
        if self.status.is_none_or(is_settled) {
            // A beat makes a settled member active; only a leader says so in the answer.
            self.note_status(StorageStatus::ACTIVE);
        }
        self.hear(&answer).await?;
        if self.params.storage_ip_changed_auto_adjust {
            let text: Bytes = self.ask(&ChangelogRequest(None)).await?;
            changelog::apply(self.link, &text, self.params.use_storage_id).await?;
        }
        self.retell_source().await?;
        self.align_status().await
    }

    fn stats(&self) -> StorageStats {
        let sum = |part: fn(&protocol::service::ConnectionCounts) -> i32| {
            self.link.counts.iter().map(|counts| part(counts)).fold(0, i32::saturating_add)
        };
        let (current, max) = (sum(|counts| counts.current()), sum(|counts| counts.max()));
        StorageStats {
            connections_alloc: max,
            connections_current: current,
            connections_max: max,
            ..self.link.store.counters().snapshot()
        }
    }

    /// Measures the store paths and reports their room.
    ///
    /// A tracker refuses the report of a node that has more store paths than its group, until all members have as many.
    /// The node goes on serving meanwhile; the reference leaves and joins again every second.
    pub(super) async fn report_disk_usage(&mut self) -> Result<(), LinkError> {
        let store = self.link.store.clone();
        let usage = tokio::task::spawn_blocking(move || store.measure_space())
            .await
            .map_err(|_| LinkError::Identity("measuring the store paths failed".to_owned()))?;
        let paths = usage.len();
        match self.ask::<_, CheckSync>(&DiskUsage(usage)).await {
            Ok(answer) => {
                self.reported.usage_refused = false;
                self.hear(&answer).await
            }
            Err(error) if error.status() == Some(Status::EINVAL) => {
                self.warn_usage_refused(paths);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// What was received from others, and what the senders do, as far as it is news.
    pub(super) async fn report_progress(&mut self) -> Result<(), LinkError> {
        self.report_received().await?;
        if self.reported.is_fastdfs {
            return Ok(());
        }
        match self.report_senders().await {
            Err(error) if error.status() == Some(Status::EINVAL) => self.reported.is_fastdfs = true,
            outcome => outcome?,
        }
        Ok(())
    }

    async fn report_received(&mut self) -> Result<(), LinkError> {
        let generation = self.link.received.generation();
        let told = self.reported.received.map_or(0, |(told, _)| told);
        let last = self.reported.received.map(|(_, at)| at);
        if generation == told || !is_due(last, SYNC_REPORT_INTERVAL) {
            return Ok(());
        }
        let times = self.link.received.report();
        let members = self.link.peers.list().into_iter().map(|peer| peer.id).chain([self.id]);
        let time_of = |id| times.iter().find(|(source, _)| *source == id).map_or(0, |(_, time)| *time);
        let mut list: Vec<_> = members.map(|id| (id, time_of(id))).collect();
        list.sort_unstable();
        let answer: CheckSync = self.ask(&SyncReport(list)).await?;
        self.reported.received = Some((generation, Instant::now()));
        self.hear(&answer).await
    }

    async fn report_senders(&mut self) -> Result<(), LinkError> {
        let last = self.reported.senders.as_ref().map(|(_, at)| *at);
        if is_due(last, REPLICATION_INTERVAL) {
            let report = ReplicationReport {
                http_url: self.link.http_url(self.ip),
                senders: self.link.senders.borrow().clone(),
            };
            if self.reported.senders.as_ref().is_none_or(|(told, _)| *told != report) {
                let Empty = self.ask(&report).await?;
                self.reported.senders = Some((report, Instant::now()));
            }
        }
        if self.reported.members_changed || is_due(self.reported.others_asked, REPLICATION_INTERVAL) {
            let GroupReplication(members) = self.ask(&QueryReplication(self.link.facts.group)).await?;
            self.link.view.learn_http_urls(members.into_iter().map(|(id, report)| (id, report.http_url)));
            self.reported.others_asked = Some(Instant::now());
            self.reported.members_changed = false;
        }
        Ok(())
    }
}
