//! The trackers' changelog (77): what became of members while this node did not look.
//!
//! A line is `<unix seconds> <group> <storage id> <status> <argument>`; the argument may be empty. A chunk may end inside
//! a line, and the next one begin inside it: such pieces are not lines and are dropped, as FastDFS does.

use bytes::Bytes;
use protocol::cluster::{ChangelogRequest, StorageStatus};
use protocol::{GroupName, StorageId};
use tracing::{info, warn};

use super::{Link, LinkError, blocking};
use crate::peers::is_tombstone;

/// What a line says of a member of the own group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Deleted(StorageId),
    /// Its id, which is its address, became another one.
    Moved(StorageId, StorageId),
}

/// The changes of `group`, in order.
pub(super) fn parse(text: &[u8], group: GroupName) -> Vec<Change> {
    String::from_utf8_lossy(text).lines().filter_map(|line| parse_line(line, group)).collect()
}

fn parse_line(line: &str, group: GroupName) -> Option<Change> {
    let columns: Vec<&str> = line.split(' ').collect();
    let [time, of_group, id, status, argument] = columns[..] else { return None };
    time.parse::<u64>().ok()?;
    if of_group != group.as_str() {
        return None;
    }
    let id = StorageId::parse(id).ok()?;
    match StorageStatus(status.parse().ok()?) {
        StorageStatus::DELETED => Some(Change::Deleted(id)),
        StorageStatus::IP_CHANGED => Some(Change::Moved(id, StorageId::parse(argument).ok()?)),
        _ => None,
    }
}

/// Asks every tracker: each keeps for itself what this node has read.
pub(super) async fn read_all(link: &Link, own: StorageId) -> Vec<Change> {
    let request = ChangelogRequest(Some((link.facts.group, own)));
    let mut changes = Vec::new();
    for answer in link.trackers.ask_each::<_, Bytes>(&request).await {
        match answer {
            Ok(text) => changes.extend(parse(&text, link.facts.group)),
            Err(error) => {
                info!(%error, "no changelog from a tracker; it is read when a member changes again")
            }
        }
    }
    changes
}

/// Lets marks and the own source follow members to their new addresses. Before the senders hear of these.
pub(super) async fn apply_moves(link: &Link, changes: &[Change], uses_ids: bool) -> Result<(), LinkError> {
    for change in changes {
        match change {
            Change::Moved(old, new) if !uses_ids => moved(link, *old, *new).await?,
            Change::Moved(..) | Change::Deleted(_) => {}
        }
    }
    Ok(())
}

/// Puts the marks of deleted members aside, and forgets the own source if it is among them.
pub(super) async fn apply_deletions(
    link: &Link,
    changes: &[Change],
    uses_ids: bool,
) -> Result<(), LinkError> {
    for change in changes {
        let Change::Deleted(id) = *change else { continue };
        // Another tracker may tell it late: a member that is back, or was never gone, keeps its mark, which is right.
        let is_gone = |status| is_tombstone(status) || status == StorageStatus::NONE;
        if link.peers.get(&id).is_none_or(|peer| is_gone(peer.status)) {
            deleted(link, id, uses_ids).await?;
        }
    }
    Ok(())
}

/// Both.
pub(super) async fn apply(link: &Link, text: &[u8], uses_ids: bool) -> Result<(), LinkError> {
    let changes = parse(text, link.facts.group);
    apply_moves(link, &changes, uses_ids).await?;
    apply_deletions(link, &changes, uses_ids).await
}

async fn deleted(link: &Link, id: StorageId, uses_ids: bool) -> Result<(), LinkError> {
    let marks = link.marks(uses_ids);
    let waits = link.own.waits();
    blocking(&link.store, move |store| {
        if let Err(error) = marks.retire(&id) {
            warn!(peer = %id, %error, "cannot put the mark of a deleted member aside");
        }
        store.update_init_flag(|flag| {
            if flag.sync_src_server == id.as_str() {
                flag.sync_src_server.clear();
                flag.sync_until_timestamp = 0;
                // Without the old files this node needs another source.
                flag.sync_old_done &= !waits;
            }
        })
    })
    .await
}

async fn moved(link: &Link, old: StorageId, new: StorageId) -> Result<(), LinkError> {
    let marks = link.marks(false);
    blocking(&link.store, move |store| {
        match marks.follow(&old, &new) {
            Ok(true) => info!(%old, %new, "a member has another address, its mark follows"),
            Ok(false) => {}
            Err(error) => warn!(%old, %new, %error, "cannot let a mark follow the member's address"),
        }
        store.update_init_flag(|flag| {
            if flag.sync_src_server == old.as_str() {
                flag.sync_src_server = new.to_string();
            }
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_own_group_are_read_and_broken_ones_dropped() {
        let text = b"up1 10.0.0.9 4 \n1795594560 group1 10.0.0.2 4 \n1795594561 group2 10.0.0.3 4 \n\
            1795594562 group1 10.0.0.4 3 10.0.0.5\n1795594563 group1 10.0.0.6 7 \n1795594564 group1 10.0.0.7 3 \n\
            1795594565 group1 10.0.0.8";
        let id = |text| StorageId::parse(text).unwrap();
        assert_eq!(
            parse(text, GroupName::parse("group1").unwrap()),
            [Change::Deleted(id("10.0.0.2")), Change::Moved(id("10.0.0.4"), id("10.0.0.5"))]
        );
        assert!(parse(b"\xff\n\n", GroupName::parse("group1").unwrap()).is_empty());
    }
}
