//! Where this node itself stands: at each tracker, and by the leader's list.
//!
//! Several trackers may see it differently, since each decides by what it heard. The leader's view is right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::StorageId;
use protocol::cluster::StorageStatus;

/// Shared by the sessions with all trackers.
#[derive(Default)]
pub(crate) struct Own(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// The id that the first tracker told.
    id: Option<StorageId>,
    /// By the list of members that the leader sent last.
    listed: Option<StorageStatus>,
    /// As each tracker has it, by the tracker's index.
    at: BTreeMap<usize, StorageStatus>,
    /// Trackers that answered, or were found not to.
    tried: BTreeSet<usize>,
    /// Trackers that do not take what this node says of its source.
    refuse_source: BTreeSet<usize>,
    /// A source was given since the start, and has not finished as far as known.
    is_filling: bool,
}

/// What follows from a list of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Go on.
    Stay,
    /// The tracker took this node back to where it was before; a new join tells it better.
    JoinAgain,
}

/// Joined or in service: the source of old files, if there was one, has finished.
pub(super) fn is_settled(status: StorageStatus) -> bool {
    matches!(status, StorageStatus::OFFLINE | StorageStatus::ONLINE | StorageStatus::ACTIVE)
}

/// Without the old files of the group.
pub(super) fn is_waiting(status: StorageStatus) -> bool {
    status < StorageStatus::IP_CHANGED
}

impl Own {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first tracker says who this node is; gives that if it is somebody else.
    pub(super) fn claim(&self, id: StorageId) -> Option<StorageId> {
        let own = *self.known().id.get_or_insert(id);
        (own != id).then_some(own)
    }

    /// What a join says: the listed status; while none is known, INIT, but only once it is clear that no other tracker
    /// knows better, since a tracker that has lost its files would take INIT for the truth.
    pub(super) fn for_join(&self, index: usize, trackers: usize) -> Option<StorageStatus> {
        let known = self.known();
        let others = (0..trackers).filter(|other| *other != index);
        let all_tried = others.into_iter().all(|other| known.tried.contains(&other));
        known.listed.or(all_tried.then_some(StorageStatus::INIT))
    }

    /// A tracker's word about this node.
    pub(super) fn told(&self, index: usize, status: StorageStatus) {
        let mut known = self.known();
        known.tried.insert(index);
        known.at.insert(index, status);
    }

    /// The link to a tracker ended: its view is not known any more.
    pub(super) fn lost(&self, index: usize) {
        let mut known = self.known();
        known.tried.insert(index);
        known.at.remove(&index);
        known.refuse_source.remove(&index);
    }

    /// This node in a leader's list.
    pub(super) fn listed(&self, index: usize, told: StorageStatus) -> Next {
        let mut known = self.known();
        known.at.insert(index, told);
        if is_settled(told) {
            known.is_filling = false;
        }
        let goes_back = matches!(told, StorageStatus::WAIT_SYNC | StorageStatus::SYNCING)
            && known.listed.is_some_and(|listed| listed > told && listed != StorageStatus::OFFLINE)
            && !known.is_filling;
        if goes_back {
            return Next::JoinAgain;
        }
        known.listed = Some(told);
        Next::Stay
    }

    /// What the tracker has to be told by 59: the leader's view, if its own is another. Only that a member waits for
    /// files, or does not: all else comes about by joining or by an operator.
    pub(super) fn to_tell(&self, index: usize, leader: Option<usize>) -> Option<StorageStatus> {
        leader.filter(|leader| *leader != index)?;
        let known = self.known();
        let here = *known.at.get(&index)?;
        let waits = |status| matches!(status, StorageStatus::WAIT_SYNC | StorageStatus::SYNCING);
        let listed = known.listed.filter(|status| is_settled(*status) || waits(*status))?;
        let agree = listed == here || (is_settled(listed) && is_settled(here));
        (!agree).then_some(listed)
    }

