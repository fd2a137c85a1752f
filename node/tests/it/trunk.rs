//! A node that the leading tracker makes the trunk server, and one that asks another: what goes over the wire.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::client::ClientError;
use protocol::cluster::{Brief, CheckSync, ReportTrunkFileId, ReportTrunkFree, StorageStatus, TrunkFileId};
use protocol::config::params::ClusterParams;
use protocol::file_id::StorePathIndex;
use protocol::trunk::{
    AllocateSpace, ConfirmSpace, DeleteBinlogMarks, FreeSpace, GetTrunkBinlogSize, SpaceUse,
    TruncateTrunkBinlog, TrunkBinlogLines, TrunkBinlogSize, TrunkSpace,
};
use protocol::wire::{Empty, Request, Response};
use protocol::{Command, GroupName, Status, StorageId};

use crate::address::fresh;
use crate::fake_member::{FakeMember, Reply};
use crate::fake_tracker::{Cluster, FakeTracker};
use crate::noting::{self, Notes, PATIENCE};
use crate::running::{Running, plain_cluster};

/// Slots of 256 bytes in trunk files of 4 MiB.
fn with_trunk() -> Cluster {
    let params = "reserved_storage_space=0\nresponse_ip_addr_size=16\nuse_trunk_file=1\nslot_min_size=256\n\
                  slot_max_size=1048576\ntrunk_alloc_alignment_size=256\ntrunk_file_size=4194304\n";
    Cluster { params: ClusterParams::parse(params).expect("the test's own text"), ..plain_cluster() }
}

fn brief(ip: IpAddr) -> Brief {
    Brief {
        status: StorageStatus::ACTIVE,
        port: 23000,
        id: StorageId::parse(&ip.to_string()).ok(),
        ip: Some(ip),
    }
}

/// Whom the tracker names; changed by the test.
type Named = Arc<Mutex<Option<IpAddr>>>;

struct Site {
    node: Running,
    heard: Notes,
    named: Named,
    _tracker: FakeTracker,
}

impl Site {
    /// A node in a group with these others, and whom its tracker names as the trunk server.
    async fn start(others: &[IpAddr], named: impl FnOnce(IpAddr) -> Option<IpAddr>) -> Self {
        let (ip, at) = (fresh(), SocketAddr::new(fresh(), 22122));
        let named: Named = Arc::new(Mutex::new(named(ip)));
        let members: Vec<Brief> = [ip].iter().chain(others).map(|ip| brief(*ip)).collect();
        let leader = Brief { port: at.port(), ..brief(at.ip()) };
        let asked = Arc::clone(&named);
        let habit = move |command: Command, _: &[u8]| match command {
            Command::STORAGE_BEAT | Command::REPORT_DISK_USAGE => {
                let trunk_server = asked.lock().expect("no test panics with it").map_or(Brief::NONE, brief);
                let news = CheckSync {
                    leader: Some(leader),
                    trunk_server: Some(trunk_server),
                    members: Some(members.clone()),
                };
                Some(Ok(news.to_frame()))
            }
            Command::FETCH_TRUNK_FID => Some(Ok(TrunkFileId(41).to_frame())),
            Command::REPORT_TRUNK_FID | Command::REPORT_TRUNK_FREE => Some(Ok(Empty.to_frame())),
            _ => None,
        };
        let (tracker, heard) = noting::tracker(at, with_trunk(), habit).await;
        let node = Running::start_with(ip, at, "").await;
        node.wait_active().await;
        Self { node, heard, named, _tracker: tracker }
    }

    fn name(&self, trunk_server: Option<IpAddr>) {
        *self.named.lock().expect("no test panics with it") = trunk_server;
    }

    /// A request to the node; its answer, or the status.
    async fn ask<Q: Request, A: Response>(&self, request: &Q) -> Result<A, Status> {
        self.node.client().call(self.node.address, request).await.map_err(|error| status(&error))
    }

    async fn confirm(&self, space: TrunkSpace, used: SpaceUse) -> Result<Empty, Status> {
        let request = ConfirmSpace { group: group(), space };
        let said = self.node.client().confirm_space(self.node.address, &request, used).await;
        said.map_err(|error| status(&error))
    }

