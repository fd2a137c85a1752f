//! Groups of our daemons and FastDFS's: whatever is done through one member is on all members, byte by byte.
//!
//! They run where FastDFS 6.16 is on the PATH; the same operations in a group of ours alone run everywhere.

pub(crate) mod book;
mod lost_disk;
mod rest;

use crate::address;
use crate::group::server::Make::{self, Ours, Theirs};
use crate::group::server::Server;
use crate::group::{Group, JOIN};
use crate::theirs::is_here;
use crate::wait::until;
use book::Book;

/// Everything through each member in turn; then one more member, which must get what there was and take part; then deletes
/// of what another member took.
async fn a_group_agrees(trackers: &[Make], nodes: &[Make], newcomer: Make) {
    let mut group = Group::start(trackers, nodes).await;
    grow_and_agree(&mut group, &mut Book::default(), newcomer, async |_| {}).await;
}

/// That, with a group that has started; the newcomer takes part when the group is `ready` for it.
pub(crate) async fn grow_and_agree(
    group: &mut Group,
    book: &mut Book,
    newcomer: Make,
    ready: impl AsyncFnOnce(&Group),
) {
    let client = group.client();
    for index in 0..group.nodes.len() {
        book.fill(&client, group.native(index), group.nodes[index].make).await;
    }
    book.check(group).await;

    group.add_node(newcomer).await;
    ready(group).await;
    let newest = group.nodes.len() - 1;
    book.fill(&client, group.native(newest), newcomer).await;
    book.fill(&client, group.native(0), group.nodes[0].make).await;
    book.check(group).await;
    for index in 0..group.nodes.len() {
        book.delete_some(&client, group.native(index)).await;
    }
    book.check(group).await;
}

/// The control: what these tests expect is what FastDFS does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_own_group_agrees() {
    if is_here("their_own_group_agrees") {
        a_group_agrees(&[Theirs], &[Theirs, Theirs], Theirs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_group_agrees() {
    a_group_agrees(&[Ours], &[Ours, Ours], Ours).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_storages_agree_under_their_tracker() {
    if is_here("our_storages_agree_under_their_tracker") {
        a_group_agrees(&[Theirs], &[Ours, Ours], Ours).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_storages_agree_under_our_tracker() {
    if is_here("their_storages_agree_under_our_tracker") {
        a_group_agrees(&[Ours], &[Theirs, Theirs], Theirs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_of_theirs_and_one_of_ours_agree() {
    if is_here("a_storage_of_theirs_and_one_of_ours_agree") {
        a_group_agrees(&[Theirs], &[Theirs, Ours], Ours).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_of_ours_and_one_of_theirs_agree() {
    if is_here("a_storage_of_ours_and_one_of_theirs_agree") {
        a_group_agrees(&[Ours], &[Ours, Theirs], Theirs).await;
    }
}

/// Two trackers, one of each kind, above a storage of each: the leader dies, the other tracker leads and everything goes on;
/// and the same the other way round.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trackers_of_both_kinds_lead_in_turn() {
    if !is_here("trackers_of_both_kinds_lead_in_turn") {
        return;
    }
    let mut group = Group::start(&[Ours, Theirs], &[Ours, Theirs]).await;
    let client = group.client();
    let mut book = Book::default();
    let mut leaders = Vec::new();
    for _ in 0..2 {
        let leader = agreed_leader(&group).await;
        leaders.push(group.trackers[leader].make);
        group.trackers[leader].kill();
        assert_eq!(agreed_leader(&group).await, 1 - leader, "the other one");
        group.wait_active().await;
        for index in 0..group.nodes.len() {
            book.fill(&client, group.native(index), group.nodes[index].make).await;
        }
        book.check(&group).await;
        group.trackers[leader].start();
        group.trackers[leader].wait_listening().await;
        // Who comes back follows who leads.
        assert_eq!(agreed_leader(&group).await, 1 - leader, "it leads on");
        group.wait_active().await;
        book.fill(&client, group.native(0), Ours).await;
        book.check(&group).await;
    }
    assert!(leaders.contains(&Ours) && leaders.contains(&Theirs), "{leaders:?}");
}

/// The tracker that all trackers that run call the leader.
async fn agreed_leader(group: &Group) -> usize {
    until("a leader that all agree on", JOIN, async || {
        let mut named = Vec::new();
        for index in 0..group.trackers.len() {
            if group.trackers[index].is_up() {
                named.push(group.only(index).leader().await.map_err(|error| format!("{error:?}"))?);
            }
        }
        let leader = named.first().expect("one runs");
        let is_it = |tracker: &Server| *leader == address::tracker(tracker.ip).to_string();
        match group.trackers.iter().position(is_it) {
            Some(index) if group.trackers[index].is_up() && named.iter().all(|name| name == leader) => {
                Ok(index)
            }
            _ => Err(format!("{named:?}")),
        }
    })
    .await
}
