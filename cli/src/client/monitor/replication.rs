//! How far replication is, pair by pair: by the senders' own reports, which our trackers keep, or by FastDFS's timestamps.

use protocol::StorageId;
use protocol::client::ClientError;
use protocol::cluster::{GroupReplication, QueryReplication, SenderReport, StorageStatus};
use protocol::tracker::StorageRecord;
use serde_json::{Value, json};

use super::columns;
use crate::format::human_size;
use crate::monitor::GroupView;
use crate::session::Session;

/// What is known of the way from one storage to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    source: StorageId,
    destination: StorageId,
    /// Age of the oldest record that is missing; by timestamps at most so old.
    lag_seconds: Option<i64>,
    report: Option<SenderReport>,
}

/// The pairs of a group, and whether its senders were asked at all.
#[derive(Debug)]
pub(super) struct Replication {
    pairs: Vec<Pair>,
    tracker: TrackerKind,
}

/// Whether a tracker keeps reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrackerKind {
    Ours,
    FastDfs,
}

impl Replication {
    /// Asks every tracker in turn until one has reports; FastDFS's trackers know none.
    pub(super) fn ask(session: &Session, view: &GroupView) -> Result<Self, ClientError> {
        let mut reports = None;
        for tracker in &session.trackers {
            let asked = session.wait(session.tracker(tracker).call(&QueryReplication(view.group.name)));
            match asked {
                Ok(GroupReplication(members)) if members.is_empty() => reports = reports.or(Some(Vec::new())),
                Ok(GroupReplication(members)) => {
                    reports = Some(members);
                    break;
                }
                // A status is the answer of a tracker that has no such command or group.
                Err(error) if error.status().is_some() || error.is_unreachable() => {}
                Err(error) => return Err(error),
            }
        }
        let tracker = if reports.is_some() { TrackerKind::Ours } else { TrackerKind::FastDfs };
        Ok(Self { pairs: pairs(&view.storages, &GroupReplication(reports.unwrap_or_default())), tracker })
    }

    /// A table of the pairs; nothing where there is nobody to send to.
    pub(super) fn table(&self) -> Option<String> {
        if self.pairs.is_empty() {
            return None;
        }
        let title =
            ["FROM", "TO", "STATE", "LAG", "FILES TO GO", "BYTES TO GO", "PER SECOND", "DONE IN", "DEAD"];
        let mut rows = vec![title.map(str::to_owned)];
        rows.extend(self.pairs.iter().map(Pair::row));
        let mut text = columns(&rows);
        if self.pairs.iter().any(|pair| pair.report.is_none()) {
            text.push_str(match self.tracker {
                TrackerKind::Ours => {
                    "\n  ~ by timestamps, an upper bound: FastDFS's storages, and ours for some seconds, report no more"
                }
                TrackerKind::FastDfs => "\n  ~ by timestamps, an upper bound: FastDFS's tracker knows no more",
            });
        }
        Some(text)
    }

    pub(super) fn json(&self) -> Value {
        self.pairs.iter().map(Pair::json).collect()
    }
}

fn pairs(storages: &[StorageRecord], GroupReplication(reports): &GroupReplication) -> Vec<Pair> {
    let gone = [StorageStatus::DELETED, StorageStatus::IP_CHANGED];
    let there = || storages.iter().filter(|storage| !gone.contains(&storage.status));
    let mut pairs = Vec::new();
    for source in there() {
        let senders = reports.iter().find(|(id, _)| *id == source.id).map(|(_, report)| &report.senders);
        for destination in there().filter(|destination| destination.id != source.id) {
            let report =
                senders.and_then(|all| all.iter().find(|sender| sender.peer == destination.id)).copied();
            pairs.push(Pair {
                source: source.id,
                destination: destination.id,
                lag_seconds: report
                    .map_or_else(|| by_time(source, destination), |report| Some(report.lag_seconds)),
                report,
            });
        }
    }
    pairs
}

/// The last write of the source against the time up to which the destination has everybody's.
fn by_time(source: &StorageRecord, destination: &StorageRecord) -> Option<i64> {
    match (source.stats.last_source_update, destination.stats.last_synced_timestamp) {
        (0, _) => Some(0),
        (_, 0) => None,
        (wrote, synced) => Some((wrote - synced).max(0)),
    }
}

impl Pair {
    fn row(&self) -> [String; 9] {
        let unknown = || "-".to_owned();
        let number = |value: fn(&SenderReport) -> i64| {
            self.report.as_ref().map_or_else(unknown, |report| value(report).to_string())
        };
        let lag = self.lag_seconds.map(duration);
        [
            self.source.to_string(),
            self.destination.to_string(),
            self.report.map_or_else(unknown, |report| report.state.name().replace('_', " ")),
            match (lag, &self.report) {
                (None, _) => unknown(),
                (Some(lag), Some(_)) => lag,
                (Some(lag), None) => format!("~ {lag}"),
            },
            number(|report| report.files_to_go),
            self.report
                .map_or_else(unknown, |report| human_size(u64::try_from(report.bytes_to_go).unwrap_or(0))),
            number(|report| report.per_second),
            self.report.and_then(|report| report.seconds_to_go()).map_or_else(unknown, duration),
            number(|report| report.dead_letters),
        ]
    }

