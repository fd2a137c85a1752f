//! A storage whose disk was replaced gets its files back from the other member, whoever made either of them, while the other
//! one goes on.

use super::book::Book;
use crate::group::Group;
use crate::group::server::Make::{self, Ours, Theirs};
use crate::theirs::is_here;

/// Each of two members loses its files in turn.
async fn lost_disks_are_refilled(tracker: Make, nodes: [Make; 2]) {
    let mut group = Group::start(&[tracker], &nodes).await;
    let client = group.client();
    let mut book = Book::default();
    for (index, make) in nodes.iter().enumerate() {
        book.fill(&client, group.native(index), *make).await;
    }
    book.check(&group).await;
    for lost in [0, 1] {
        let other = 1 - lost;
        group.nodes[lost].stop().await;
        group.nodes[lost].lose_files();
        book.fill(&client, group.native(other), nodes[other]).await;
        book.delete_some(&client, group.native(other)).await;
        group.nodes[lost].start();
        group.wait_active().await;
        book.check(&group).await;
        book.fill(&client, group.native(lost), nodes[lost]).await;
        book.check(&group).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_storages_refill_each_other() {
    lost_disks_are_refilled(Ours, [Ours, Ours]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_of_ours_and_one_of_theirs_refill_each_other() {
    if is_here("a_storage_of_ours_and_one_of_theirs_refill_each_other") {
        lost_disks_are_refilled(Theirs, [Ours, Theirs]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_of_theirs_and_one_of_ours_refill_each_other_under_our_tracker() {
    if is_here("a_storage_of_theirs_and_one_of_ours_refill_each_other_under_our_tracker") {
        lost_disks_are_refilled(Ours, [Theirs, Ours]).await;
    }
}
