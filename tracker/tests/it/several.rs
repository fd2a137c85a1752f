//! Several trackers: one leads, the others follow, and another one takes over. Storages here join all of them, as they do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::cluster::{Beat, CheckSync, Join, StorageStatus, SyncNotify, SyncSource, TrackerAddress};
use protocol::peers::{
    CommitNextLeader, GetOneSystemFile, GetSystemFilesEnd, GetSystemFilesStart, JoinLeader, LeaderClaim,
    NotifyNextLeader, PingLeader, ReselectLeader, SystemFilePiece, TrackerGetStatus, TrunkServers,
};
use protocol::tracker::{
    Connections, GetLeader, GroupList, ListAllGroups, ListStorages, QueryTrackerStatistics, StorageList,
    TrackerStatisticsAnswer,
};
use protocol::wire::Response;
use protocol::{Command, GroupName, Header, HostPort, Status};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::network::Network;
use crate::peers::{Peer, Reply, Tracker};

const PATIENCE: Duration = Duration::from_secs(30);
const HTTP: &str = "http.server_port = 0\n";

/// A storage in one group, as every tracker sees it.
pub struct Member {
    pub ip: std::net::IpAddr,
    pub group: &'static str,
}

impl Member {
    /// Joins one of `trackers` as a storage that was in service before.
    pub async fn join(&self, trackers: &[SocketAddr], tracker: SocketAddr) -> Peer {
        let mut peer = Peer::connect(self.ip, tracker).await;
        let list = trackers.iter().map(|it| TrackerAddress { ips: vec![it.ip()], port: it.port() });
        let join = Join {
            group: GroupName::parse(self.group).unwrap(),
            port: 23_000,
            store_path_count: 1,
            subdir_count: 256,
            upload_priority: 10,
            join_time: 1_795_382_311,
            up_time: 1_795_382_311,
            version: "6.16.1".into(),
            is_new: 0,
            status: Some(StorageStatus::ACTIVE),
            id: None,
            tracker_ip: Some(tracker.ip()),
            trackers: list.collect(),
        };
        peer.ask(&join).await.unwrap();
        peer.ask(&SyncNotify(SyncSource { source: None, until: 0 })).await.unwrap();
        peer
    }
}

/// One heart beat and what it tells.
pub async fn beat(peer: &mut Peer) -> CheckSync {
    CheckSync::decode_body(&peer.ask(&Beat(None)).await.unwrap()).unwrap()
}

