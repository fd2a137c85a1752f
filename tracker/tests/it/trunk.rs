//! Elections of trunk servers: what storages are asked, who wins, who hears of it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protocol::cluster::{FetchTrunkFileId, ReportTrunkFileId, ReportTrunkFree};
use protocol::tracker::{GroupList, ListAllGroups, ListStorages, SetTrunkServer, StorageList};
use protocol::wire::Response;
use protocol::{Command, GroupName, Status, StorageId};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::network::Network;
use crate::peers::{Peer, Tracker};
use crate::several::{Member, agreed, beat};

const PATIENCE: Duration = Duration::from_secs(30);
/// Trunk files, and a trunk server that is replaced after six silent seconds.
const TRUNK: &str = "http.server_port = 0\nuse_trunk_file = true\ncheck_active_interval = 2\n";

/// A storage's native port that answers a tracker, and what it was asked.
pub struct Port {
    asked: Arc<Mutex<Vec<Command>>>,
    serving: JoinHandle<()>,
}

impl Port {
    /// At `ip`, with a trunk binlog of this size; without one it refuses.
    pub async fn open(ip: IpAddr, size: Option<u64>) -> Self {
        let listener = TcpListener::bind(SocketAddr::new(ip, 23_000)).await.unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&asked);
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let notes = Arc::clone(&notes);
                tokio::spawn(async move {
                    let mut head = [0; 10];
                    while stream.read_exact(&mut head).await.is_ok() {
                        let command = Command(head[8]);
                        notes.lock().unwrap().push(command);
                        let mut answer = [0; 18];
                        answer[8] = Command::RESPONSE.0;
                        let len = match (command, size) {
                            (Command::TRUNK_GET_BINLOG_SIZE, Some(size)) => {
                                answer[7] = 8;
                                answer[10..].copy_from_slice(&size.to_be_bytes());
                                18
                            }
                            (Command::TRUNK_DELETE_BINLOG_MARKS, Some(_)) => 10,
                            _ => {
                                answer[9] = Status::EINVAL.0;
                                10
                            }
                        };
                        let _ = stream.write_all(&answer[..len]).await;
                    }
                });
            }
        });
        Self { asked, serving }
    }

    fn asked(&self) -> Vec<Command> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn group() -> GroupName {
    GroupName::parse("group1").unwrap()
}

fn id(ip: IpAddr) -> StorageId {
    StorageId::parse(&ip.to_string()).unwrap()
}

/// The trunk server of `group1` as a tracker lists it.
pub async fn trunk_server(network: &Network, tracker: SocketAddr) -> Option<IpAddr> {
    let mut peer = Peer::connect(network.ip(9), tracker).await;
    let body = peer.ask(&ListStorages { group: group(), id: None }).await.ok()?;
    let list = StorageList::decode_body(&body).unwrap();
    list.storages.iter().find(|storage| storage.is_trunk_server != 0).and_then(|storage| storage.ip)
}

