//! Trackers that leave, forget, refuse, or say little: what the node makes of their answers, request by request.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use protocol::cluster::{JoinAnswer, StorageStatus, SyncNotify, SyncSource, SyncSourceAnswer};
use protocol::wire::{Request, Response};
use protocol::{Command, Status, StorageId};

use crate::address::fresh;
use crate::fake_tracker::FakeTracker;
use crate::noting::{self, Answer, Notes, tracker, wait_ready};
use crate::running::{Running, plain_cluster};

/// Reports so seldom that a test sees the first ones only.
const SELDOM: &str = "heart_beat_interval = 600\nstat_report_interval = 600";

/// A node under a tracker that notes everything, and answers as its habit says.
struct Pair {
    node: Running,
    tracker: FakeTracker,
    heard: Notes,
}

async fn pair(more: &str, habit: impl Fn(Command, &[u8]) -> Answer + Send + Sync + 'static) -> Pair {
    let (tracker, heard) = tracker(SocketAddr::new(fresh(), 22122), plain_cluster(), habit).await;
    let node = Running::start_with(fresh(), tracker.address, more).await;
    Pair { node, tracker, heard }
}

/// As every tracker but the leader answers a new member.
fn joined_as_new(command: Command, _: &[u8]) -> Answer {
    let new = JoinAnswer { status: StorageStatus::INIT, source: None };
    (command == Command::STORAGE_JOIN).then(|| Ok(new.to_frame()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_member_that_nobody_feeds_is_ready_before_a_leader_lists_it() {
    let pair = pair(SELDOM, joined_as_new).await;
    wait_ready(&pair.node, " 200 ", "").await;
    assert_eq!(pair.heard.count(Command::STORAGE_BEAT), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_that_comes_back_is_joined_long_before_the_next_beat() {
    let Pair { node, tracker, .. } = pair(SELDOM, |_, _| None).await;
    wait_ready(&node, " 200 ", "").await;
    let address = tracker.address;
    drop(tracker);
    wait_ready(&node, " 503 ", "").await;
    let (_tracker, heard) = noting::tracker(address, plain_cluster(), |_, _| None).await;
    heard.wait(Command::STORAGE_BEAT, 1).await;
    wait_ready(&node, " 200 ", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_that_refuses_the_room_of_the_store_paths_keeps_its_member() {
    let refuse = |command, _: &[u8]| (command == Command::REPORT_DISK_USAGE).then_some(Err(Status::EINVAL));
    let pair = pair("stat_report_interval = 1", refuse).await;
    pair.heard.wait(Command::REPORT_DISK_USAGE, 3).await;
    wait_ready(&pair.node, " 200 ", "").await;
    assert_eq!(pair.heard.count(Command::STORAGE_JOIN), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_has_left_the_cluster_is_forgotten() {
    // Settled members go on; one that was still waiting for its files asks for another source.
    for (status, asks) in [(StorageStatus::ONLINE, 1), (StorageStatus::INIT, 2)] {
        let gone = SyncSource { source: StorageId::parse("127.99.99.99").ok(), until: 1 };
        let asked = AtomicUsize::new(0);
        let forgetful = move |command, body: &[u8]| match command {
            Command::STORAGE_JOIN => Some(Ok(JoinAnswer { status, source: None }.to_frame())),
            Command::SYNC_DEST_REQ => {
                let first = asked.fetch_add(1, Ordering::Relaxed) == 0;
                Some(Ok(SyncSourceAnswer(first.then_some(gone)).to_frame()))
            }
            Command::SYNC_NOTIFY => {
                let SyncNotify(told) = SyncNotify::decode_body(body).unwrap();
                told.source.map(|_| Err(Status::ENOENT))
            }
            _ => None,
        };
        let pair = pair(SELDOM, forgetful).await;
        wait_ready(&pair.node, " 200 ", "").await;
        assert_eq!(pair.heard.count(Command::SYNC_NOTIFY), 2, "{status}");
        assert_eq!(pair.heard.count(Command::SYNC_DEST_REQ), asks, "{status}");
        let text = std::fs::read_to_string(pair.node.data().join(".data_init_flag")).unwrap();
        assert!(text.contains("sync_old_done=1\nsync_src_server=\nsync_until_timestamp=0\n"), "{text}");
    }
}