/// Beats until the tracker tells who leads.
pub async fn told_leader(peer: &mut Peer) -> CheckSync {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let news = beat(peer).await;
        if news.leader.is_some() {
            return news;
        }
        assert_eq!(news, CheckSync::default(), "who does not lead says nothing");
        assert!(Instant::now() < deadline, "nobody leads");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whom a tracker names as the leader.
pub async fn leader_of(network: &Network, tracker: SocketAddr) -> Option<SocketAddr> {
    let mut peer = Peer::connect(network.ip(9), tracker).await;
    match peer.ask(&GetLeader).await {
        Ok(text) => Some(String::from_utf8(text).unwrap().parse().unwrap()),
        Err(status) => {
            assert_eq!(status, Status::ENOENT.0);
            None
        }
    }
}

/// Waits until all these trackers name the same one of them.
pub async fn agreed(network: &Network, trackers: &[SocketAddr]) -> SocketAddr {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut named = Vec::new();
        for tracker in trackers {
            named.push(leader_of(network, *tracker).await);
        }
        if let Some(leader) = named[0].filter(|leader| trackers.contains(leader))
            && named.iter().all(|it| *it == Some(leader))
        {
            return leader;
        }
        assert!(Instant::now() < deadline, "no agreement: {named:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

struct Running {
    network: Network,
    addresses: Vec<SocketAddr>,
    trackers: Vec<Option<Tracker>>,
    dirs: Vec<TempDir>,
}

impl Running {
    async fn start(count: u8) -> Self {
        let network = Network::claim();
        let addresses: Vec<_> = (1..=count).map(|last| network.tracker(last)).collect();
        let dirs: Vec<_> = addresses.iter().map(|_| tempfile::tempdir().unwrap()).collect();
        let mut trackers = Vec::new();
        for (address, dir) in addresses.iter().zip(&dirs) {
            trackers.push(Some(Tracker::start(*address, dir.path(), HTTP).await));
        }
        Self { network, addresses, trackers, dirs }
    }

    fn index(&self, address: SocketAddr) -> usize {
        self.addresses.iter().position(|it| *it == address).unwrap()
    }

    async fn stop(&mut self, address: SocketAddr) {
        let at = self.index(address);
        self.trackers[at].take().unwrap().stop().await;
    }

    async fn restart(&mut self, address: SocketAddr) {
        let at = self.index(address);
        self.trackers[at] = Some(Tracker::start(address, self.dirs[at].path(), HTTP).await);
    }

    fn up(&self) -> Vec<SocketAddr> {
        let up = self.addresses.iter().zip(&self.trackers).filter(|(_, it)| it.is_some());
        up.map(|(address, _)| *address).collect()
    }

    fn member(&self, last: u8) -> Member {
        Member { ip: self.network.ip(last), group: "group1" }
    }

    async fn stop_all(mut self) {
        for address in self.up() {
            self.stop(address).await;
        }
    }
}

#[tokio::test]
async fn of_two_trackers_one_leads_and_the_other_takes_over_and_keeps_it() {
    let mut run = Running::start(2).await;
    let (member, trackers) = (run.member(11), run.addresses.clone());
    let mut links = Vec::new();
    for tracker in &trackers {
        links.push(member.join(&trackers, *tracker).await);
    }
    let leader = agreed(&run.network, &trackers).await;
    let follower = *trackers.iter().find(|it| **it != leader).unwrap();
    let news = told_leader(&mut links[run.index(leader)]).await;
    assert_eq!(news.leader.unwrap().ip, Some(leader.ip()));
    assert_eq!(news.members.unwrap().len(), 1);
    assert_eq!(beat(&mut links[run.index(follower)]).await, CheckSync::default());

    run.stop(leader).await;
    let news = told_leader(&mut links[run.index(follower)]).await;
    assert_eq!(news.leader.unwrap().ip, Some(follower.ip()), "the other one took over");
    assert_eq!(news.members.unwrap().len(), 1, "and tells everything anew");

    run.restart(leader).await;
    let _back = member.join(&trackers, leader).await;
    assert_eq!(agreed(&run.network, &trackers).await, follower, "who leads stays");
    assert_eq!(beat(&mut links[run.index(follower)]).await, CheckSync::default(), "and has nothing new");
    run.stop_all().await;
}

#[tokio::test]
async fn three_trackers_agree_and_answer_each_other_by_the_rules() {
    let run = Running::start(3).await;
    let (member, trackers) = (run.member(11), run.addresses.clone());
    let mut links = Vec::new();
    for tracker in &trackers {
        links.push(member.join(&trackers, *tracker).await);
    }
    let leader = agreed(&run.network, &trackers).await;
    let followers: Vec<_> = trackers.iter().filter(|it| **it != leader).copied().collect();
    let mut to_leader = Peer::connect(run.network.ip(8), leader).await;
    let mut to_follower = Peer::connect(run.network.ip(8), followers[0]).await;

    for (peer, leads) in [(&mut to_leader, 1), (&mut to_follower, 0)] {
        let claim = LeaderClaim::decode_body(&peer.ask(&TrackerGetStatus).await.unwrap()).unwrap();
        assert_eq!(claim, LeaderClaim { is_leader: leads, running_time: 0, restart_interval: 0 });
    }
    let named = |address: SocketAddr| HostPort::from(address);
    let unknown = named(run.network.tracker(7));
    assert_eq!(to_leader.ask(&NotifyNextLeader(unknown)).await, Err(Status::ENOENT.0));
    assert_eq!(to_leader.ask(&NotifyNextLeader(named(followers[0]))).await, Err(Status::EINVAL.0));
    assert_eq!(to_leader.ask(&CommitNextLeader(named(followers[0]))).await, Err(Status::EINVAL.0));
    assert_eq!(to_follower.ask(&ReselectLeader).await, Err(Status::EOPNOTSUPP.0));

    let join = JoinLeader { up_time: 1_795_382_311, version: "6.16.1".into(), port: 22_122 };
    let ping = PingLeader(Connections { alloc: 1, current: 2, max: 3 });
    assert_eq!(to_follower.ask(&join).await, Err(Status::EOPNOTSUPP.0));
    assert_eq!(to_follower.ask(&ping).await, Err(Status::EOPNOTSUPP.0));
    assert_eq!(to_leader.ask(&ping).await, Err(Status::EINVAL.0));
    assert_eq!(to_leader.ask(&join).await, Ok(Vec::new()));
    assert_eq!(to_leader.ask(&join).await, Err(Status::EEXIST.0));
    let first = TrunkServers::decode_body(&to_leader.ask(&ping).await.unwrap()).unwrap();
    assert_eq!(first.0, [(GroupName::parse("group1").unwrap(), None)]);
    assert_eq!(to_leader.ask(&ping).await, Ok(Vec::new()), "nothing new");

    // The leader shows everybody who follows it, the caller above among them; followers show nobody.
    let all = QueryTrackerStatistics { filter_by: 0, is_active: 0, is_leader: 0 };
    assert_eq!(to_follower.ask(&all).await, Err(Status::EOPNOTSUPP.0));
    let shown = || async {
        let mut peer = Peer::connect(run.network.ip(8), leader).await;
        TrackerStatisticsAnswer::decode_body(&peer.ask(&all).await.unwrap()).unwrap().0
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = shown().await;
        let leaders: Vec<_> = shown.iter().filter(|it| it.is_leader != 0).map(|it| it.host.clone()).collect();
        assert_eq!(leaders, [leader.to_string()]);
        if followers.iter().all(|it| shown.iter().any(|shown| shown.host == it.to_string())) {
            assert_eq!(shown.len(), 4);
            break;
        }
        assert!(Instant::now() < deadline, "{shown:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // Asked to step down, it does, and one leads again.
    assert_eq!(to_leader.ask(&ReselectLeader).await, Ok(Vec::new()));
    agreed(&run.network, &trackers).await;
    run.stop_all().await;
}

/// `ip status` of a group's storages at one tracker.
pub async fn listed(network: &Network, tracker: SocketAddr, group: &str) -> Vec<String> {
    let mut peer = Peer::connect(network.ip(9), tracker).await;
    let request = ListStorages { group: GroupName::parse(group).unwrap(), id: None };
    let storages = StorageList::decode_body(&peer.ask(&request).await.unwrap()).unwrap().storages;
    storages.iter().map(|it| format!("{} {}", it.ip.unwrap(), it.status)).collect()
}

#[tokio::test]
async fn a_new_tracker_learns_what_the_others_know() {
    let mut run = Running::start(2).await;
    let (first, second) = (run.addresses[0], run.addresses[1]);
    run.stop(second).await;
    let alone = [first];
    let elsewhere = Member { ip: run.network.ip(21), group: "group2" };
    let _elsewhere = elsewhere.join(&alone, first).await;
    let mut link = run.member(11).join(&alone, first).await;
    beat(&mut link).await;

    run.restart(second).await;
    let _link = run.member(11).join(&run.addresses, second).await;
    assert_eq!(listed(&run.network, second, "group1").await, [format!("{} ONLINE", run.network.ip(11))]);
    assert_eq!(
        listed(&run.network, second, "group2").await,
        [format!("{} OFFLINE", run.network.ip(21))],
        "which never joined here"
    );
    let data = run.dirs[1].path().join("data");
    assert!(!data.join(".pulled").exists());
    assert!(
        std::fs::read_to_string(data.join("storage_servers_new.dat")).unwrap().contains("storage_count=2")
    );
    run.stop_all().await;
}

#[tokio::test]
async fn a_tracker_that_was_away_for_long_asks_and_one_that_was_not_does_not() {
    for (away, knows) in [(3_600, true), (60, false)] {
        let mut run = Running::start(2).await;
        let (first, second) = (run.addresses[0], run.addresses[1]);
        let member = run.member(11);
        for tracker in [first, second] {
            member.join(&run.addresses, tracker).await;
        }
        run.stop(second).await;
        agreed(&run.network, &[first]).await;
        let elsewhere = Member { ip: run.network.ip(21), group: "group2" };
        elsewhere.join(&[first], first).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let status = format!("up_time=1\nlast_check_time={}\n", now - away);
        std::fs::write(run.dirs[1].path().join("data/.tracker_status"), status).unwrap();
        run.restart(second).await;
        member.join(&run.addresses, second).await;
        let mut peer = Peer::connect(run.network.ip(9), second).await;
        let groups = GroupList::decode_body(&peer.ask(&ListAllGroups).await.unwrap()).unwrap().0;
        assert_eq!(groups.len(), if knows { 2 } else { 1 }, "away for {away} s");
        run.stop_all().await;
    }
}

#[tokio::test]
async fn a_new_tracker_whose_peers_are_down_takes_storages_in_and_leads() {
    let run = Running::start(1).await;
    let trackers = [run.addresses[0], run.network.tracker(2), run.network.tracker(3)];
    let mut link = run.member(11).join(&trackers, trackers[0]).await;
    let news = told_leader(&mut link).await;
    assert_eq!(news.leader.unwrap().ip, Some(trackers[0].ip()));
    run.stop_all().await;
}

#[tokio::test]
async fn a_join_without_this_tracker_in_its_list_is_refused_and_forgotten() {
    let run = Running::start(1).await;
    let mut peer = Peer::connect(run.network.ip(11), run.addresses[0]).await;
    let other = run.network.tracker(2);
    let join = Join {
        group: GroupName::parse("group1").unwrap(),
        port: 23_000,
        store_path_count: 1,
        subdir_count: 256,
        upload_priority: 10,
        join_time: 1,
        up_time: 1,
        version: "6.16.1".into(),
        is_new: 1,
        status: None,
        id: None,
        tracker_ip: None,
        trackers: vec![TrackerAddress { ips: vec![other.ip()], port: other.port() }],
    };
    assert_eq!(peer.ask(&join).await, Err(Status::ENOENT.0));
    assert_eq!(peer.ask(&TrackerGetStatus).await, Err(Status::ENOENT.0), "no group came of it");
    let mut link = run.member(11).join(&run.addresses, run.addresses[0]).await;
    assert!(beat(&mut link).await.leader.is_some(), "the other one is not waited for");
    run.stop_all().await;
}

#[tokio::test]
async fn a_copy_of_the_files_stays_as_it_was_and_holds_no_save_up() {
    let run = Running::start(1).await;
    let tracker = run.addresses[0];
    let mut copier = Peer::connect(run.network.ip(8), tracker).await;
    assert_eq!(copier.ask(&GetSystemFilesStart).await, Err(Status::ENOENT.0), "no group yet");
    assert_eq!(copier.ask(&GetOneSystemFile { index: 0, offset: 0 }).await, Err(Status::EINVAL.0));
    let _first = run.member(11).join(&run.addresses, tracker).await;
    assert_eq!(copier.ask(&GetSystemFilesStart).await, Ok(Vec::new()));
    let _second = run.member(12).join(&run.addresses, tracker).await;
    let saved = run.dirs[0].path().join("data/storage_servers_new.dat");
    let deadline = Instant::now() + PATIENCE;
    while !std::fs::read_to_string(&saved).is_ok_and(|text| text.contains("storage_count=2")) {
        assert!(Instant::now() < deadline, "the copy under way holds the save up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut texts = Vec::new();
    for index in 0..4 {
        let (mut text, mut offset) = (Vec::new(), 0);
        loop {
            let body = copier.ask(&GetOneSystemFile { index, offset }).await.unwrap();
            let piece = SystemFilePiece::decode_body(&body).unwrap();
            text.extend_from_slice(&piece.bytes);
            offset = text.len() as u64;
            if offset >= piece.total {
                break;
            }
        }
        texts.push(String::from_utf8(text).unwrap());
    }
    assert!(texts[0].contains("group_count=1"), "{}", texts[0]);
    assert!(texts[1].contains("storage_count=1"), "{}", texts[1]);
    assert_eq!(texts[2], format!("group1,{},0\n", run.network.ip(11)));
    assert_eq!(texts[3], "");
    assert_eq!(copier.ask(&GetOneSystemFile { index: 0, offset: 1 << 40 }).await, Err(Status::EINVAL.0));
    assert_eq!(copier.ask(&GetSystemFilesEnd).await, Ok(Vec::new()));
    assert_eq!(copier.ask(&GetOneSystemFile { index: 0, offset: 0 }).await, Err(Status::EINVAL.0));
    run.stop_all().await;
}

/// As after a partition: each leads, until storages tell them of each other.
#[tokio::test]
async fn of_two_leaders_one_remains() {
    let run = Running::start(2).await;
    let (member, trackers) = (run.member(11), run.addresses.clone());
    for tracker in &trackers {
        let mut link = member.join(&[*tracker], *tracker).await;
        told_leader(&mut link).await;
    }
    let mut links = Vec::new();
    for tracker in &trackers {
        let mut link = member.join(&trackers, *tracker).await;
        beat(&mut link).await;
        links.push(link);
    }
    let leader = agreed(&run.network, &trackers).await;
    assert_eq!(leader, trackers[1], "both run as long, so the higher address stays");
    assert_eq!(beat(&mut links[0]).await, CheckSync::default(), "the other one is silent");
    run.stop_all().await;
}

/// A leader that knows its followers by other addresses than those they call from, as FastDFS's do behind a router, and
/// that stops leading when told.
async fn strict_leader(address: SocketAddr, leads: Arc<AtomicBool>) {
    let listener = TcpListener::bind(address).await.unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut peer, leads) = (Peer(stream), Arc::clone(&leads));
        tokio::spawn(async move {
            while let Reply::Frame(frame) = peer.reply().await {
                let claim = LeaderClaim {
                    is_leader: u8::from(leads.load(Ordering::Relaxed)),
                    running_time: 0,
                    restart_interval: 0,
                };
                let refused =
                    |status| Header { body_len: 0, command: Command::RESPONSE, status }.to_bytes().to_vec();
                let answer = match Command(frame[8]) {
                    Command::TRACKER_GET_STATUS => claim.to_frame().to_vec(),
                    Command::TRACKER_JOIN_LEADER => refused(Status::ENOENT),
                    Command::TRACKER_NOTIFY_NEXT_LEADER | Command::TRACKER_COMMIT_NEXT_LEADER => {
                        refused(Status::OK)
                    }
                    _ => refused(Status::EINVAL),
                };
                peer.send(&answer).await;
            }
        });
    }
}

#[tokio::test]
async fn a_leader_that_refuses_the_followers_address_is_followed_all_the_same() {
    let run = Running::start(1).await;
    let leads = Arc::new(AtomicBool::new(true));
    // With the lower address, so that it is not waited for once it leads no more.
    let (ours, theirs) = (run.addresses[0], run.network.tracker(0));
    let leader = tokio::spawn(strict_leader(theirs, Arc::clone(&leads)));
    let trackers = [ours, theirs];
    let mut link = run.member(11).join(&trackers, ours).await;
    let deadline = Instant::now() + PATIENCE;
    while leader_of(&run.network, ours).await != Some(theirs) {
        assert!(Instant::now() < deadline, "it is not followed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Longer than the pings that a silent leader has.
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        assert_eq!(leader_of(&run.network, ours).await, Some(theirs));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    leads.store(false, Ordering::Relaxed);
    let news = told_leader(&mut link).await;
    assert_eq!(news.leader.unwrap().ip, Some(ours.ip()));
    leader.abort();
    run.stop_all().await;
}
