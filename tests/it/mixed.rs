//! Groups of our daemons and FastDFS's: whatever is done through one member is on all members, byte by byte.
//!
//! They run where FastDFS 6.16 is on the PATH; the same operations in a group of ours alone run everywhere.

mod book;

use crate::group::Group;
use crate::group::server::Make::{self, Ours, Theirs};
use crate::theirs::is_here;
use book::Book;

/// Everything through each member in turn; then one more member, which must get what there was and take part; then deletes
/// of what another member took.
async fn a_group_agrees(trackers: &[Make], nodes: &[Make], newcomer: Make) {
    let mut group = Group::start(trackers, nodes).await;
    let client = group.client();
    let mut book = Book::default();
    for index in 0..group.nodes.len() {
        book.fill(&client, group.native(index), group.nodes[index].make).await;
    }
    book.check(&group).await;

    group.add_node(newcomer).await;
    let newest = group.nodes.len() - 1;
    book.fill(&client, group.native(newest), newcomer).await;
    book.fill(&client, group.native(0), group.nodes[0].make).await;
    book.check(&group).await;
    for index in 0..group.nodes.len() {
        book.delete_some(&client, group.native(index)).await;
    }
    book.check(&group).await;
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
