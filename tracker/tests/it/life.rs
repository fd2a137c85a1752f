//! Starting, stopping and starting again.

use std::path::Path;
use std::time::Duration;

use protocol::cluster::StorageStatus;
use protocol::config::storage_ids::RwMode;
use protocol::tracker::{
    GroupList, ListAllGroups, ListStorages, QueryStore, SetStorageMode, StorageList, StoreAnswer,
};
use protocol::wire::Response;
use protocol::{GroupName, Status, StorageId};

use crate::network::Network;
use crate::peers::{Peer, Reply, Storage, Tracker, build};

/// `group ip status` of every storage, as a client is told.
async fn listed(network: &Network, tracker: &Tracker) -> Vec<String> {
    let mut peer = Peer::connect(network.ip(9), tracker.address).await;
    let groups = GroupList::decode_body(&peer.ask(&ListAllGroups).await.unwrap()).unwrap();
    let mut lines = Vec::new();
    for group in groups.0 {
        let body = peer.ask(&ListStorages { group: group.name, id: None }).await.unwrap();
        let storages = StorageList::decode_body(&body).unwrap().storages;
        lines.extend(storages.iter().map(|storage| {
            let ip = storage.ip.unwrap().to_string();
            format!("{} {} {}", group.name, ip.rsplit('.').next().unwrap(), storage.status)
        }));
    }
    lines
}

#[tokio::test]
async fn a_restart_keeps_groups_and_storages() {
    let (directory, network) = (tempfile::tempdir().unwrap(), Network::claim());
    let start = || Tracker::start(network.tracker(1), directory.path(), "http.server_port = 0\n");
    let tracker = start().await;
    let storage =
        |group, last| Storage { group, ip: network.ip(last), id: None, source: None, subdir_count: 256 };
    let _first = storage("group1", 11).activate(tracker.address).await;
    let second = storage("group2", 12).activate(tracker.address).await;
    assert_eq!(listed(&network, &tracker).await, ["group1 11 ACTIVE", "group2 12 ACTIVE"]);
    drop(second);
    while listed(&network, &tracker).await[1] != "group2 12 OFFLINE" {
        tokio::task::yield_now().await;
    }
    tracker.stop().await;
    assert!(!directory.path().join("data/fdfs_trackerd.pid").exists(), "the pid file goes");

    let tracker = start().await;
    assert_eq!(listed(&network, &tracker).await, ["group1 11 OFFLINE", "group2 12 OFFLINE"]);
    let _again = storage("group2", 12).activate(tracker.address).await;
    assert_eq!(listed(&network, &tracker).await, ["group1 11 OFFLINE", "group2 12 ACTIVE"]);
    tracker.stop().await;
}

/// The trackers' own command 202: what one of them tells the others is done, shown and kept.
#[tokio::test]
async fn a_mode_that_is_told_natively_holds_and_is_kept() {
    let (directory, network) = (tempfile::tempdir().unwrap(), Network::claim());
    let start = || Tracker::start(network.tracker(1), directory.path(), "http.server_port = 0\n");
    let tracker = start().await;
    let storage =
        |last| Storage { group: "group1", ip: network.ip(last), id: None, source: None, subdir_count: 256 };
    let beating = [storage(11).activate(tracker.address).await, storage(12).activate(tracker.address).await];
    let group = GroupName::parse("group1").unwrap();
    let of = |last| StorageId::parse(&network.ip(last).to_string()).unwrap();
    let mut peer = Peer::connect(network.ip(9), tracker.address).await;
    let told = SetStorageMode { group, id: of(11), mode: RwMode::Read };
    assert_eq!(peer.ask(&told).await, Ok(Vec::new()));
    let placed = async |peer: &mut Peer| {
        let answer = StoreAnswer::decode_body(&peer.ask(&QueryStore).await.unwrap()).unwrap();
        answer.server.ip
    };
    for _ in 0..4 {
        assert_eq!(placed(&mut peer).await, network.ip(12), "the other one takes no uploads");
    }
    let unknown = SetStorageMode { group, id: of(13), mode: RwMode::Read };
    assert_eq!(peer.ask(&unknown).await, Err(Status::ENOENT.0));
    let nowhere = SetStorageMode { group: GroupName::parse("group9").unwrap(), ..told };
    assert_eq!(peer.ask(&nowhere).await, Err(Status::ENOENT.0));
    let mut frame = protocol::wire::Request::to_frame(&told).to_vec();
    *frame.last_mut().unwrap() = 3;
    let Reply::Frame(answer) = peer.exchange(&frame).await else { panic!("the tracker answers") };
    assert_eq!(answer[9], Status::EINVAL.0, "no such mode");
    drop((peer, beating));
    tracker.stop().await;

    let tracker = start().await;
    let _beating = [storage(11).activate(tracker.address).await, storage(12).activate(tracker.address).await];
    let mut peer = Peer::connect(network.ip(9), tracker.address).await;
    for _ in 0..4 {
        assert_eq!(placed(&mut peer).await, network.ip(12), "it is kept");
    }
    assert_eq!(peer.ask(&SetStorageMode { mode: RwMode::Both, ..told }).await, Ok(Vec::new()));
    let mut both = Vec::new();
    for _ in 0..2 {
        both.push(placed(&mut peer).await);
    }
    both.sort_unstable();
    assert_eq!(both, [network.ip(11), network.ip(12)]);
    tracker.stop().await;
}

