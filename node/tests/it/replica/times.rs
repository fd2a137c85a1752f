//! What trackers hear of how far this node is with each member's changes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use protocol::cluster::{Brief, CheckSync, StorageStatus, SyncReport};
use protocol::wire::{Request, Response};
use protocol::{Command, StorageId};

use super::{APPENDER, MISSING, Member, NORMAL, OK, OTHER, PATIENCE, PRESENT, RENAMED, TIME};
use super::{delete, file, known, pair, part, truncate};
use crate::address::fresh;
use crate::fake_tracker::FakeTracker;
use crate::running::{Running, plain_cluster};
use crate::wire::Wire;

/// The member that sends.
const MEMBER: &str = "127.0.0.9";

const LINK: &str = "M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0978.txt";

fn id(text: &str) -> StorageId {
    StorageId::parse(text).expect("the test's own id")
}

type Reports = Arc<Mutex<Vec<Vec<(StorageId, i32)>>>>;

/// A node whose tracker leads, tells of another member, and keeps what it is told.
async fn reporting() -> (Running, FakeTracker, Reports) {
    let (own, tracker_ip, member_ip) = (fresh(), fresh(), fresh());
    let brief = |id, ip, port| Brief { status: StorageStatus::ACTIVE, port, id: Some(id), ip: Some(ip) };
    let told = CheckSync {
        leader: Some(brief(id("leader"), tracker_ip, 22122)),
        members: Some(vec![brief(id(MEMBER), member_ip, 23000), brief(id(&own.to_string()), own, 23000)]),
        ..CheckSync::default()
    };
    let reports = Reports::default();
    let heard = Arc::clone(&reports);
    let habit = move |command, body: &[u8]| match command {
        Command::STORAGE_BEAT => Some(Ok(told.to_frame())),
        Command::SYNC_REPORT => {
            let SyncReport(times) = SyncReport::decode_body(body).expect("a report");
            heard.lock().expect("nobody panics with it").push(times);
            Some(Ok(CheckSync::default().to_frame()))
        }
        _ => None,
    };
    let at = SocketAddr::new(tracker_ip, 22122);
    let tracker = FakeTracker::start_with(at, plain_cluster(), Arc::new(habit)).await;
    let node = Running::start_with(own, tracker.address, "").await;
    (node, tracker, reports)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_count_as_the_reference_counts_them() {
    let (node, _tracker, reports) = reporting().await;
    let mut member = Member::of(&node).await;
    // On a connection that does not say whose it is, nothing counts.
    let mut nobody = Member { node: &node, wire: Wire::open(node.address).await, seen: 0 };
    assert_eq!(nobody.ask(&file(16, OTHER, TIME + 999, b"other")).await, OK);
    // Nor does what took no effect, nor a rename.
    assert_eq!(member.ask(&file(16, APPENDER, TIME, b"1234")).await, OK);
    for (request, status) in [
        (delete(&format!("{NORMAL}-m"), TIME + 900), MISSING),
        (part(25, APPENDER, 9, TIME + 900, b"5"), MISSING),
        (truncate(APPENDER, 9, 1, TIME + 900), PRESENT),
        (pair(40, RENAMED, APPENDER, TIME + 900), OK),
        (pair(40, RENAMED, APPENDER, TIME + 900), PRESENT),
    ] {
        assert_eq!(member.ask(&request).await, status);
    }
    let counting = [
        (file(16, NORMAL, TIME + 1, b"content"), OK),
        (file(16, NORMAL, TIME + 2, b"content"), PRESENT),
        (known(16, NORMAL, TIME + 3, 7), PRESENT),
        (file(18, NORMAL, TIME + 4, b"content"), OK),
        (delete(NORMAL, TIME + 5), OK),
        (part(25, RENAMED, 4, TIME + 6, b"5"), OK),
        (part(25, RENAMED, 4, TIME + 7, b"5"), PRESENT),
        (part(35, RENAMED, 4, TIME + 8, b"6"), OK),
        (truncate(RENAMED, 5, 1, TIME + 9), OK),
        (pair(19, LINK, OTHER, TIME + 10), OK),
        // It was on its way when it was deleted.
        (file(16, NORMAL, TIME + 11, b"content"), PRESENT),
        // Older than what was there before.
        (delete(LINK, TIME + 1), OK),
    ];
    for (request, status) in counting {
        assert_eq!(member.ask(&request).await, status);
    }
    let mut expected = vec![(id(MEMBER), TIME + 11), (id(&node.ip.to_string()), 0)];
    expected.sort_unstable();
    let start = Instant::now();
    let newest = || reports.lock().expect("nobody panics with it").last().cloned();
    while newest().as_ref() != Some(&expected) {
        assert!(start.elapsed() < PATIENCE, "{:?}", newest());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let reports = reports.lock().expect("nobody panics with it");
    let times = reports.iter().map(|times| times.iter().find(|(source, _)| *source == id(MEMBER)));
    let times: Vec<i32> = times.map(|time| time.expect("every member is listed").1).collect();
    assert!(times.is_sorted() && times.iter().all(|time| *time <= TIME + 11), "{times:?}");
}
