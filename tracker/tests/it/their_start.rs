//! FastDFS's own tracker on the files that ours has written, where `fdfs_trackerd` is on the PATH.

use std::net::SocketAddr;

use protocol::tracker::{DeleteStorage, ListStorages, StorageList};
use protocol::wire::Response;
use protocol::{GroupName, StorageId};

use crate::network::Network;
use crate::peers::{Peer, Storage, Tracker};
use crate::reference::{Theirs, program_or_skip};

fn group() -> GroupName {
    GroupName::parse("group1").unwrap()
}

/// `ip status` of every storage of `group1`.
async fn listed(from: std::net::IpAddr, tracker: SocketAddr) -> Vec<String> {
    let mut peer = Peer::connect(from, tracker).await;
    let body = peer.ask(&ListStorages { group: group(), id: None }).await.unwrap();
    let storages = StorageList::decode_body(&body).unwrap().storages;
    storages.iter().map(|storage| format!("{} {}", storage.ip.unwrap(), storage.status)).collect()
}

#[tokio::test]
async fn their_tracker_starts_on_our_files_and_ours_mends_what_stops_theirs() {
    let test = "their_tracker_starts_on_our_files_and_ours_mends_what_stops_theirs";
    let Some(program) = program_or_skip(test) else { return };
    let (directory, network) = (tempfile::tempdir().unwrap(), Network::claim());
    let ours = || Tracker::start(network.tracker(1), directory.path(), "http.server_port = 0\n");
    let tracker = ours().await;
    let mut members = Vec::new();
    // Ids sort otherwise than these joined.
    for last in [9, 11, 100] {
        let storage =
            Storage { group: "group1", ip: network.ip(last), id: None, source: None, subdir_count: 256 };
        members.push(storage.activate(tracker.address).await);
    }
    let timestamps = directory.path().join("data/storage_sync_timestamp.dat");
    tracker.stop().await;
    let of_three = std::fs::read_to_string(&timestamps).unwrap();
    drop(members);

    let tracker = ours().await;
    let mut operator = Peer::connect(network.ip(8), tracker.address).await;
    let id = StorageId::parse(&network.ip(11).to_string()).unwrap();
    operator.ask(&DeleteStorage { group: group(), id }).await.unwrap();
    // A deletion is on the disk before it is answered, so a kill right after leaves files that both read.
    let copy = tempfile::tempdir().unwrap();
    std::fs::create_dir(copy.path().join("data")).unwrap();
    for name in [
        "storage_groups_new.dat",
        "storage_servers_new.dat",
        "storage_sync_timestamp.dat",
        "storage_changelog.dat",
    ] {
        std::fs::copy(directory.path().join("data").join(name), copy.path().join("data").join(name)).unwrap();
    }
    tracker.stop().await;
    let left = [100, 9].map(|last| format!("{} OFFLINE", network.ip(last)));
    for (base, last) in [(directory.path(), 2), (copy.path(), 3)] {
        let address = network.tracker(last);
        let _theirs = Theirs::start(&program, address, base).await;
        assert_eq!(listed(network.ip(8), address).await, left);
    }

    // Timestamps of three for storages of two: theirs gives up, ours reads, and what it writes theirs reads.
    std::fs::write(&timestamps, of_three).unwrap();
    let given_up = Theirs::try_start(&program, network.tracker(4), directory.path()).await.err().unwrap();
    assert!(given_up.contains("columns: 5 > 4"), "{given_up}");
    let tracker = ours().await;
    assert_eq!(listed(network.ip(8), tracker.address).await, left);
    tracker.stop().await;
    let _theirs = Theirs::start(&program, network.tracker(5), directory.path()).await;
    assert_eq!(listed(network.ip(8), network.tracker(5)).await, left);
}
