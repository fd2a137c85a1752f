//! Where a sender begins, and the filling of a new member with old files.
//!
//! The trackers name one member as the source of a new one, and a time: older files come from the source, whoever made
//! them; newer ones from their makers.

use std::path::Path;

use protocol::StorageId;
use protocol::cluster::{
    Brief, ReportStatus, StorageStatus, SyncSource, SyncSourceAnswer, SyncSourceRequest,
};
use tracing::{info, warn};

use super::Shared;
use super::mark::Mark;
use super::sender::blocking;
use crate::peers::Peer;
use crate::store::{BinlogPosition, Entry, Op, Side};

/// A maker of files sends a new member those of the last seconds before the agreed time, too: the source may not have
/// had them yet. FastDFS leaves this gap open.
const MARGIN: i64 = 300;

/// Which records a peer gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Filling {
    is_source: bool,
    is_done: bool,
    until: i64,
    /// Parts that others wrote before this position are in the whole copies already.
    copied: BinlogPosition,
}

impl Filling {
    /// By a mark, at a time when the binlog ends at `end`.
    pub(super) fn of(mark: &Mark, end: BinlogPosition) -> Self {
        let is_fresh = mark.position == BinlogPosition::default();
        let copied = if is_fresh { end } else { mark.position };
        Self { is_source: mark.need_sync_old, is_done: mark.sync_old_done, until: mark.until, copied }
    }

    /// Whether this node is to wait until the peer is active.
    pub(super) fn waits_for_source(&self) -> bool {
        !self.is_source
    }

    /// Whether old files are being sent.
    pub(super) fn is_under_way(&self) -> bool {
        self.is_source && !self.is_done
    }

    /// All old files have arrived.
    pub(super) fn finish(&mut self) {
        self.is_done = true;
    }

    /// Whether the peer is to get a record, whose line ends at `end`. Old records of others that come late, when all
    /// seemed done, go on too: nobody else sends them.
    pub(super) fn wants(&self, entry: &Entry, end: BinlogPosition) -> bool {
        match entry.side {
            Side::Source => true,
            Side::Replica if !self.is_source || entry.time > self.until => false,
            Side::Replica => match entry.op {
                Op::Append(..) | Op::Modify(..) | Op::Truncate(..) => end > self.copied,
                _ => true,
            },
        }
    }
}

/// What to make of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    /// Go on there.
    Keep(Mark),
    /// Send everything: this node is the source up to this time.
    FillUntil(i64),
    /// Send own records from this time on, or from the mark's position if that is earlier.
    From(i64, Option<BinlogPosition>),
}

/// `told` is the source that the trackers name for the peer, if any.
fn decide(mark: Option<Mark>, told: Option<SyncSource>, own: &StorageId, status: StorageStatus) -> Decision {
    let source = told.and_then(|told| told.source);
    let until = told.map_or(0, |told| told.until);
    let is_source = source.as_ref() == Some(own);
    let is_new = status < StorageStatus::IP_CHANGED;
    match mark {
        Some(mark) if source.is_none() || mark.until == until && mark.need_sync_old == is_source => {
            Decision::Keep(mark)
        }
        // Filled long ago, by whomever: what matters is whether it was filled anew after this mark was made.
        Some(mark) if !is_new && (is_source || until <= mark.until) => Decision::Keep(mark),
        Some(mark) if !is_new => Decision::From(until, Some(mark.position)),
        _ if is_source => Decision::FillUntil(until),
        _ => Decision::From(until, None),
    }
}

/// The mark to begin with, written to `path`; an error says why it cannot be known yet.
pub(super) async fn begin(shared: &Shared, peer: &Peer, path: &Path) -> Result<Mark, String> {
    let loading = path.to_owned();
    let mark = match blocking(move || Mark::load(&loading)).await {
        Ok(mark) => mark,
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            warn!(peer = %peer.id, path = %path.display(), %error, "starting this peer anew; it answers for what it has");
            None
        }
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let own = shared.peers.own().ok_or("no tracker has told this node's id yet")?;
    let request = SyncSourceRequest { group: shared.store.group(), destination: peer.id };
    let answer: Result<SyncSourceAnswer, _> = shared.trackers.ask(&request).await;
    let told = match (answer, &mark) {
        (Ok(SyncSourceAnswer(told)), _) => told,
        // A peer in service needs nobody's word to go on.
        (Err(_), Some(_)) if peer.status == StorageStatus::ACTIVE => None,
        (Err(error), _) => return Err(format!("the trackers do not say who fills the peer: {error}")),
    };
    let mark = match decide(mark, told, &own, peer.status) {
        Decision::Keep(mark) => return Ok(mark),
        Decision::FillUntil(until) => {
            info!(peer = %peer.id, until, "filling a new member with old files");
            Mark { need_sync_old: true, until, ..Mark::default() }
        }
        Decision::From(until, before) => {
            let found = first_since(shared, until).await.map_err(|error| format!("the binlog: {error}"))?;
            let position = before.map_or(found, |before| before.min(found));
            Mark { position, until, ..Mark::default() }
        }
    };
    let saving = path.to_owned();
    let saved = blocking(move || mark.save(&saving)).await;
    saved.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(mark)
}