    fn json(&self) -> Value {
        let report = self.report.as_ref();
        json!({
            "source": self.source.to_string(),
            "destination": self.destination.to_string(),
            "known_by": if report.is_some() { "reports" } else { "timestamps" },
            "state": report.map(|report| report.state.name()),
            "lag_seconds": self.lag_seconds,
            "files_to_go": report.map(|report| report.files_to_go),
            "bytes_to_go": report.map(|report| report.bytes_to_go),
            "per_second": report.map(|report| report.per_second),
            "seconds_to_go": report.and_then(SenderReport::seconds_to_go),
            "dead_letters": report.map(|report| report.dead_letters),
        })
    }
}

/// `7s`, `3m 20s`, `2h 5m`, `4d 1h`: the two largest parts.
fn duration(seconds: i64) -> String {
    let seconds = seconds.max(0);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use protocol::cluster::{ReplicationReport, SenderState};

    use super::*;
    use crate::monitor::tests::storage;

    const A: &str = "10.0.0.1";
    const B: &str = "10.0.0.2";

    fn behind() -> SenderReport {
        SenderReport {
            peer: StorageId::parse(B).unwrap(),
            state: SenderState::BEHIND,
            lag_seconds: 200,
            files_to_go: 1000,
            bytes_to_go: 50 * 1024,
            per_second: 3,
            dead_letters: 2,
            binlog_index: 0,
            binlog_offset: 0,
        }
    }

    /// A, which is ours, sends to B, which is FastDFS's.
    fn mixed() -> Replication {
        let (first, mut second) = (storage(A), storage(B));
        second.stats.last_source_update = 1_000_000_100;
        let mut first = first;
        first.stats.last_synced_timestamp = 1_000_000_040;
        let mut deleted = storage("10.0.0.3");
        deleted.status = StorageStatus::DELETED;
        let report = ReplicationReport { http_url: String::new(), senders: vec![behind()] };
        let reports = GroupReplication(vec![(first.id, report)]);
        Replication { pairs: pairs(&[first, second, deleted], &reports), tracker: TrackerKind::Ours }
    }

    #[test]
    fn reports_are_shown_in_full_and_timestamps_as_what_they_are() {
        let table = mixed().table().unwrap();
        let lines: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect())
            .collect();
        assert_eq!(lines[1], [A, B, "behind", "3m 20s", "1000", "50 KB", "3", "5m 34s", "2"]);
        assert_eq!(lines[2], [B, A, "-", "~ 1m 0s", "-", "-", "-", "-", "-"]);
        assert!(table.lines().nth(3).unwrap().contains("FastDFS's storages"), "{table}");
        assert_eq!(lines.len(), 4, "a deleted storage takes no part: {table}");
    }

    #[test]
    fn fastdfs_trackers_are_named_as_the_reason() {
        let storages = [storage(A), storage(B)];
        let replication = Replication {
            pairs: pairs(&storages, &GroupReplication::default()),
            tracker: TrackerKind::FastDfs,
        };
        let table = replication.table().unwrap();
        assert!(table.ends_with("FastDFS's tracker knows no more"), "{table}");
        // Both wrote, and neither has said what it received.
        assert_eq!(replication.pairs.iter().map(|pair| pair.lag_seconds).collect::<Vec<_>>(), [None, None]);
    }

    #[test]
    fn one_storage_has_nobody_to_send_to() {
        let pairs = pairs(&[storage(A)], &GroupReplication::default());
        assert_eq!(Replication { pairs, tracker: TrackerKind::Ours }.table(), None);
    }

    #[test]
    fn json_has_what_the_table_has() {
        let json = mixed().json();
        assert_eq!(
            json[0],
            json!({
                "source": A, "destination": B, "known_by": "reports", "state": "behind", "lag_seconds": 200,
                "files_to_go": 1000, "bytes_to_go": 51200, "per_second": 3, "seconds_to_go": 334, "dead_letters": 2
            })
        );
        assert_eq!((&json[1]["known_by"], &json[1]["lag_seconds"]), (&json!("timestamps"), &json!(60)));
    }

    #[test]
    fn durations() {
        for (seconds, expected) in
            [(-5, "0s"), (59, "59s"), (60, "1m 0s"), (3599, "59m 59s"), (7500, "2h 5m"), (349_200, "4d 1h")]
        {
            assert_eq!(duration(seconds), expected);
        }
    }
}