    /// It was arranged that a source fills this node, or that none has to.
    pub(super) fn set_filling(&self, is_filling: bool) {
        let mut known = self.known();
        known.is_filling = is_filling;
        known.refuse_source.clear();
        if is_filling {
            known.listed = None;
        }
    }

    /// Whether a source was given and has not finished.
    pub(super) fn is_filling(&self) -> bool {
        self.known().is_filling
    }

    /// Whether this node has yet to get old files.
    pub(super) fn waits(&self) -> bool {
        let known = self.known();
        let status = known.listed.or(known.at.values().max().copied());
        known.is_filling || status.is_some_and(is_waiting)
    }

    /// A tracker does not take what it is told of the source; true if none of those that answer does.
    pub(super) fn refuses_source(&self, index: usize) -> bool {
        let mut known = self.known();
        known.refuse_source.insert(index);
        known.at.keys().all(|other| known.refuse_source.contains(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::cluster::StorageStatus as S;

    #[test]
    fn a_join_says_init_only_when_no_other_tracker_may_know_better() {
        let own = Own::default();
        assert_eq!(own.for_join(0, 1), Some(S::INIT));
        assert_eq!(own.for_join(0, 3), None);
        own.lost(1);
        assert_eq!(own.for_join(0, 3), None);
        own.told(2, S::ONLINE);
        assert_eq!(own.for_join(0, 3), Some(S::INIT));
        own.listed(2, S::ACTIVE);
        assert_eq!(own.for_join(0, 3), Some(S::ACTIVE));
    }

    #[test]
    fn a_list_that_takes_a_settled_member_back_makes_it_join_again() {
        let check = |before, told, expected| {
            let own = Own::default();
            own.listed(0, before);
            assert_eq!(own.listed(0, told), expected, "{before} {told}");
        };
        check(S::ACTIVE, S::WAIT_SYNC, Next::JoinAgain);
        check(S::SYNCING, S::WAIT_SYNC, Next::JoinAgain);
        check(S::WAIT_SYNC, S::SYNCING, Next::Stay);
        check(S::OFFLINE, S::SYNCING, Next::Stay);
        check(S::ACTIVE, S::DELETED, Next::Stay);
        let own = Own::default();
        own.listed(0, S::ACTIVE);
        own.set_filling(true);
        assert_eq!(own.listed(0, S::WAIT_SYNC), Next::Stay, "it began again itself");
        assert!(own.is_filling());
        own.listed(0, S::ACTIVE);
        assert!(!own.is_filling());
    }

    #[test]
    fn other_trackers_hear_the_leader_s_view() {
        let check = |listed, here, expected| {
            let own = Own::default();
            own.told(1, here);
            assert_eq!(own.to_tell(1, Some(0)), None, "no list yet");
            own.listed(0, listed);
            assert_eq!(own.to_tell(1, Some(0)), expected, "{listed} {here}");
            assert_eq!(own.to_tell(0, Some(0)), None);
            assert_eq!(own.to_tell(1, None), None);
            own.lost(1);
            assert_eq!(own.to_tell(1, Some(0)), None);
        };
        check(S::ACTIVE, S::WAIT_SYNC, Some(S::ACTIVE));
        check(S::WAIT_SYNC, S::ONLINE, Some(S::WAIT_SYNC));
        check(S::ACTIVE, S::OFFLINE, None);
        check(S::WAIT_SYNC, S::WAIT_SYNC, None);
        check(S::INIT, S::ACTIVE, None);
        check(S::DELETED, S::ACTIVE, None);
    }

    #[test]
    fn a_source_is_unknown_when_no_answering_tracker_knows_it() {
        let own = Own::default();
        own.told(0, S::ONLINE);
        own.told(1, S::ONLINE);
        assert!(!own.refuses_source(0));
        assert!(own.refuses_source(1));
        own.set_filling(true);
        assert!(!own.refuses_source(0));
        own.lost(1);
        assert!(own.refuses_source(0));
    }
}