    /// Waits until it gives out slots; gives the first.
    async fn first_slot(&self, size: u32) -> TrunkSpace {
        let start = Instant::now();
        loop {
            match self.ask(&allocate(size)).await {
                Ok(space) => return space,
                Err(status) => assert_eq!(status, Status::EINVAL),
            }
            assert!(start.elapsed() < PATIENCE, "it does not take the role");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn trunk_binlog(&self) -> String {
        std::fs::read_to_string(self.node.data().join("trunk/binlog")).unwrap_or_default()
    }
}

fn status(error: &ClientError) -> Status {
    error.status().unwrap_or_else(|| panic!("{error}"))
}

fn group() -> GroupName {
    GroupName::parse("group1").expect("a good name")
}

fn allocate(size: u32) -> AllocateSpace {
    AllocateSpace { group: group(), size, path: StorePathIndex(0) }
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A member of FastDFS that takes the trunk binlog, and what it has of it.
async fn follower() -> (FakeMember, Arc<Mutex<Vec<u8>>>) {
    let log: Arc<Mutex<Vec<u8>>> = Arc::default();
    let kept = Arc::clone(&log);
    let member = FakeMember::start(fresh(), move |command, body| {
        let mut kept = kept.lock().expect("no test panics with it");
        match command {
            Command::TRUNK_TRUNCATE_BINLOG_FILE => kept.clear(),
            Command::TRUNK_SYNC_BINLOG => kept.extend_from_slice(body),
            Command::TRUNK_GET_BINLOG_SIZE => {
                return Reply::Frame(TrunkBinlogSize(kept.len() as u64).to_frame());
            }
            _ => return Reply::Status(Status::ENOENT),
        }
        Reply::Status(Status::OK)
    })
    .await;
    (member, log)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trunk_server_gives_slots_and_tells_the_tracker_and_the_members() {
    let (member, log) = follower().await;
    let site = Site::start(&[member.address.ip()], Some).await;
    let first = site.first_slot(36).await;
    assert_eq!((first.path, first.slot.offset, first.slot.size), (StorePathIndex(0), 0, 256));
    assert_eq!(first.slot.file_id, 42, "the one after what the tracker knew");
    assert_eq!(site.confirm(first, SpaceUse::Used).await, Ok(Empty));
    assert_eq!(site.confirm(first, SpaceUse::Used).await, Err(Status::ENOENT), "nobody holds it");
    let second: TrunkSpace = site.ask(&allocate(300)).await.unwrap();
    assert_eq!((second.slot.offset, second.slot.size), (256, 512));
    assert_eq!(site.confirm(second, SpaceUse::Unused).await, Ok(Empty));
    let again: TrunkSpace = site.ask(&allocate(300)).await.unwrap();
    assert_eq!(again, second, "it was given back");
    assert_eq!(site.confirm(again, SpaceUse::Occupied).await, Ok(Empty));
    let other: TrunkSpace = site.ask(&allocate(300)).await.unwrap();
    assert_ne!(other, second, "it is not given for a while");
    assert_eq!(site.confirm(other, SpaceUse::Unused).await, Ok(Empty));
    let free = FreeSpace { group: group(), space: first };
    assert_eq!(site.ask(&free).await, Ok(Empty));
    assert_eq!(site.ask::<_, Empty>(&free).await, Err(Status::EEXIST));

    // What makes no sense.
    for bad in [
        AllocateSpace { group: GroupName::parse("group2").unwrap(), ..allocate(36) },
        AllocateSpace { path: StorePathIndex(9), ..allocate(36) },
        allocate(0),
        allocate(2 << 20),
    ] {
        assert_eq!(site.ask::<_, TrunkSpace>(&bad).await, Err(Status::EINVAL), "{bad:?}");
    }
    // It is the trunk server: nobody sends it a trunk binlog, or makes it forget.
    let lines = TrunkBinlogLines(Bytes::from_static(b"1 A 0 0 0 1 0 256\n"));
    assert_eq!(site.ask::<_, Empty>(&lines).await, Err(Status::EINVAL));
    assert_eq!(site.ask::<_, Empty>(&TruncateTrunkBinlog).await, Err(Status::EINVAL));
    assert_eq!(site.ask::<_, Empty>(&DeleteBinlogMarks).await, Err(Status::EINVAL));

    until("the tracker hears of the trunk file", || {
        site.heard.all().contains(&ReportTrunkFileId(42)) && site.heard.all().contains(&ReportTrunkFree(4))
    })
    .await;
    until("the member has the trunk binlog", || {
        let own = site.trunk_binlog();
        !own.is_empty() && own.as_bytes() == *log.lock().expect("no test panics with it")
    })
    .await;
    let own = site.trunk_binlog();
    assert_eq!(site.ask(&GetTrunkBinlogSize).await, Ok(TrunkBinlogSize(own.len() as u64)));
    let mark = site.node.data().join(format!("trunk/{}_23000.mark", member.address.ip()));
    until("a mark says so", || {
        std::fs::read_to_string(&mark).is_ok_and(|text| text == format!("binlog_offset={}\n", own.len()))
    })
    .await;

    // Another one is named.
    site.name(Some(member.address.ip()));
    let start = Instant::now();
    while site.ask::<_, TrunkSpace>(&allocate(36)).await != Err(Status::EINVAL) {
        assert!(start.elapsed() < PATIENCE, "it keeps the role");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(site.ask(&lines).await, Ok(Empty));
    assert!(site.trunk_binlog().ends_with("\n1 A 0 0 0 1 0 256\n"));
    assert_eq!(site.ask(&DeleteBinlogMarks).await, Ok(Empty));
    assert!(!mark.exists());
    assert_eq!(site.ask(&TruncateTrunkBinlog).await, Ok(Empty));
    assert_eq!(site.trunk_binlog(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_lost_its_trunk_binlog_gets_all_of_it_and_one_that_has_more_no_line_twice() {
    let (member, log) = follower().await;
    let mut site = Site::start(&[member.address.ip()], Some).await;
    let space = site.first_slot(36).await;
    site.confirm(space, SpaceUse::Used).await.unwrap();
    let is_equal = |site: &Site| {
        let own = site.trunk_binlog();
        !own.is_empty() && own.as_bytes() == *log.lock().expect("no test panics with it")
    };
    until("the member has the trunk binlog", || is_equal(&site)).await;
    site.node.stop().await;
    let commands = || member.heard().iter().map(|(command, ..)| *command).collect::<Vec<_>>();
    let truncated = |commands: &[Command]| {
        commands.iter().filter(|command| **command == Command::TRUNK_TRUNCATE_BINLOG_FILE).count()
    };
    assert_eq!(truncated(&commands()), 1);

    // As after a kill between an answer and the mark.
    let mark = site.node.data().join(format!("trunk/{}_23000.mark", member.address.ip()));
    std::fs::write(&mark, "binlog_offset=33\n").unwrap();
    site.node.start_again().await;
    let space = site.first_slot(36).await;
    site.confirm(space, SpaceUse::Used).await.unwrap();
    until("the member has the new lines", || is_equal(&site)).await;
    assert_eq!(truncated(&commands()), 1, "it did not begin anew");

    site.node.stop().await;
    log.lock().expect("no test panics with it").clear();
    site.node.start_again().await;
    until("the member has it all again", || is_equal(&site)).await;
    assert_eq!(truncated(&commands()), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_word_from_the_leading_tracker_no_slots_are_given() {
    let site = Site::start(&[], Some).await;
    site.first_slot(36).await;
    let Site { node, _tracker, .. } = site;
    drop(_tracker);
    let start = Instant::now();
    loop {
        let answer: Result<TrunkSpace, _> = node.client().call(node.address, &allocate(36)).await;
        match answer {
            Ok(_) => assert!(start.elapsed() < PATIENCE, "it goes on"),
            Err(error) => {
                assert!([Status::EAGAIN, Status::EINVAL].contains(&status(&error)), "{error}");
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
