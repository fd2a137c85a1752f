//! What a storage hears of the members of its group: the truth, but not always at once.
//!
//! A storage never lowers what it holds of a peer to WAIT_SYNC or SYNCING (native-cluster.md 1.3), and goes on from its
//! mark. So, where a member is filled anew, a peer that saw it serve never fills it (2.7); one that was half through goes
//! on in the middle; and one that did not look meanwhile never gives again what it gave to the disk that is lost. Every
//! peer therefore hears of each filling in steps: INIT, which it always takes and which ends its sender; WAIT_SYNC, upon
//! which the sender starts anew, asking who the source is and from when it has to give its own; then the truth.
//!
//! The next step waits for a beat some seconds later. A sender looks at the status now and then, and a storage reports
//! several things in a row: told at once, it would be there before the sender has seen the one before.

use std::collections::BTreeMap;

use protocol::StorageId;
use protocol::cluster::{Brief, Join, StorageStatus};

use super::{Group, Member, Session};

/// Time that a sender needs to see a status of its peer, seconds.
const TIME_TO_SEE: i64 = 3;

/// What one storage has heard on this connection.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    /// Its last heart beat here, or its join.
    pub(super) last_beat: i64,
    /// The beat upon which it last heard less than the truth.
    partly: Option<i64>,
    /// Whether it joined as a storage in service.
    claims_service: bool,
    /// Whether it joined on an empty disk, and so has no marks.
    has_no_marks: bool,
    /// Which filling of each member it has heard of, once it was sent a list.
    members: Option<BTreeMap<StorageId, u64>>,
}

impl Heard {
    /// Of a storage that joins now.
    pub(super) fn since(join: &Join, now: i64) -> Self {
        Self {
            last_beat: now,
            partly: None,
            claims_service: join.is_new == 0 && join.status >= Some(StorageStatus::OFFLINE),
            has_no_marks: join.is_new != 0,
            members: None,
        }
    }

    /// Whether it may hear of members now.
    pub(super) fn may_hear(&self) -> bool {
        let is_early = |at: i64| (at..at + TIME_TO_SEE).contains(&self.last_beat);
        !self.partly.is_some_and(is_early)
    }

    /// Another tracker told it before; nothing is known of what.
    pub(super) fn forget(&mut self) {
        self.partly = None;
        self.members = None;
    }
}

impl Session {
    /// The list for the member of this session, and the fillings for which its senders have started anew by now.
    pub(super) fn list(&mut self, group: &Group) -> (Vec<Brief>, BTreeMap<StorageId, u64>) {
        let own = self.joined.map(|(_, id)| id);
        let viewer = own.and_then(|id| group.member(&id));
        let mut started = viewer.map(|member| member.started_for.clone()).unwrap_or_default();
        let is_first = self.heard.members.is_none();
        let mut heard = self.heard.members.take().unwrap_or_default();
        let mut is_whole = true;
        let mut briefs = Vec::with_capacity(group.members.len());
        for member in &group.members {
            let before = heard.insert(member.id, member.fills);
            // A member that came since the first list is new to it: it holds nothing of it, and has no mark.
            let is_new = before.is_none() && (!is_first || self.heard.has_no_marks);
            if is_new {
                started.insert(member.id, member.fills);
            }
            let status = if Some(member.id) == own {
                // It carries its status to other trackers, so it hears the truth; unless it holds itself for serving: it
                // would connect and join anew every second.
                let is_high = self.heard.claims_service && before.is_none() && member.is_filling();
                if is_high { StorageStatus::INIT } else { member.status }
            } else {
                let knows = is_new || before == Some(member.fills);
                let has_started = started.get(&member.id).copied().unwrap_or(0) == member.fills;
                step(member, knows, has_started)
            };
            if status == StorageStatus::WAIT_SYNC {
                started.insert(member.id, member.fills);
            }
            is_whole &= status == member.status;
            briefs.push(Brief { status, ..member.brief_for(self.peer.ip()) });
        }
        self.heard.partly = (!is_whole).then_some(self.heard.last_beat);
        if is_whole {
            self.told_changes = group.changes;
        }
        self.heard.members = Some(heard);
        (briefs, started)
    }
}

/// The status to tell, of a filling of which the peer knows or not, and for which its sender has started or not.
fn step(member: &Member, knows: bool, has_started: bool) -> StorageStatus {
    let takes_steps = member.is_filling() || (member.is_settled() && !has_started);
    match (takes_steps, knows, has_started) {
        (false, ..) => member.status,
        (true, false, _) => StorageStatus::INIT,
        (true, true, false) => StorageStatus::WAIT_SYNC,
        (true, true, true) => member.status,
    }
}

impl Group {
    /// Senders have started for all fillings so far, as another tracker or an earlier run told them.
    pub(super) fn senders_have_started(&mut self) {
        let fills: BTreeMap<_, _> = self.members.iter().map(|member| (member.id, member.fills)).collect();
        for member in &mut self.members {
            member.started_for.clone_from(&fills);
        }
    }
}