#[tokio::test]
async fn a_client_right_after_a_restart_waits_for_the_storages() {
    let (directory, network) = (tempfile::tempdir().unwrap(), Network::claim());
    let start = || Tracker::start(network.tracker(1), directory.path(), "http.server_port = 0\n");
    let tracker = start().await;
    let storage = Storage { group: "group1", ip: network.ip(11), id: None, source: None, subdir_count: 256 };
    let first = storage.activate(tracker.address).await;
    drop(first);
    tracker.stop().await;

    let tracker = start().await;
    let mut client = Peer::connect(network.ip(9), tracker.address).await;
    let back = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        storage.activate(tracker.address).await
    };
    let (asked, _again) = tokio::join!(client.ask(&QueryStore), back);
    let StoreAnswer { server, .. } = StoreAnswer::decode_body(&asked.unwrap()).unwrap();
    assert_eq!(server.ip, network.ip(11));
    tracker.stop().await;

    // Where nobody comes, the client hears so in the end.
    let tracker = start().await;
    let mut client = Peer::connect(network.ip(9), tracker.address).await;
    assert_eq!(client.ask(&QueryStore).await, Err(Status::ENOENT.0));
    tracker.stop().await;
}

#[tokio::test]
async fn a_tracker_goes_on_where_the_reference_stopped() {
    let (directory, network) = (tempfile::tempdir().unwrap(), Network::claim());
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/tracker-files/main");
    for entry in std::fs::read_dir(recorded).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, data.join(path.file_name().unwrap())).unwrap();
    }
    let tracker = Tracker::start(network.tracker(1), directory.path(), "http.server_port = 0\n").await;
    let expected = ["group1 11 OFFLINE", "group1 12 WAIT_SYNC", "group2 21 OFFLINE"];
    assert_eq!(listed(&network, &tracker).await, expected);
    let mut peer = Peer::connect(network.ip(9), tracker.address).await;
    let group = GroupName::parse("group1").unwrap();
    let body = peer.ask(&ListStorages { group, id: None }).await.unwrap();
    let storages = StorageList::decode_body(&body).unwrap().storages;
    assert_eq!(storages[1].status, StorageStatus::WAIT_SYNC);
    assert_eq!(storages[1].source.unwrap().as_str(), "10.77.0.11");
    assert_eq!((storages[0].total_mb, storages[0].free_mb), (258_019, 76_940));
    tracker.stop().await;
}

#[tokio::test]
async fn a_second_tracker_on_the_same_files_is_refused_with_the_owners_pid() {
    let (directory, network) = (tempfile::tempdir().unwrap(), Network::claim());
    let tracker = Tracker::start(network.tracker(1), directory.path(), "http.server_port = 0\n").await;
    let second = build(network.tracker(2), directory.path(), "").await.err().expect("it is refused");
    let pid = std::process::id();
    assert!(second.to_string().contains(&format!("in use by pid {pid};")), "{second}");
    tracker.stop().await;
}

#[tokio::test]
async fn a_port_that_is_taken_is_said() {
    let (directory, network) = (tempfile::tempdir().unwrap(), Network::claim());
    let taken = std::net::TcpListener::bind(network.tracker(1)).unwrap();
    let refused = build(network.tracker(1), directory.path(), "").await.err().expect("it is refused");
    let text = refused.to_string();
    assert!(text.contains(&taken.local_addr().unwrap().to_string()), "{text}");
    assert!(text.contains("(port)") && text.contains("in use"), "{text}");
}

#[tokio::test]
async fn a_restart_after_a_kill_reads_what_was_saved_last() {
    let (directory, network) = (tempfile::tempdir().unwrap(), Network::claim());
    let data = directory.path().join("data");
    let tracker = Tracker::start(network.tracker(1), directory.path(), "http.server_port = 0\n").await;
    let storage = Storage { group: "group1", ip: network.ip(11), id: None, source: None, subdir_count: 256 };
    let _member = storage.activate(tracker.address).await;
    let servers = data.join("storage_servers_new.dat");
    let is_saved = || std::fs::read_to_string(&servers).is_ok_and(|text| text.contains("storage_count=1"));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !is_saved() {
        assert!(std::time::Instant::now() < deadline, "a join is saved within moments");
        tokio::task::yield_now().await;
    }
    // What a killed tracker leaves: these files now, without a stop.
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("data")).unwrap();
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        // A save under way may rename it at any moment.
        if path.extension().is_some_and(|ext| ext == "tmp") {
            continue;
        }
        std::fs::copy(&path, copy.path().join("data").join(path.file_name().unwrap())).unwrap();
    }
    let second = Tracker::start(network.tracker(2), copy.path(), "http.server_port = 0\n").await;
    assert_eq!(listed(&network, &second).await, ["group1 11 OFFLINE"]);
    second.stop().await;
    tracker.stop().await;
}
