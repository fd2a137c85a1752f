//! The state in simulated time: a small cluster whose storages join, beat and report when told.

mod adopt;
mod fill;
mod membership;
mod replication;
mod schedule;
mod simulation;
mod space;
mod trunk;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use protocol::cluster::{Join, JoinAnswer, PathSpace, StorageStats, StorageStatus, TrackerAddress};
use protocol::config::LocalFacts;
use protocol::file_id::{
    FileExt, LogicName, NameCode, NameTail, SizeField, SlavePrefix, Source, StorePathIndex, SubDir,
    slave_name,
};
use protocol::tracker::{FileName, Server};

use super::*;
use crate::files::{Snapshot, restore};

/// When simulations begin.
const T0: i64 = 1_700_000_000;
const TRACKER: &str = "10.0.0.1:22122";
const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 200));

fn rules() -> Rules {
    Rules::plain()
}

fn ids(text: &str) -> Option<StorageIds> {
    Some(StorageIds::parse(text, Path::new("storage_ids.conf"), &LocalFacts::none()).unwrap().0)
}

fn group(name: &str) -> GroupName {
    GroupName::parse(name).unwrap()
}

fn id(text: &str) -> StorageId {
    StorageId::parse(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A cluster, its clock, and a number for the next connection.
struct Sim {
    cluster: Cluster,
    now: i64,
    connections: u64,
}

impl Sim {
    fn new(rules: Rules) -> Self {
        Self { cluster: Cluster::new(rules), now: T0, connections: 0 }
    }

    /// A cluster with active storages `group ip`, each with one path of `free` of 100000 MB.
    fn with(rules: Rules, storages: &[(&str, &str, i64)]) -> (Self, Vec<Session>) {
        let mut sim = Self::new(rules);
        let sessions = storages.iter().map(|(group, ip, free)| sim.active(group, ip, &[*free])).collect();
        (sim, sessions)
    }

    fn connect(&mut self, from: &str) -> Session {
        self.connections += 1;
        Session::new(Peer {
            address: SocketAddr::new(ip(from), 40_000),
            local: TRACKER.parse().unwrap(),
            connection: self.connections,
        })
    }

    fn join(&mut self, from: &str, join: &Join) -> (Session, Result<JoinAnswer, Refusal>) {
        let mut session = self.connect(from);
        let answer = self.cluster.join(&mut session, join, self.now);
        (session, answer)
    }

    fn beat(&mut self, session: &mut Session) -> protocol::cluster::CheckSync {
        self.cluster.beat(session, Some(&StorageStats::default()), self.now).unwrap()
    }

    fn report(&mut self, session: &mut Session, free: &[i64]) {
        let paths: Vec<_> = free.iter().map(|free| PathSpace { total_mb: 100_000, free_mb: *free }).collect();
        self.cluster.disk_usage(session, &paths).unwrap();
    }

    /// A storage that was in service before, joins, beats and reports its paths.
    fn active(&mut self, group: &str, from: &str, free: &[i64]) -> Session {
        let paths = i64::try_from(free.len()).unwrap();
        let (mut session, answer) = self.join(from, &Join { store_path_count: paths, ..known(group) });
        answer.unwrap();
        self.beat(&mut session);
        self.report(&mut session, free);
        session
    }

    fn status(&self, group_name: &str, storage: &str) -> StorageStatus {
        self.cluster.group(group(group_name)).unwrap().member(&id(storage)).unwrap().status
    }

    fn member(&mut self, group_name: &str, storage: &str) -> &mut Member {
        self.cluster.member_mut(group(group_name), &id(storage)).unwrap()
    }

    /// Where the next uploads go: `ip/path`, or the status.
    fn uploads(&mut self, group_name: Option<&str>, count: usize) -> Vec<String> {
        let name = group_name.map(group);
        (0..count)
            .map(|_| match self.cluster.query_store(name, CLIENT) {
                Ok(place) => format!("{}/{}", place.servers[0].ip, place.store_path.0),
                Err(status) => status.0.to_string(),
            })
            .collect()
    }

    /// Where the next downloads of a file in `group1` go.
    fn downloads(&mut self, name: &FileName, count: usize) -> Vec<String> {
        let fetch = |cluster: &mut Cluster| cluster.query_fetch(group("group1"), name, CLIENT, self.now);
        (0..count).map(|_| text(fetch(&mut self.cluster).map(|server| vec![server]))).collect()
    }

    /// All places that have a file in `group1`.
    fn places(&self, name: &FileName) -> String {
        text(self.cluster.query_fetch_all(group("group1"), name, CLIENT, self.now))
    }

    fn update(&mut self, name: &FileName) -> String {
        text(self.cluster.query_update(group("group1"), name, CLIENT).map(|server| vec![server]))
    }
}

fn text(servers: Result<Vec<Server>, Refusal>) -> String {
    match servers {
        Ok(servers) => servers.iter().map(|server| server.ip.to_string()).collect::<Vec<_>>().join(" "),
        Err(status) => status.0.to_string(),
    }
}

/// A storage that was in service before: it goes ONLINE at once.
fn known(group_name: &str) -> Join {
    Join {
        group: group(group_name),
        port: 23000,
        store_path_count: 1,
        subdir_count: 256,
        upload_priority: 10,
        join_time: T0 - 1000,
        up_time: T0,
        version: "6.16.1".into(),
        is_new: 0,
        status: Some(StorageStatus::ACTIVE),
        id: None,
        tracker_ip: Some(ip("10.0.0.1")),
        trackers: vec![TrackerAddress { ips: vec![ip("10.0.0.1")], port: 22122 }],
    }
}

/// A storage on an empty disk.
fn fresh(group_name: &str) -> Join {
    Join { is_new: 1, status: Some(StorageStatus::INIT), ..known(group_name) }
}

/// What a tracker knows that reads the files of this one.
fn reread(cluster: &Cluster) -> Cluster {
    let snapshot = Snapshot::of(cluster);
    let file = |number| snapshot.file(number).unwrap().to_vec();
    let [groups, servers, timestamps] = [0, 1, 2].map(|number| String::from_utf8(file(number)).unwrap());
    restore([&groups, &servers, &timestamps], file(3), cluster.rules().clone())
}

fn logic_name(source: Source, timestamp: i64, size: SizeField) -> LogicName {
    let code = NameCode { source, timestamp: u32::try_from(timestamp).unwrap(), size, crc32: 7 };
    let tail = NameTail::new(FileExt::parse("txt").unwrap(), 1);
    LogicName::make(StorePathIndex(0), SubDir::default(), &code, None, &tail)
}

fn wire(name: &LogicName) -> FileName {
    FileName::new(name.as_str().as_bytes()).unwrap()
}

fn source(from: &str) -> Source {
    match ip(from) {
        IpAddr::V4(v4) => Source::Ip(v4),
        IpAddr::V6(_) => panic!("names carry IPv4 addresses"),
    }
}

/// A normal file that `from` took at `timestamp`.
fn normal(from: &str, timestamp: i64) -> FileName {
    wire(&logic_name(source(from), timestamp, SizeField::normal(9, 0)))
}

fn appender(from: &str, timestamp: i64) -> FileName {
    wire(&logic_name(source(from), timestamp, SizeField::appender(0)))
}

fn slave(from: &str, timestamp: i64) -> FileName {
    let master = logic_name(source(from), timestamp, SizeField::normal(9, 0));
    let prefix = SlavePrefix::parse("_150x150").unwrap();
    wire(&slave_name(&master, prefix, FileExt::parse("jpg").unwrap()).unwrap())
}
