//! What trackers answer to beats and reports: who leads, and who is in the group.

use bytes::Bytes;
use protocol::StorageId;
use protocol::cluster::{Brief, ChangelogRequest, CheckSync, ReplicaChanged, StorageStatus};
use protocol::wire::Empty;
use tracing::{info, warn};

use super::own::{Next, is_settled};
use super::session::Session;
use super::{Link, LinkError, blocking, changelog, leader};
use crate::peers::is_tombstone;

/// Most members that one 85 tells.
const MAX_CHANGED: usize = 32;

impl Session<'_> {
    pub(super) async fn hear(&mut self, answer: &CheckSync) -> Result<(), LinkError> {
        if let Some(brief) = &answer.leader {
            leader::hear(self.link, self.index, brief).await;
        }
        match &answer.members {
            Some(members) => self.hear_members(members).await,
            None => Ok(()),
        }
    }

    async fn hear_members(&mut self, members: &[Brief]) -> Result<(), LinkError> {
        let link = self.link;
        let before = gone(link);
        if self.params.use_storage_id {
            // Before the senders hear of new peers and look for their marks.
            adopt_marks(link, members).await?;
        }
        let better = link.peers.hear(members);
        self.reported.members_changed = true;
        for some in better.chunks(MAX_CHANGED) {
            let Empty = self.ask(&ReplicaChanged(some.to_vec())).await?;
        }
        if gone(link).iter().any(|id| !before.contains(id)) {
            read_changelogs(link, self.id, self.params.use_storage_id).await?;
        }
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

/// Peers that were members once.
fn gone(link: &Link) -> Vec<StorageId> {
    link.peers.list().iter().filter(|peer| is_tombstone(peer.status)).map(|peer| peer.id).collect()
}

/// A cluster that got storage ids has marks by address: they become those of the ids.
async fn adopt_marks(link: &Link, members: &[Brief]) -> Result<(), LinkError> {
    let new = members.iter().filter_map(|brief| brief.id.zip(brief.ip));
    let new: Vec<_> = new.filter(|(id, _)| link.peers.get(id).is_none()).collect();
    if new.is_empty() {
        return Ok(());
    }
    let (marks, port) = (link.marks(true), link.facts.port);
    blocking(&link.store, move |_| {
        for (id, ip) in new {
            match marks.adopt(&id, &ip.to_string(), port) {
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

/// A member that was deleted or got another address is in every tracker's changelog, which each keeps for itself.
async fn read_changelogs(link: &Link, own: StorageId, uses_ids: bool) -> Result<(), LinkError> {
    let request = ChangelogRequest(Some((link.facts.group, own)));
    for answer in link.trackers.ask_each::<_, Bytes>(&request).await {
        match answer {
            Ok(text) => changelog::apply(link, &text, uses_ids).await?,
            Err(error) => info!(%error, "no changelog from a tracker; it is read when the tracker is back"),
        }
    }
    Ok(())
}
