//! The trackers' changelog (77): what became of members while this node did not look.
//!
//! A line is `<unix seconds> <group> <storage id> <status> <argument>`; the argument may be empty. A chunk may end inside
//! a line, and the next one begin inside it: such pieces are not lines and are dropped, as FastDFS does.

use std::time::SystemTime;

use protocol::cluster::StorageStatus;
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

/// Lets mark files and the own source follow.
pub(super) async fn apply(link: &Link, text: &[u8], uses_ids: bool) -> Result<(), LinkError> {
    for change in parse(text, link.facts.group) {
        match change {
            Change::Deleted(id) => deleted(link, id, uses_ids).await?,
            Change::Moved(_, _) if uses_ids => {}
            Change::Moved(old, new) => moved(link, old, new).await?,
        }
    }
    Ok(())
}

async fn deleted(link: &Link, id: StorageId, uses_ids: bool) -> Result<(), LinkError> {
    // Another tracker may tell it late: a member that is back, or was never gone, keeps its mark, which is still right.
    if link
        .peers
        .get(&id)
        .is_some_and(|peer| !is_tombstone(peer.status) && peer.status != StorageStatus::NONE)
    {
        return Ok(());
    }
    let marks = link.marks(uses_ids);
    let waits = link.own.waits();
    blocking(&link.store, move |store| {
        match marks.retire(&id, SystemTime::now()) {
            Ok(true) => info!(peer = %id, "the member was deleted, its mark is put aside"),
            Ok(false) => {}
            Err(error) => warn!(peer = %id, %error, "cannot put the mark of a deleted member aside"),
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