/// Waits until these trackers list this one, while these storages beat.
async fn elected(network: &Network, trackers: &[SocketAddr], beating: &mut [Peer], expected: IpAddr) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for peer in beating.iter_mut() {
            beat(peer).await;
        }
        let mut named = Vec::new();
        for tracker in trackers {
            named.push(trunk_server(network, *tracker).await);
        }
        if named.iter().all(|named| *named == Some(expected)) {
            return;
        }
        assert!(Instant::now() < deadline, "not {expected} but {named:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn who_knows_most_becomes_the_trunk_server_and_is_replaced_when_it_is_gone() {
    let network = Network::claim();
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let addresses = [network.tracker(1), network.tracker(2)];
    let mut trackers = Vec::new();
    for (address, dir) in addresses.iter().zip(&dirs) {
        trackers.push(Tracker::start(*address, dir.path(), TRUNK).await);
    }
    let (a, b) = (network.ip(11), network.ip(12));
    let ports = [Port::open(a, Some(10)).await, Port::open(b, Some(20)).await];
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for tracker in &addresses {
        of_a.push(Member { ip: a, group: "group1" }.join(&addresses, *tracker).await);
        of_b.push(Member { ip: b, group: "group1" }.join(&addresses, *tracker).await);
    }
    let leader = agreed(&network, &addresses).await;
    let leads = addresses.iter().position(|address| *address == leader).unwrap();
    let follower = addresses[1 - leads];
    // Both serve before anybody is chosen, or the first would be alone.
    for peer in of_a.iter_mut().chain(&mut of_b) {
        beat(peer).await;
    }
    let mut all: Vec<Peer> = of_a.into_iter().chain(of_b).collect();
    let deadline = Instant::now() + PATIENCE;
    let first = loop {
        for peer in &mut all {
            beat(peer).await;
        }
        if let Some(first) = trunk_server(&network, leader).await {
            break first;
        }
        assert!(Instant::now() < deadline, "nobody is chosen");
    };
    // A tick may have come between two beats; who was alone then stays.
    let (second, port) = if first == b { (a, &ports[0]) } else { (b, &ports[1]) };
    elected(&network, &addresses, &mut all, first).await;
    let asked = port.asked();
    assert!(!asked.contains(&Command::TRUNK_DELETE_BINLOG_MARKS), "nobody was it before: {asked:?}");

    // What the trunk server reports, and what others say who are none.
    let (mut of_a, mut of_b) = (all.drain(..2).collect::<Vec<_>>(), all);
    let (own, others) = if first == a { (&mut of_a, &mut of_b) } else { (&mut of_b, &mut of_a) };
    for peer in own.iter_mut() {
        assert_eq!(peer.ask(&ReportTrunkFileId(7)).await, Ok(vec![]));
        assert_eq!(peer.ask(&ReportTrunkFree(63)).await, Ok(vec![]));
        assert_eq!(peer.ask(&FetchTrunkFileId).await, Ok(vec![0, 0, 0, 7]));
    }
    assert_eq!(others[leads].ask(&ReportTrunkFileId(9)).await, Err(Status::EINVAL.0));
    let mut client = Peer::connect(network.ip(9), follower).await;
    let groups = GroupList::decode_body(&client.ask(&ListAllGroups).await.unwrap()).unwrap();
    assert_eq!((groups.0[0].trunk_file_id, groups.0[0].trunk_free_mb), (7, 63));

    // Named by operators: by the leader only, and not while there is one.
    let name = |id| SetTrunkServer { group: group(), id };
    assert_eq!(client.ask(&name(None)).await, Err(Status::EOPNOTSUPP.0));
    let mut client = Peer::connect(network.ip(9), leader).await;
    assert_eq!(client.ask(&name(None)).await, Ok(format!("{first}\0").into_bytes()));
    assert_eq!(client.ask(&name(Some(id(first)))).await, Err(Status::EALREADY.0));
    assert_eq!(client.ask(&name(Some(id(second)))).await, Err(Status::EEXIST.0));

    // It dies; the other one forgets what it knew and takes over, and an operator need not wait for that.
    own.clear();
    let chosen = loop {
        for peer in others.iter_mut() {
            beat(peer).await;
        }
        match client.ask(&name(Some(id(second)))).await {
            Err(status) if status == Status::EEXIST.0 => tokio::task::yield_now().await,
            chosen => break chosen,
        }
        assert!(Instant::now() < deadline + PATIENCE, "it is not seen to be gone");
    };
    assert_eq!(chosen, Ok(format!("{second}\0").into_bytes()));
    elected(&network, &addresses, others, second).await;
    assert_eq!(port.asked(), [Command::TRUNK_GET_BINLOG_SIZE, Command::TRUNK_DELETE_BINLOG_MARKS]);
    for tracker in trackers {
        tracker.stop().await;
    }
    check_files(&dirs[leads], first, second);
}

fn check_files(dir: &TempDir, first: IpAddr, second: IpAddr) {
    let log = std::fs::read_to_string(dir.path().join("logs/trunk_server_change.log")).unwrap();
    let lines: Vec<&str> = log.lines().map(|line| line.split_once("] ").unwrap().1).collect();
    let expected =
        [format!("group1  -  =>  {first}:23000"), format!("group1  {first}:23000  =>  {second}:23000")];
    assert_eq!(lines, expected);
    let groups = std::fs::read_to_string(dir.path().join("data/storage_groups_new.dat")).unwrap();
    for line in [
        "\tcurrent_trunk_file_id=7\n".to_owned(),
        format!("\ttrunk_server={second}\n"),
        format!("\tlast_trunk_server={second}\n"),
    ] {
        assert!(groups.contains(&line), "{line} {groups}");
    }
}

#[tokio::test]
async fn a_silent_one_is_replaced_and_who_cannot_be_one_is_passed_over() {
    let network = Network::claim();
    let dir = tempfile::tempdir().unwrap();
    let address = network.tracker(1);
    let tracker = Tracker::start(address, dir.path(), TRUNK).await;
    let (a, b, c) = (network.ip(11), network.ip(12), network.ip(13));
    // The first by id knows nothing of trunk files.
    let _ports = [Port::open(a, None).await, Port::open(b, Some(5)).await];
    let mut peers = Vec::new();
    for ip in [a, b] {
        let mut peer = Member { ip, group: "group1" }.join(&[address], address).await;
        beat(&mut peer).await;
        peers.push(peer);
    }
    elected(&network, &[address], &mut peers, b).await;
    let _third = Port::open(c, Some(0)).await;
    peers.push(Member { ip: c, group: "group1" }.join(&[address], address).await);
    // Its connection stays, its beats end.
    let _silent = peers.remove(1);
    elected(&network, &[address], &mut peers, c).await;
    tracker.stop().await;
}
