//! Several trackers, the leader's list, and what the node makes of its own place in it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::cluster::{
    Brief, ChangeStatus, GroupReplication, IpChanged, Join, JoinAnswer, ReplicaChanged, ReplicationReport,
    ReportStatus, StorageStatus as S, SyncNotify, SyncReport, SyncSource, SyncSourceAnswer,
    SyncSourceRequest,
};
use protocol::config::params::ClusterParams;
use protocol::peers::LeaderClaim;
use protocol::wire::{Empty, Request, Response};
use protocol::{Command, Status, StorageId};

use crate::address::fresh;
use crate::fake_tracker::Cluster;
use crate::noting::{Answer, List, PATIENCE, tracker, wait_file, wait_flag, wait_ready};
use crate::running::{Running, build, plain_cluster};
use crate::wire::{Heard, Wire, whole};

fn id(text: &str) -> Option<StorageId> {
    StorageId::parse(text).ok()
}

fn joined(status: S) -> Answer {
    Some(Ok(JoinAnswer { status, source: None }.to_frame()))
}

fn fed_by(source: &str) -> Answer {
    Some(Ok(SyncSourceAnswer(Some(SyncSource { source: id(source), until: 1 })).to_frame()))
}

fn address() -> SocketAddr {
    SocketAddr::new(fresh(), 22122)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tracker_of_three_is_enough() {
    let (dead, at) = (address(), address());
    // This one takes connections and never says a word.
    let silent = std::net::TcpListener::bind(address()).unwrap();
    let other_dead = silent.local_addr().unwrap();
    let list = List::default();
    let (_tracker, notes) = tracker(at, plain_cluster(), move |command, _| list.leads(at, command)).await;
    let more = format!("tracker_server = {dead}\ntracker_server = {other_dead}");
    let start = Instant::now();
    let node = Running::start_with(fresh(), at, &more).await;
    wait_ready(&node, " 200 ", "").await;
    node.upload(b"without two of the trackers", "txt").await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    let joins = notes.all::<Join>();
    assert_eq!(joins[0].trackers.len(), 3);
    assert_eq!(joins[0].tracker_ip, Some(at.ip()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_chooses_the_source_and_others_are_corrected() {
    // Before its files were lost this node was in service, as the follower remembers.
    let (leader, follower) = (address(), address());
    let node_ip = fresh();
    let own = node_ip.to_string();
    let source = fresh().to_string();
    let list = List::default();
    list.set(&[(&own, S::WAIT_SYNC), (&source, S::ACTIVE)]);
    let told = list.clone();
    let of_source = source.clone();
    let (_leading, at_leader) = tracker(leader, plain_cluster(), move |command, _| match command {
        Command::STORAGE_JOIN => joined(S::ONLINE),
        Command::SYNC_DEST_REQ => fed_by(&of_source),
        _ => told.leads(leader, command),
    })
    .await;
    let (_following, at_follower) = tracker(follower, plain_cluster(), move |command, _| match command {
        Command::STORAGE_JOIN => joined(S::ONLINE),
        Command::GET_LEADER => Some(Ok(Bytes::from(leader.to_string()).to_frame())),
        Command::CHANGE_STATUS => Some(Ok(Empty.to_frame())),
        _ => None,
    })
    .await;
    let node = Running::start_with(node_ip, follower, &format!("tracker_server = {leader}")).await;
    at_leader.wait(Command::STORAGE_BEAT, 1).await;
    at_follower.wait(Command::STORAGE_BEAT, 1).await;
    wait_ready(&node, " 503 ", &source).await;
    assert_eq!((at_leader.count(Command::SYNC_DEST_REQ), at_follower.count(Command::SYNC_DEST_REQ)), (1, 0));
    assert_eq!(at_follower.all::<ChangeStatus>(), [ChangeStatus(S::WAIT_SYNC)]);
    assert_eq!(at_follower.all::<SyncNotify>()[0].0.source, id(&source));
    assert_eq!(at_leader.count(Command::CHANGE_STATUS), 0);

    // The source has finished: all trackers hear that this node needs it no more.
    list.set(&[(&own, S::ACTIVE), (&source, S::ACTIVE)]);
    wait_ready(&node, " 200 ", "").await;
    wait_flag(&node, "sync_old_done=1\nsync_src_server=\n").await;
    at_follower.wait(Command::SYNC_NOTIFY, 2).await;
    assert_eq!(at_follower.all::<SyncNotify>()[1].0.source, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_that_forgot_that_old_files_arrived_hears_it_again() {
    let at = address();
    let node_ip = fresh();
    let own = node_ip.to_string();
    let list = List::default();
    list.set(&[(&own, S::ACTIVE)]);
    let told = list.clone();
    let (_tracker, notes) = tracker(at, plain_cluster(), move |command, _| told.leads(at, command)).await;
    let node = Running::start_with(node_ip, at, "").await;
    wait_ready(&node, " 200 ", "").await;
    list.set(&[(&own, S::WAIT_SYNC)]);
    notes.wait(Command::STORAGE_JOIN, 2).await;
    list.set(&[(&own, S::ACTIVE)]);
    notes.wait(Command::SYNC_NOTIFY, 2).await;
    assert_eq!(notes.all::<Join>()[1].status, Some(S::ACTIVE));
    assert_eq!(notes.all::<SyncNotify>()[1].0.source, None);
    assert_eq!(notes.count(Command::SYNC_DEST_REQ), 1, "nothing is fetched twice");
    wait_ready(&node, " 200 ", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_source_is_replaced_and_its_mark_put_aside() {
    let at = address();
    let node_ip = fresh();
    let (own, gone, other) = (node_ip.to_string(), fresh().to_string(), fresh().to_string());
    let list = List::default();
    list.set(&[(&own, S::WAIT_SYNC), (&gone, S::ACTIVE), (&other, S::ACTIVE)]);
    let told = list.clone();
    let is_deleted = Arc::new(AtomicBool::new(false));
    let deleted = Arc::clone(&is_deleted);
    let (first, second) = (gone.clone(), other.clone());
    let (_tracker, notes) = tracker(at, plain_cluster(), move |command, _| {
        let deleted = deleted.load(Ordering::Relaxed);
        match command {
            Command::STORAGE_JOIN => joined(if deleted { S::WAIT_SYNC } else { S::INIT }),
            Command::SYNC_DEST_REQ => fed_by(if deleted { &second } else { &first }),
            Command::CHANGELOG_REQ => Some(Ok(Bytes::from(format!(
                "1795594560 group1 {first} 4 \n1795594561 group2 {second} 4 \n"
            ))
            .to_frame())),
            _ => told.leads(at, command),
        }
    })
    .await;
    let node = Running::start_with(node_ip, at, "").await;
    wait_ready(&node, " 503 ", &gone).await;
    let marks = node.data().join("sync");
    for peer in [&gone, &other] {
        std::fs::write(marks.join(format!("{peer}_23000.mark")), "binlog_index=0\n").unwrap();
    }
    is_deleted.store(true, Ordering::Relaxed);
    list.set(&[(&own, S::WAIT_SYNC), (&gone, S::DELETED), (&other, S::ACTIVE)]);
    wait_flag(&node, &format!("sync_src_server={other}\n")).await;
    assert_eq!(notes.count(Command::SYNC_DEST_REQ), 2);
    assert_eq!(notes.all::<Join>().last().unwrap().is_new, 1);
    let names = std::fs::read_dir(&marks).unwrap();
    let names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let aside = format!("{gone}_23000.mark.20");
    assert!(names.iter().any(|name| name.starts_with(&aside)), "{names:?}");
    assert!(names.contains(&format!("{other}_23000.mark")), "{names:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_deleted_and_is_back_gets_all_files() {
    let at = address();
    let node_ip = fresh();
    let (own, source) = (node_ip.to_string(), fresh().to_string());
    let list = List::default();
    list.set(&[(&own, S::ACTIVE), (&source, S::ACTIVE)]);
    let (told, of_source) = (list.clone(), source.clone());
    let is_back = Arc::new(AtomicBool::new(false));
    let back = Arc::clone(&is_back);
    let (_tracker, notes) = tracker(at, plain_cluster(), move |command, body| {
        let back = back.load(Ordering::Relaxed);
        match command {
            Command::STORAGE_JOIN if back => joined(S::INIT),
            Command::SYNC_DEST_REQ if back => fed_by(&of_source),
            Command::SYNC_NOTIFY if back => {
                let SyncNotify(says) = SyncNotify::decode_body(body).unwrap();
                says.source.is_none().then_some(Err(Status::ENOENT))
            }
            _ => told.leads(at, command),
        }
    })
    .await;
    let mut node = Running::start_with(node_ip, at, "").await;
    wait_ready(&node, " 200 ", "").await;
    node.stop().await;
    is_back.store(true, Ordering::Relaxed);
    list.set(&[(&own, S::WAIT_SYNC), (&source, S::ACTIVE)]);
    node.start_again().await;
    wait_ready(&node, " 503 ", &source).await;
    wait_flag(&node, &format!("sync_old_done=1\nsync_src_server={source}\n")).await;
    let sources: Vec<_> = notes.all::<SyncNotify>().iter().map(|SyncNotify(says)| says.source).collect();
    assert_eq!(sources, [None, None, id(&source)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_only_the_tracker_remembers_is_waited_for() {
    let at = address();
    let node_ip = fresh();
    let (own, source) = (node_ip.to_string(), fresh().to_string());
    let list = List::default();
    list.set(&[(&own, S::WAIT_SYNC), (&source, S::ACTIVE)]);
    let (told, of_source, of_own) = (list.clone(), source.clone(), own.clone());
    let (_tracker, notes) = tracker(at, plain_cluster(), move |command, _| match command {
        Command::STORAGE_JOIN => joined(S::WAIT_SYNC),
        Command::SYNC_DEST_REQ => Some(Ok(SyncSourceAnswer(None).to_frame())),
        Command::SYNC_DEST_QUERY => fed_by(&of_source),
        Command::GET_STORAGE_STATUS => {
            Some(Ok(
                Brief { status: S::WAIT_SYNC, port: 23000, id: id(&of_own), ip: Some(node_ip) }.to_frame()
            ))
        }
        _ => told.leads(at, command),
    })
    .await;
    let node = Running::start_with(node_ip, at, "").await;
    wait_ready(&node, " 503 ", &source).await;
    notes.wait(Command::STORAGE_BEAT, 3).await;
    assert_eq!(notes.count(Command::STORAGE_JOIN), 1);
    list.set(&[(&own, S::ACTIVE), (&source, S::ACTIVE)]);
    wait_ready(&node, " 200 ", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_tells_a_lost_report_again_and_fills_a_lost_disk_again() {
    let at = address();
    let node_ip = fresh();
    let (own, peer) = (node_ip.to_string(), fresh().to_string());
    let list = List::default();
    list.set(&[(&own, S::ACTIVE)]);
    let (told, of_own) = (list.clone(), own.clone());
    let is_lost = Arc::new(AtomicBool::new(false));
    let lost = Arc::clone(&is_lost);
    let (_tracker, notes) = tracker(at, plain_cluster(), move |command, _| match command {
        Command::SYNC_SRC_REQ => {
            let until = if lost.load(Ordering::Relaxed) { 200 } else { 100 };
            Some(Ok(SyncSourceAnswer(Some(SyncSource { source: id(&of_own), until })).to_frame()))
        }
        Command::REPORT_STATUS => Some(Ok(Empty.to_frame())),
        _ => told.leads(at, command),
    })
    .await;
    let node = Running::start_with(node_ip, at, "").await;
    wait_ready(&node, " 200 ", "").await;
    let mark = node.data().join("sync").join(format!("{peer}_23000.mark"));
    let filled = "binlog_index=0\nbinlog_offset=0\nneed_sync_old=1\nsync_old_done=1\nuntil_timestamp=100\n\
                  scan_row_count=0\nsync_row_count=0\n";
    std::fs::write(&mark, filled).unwrap();
    list.set(&[(&own, S::ACTIVE), (&peer, S::ACTIVE)]);
    notes.wait(Command::SYNC_SRC_REQ, 1).await;

    list.set(&[(&own, S::ACTIVE), (&peer, S::WAIT_SYNC)]);
    notes.wait(Command::REPORT_STATUS, 1).await;
    let reported = notes.all::<ReportStatus>()[0].storage;
    assert_eq!((reported.id, reported.status), (id(&peer), S::OFFLINE));
    list.set(&[(&own, S::ACTIVE), (&peer, S::ACTIVE)]);
    let beats = notes.count(Command::STORAGE_BEAT);
    notes.wait(Command::STORAGE_BEAT, beats + 2).await;
    assert_eq!(std::fs::read_to_string(&mark).unwrap(), filled);

    is_lost.store(true, Ordering::Relaxed);
    list.set(&[(&own, S::ACTIVE), (&peer, S::WAIT_SYNC)]);
    wait_file(&mark, "need_sync_old=1\nsync_old_done=0\nuntil_timestamp=200\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_stops_while_another_member_fills_a_third() {
    let at = address();
    let node_ip = fresh();
    let (own, source, peer) = (node_ip.to_string(), fresh().to_string(), fresh().to_string());
    let list = List::default();
    list.set(&[(&own, S::ACTIVE), (&source, S::ACTIVE), (&peer, S::SYNCING)]);
    let (_tracker, notes) = tracker(at, plain_cluster(), move |command, body| match command {
        Command::SYNC_SRC_REQ => {
            let asked = SyncSourceRequest::decode_body(body).unwrap().destination;
            if asked.as_str() == peer { fed_by(&source) } else { None }
        }
        _ => list.leads(at, command),
    })
    .await;
    let mut node = Running::start_with(node_ip, at, "").await;
    wait_ready(&node, " 200 ", "").await;
    notes.wait(Command::SYNC_SRC_REQ, 2).await;
    tokio::time::timeout(PATIENCE, node.stop()).await.expect("it waits for nobody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_trackers_that_claim_to_lead_choose_again() {
    let (one, two) = (address(), address());
    let list = List::default();
    let claims = |at: SocketAddr, list: List| {
        move |command: Command, _: &[u8]| match command {
            Command::TRACKER_GET_STATUS => {
                Some(Ok(LeaderClaim { is_leader: 1, running_time: 300, restart_interval: 0 }.to_frame()))
            }
            Command::TRACKER_NOTIFY_RESELECT_LEADER => Some(Ok(Empty.to_frame())),
            _ => list.leads(at, command),
        }
    };
    let (_one, at_one) = tracker(one, plain_cluster(), claims(one, list.clone())).await;
    let (_two, at_two) = tracker(two, plain_cluster(), claims(two, list)).await;
    let node = Running::start_with(fresh(), one, &format!("tracker_server = {two}")).await;
    at_one.wait(Command::TRACKER_NOTIFY_RESELECT_LEADER, 1).await;
    at_two.wait(Command::TRACKER_NOTIFY_RESELECT_LEADER, 1).await;
    wait_ready(&node, " 200 ", "").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_hears_the_leader_s_view_once() {
    let (leader, follower) = (address(), address());
    let node_ip = fresh();
    let own = node_ip.to_string();
    let list = List::default();
    list.set(&[(&own, S::ACTIVE)]);
    let told = list.clone();
    let (_leading, _) = tracker(leader, plain_cluster(), move |command, _| told.leads(leader, command)).await;
    // This one has the node among those that repair a disk, and does not let go of it.
    let is_told = AtomicBool::new(false);
    let (_following, notes) = tracker(follower, plain_cluster(), move |command, _| match command {
        Command::STORAGE_JOIN => joined(S::RECOVERY),
        Command::CHANGE_STATUS => {
            is_told.store(true, Ordering::Relaxed);
            Some(Ok(Empty.to_frame()))
        }
        Command::GET_STORAGE_STATUS => {
            let status = if is_told.load(Ordering::Relaxed) { S::OFFLINE } else { S::RECOVERY };
            Some(Ok(Brief { status, port: 23000, id: id(&own), ip: Some(node_ip) }.to_frame()))
        }
        Command::GET_LEADER => Some(Ok(Bytes::from(leader.to_string()).to_frame())),
        _ => None,
    })
    .await;
    let _node = Running::start_with(node_ip, leader, &format!("tracker_server = {follower}")).await;
    notes.wait(Command::CHANGE_STATUS, 1).await;
    notes.wait(Command::STORAGE_BEAT, 4).await;
    assert_eq!(notes.all::<ChangeStatus>(), [ChangeStatus(S::ACTIVE)]);
    assert_eq!(notes.count(Command::STORAGE_JOIN), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_list_lacks_is_told_back_and_progress_is_reported_at_once() {
    let at = address();
    let node_ip = fresh();
    let (own, peer) = (node_ip.to_string(), fresh().to_string());
    let list = List::default();
    list.set(&[(&own, S::ACTIVE), (&peer, S::OFFLINE)]);
    let told = list.clone();
    let (_tracker, notes) = tracker(at, plain_cluster(), move |command, _| told.leads(at, command)).await;
    let node = Running::start_with(node_ip, at, "heart_beat_interval = 600").await;
    wait_ready(&node, " 200 ", "").await;
    list.set(&[(&own, S::ACTIVE)]);
    let mut member = Wire::open(node.address).await;
    let named = format!("{peer:\0<16}");
    let name = "M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0977.txt";
    let head = [&(name.len() as u64).to_be_bytes()[..], &5_u64.to_be_bytes(), &7_i32.to_be_bytes()].concat();
    let file = [&head, &b"group1\0\0\0\0\0\0\0\0\0\0"[..], name.as_bytes(), b"12345"].concat();
    for request in [whole(9, named.as_bytes()), whole(16, &file)] {
        member.send(&request).await;
        let Heard::Frame(frame) = member.hear(PATIENCE).await else { panic!("no answer") };
        assert_eq!(frame[9], 0);
    }
    let start = Instant::now();
    notes.wait(Command::SYNC_REPORT, 1).await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let mut expected = vec![(id(&own).unwrap(), 0), (id(&peer).unwrap(), 7)];
    expected.sort_unstable();
    assert_eq!(notes.all::<SyncReport>()[0].0, expected);
    notes.wait(Command::REPLICA_CHG, 1).await;
    assert_eq!(notes.all::<ReplicaChanged>()[0].0[0].id, id(&peer));
    assert_eq!(notes.count(Command::STORAGE_BEAT), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_trackers_of_our_kind_hear_of_senders() {
    let node_ip = fresh();
    let own = node_ip.to_string();
    for is_ours in [true, false] {
        let at = address();
        let list = List::default();
        list.set(&[(&own, S::ACTIVE)]);
        let (_tracker, notes) = tracker(at, plain_cluster(), move |command, _| match command {
            Command::REPLICATION_REPORT if is_ours => Some(Ok(Empty.to_frame())),
            Command::QUERY_REPLICATION if is_ours => Some(Ok(GroupReplication::default().to_frame())),
            _ => list.leads(at, command),
        })
        .await;
        let mut node = Running::start_with(node_ip, at, "").await;
        notes.wait(Command::STORAGE_BEAT, 4).await;
        assert_eq!(notes.all::<ReplicationReport>()[0].http_url, format!("http://{node_ip}:8888"));
        assert_eq!(notes.count(Command::REPLICATION_REPORT), 1, "it did not change, or is not understood");
        assert_eq!(notes.count(Command::QUERY_REPLICATION) > 0, is_ours);
        assert_eq!(notes.count(Command::STORAGE_JOIN), 1);
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_address_is_told_before_the_join() {
    let params = "reserved_storage_space=0\nresponse_ip_addr_size=16\nstorage_ip_changed_auto_adjust=1\n";
    let cluster = Cluster { params: ClusterParams::parse(params).unwrap(), ..plain_cluster() };
    let at = address();
    let (_tracker, notes) = tracker(at, cluster, |command, _| match command {
        Command::REPORT_IP_CHANGED => Some(Err(Status::EALREADY)),
        _ => None,
    })
    .await;
    let mut node = Running::start_with(fresh(), at, "").await;
    wait_ready(&node, " 200 ", "").await;
    assert_eq!(notes.count(Command::REPORT_IP_CHANGED), 0);
    node.stop().await;
    let flag = node.data().join(".data_init_flag");
    let text = std::fs::read_to_string(&flag).unwrap();
    let old = "127.99.99.99";
    std::fs::write(&flag, text.replace(&format!("last_ip_addr={}", node.ip), &format!("last_ip_addr={old}")))
        .unwrap();
    node.start_again().await;
    notes.wait(Command::STORAGE_JOIN, 2).await;
    let changed = IpChanged { group: "group1".parse().unwrap(), old: old.parse().ok(), new: Some(node.ip) };
    assert_eq!(notes.all::<IpChanged>(), [changed]);
    let commands = notes.commands();
    let told = commands.iter().position(|command| *command == Command::REPORT_IP_CHANGED).unwrap();
    let then = &commands[told + 1..told + 3];
    assert_eq!(then, [Command::CHANGELOG_REQ, Command::STORAGE_JOIN]);
    wait_flag(&node, &format!("last_ip_addr={}\n", node.ip)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_tells_the_group_that_the_configuration_leaves_out() {
    let at = address();
    let knows = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&knows);
    let (_tracker, _) = tracker(at, plain_cluster(), move |command, _| match command {
        Command::GET_GROUP_NAME if asked.load(Ordering::Relaxed) => {
            Some(Ok(Bytes::from_static(b"group1\0\0\0\0\0\0\0\0\0\0").to_frame()))
        }
        Command::GET_GROUP_NAME => Some(Err(Status::EOPNOTSUPP)),
        _ => None,
    })
    .await;
    let mut node = Running::start_with(fresh(), at, "").await;
    node.stop().await;
    node.text = node.text.replace("group_name = group1\n", "");
    node.start_again().await;
    let file = node.upload(b"in the group of the table", "txt").await;
    assert_eq!(file.group.as_str(), "group1");
    node.stop().await;
    knows.store(false, Ordering::Relaxed);
    let Err(refused) = build(&node.text).await else { panic!("there is no group") };
    assert!(refused.to_string().contains("storage_ids.conf"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tracker_that_takes_the_node_for_another_is_not_joined() {
    let (right, wrong) = (address(), address());
    let list = List::default();
    let is_joined = Arc::new(AtomicBool::new(false));
    let joins = Arc::clone(&is_joined);
    let (_right, _) = tracker(right, plain_cluster(), move |command, _| {
        joins.fetch_or(command == Command::STORAGE_BEAT, Ordering::Relaxed);
        list.leads(right, command)
    })
    .await;
    let (_wrong, at_wrong) = tracker(wrong, plain_cluster(), move |command, _| match command {
        Command::GET_MY_IP if is_joined.load(Ordering::Relaxed) => {
            Some(Ok(Bytes::from("127.99.99.99").to_frame()))
        }
        Command::GET_MY_IP => Some(Err(Status::EBUSY)),
        _ => None,
    })
    .await;
    let node = Running::start_with(fresh(), right, &format!("tracker_server = {wrong}")).await;
    wait_ready(&node, " 200 ", "").await;
    let asked = at_wrong.count(Command::GET_MY_IP);
    at_wrong.wait(Command::GET_MY_IP, asked + 2).await;
    assert_eq!(at_wrong.count(Command::STORAGE_JOIN), 0);
    wait_flag(&node, &format!("last_ip_addr={}\n", node.ip)).await;
    wait_ready(&node, " 200 ", "").await;
}
