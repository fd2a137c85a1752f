//! What trackers answer to beats and reports: who leads, and who is in the group.

use protocol::StorageId;
use protocol::cluster::{Brief, CheckSync, ReplicaChanged, StorageStatus};
use protocol::wire::Empty;
use tracing::{info, warn};

use super::own::{Next, is_settled};
use super::session::Session;
use super::{Link, LinkError, blocking, changelog, leader, refill};
use crate::peers::is_tombstone;

/// Most members that one 85 tells.
const MAX_CHANGED: usize = 32;

impl Session<'_> {
    pub(super) async fn hear(&mut self, answer: &CheckSync) -> Result<(), LinkError> {
        if let Some(brief) = &answer.leader {
            leader::hear(self.link, self.index, brief).await;
        }
        self.hear_of_trunk(answer.trunk_server.as_ref()).await?;
        match &answer.members {
            Some(members) => self.hear_members(members).await,
            None => Ok(()),
        }
    }

    async fn hear_members(&mut self, members: &[Brief]) -> Result<(), LinkError> {
        let link = self.link;
        let uses_ids = self.params.use_storage_id;
        if uses_ids {
            // Before the senders hear of new peers and look for their marks; the same goes for moves.
            adopt_marks(link, members).await?;
        }
        let changes =
            if is_anyone_gone(link, members) { changelog::read_all(link, self.id).await } else { Vec::new() };
        changelog::apply_moves(link, &changes, uses_ids).await?;
        let better = link.peers.hear(members);
        changelog::apply_deletions(link, &changes, uses_ids).await?;
        self.reported.members_changed = true;
        for some in better.chunks(MAX_CHANGED) {
            let Empty = self.ask(&ReplicaChanged(some.to_vec())).await?;
        }
        refill::consider(link, self.id, uses_ids, members).await?;
        let own = members.iter().find(|brief| brief.id == Some(self.id));
        match own {
            Some(own) => self.hear_own(own.status, members).await,
            None => Ok(()),
        }
    }

    async fn hear_own(&mut self, status: StorageStatus, members: &[Brief]) -> Result<(), LinkError> {
        if self.link.own.listed(self.index, status) == Next::JoinAgain {
            return Err(LinkError::Again("it takes this node for one that lacks old files"));
        }
        self.note_status(status);
        if is_settled(status) {
            return self.settle().await;
        }
        let waits = matches!(status, StorageStatus::WAIT_SYNC | StorageStatus::SYNCING);
        let is_gone = |id: &StorageId| {
            members.iter().any(|brief| brief.id.as_ref() == Some(id) && is_tombstone(brief.status))
        };
        match self.link.source().source {
            Some(source) if waits && is_gone(&source) => {
                warn!(%source, "the member that fed this node is gone, starting over");
                self.start_over().await?;
                Err(LinkError::Again("this node needs another source of old files"))
            }
            // Either the old files are here, and the tracker has to be told again; or there is no source yet.
            None if waits => Err(LinkError::Again("it waits for a source that this node does not have")),
            _ => Ok(()),
        }
    }
}

/// Whether the list has a member as gone that was one until now.
fn is_anyone_gone(link: &Link, members: &[Brief]) -> bool {
    let was_member = |id: &StorageId| {
        link.peers
            .get(id)
            .is_some_and(|peer| !is_tombstone(peer.status) && peer.status != StorageStatus::NONE)
    };
    let mut gone = members.iter().filter(|brief| is_tombstone(brief.status));
    gone.any(|brief| brief.id.as_ref().is_some_and(was_member))
}

/// A cluster that got storage ids has marks by address: they become those of the ids.
async fn adopt_marks(link: &Link, members: &[Brief]) -> Result<(), LinkError> {
    let new = members.iter().filter_map(|brief| brief.id.zip(brief.ip));
    let new: Vec<_> = new.filter(|(id, _)| link.peers.get(id).is_none()).collect();
    if new.is_empty() {
        return Ok(());
    }
    let marks = link.marks(true);
    blocking(&link.store, move |_| {
        for (id, ip) in new {
            // An IPv6 address is too long for a name by address: there is no such mark.
            let Ok(address) = StorageId::parse(&ip.to_string()) else { continue };
            match marks.adopt(&id, &address) {
                Ok(true) => info!(peer = %id, %ip, "the mark of this address is now that of the id"),
                Ok(false) => {}
                Err(error) => {
                    warn!(peer = %id, %ip, %error, "cannot rename the mark of an address to its id")
                }
            }
        }
        Ok(())
    })
    .await
}
