//! A member that the leader has as unfilled, while this node, its source, takes it for settled.
//!
//! FastDFS keeps its own view then, and both sides wait for ever. There are two reasons, which the time tells apart up to
//! which old files were asked for. If this node's mark has the same, the files did arrive, and the tracker was killed
//! before it kept that: it is told again. If not, the member lost its files and came back before this node saw it gone:
//! it is filled anew.

use protocol::StorageId;
use protocol::cluster::{Brief, ReportStatus, StorageStatus, SyncSourceAnswer, SyncSourceRequest};
use tracing::{info, warn};

use super::{Link, LinkError, blocking_io};
use crate::replication::mark::Mark;

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// The sender is at it.
    UnderWay,
    /// Old files have arrived.
    Filled,
    /// They have to be sent again.
    Anew,
}

fn judge(mark: Option<Mark>, until: i64) -> Verdict {
    match mark {
        Some(mark) if mark.need_sync_old && mark.until == until && mark.sync_old_done => Verdict::Filled,
        Some(mark) if mark.need_sync_old && mark.until == until => Verdict::UnderWay,
        _ => Verdict::Anew,
    }
}

/// Looks into the members that the leader and this node see so differently.
pub(super) async fn consider(
    link: &Link,
    own: StorageId,
    uses_ids: bool,
    members: &[Brief],
) -> Result<(), LinkError> {
    for told in members {
        let is_unfilled = matches!(told.status, StorageStatus::WAIT_SYNC | StorageStatus::SYNCING);
        let Some(peer) = told.id.filter(|_| is_unfilled).and_then(|id| link.peers.get(&id)) else { continue };
        if peer.status <= StorageStatus::SYNCING {
            continue;
        }
        let request = SyncSourceRequest { group: link.facts.group, destination: peer.id };
        let source = match link.trackers.ask::<_, SyncSourceAnswer>(&request).await {
            Ok(SyncSourceAnswer(source)) => source,
            Err(error) => {
                info!(peer = %peer.id, %error, "no tracker says who fills the peer");
                continue;
            }
        };
        let Some(source) = source.filter(|source| source.source == Some(own)) else { continue };
        let path = link.marks(uses_ids).path(&peer.id);
        let mark = match blocking_io(move || Mark::load(&path)).await? {
            Ok(mark) => mark,
            // The sender says what is wrong with it, and starts anew.
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => None,
            Err(error) => {
                warn!(peer = %peer.id, %error, "the peer's mark cannot be read");
                continue;
            }
        };
        match judge(mark, source.until) {
            Verdict::UnderWay => {}
            Verdict::Filled => {
                let storage = Brief { status: StorageStatus::OFFLINE, port: 0, ..*told };
                let report = ReportStatus { group: link.facts.group, storage };
                let told = link.trackers.tell_all(&report).await;
                info!(peer = %peer.id, trackers = told, "told the trackers again that the peer has all old files");
            }
            Verdict::Anew => {
                info!(peer = %peer.id, "the peer came back without its files, filling it anew");
                link.peers.set_status(&peer.id, StorageStatus::WAIT_SYNC);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_up_to_which_files_were_asked_for_tells_a_lost_report_from_a_lost_disk() {
        let mark = Mark { need_sync_old: true, sync_old_done: true, until: 100, ..Mark::default() };
        assert_eq!(judge(Some(mark), 100), Verdict::Filled);
        assert_eq!(judge(Some(mark), 200), Verdict::Anew);
        assert_eq!(judge(Some(Mark { sync_old_done: false, ..mark }), 100), Verdict::UnderWay);
        assert_eq!(judge(Some(Mark { need_sync_old: false, ..mark }), 100), Verdict::Anew);
        assert_eq!(judge(None, 100), Verdict::Anew);
    }
}
