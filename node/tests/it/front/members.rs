//! What members have: learnt from trackers, kept when they are gone, and asked for natively.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use protocol::cluster::{GroupReplication, ReplicationReport, StorageStatus};
use protocol::storage::FileInfo;
use protocol::tracker::{GroupList, GroupRecord, ListStorages, StorageList};
use protocol::wire::{Request, Response};
use protocol::{AddressWidth, Command, FileId, GroupName, Status, StorageId};

use super::{Disk, Fronted};
use crate::address::fresh;
use crate::fake_member::{FakeMember, Reply};
use crate::fake_tracker::{FakeTracker, record};
use crate::remote::{body, header, name_by, status};
use crate::running::plain_cluster;

/// A member that has every file, always with this content.
async fn member(content: &'static str) -> FakeMember {
    FakeMember::start(fresh(), move |command, _| match command {
        Command::QUERY_FILE_INFO => {
            let size = content.len() as u64;
            let info = FileInfo { size, time: 1, crc32: 1, source: None, width: AddressWidth::V4 };
            Reply::Frame(info.to_frame())
        }
        _ => Reply::Frame(Bytes::from_static(content.as_bytes()).to_frame()),
    })
    .await
}

type Groups = Vec<(&'static str, Vec<SocketAddr>)>;

fn group(name: &str) -> GroupName {
    GroupName::parse(name).expect("a group")
}

fn group_record(name: &str) -> GroupRecord {
    GroupRecord {
        name: group(name),
        total_mb: 1,
        free_mb: 1,
        reserved_mb: 0,
        trunk_free_mb: 0,
        storage_count: 1,
        storage_port: 23000,
        readable_count: 1,
        writable_count: 1,
        current_write_server: 0,
        store_path_count: 1,
        subdir_count: 4,
        trunk_file_id: -1,
    }
}

/// A tracker of these groups, which a test may change. It knows of no file who has it.
async fn tracker(groups: Arc<Mutex<Groups>>) -> FakeTracker {
    let habit = move |command, asked: &[u8]| {
        let groups = groups.lock().expect("no test panics with it").clone();
        match command {
            Command::LIST_ALL_GROUPS => {
                Some(Ok(GroupList(groups.iter().map(|(name, _)| group_record(name)).collect()).to_frame()))
            }
            Command::LIST_STORAGES => {
                let wanted = ListStorages::decode_body(asked).expect("a question").group;
                let found = groups.iter().find(|(name, _)| group(name) == wanted);
                let records =
                    found.map(|(_, at)| at.iter().map(|at| record(*at, StorageStatus::ACTIVE)).collect());
                Some(
                    records
                        .ok_or(Status::ENOENT)
                        .map(|storages| StorageList { storages, width: AddressWidth::V4 }.to_frame()),
                )
            }
            Command::QUERY_FETCH_ALL => Some(Err(Status::ENOENT)),
            _ => None,
        }
    };
    FakeTracker::start_with(SocketAddr::new(fresh(), 0), plain_cluster(), Arc::new(habit)).await
}

async fn front(disk: &Disk, tracker: SocketAddr, more: &str) -> Fronted {
    Fronted::over(disk, &format!("tracker_server = {tracker}\nnetwork_timeout = 3\n{more}")).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_files_come_from_members_also_when_the_trackers_are_gone() {
    let (disk, source) = (Disk::new(), member("from the source").await);
    let other = FakeMember::empty(fresh()).await;
    let groups: Groups = vec![("group1", vec![source.address, other.address])];
    let tracker = tracker(Arc::new(Mutex::new(groups))).await;
    let front = front(&disk, tracker.address, "").await;
    front.wait_ready().await;
    let id = name_by(source.address.ip(), "from the source");
    let answer = front.get(&id).await;
    assert_eq!((status(&answer), body(&answer)), (200, "from the source"));
    assert_eq!(other.asked(), [], "the source has it");
    let heard = source.heard();
    let hello = heard.iter().find(|(command, ..)| *command == Command::REPORT_SERVER_ID);
    assert!(hello.is_some_and(|(_, status, _)| *status == 1), "it answers from its own disk: {heard:?}");

    drop(tracker);
    for content in ["from the source", "from the source!"] {
        let answer = front.get(&name_by(source.address.ip(), content)).await;
        assert_eq!((status(&answer), body(&answer)), (200, "from the source"), "without trackers");
    }
    assert_eq!(status(&front.ask("GET", "/readyz").await), 200, "what is known stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_addresses_that_a_tracker_listed_are_ever_asked() {
    let (disk, listed) = (Disk::new(), FakeMember::empty(fresh()).await);
    let stranger = member("from a stranger").await;
    let groups: Groups = vec![("group1", vec![listed.address]), ("group2", vec![listed.address])];
    let tracker = tracker(Arc::new(Mutex::new(groups))).await;
    let front = front(&disk, tracker.address, "").await;
    front.wait_ready().await;
    // D2: the ID names whom the attacker likes, in the own group, another one, and one that is not.
    for name in ["group1", "group2", "group3"] {
        let id = FileId { group: group(name), ..name_by(stranger.address.ip(), "forged") };
        assert_eq!(status(&front.get(&id).await), 404, "{name}");
    }
    assert_eq!(stranger.heard(), []);
    assert!(!listed.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_that_come_and_groups_that_are_not_here_are_found() {
    let disk = Disk::new();
    let (first, newcomer, elsewhere) =
        (FakeMember::empty(fresh()).await, member("by a new member").await, member("of another group").await);
    let groups: Arc<Mutex<Groups>> =
        Arc::new(Mutex::new(vec![("group1", vec![first.address]), ("group2", vec![elsewhere.address])]));
    let tracker = tracker(Arc::clone(&groups)).await;
    let front = front(&disk, tracker.address, "").await;
    front.wait_ready().await;
    // Long ago, by whomever: others of that group have it.
    let old = FileId { group: group("group2"), ..super::file("of another group") };
    assert_eq!(body(&front.get(&old).await), "of another group");
    groups.lock().expect("no test panics with it")[0].1.push(newcomer.address);
    let id = name_by(newcomer.address.ip(), "by a new member");
    let start = std::time::Instant::now();
    while status(&front.get(&id).await) != 200 {
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "the list is never read again");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visitors_are_sent_on_to_whom_has_the_file() {
    let (disk, theirs, ours) = (Disk::new(), member("theirs").await, member("ours").await);
    let (their_ip, our_id) = (theirs.address.ip(), StorageId::parse(&ours.address.ip().to_string()));
    let list =
        vec![record(theirs.address, StorageStatus::ACTIVE), record(ours.address, StorageStatus::ACTIVE)];
    let our_id = our_id.expect("an id");
    let habit = move |command, _: &[u8]| match command {
        Command::LIST_ALL_GROUPS => Some(Ok(GroupList(vec![group_record("group1")]).to_frame())),
        Command::LIST_STORAGES => {
            Some(Ok(StorageList { storages: list.clone(), width: AddressWidth::V4 }.to_frame()))
        }
        Command::QUERY_REPLICATION => {
            let http_url = "https://img.example.com".to_owned();
            let report = ReplicationReport { http_url, senders: Vec::new() };
            Some(Ok(GroupReplication(vec![(our_id, report)]).to_frame()))
        }
        _ => None,
    };
    let tracker =
        FakeTracker::start_with(SocketAddr::new(fresh(), 0), plain_cluster(), Arc::new(habit)).await;
    let front = front(&disk, tracker.address, "response_mode = redirect").await;
    front.wait_ready().await;
    let at = |answer: &str| (status(answer), header(answer, "location").map(str::to_owned));
    let id = name_by(their_ip, "theirs");
    let expected = format!("http://{their_ip}:8888/{id}?redirect=1");
    assert_eq!(at(&front.get(&id).await), (307, Some(expected)), "a C member: its address, this port");
    let id = name_by(ours.address.ip(), "ours");
    let expected = format!("https://img.example.com/{id}?redirect=1");
    assert_eq!(at(&front.get(&id).await), (307, Some(expected)), "one of ours: where it says");
    let guarded = front.ask("GET", &format!("/{id}?redirect=1")).await;
    assert_eq!(status(&guarded), 404, "a request goes one hop far");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_without_trackers_says_what_it_lacks() {
    let disk = Disk::new();
    let dead = SocketAddr::new(fresh(), 22122);
    let front = front(&disk, dead, "connect_timeout = 1").await;
    let readyz = front.ask("GET", "/readyz").await;
    assert!(status(&readyz) == 503 && readyz.contains("no_tracker"), "{readyz}");
    let id = super::file("here");
    disk.put(&id, b"here");
    assert_eq!(body(&front.get(&id).await), "here", "what is here is served");
    assert_eq!(status(&front.get(&name_by(fresh(), "there")).await), 502, "what is not may be with somebody");
}