/// Position of the first own record of a time or later, with a margin; the beginning for time 0.
async fn first_since(shared: &Shared, until: i64) -> std::io::Result<BinlogPosition> {
    if until <= 0 {
        return Ok(BinlogPosition::default());
    }
    let store = shared.store.clone();
    let end = *shared.binlog.borrow();
    blocking(move || {
        let mut reader = store.binlog_reader(BinlogPosition::default())?;
        let mut before = reader.position();
        while let Some(item) = reader.next(end)? {
            let is_it = |entry: &Entry| entry.side == Side::Source && entry.time >= until - MARGIN;
            if item.entry.as_ref().is_ok_and(is_it) {
                return Ok(before);
            }
            before = item.end;
        }
        Ok(before)
    })
    .await
}

/// Tells the trackers that old files are on their way to a peer, or that they have all arrived, if they do not know it.
/// `true` if they have arrived.
pub(super) async fn announce(shared: &Shared, peer: &Peer, mark: &Mark) -> Result<bool, String> {
    if !mark.need_sync_old || peer.status >= StorageStatus::IP_CHANGED {
        return Ok(false);
    }
    // A copy ends after it has begun, for trackers, also where both are told again.
    if peer.status == StorageStatus::WAIT_SYNC {
        report(shared, &peer.id, StorageStatus::SYNCING).await?;
    }
    if mark.sync_old_done {
        // A tracker that was killed in between goes on having it as unfilled, and nobody else corrects it.
        report_filled(shared, &peer.id).await?;
        return Ok(true);
    }
    Ok(false)
}

/// Tells that a peer has all old files.
pub(super) async fn report_filled(shared: &Shared, peer: &StorageId) -> Result<(), String> {
    report(shared, peer, StorageStatus::OFFLINE).await
}

async fn report(shared: &Shared, peer: &StorageId, status: StorageStatus) -> Result<(), String> {
    let ip = shared.peers.get(peer).map(|peer| peer.ip);
    let storage = Brief { status, port: 0, id: Some(*peer), ip };
    let told = shared.trackers.tell_all(&ReportStatus { group: shared.store.group(), storage }).await;
    if told == 0 {
        return Err(format!("no tracker takes the report that the peer is {status}"));
    }
    shared.peers.set_status(peer, status);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> StorageId {
        StorageId::parse(text).unwrap()
    }

    fn told(source: &str, until: i64) -> Option<SyncSource> {
        Some(SyncSource { source: Some(id(source)), until })
    }

    #[test]
    fn a_mark_is_kept_unless_the_peer_was_filled_anew() {
        use StorageStatus as S;
        let own = id("a");
        let at = BinlogPosition { index: 0, offset: 50 };
        let filled =
            Mark { position: at, need_sync_old: true, sync_old_done: true, until: 100, ..Mark::default() };
        let plain = Mark { position: at, until: 100, ..Mark::default() };
        let check = |mark, told, status, expected| {
            assert_eq!(decide(mark, told, &own, status), expected, "{mark:?} {told:?} {status}");
        };
        check(None, told("a", 100), S::WAIT_SYNC, Decision::FillUntil(100));
        check(None, told("b", 100), S::WAIT_SYNC, Decision::From(100, None));
        check(None, told("b", 100), S::ACTIVE, Decision::From(100, None));
        check(None, None, S::ACTIVE, Decision::From(0, None));
        check(Some(filled), told("a", 100), S::ACTIVE, Decision::Keep(filled));
        check(Some(filled), told("a", 100), S::WAIT_SYNC, Decision::Keep(filled));
        check(Some(filled), told("a", 200), S::WAIT_SYNC, Decision::FillUntil(200));
        check(Some(filled), told("b", 200), S::WAIT_SYNC, Decision::From(200, None));
        check(Some(plain), told("b", 100), S::SYNCING, Decision::Keep(plain));
        check(Some(plain), told("a", 100), S::SYNCING, Decision::FillUntil(100));
        check(Some(plain), told("b", 200), S::ACTIVE, Decision::From(200, Some(at)));
        check(Some(plain), told("a", 200), S::ACTIVE, Decision::Keep(plain));
        check(Some(plain), None, S::ACTIVE, Decision::Keep(plain));
        check(Some(plain), None, S::WAIT_SYNC, Decision::Keep(plain));
    }

    #[test]
    fn a_new_member_gets_others_old_files_and_what_comes_late_too() {
        let end = BinlogPosition { index: 0, offset: 1000 };
        let later = BinlogPosition { index: 0, offset: 1001 };
        let source = Filling::of(&Mark { need_sync_old: true, until: 100, ..Mark::default() }, end);
        let plain = Filling::of(&Mark { until: 100, ..Mark::default() }, end);
        let entry = |line: &str| Entry::parse(format!("{line} M00/00/00/file").as_bytes()).unwrap();
        assert!(source.wants(&entry("100 c"), end) && !source.wants(&entry("101 c"), end));
        assert!(source.wants(&entry("500 C"), end) && plain.wants(&entry("500 C"), end));
        assert!(!plain.wants(&entry("100 c"), end));
        let append = Entry::parse(b"100 a M00/00/00/file 0 5").unwrap();
        assert!(!source.wants(&append, end), "the whole copy has it");
        assert!(source.wants(&append, later));
        let mut done = source;
        done.finish();
        assert!(done.wants(&entry("100 c"), later) && !done.is_under_way());
    }
}
