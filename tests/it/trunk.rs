//! Groups whose small files lie in slots of trunk files: ours alone, and with FastDFS, whoever is the trunk server.
//!
//! Where FastDFS is needed it has to be on the PATH, as for `mixed`.

mod server;

use std::net::IpAddr;
use std::time::Duration;

use protocol::file_id::FileExt;
use protocol::storage::{FileCreated, Upload, UploadHead};

use crate::group::server::Make::{self, Ours, Theirs};
use crate::group::slots::{TRUNK_LINES, slot_of, trunk_binlog};
use crate::group::{Group, head, storages};
use crate::mixed::book::Book;
use crate::mixed::grow_and_agree;
use crate::theirs::is_here;
use crate::wait::until;

/// A trunk server that is gone is replaced after some check intervals of 5 s.
const ELECTION: Duration = Duration::from_secs(60);

/// A group with trunk files, whose members all know the trunk server.
async fn start(trackers: &[Make], nodes: &[Make]) -> Group {
    let group = Group::start_told(trackers, nodes, TRUNK_LINES).await;
    wait_for_slots(&group).await;
    group
}

/// The trunk server as the first tracker that runs lists it.
async fn trunk_server(group: &Group) -> Result<IpAddr, String> {
    let up = group.trackers.iter().position(|tracker| tracker.is_up()).expect("a tracker runs");
    let listed = storages(&group.only(up)).await?;
    let server = listed.iter().find(|storage| storage.is_trunk_server != 0).and_then(|storage| storage.ip);
    server.ok_or_else(|| "none".to_owned())
}

/// Waits until small files that are sent to any member that runs come into slots.
async fn wait_for_slots(group: &Group) {
    let storages = group.client().storages;
    for index in (0..group.nodes.len()).filter(|index| group.nodes[*index].is_up()) {
        let at = group.native(index);
        until(&format!("slots for {at}"), ELECTION, async || {
            let request = Upload(UploadHead { ext: FileExt::NONE, ..head(5, "txt") });
            let sent = storages.send(at, &request, &mut &b"probe"[..], |_| {}).await;
            let FileCreated(id) = sent.map_err(|error| error.to_string())?;
            storages.delete(at, &id).await.map_err(|error| error.to_string())?;
            slot_of(&id.to_string()).map(|_| ()).ok_or_else(|| format!("{id} is in none"))
        })
        .await;
    }
}

/// All members have the trunk binlog of the trunk server.
async fn same_trunk_binlog(group: &Group) {
    until("the same trunk binlog", ELECTION, async || {
        let server = trunk_server(group).await?;
        let of = |ip| trunk_binlog(&group.nodes.iter().find(|node| node.ip == ip).expect("a member").base);
        let expected = of(server);
        if expected.is_empty() {
            return Err("it is empty".to_owned());
        }
        match group.nodes.iter().find(|node| of(node.ip) != expected) {
            None => Ok(()),
            Some(node) => {
                let (here, there) = (of(node.ip).lines().count(), expected.lines().count());
                Err(format!("{} has {here} lines, {server} {there}", node.ip))
            }
        }
    })
    .await;
}

/// As in groups without trunk files; then all have the same, in the same slots.
async fn a_group_agrees(trackers: &[Make], nodes: &[Make], newcomer: Make) {
    let mut group = start(trackers, nodes).await;
    // The first of them was alone when the trunk server was chosen.
    assert_eq!(trunk_server(&group).await, Ok(group.nodes[0].ip));
    grow_and_agree(&mut group, &mut Book::in_trunk(), newcomer, wait_for_slots).await;
    same_trunk_binlog(&group).await;
}

/// The control: what these tests expect is what FastDFS does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_own_group_with_trunk_files_agrees() {
    if is_here("their_own_group_with_trunk_files_agrees") {
        a_group_agrees(&[Theirs], &[Theirs, Theirs], Theirs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_group_with_trunk_files_agrees() {
    a_group_agrees(&[Ours], &[Ours, Ours], Ours).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_storages_with_trunk_files_agree_under_our_tracker() {
    if is_here("their_storages_with_trunk_files_agree_under_our_tracker") {
        a_group_agrees(&[Ours], &[Theirs, Theirs], Theirs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_takes_slots_of_their_trunk_server_under_their_tracker() {
    if is_here("ours_takes_slots_of_their_trunk_server_under_their_tracker") {
        a_group_agrees(&[Theirs], &[Theirs, Ours], Ours).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_gives_slots_to_theirs_under_their_tracker() {
    if is_here("ours_gives_slots_to_theirs_under_their_tracker") {
        a_group_agrees(&[Theirs], &[Ours, Theirs], Theirs).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_takes_slots_of_their_trunk_server_under_our_tracker() {
    if is_here("ours_takes_slots_of_their_trunk_server_under_our_tracker") {
        a_group_agrees(&[Ours], &[Theirs, Ours], Ours).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_gives_slots_to_theirs_under_our_tracker() {
    if is_here("ours_gives_slots_to_theirs_under_our_tracker") {
        a_group_agrees(&[Ours], &[Ours, Theirs], Theirs).await;
    }
}
