//! What was deleted here does not come back from a member that lags.

use std::time::Duration;

use protocol::{FileId, Status};

use super::{Lagging, body, holder, name_by, place};
use crate::address::fresh;
use crate::fake_member::FakeMember;
use crate::wire::{Heard, Wire, whole};

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_and_members_deleted_is_gone_also_after_a_restart() {
    let slow = holder().await;
    let mut lagging = Lagging::among(&[slow.address]).await;
    // One by a client of this node, one by another member.
    let by_client = lagging.node.upload(b"deleted here", "txt").await;
    place(&slow, &by_client, "deleted here");
    lagging.node.client().delete(lagging.node.address, &by_client).await.expect("it is there");
    let by_member = name_by(slow.ip, "deleted there");
    place(&slow, &by_member, "deleted there");
    place(&lagging.node, &by_member, "deleted there");
    let body_of_17 = [
        &1_795_382_841_i32.to_be_bytes()[..],
        b"group1\0\0\0\0\0\0\0\0\0\0",
        by_member.name.as_str().as_bytes(),
    ]
    .concat();
    let mut wire = Wire::open(lagging.node.address).await;
    wire.send(&whole(17, &body_of_17)).await;
    let answer = wire.hear(PATIENCE).await;
    assert!(matches!(answer, Heard::Frame(ref frame) if frame[9] == 0), "{answer:?}");
    drop(wire);

    let gone = async |lagging: &Lagging, id: &FileId| {
        assert_eq!(lagging.status(id).await, 404, "{id}");
        assert_eq!(lagging.download(id).await, Err(Status::ENOENT), "{id}");
    };
    for id in [&by_client, &by_member] {
        gone(&lagging, id).await;
    }
    lagging.node.stop().await;
    lagging.node.start_again().await;
    lagging.wait_for_members().await;
    for id in [&by_client, &by_member] {
        gone(&lagging, id).await;
    }
    // The member is asked for what was not deleted.
    let kept = name_by(slow.ip, "kept");
    place(&slow, &kept, "kept");
    assert_eq!(body(&lagging.get(&kept).await), "kept");
}

/// A slave is named after its master, so one can be made again after a delete, at any member.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slave_that_was_made_again_is_found_and_the_deleted_one_is_not() {
    let other = holder().await;
    let lagging = Lagging::among(&[other.address]).await;
    let master = lagging.node.upload(b"the master", "txt").await;
    let slave = FileId::parse(&master.to_string().replace(".txt", "_50x50.txt")).expect("a name");
    let set_age = |seconds: u64| {
        let at = std::time::SystemTime::now() - Duration::from_secs(seconds);
        let file = std::fs::File::options().write(true).open(other.path(&slave)).expect("it is there");
        file.set_modified(at).expect("the time can be set");
    };
    place(&other, &slave, "the first");
    set_age(100);
    assert_eq!(lagging.download(&slave).await.as_deref(), Ok("the first"));
    place(&lagging.node, &slave, "the first");
    lagging.node.client().delete(lagging.node.address, &slave).await.expect("it is there");
    assert_eq!(lagging.download(&slave).await, Err(Status::ENOENT), "the other lags");
    assert_eq!(lagging.status(&slave).await, 404);
    place(&other, &slave, "the second");
    assert_eq!(lagging.download(&slave).await.as_deref(), Ok("the second"));
    assert_eq!(body(&lagging.get(&slave).await), "the second");
}

/// The disk of a node was replaced: what it made itself is with the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_files_that_are_lost_are_read_from_the_others() {
    let other = holder().await;
    let lagging = Lagging::among(&[other.address]).await;
    let id = lagging.node.upload(b"made here", "txt").await;
    place(&other, &id, "made here");
    std::fs::remove_file(lagging.node.path(&id)).expect("it was here");
    assert_eq!(body(&lagging.get(&id).await), "made here");
    assert_eq!(lagging.download(&id).await.as_deref(), Ok("made here"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn own_files_that_nobody_has_are_not_found_though_a_member_is_silent() {
    let hung = FakeMember::hung(fresh()).await;
    let lagging = Lagging::among(&[hung.address]).await;
    let id = name_by(lagging.node.ip, "of this node");
    assert_eq!(lagging.status(&id).await, 404, "this node is the source, and serves");
}
