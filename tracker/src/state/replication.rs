//! How far replication is, pair by pair: from what senders of our own report (command 200), and for FastDFS's from the
//! timestamps that receivers report.

use protocol::cluster::{GroupReplication, ReplicationReport, SenderReport};
use protocol::{GroupName, Status, StorageId};

use super::{Cluster, Group, Member, Refusal, Session};

/// A report and when it came.
#[derive(Debug, Clone)]
pub struct Reported {
    /// What was said.
    pub report: ReplicationReport,
    /// Unix seconds.
    pub at: i64,
}

/// What is known of the way from one member to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Who sends.
    pub source: StorageId,
    /// Who receives.
    pub destination: StorageId,
    /// Newest record of the source that the destination surely has, as it says itself; 0 if it has said nothing.
    pub synced: i64,
    /// Age of the oldest record that is missing there; by timestamps at most so old. `None` if nothing is known.
    pub lag_seconds: Option<i64>,
    /// The sender's own word, if it is ours.
    pub sender: Option<SenderReport>,
}

impl Reported {
    /// The report as it would be now: what was missing then and is not said to have arrived is older by now.
    fn aged(&self, now: i64) -> ReplicationReport {
        let since = (now - self.at).max(0);
        let mut report = self.report.clone();
        for sender in report.senders.iter_mut().filter(|sender| sender.files_to_go > 0) {
            sender.lag_seconds = sender.lag_seconds.saturating_add(since);
        }
        report
    }
}

impl Cluster {
    /// A member tells of its senders.
    pub fn replication_report(
        &mut self,
        session: &Session,
        report: &ReplicationReport,
        now: i64,
    ) -> Result<(), Refusal> {
        let (group, id) = session.joined.ok_or(Status::EACCES)?;
        self.member_mut(group, &id)?.reported = Some(Reported { report: report.clone(), at: now });
        Ok(())
    }

    /// What the members of a group have told, by id.
    pub fn replication(&self, group: GroupName, now: i64) -> Result<GroupReplication, Refusal> {
        let group = self.group(group).ok_or(Status::ENOENT)?;
        let told = |member: &Member| Some((member.id, member.reported.as_ref()?.aged(now)));
        Ok(GroupReplication(group.members.iter().filter_map(told).collect()))
    }
}

impl Group {
    /// Every pair of members that are there, by source, then by destination.
    pub fn pairs(&self, now: i64) -> Vec<Pair> {
        let there = || self.members.iter().filter(|member| !member.is_gone());
        let mut pairs = Vec::new();
        for source in there() {
            let report = source.reported.as_ref().map(|reported| reported.aged(now));
            let others = there().filter(|member| member.id != source.id);
            pairs.extend(others.map(|destination| pair(source, report.as_ref(), destination)));
        }
        pairs
    }
}

fn pair(source: &Member, report: Option<&ReplicationReport>, destination: &Member) -> Pair {
    let synced = destination.has_from(&source.id);
    let sender =
        report.and_then(|report| report.senders.iter().find(|sender| sender.peer == destination.id)).copied();
    let wrote = source.stats.last_source_update;
    let lag_seconds = match sender {
        Some(sender) => Some(sender.lag_seconds),
        None if wrote == 0 => Some(0),
        None => (synced > 0).then_some((wrote - synced).max(0)),
    };
    Pair { source: source.id, destination: destination.id, synced, lag_seconds, sender }
}
