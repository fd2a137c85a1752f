//! Histories: storages like FastDFS's come, write, go, lose their disks, are deleted and return, while the tracker is
//! killed and restored from its files and its clock jumps; a seed decides all of it.
//!
//! Always: nobody serves whose old files were never reported as copied; who was deleted stays so until it joins; lists
//! are sorted; whoever a reader is sent to has the file. After some quiet time everybody serves, and everybody has every
//! file of whoever is still there.

mod node;

use std::collections::BTreeSet;

use node::{File, Mark, Node};
use protocol::cluster::{Brief, CheckSync, StorageStats, SyncSource};

use super::*;

const GROUP: &str = "group1";

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 0
    }
}

struct World {
    seed: u64,
    dice: Dice,
    cluster: Cluster,
    tracker_is_up: bool,
    saved: (Vec<Group>, Vec<u8>),
    nodes: Vec<Node>,
    /// The storages' clocks, and how far the tracker's is off.
    time: i64,
    skew: i64,
    connections: u64,
    deleted: BTreeSet<StorageId>,
    /// Time of each file, by maker.
    files: Vec<Vec<i64>>,
    /// Whether to print what happens.
    is_told: bool,
}

/// Whether somebody replays one history: `FDFS_SEED=36 cargo test -p tracker ten_thousand -- --nocapture`.
fn one_seed() -> Option<u64> {
    std::env::var("FDFS_SEED").ok()?.parse().ok()
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let count = 2 + dice.below(3);
        let cluster = Cluster::new(rules());
        Self {
            seed,
            saved: (Vec::new(), Vec::new()),
            cluster,
            tracker_is_up: true,
            nodes: (0..count).map(Node::new).collect(),
            time: T0,
            skew: 0,
            connections: 0,
            deleted: BTreeSet::new(),
            files: vec![Vec::new(); count],
            is_told: one_seed().is_some(),
            dice,
        }
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.is_told {
            eprintln!("{} {}", self.time - T0, what());
        }
    }

    fn now(&self) -> i64 {
        self.time + self.skew
    }

    fn status(&self, id: &StorageId) -> Option<StorageStatus> {
        Some(self.cluster.group(group(GROUP))?.member(id)?.status)
    }

    /// What is acted on is saved before it is answered; the rest within a second.
    fn answered(&mut self) {
        if self.cluster.is_urgent() {
            self.save();
        }
    }

    fn save(&mut self) {
        self.cluster.snapshot_taken();
        self.saved = (self.cluster.groups().to_vec(), self.cluster.changelog().to_vec());
    }

    /// Nobody serves whom nobody filled; the deleted stay so; lists would be sorted.
    fn check(&mut self) {
        let Some(group) = self.cluster.group(group(GROUP)).filter(|_| self.tracker_is_up) else { return };
        // Whoever is alone has what there is.
        let mut settled = group.members.iter().filter(|member| member.is_settled());
        if let (Some(last), None) = (settled.next(), settled.next())
            && let Some(node) = self.nodes.iter_mut().find(|node| node.id() == last.id)
        {
            node.is_filled = true;
        }
        let ids: Vec<_> = group.members.iter().map(|member| member.id).collect();
        assert!(ids.is_sorted(), "seed {}: {ids:?}", self.seed);
        for node in &self.nodes {
            let Some(member) = group.member(&node.id()) else { continue };
            if member.status == StorageStatus::ACTIVE {
                assert!(node.is_filled, "seed {}: {} serves without its old files", self.seed, node.ip);
            }
            if self.deleted.contains(&node.id()) {
                assert_eq!(member.status, StorageStatus::DELETED, "seed {}: {}", self.seed, node.ip);
            }
        }
    }

    /// The connection of a storage ends; the tracker notices.
    fn disconnect(&mut self, at: usize) {
        if let Some(session) = self.nodes[at].session.take() {
            self.cluster.disconnected(&session);
            self.answered();
        }
    }

    fn kill_tracker(&mut self) {
        self.say(|| "the tracker is killed".to_owned());
        for node in &mut self.nodes {
            node.session = None;
        }
        self.tracker_is_up = false;
    }

    fn start_tracker(&mut self) {
        let (groups, changelog) = self.saved.clone();
        self.cluster = reread(&Cluster::restore(rules(), groups, changelog));
        self.tracker_is_up = true;
        self.say(|| "the tracker is back".to_owned());
        // Tombstones are not in the files.
        self.deleted
            .retain(|id| self.cluster.group(group(GROUP)).is_some_and(|group| group.member(id).is_some()));
    }

    /// A storage loses its disk, its process being down.
    fn wipe(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.disk = node::Disk::default();
        node.is_filled = false;
        self.say(|| format!("{at} lost its disk"));
    }

    /// Steps of 1.1 up to the main loop; an error leaves the storage without a connection.
    fn join(&mut self, at: usize) {
        self.connections += 1;
        let node = &mut self.nodes[at];
        if node.disk.join_time == 0 {
            node.disk.join_time = self.time;
        }
        let own = node.id();
        let mut session = Session::new(Peer {
            address: SocketAddr::new(ip(&node.ip), 40_000),
            local: TRACKER.parse().unwrap(),
            connection: self.connections,
        });
        let join = Join {
            is_new: u8::from(!node.disk.asked_for_source),
            status: Some(node.view.get(&own).copied().unwrap_or(StorageStatus::INIT)),
            join_time: self.nodes[at].disk.join_time,
            ..known(GROUP)
        };
        let now = self.now();
        let was_deleted = self.deleted.remove(&own);
        let answer = self.cluster.join(&mut session, &join, now);
        self.answered();
        self.say(|| format!("{at} joins, new {}, says {:?}: {answer:?}", join.is_new, join.status));
        if answer.is_err() {
            // FastDFS's storage would try for ever; its operator restarts it.
            self.deleted.extend(was_deleted.then_some(own));
            let _ = self.nodes[at].stop();
            self.nodes[at].is_up = true;
            return;
        }
        if was_deleted {
            self.nodes[at].is_filled = false;
        }
        if !self.nodes[at].disk.asked_for_source {
            let Ok(source) = self.cluster.sync_dest_request(&session) else {
                self.cluster.disconnected(&session);
                return;
            };
            self.answered();
            self.say(|| format!("{at} is given {source:?}"));
            let node = &mut self.nodes[at];
            node.disk.asked_for_source = true;
            node.disk.source = source.map(|copy| (copy.source.unwrap(), copy.until));
            node.is_filled |= source.is_none();
        }
        self.notify(at, session);
    }

    fn notify(&mut self, at: usize, session: Session) {
        let own = self.nodes[at].id();
        let told = match self.nodes[at].disk.source {
            Some((source, until)) => SyncSource { source: Some(source), until },
            None => SyncSource { source: None, until: 0 },
        };
        let before = self.status(&own);
        let answer = self.cluster.sync_notify(&session, &told);
        self.answered();
        let after = self.status(&own);
        self.say(|| format!("{at} says its source is {told:?}: {answer:?}, {before:?} {after:?}"));
        match answer {
            Ok(()) => {
                self.nodes[at].session = Some(session);
            }
            Err(_) => {
                let known = self.cluster.sync_dest_query(&session).unwrap();
                let node = &mut self.nodes[at];
                node.disk.source = known.map(|copy| (copy.source.unwrap(), copy.until));
                node.disk.asked_for_source = after >= Some(StorageStatus::OFFLINE);
                self.cluster.disconnected(&session);
                self.answered();
            }
        }
    }

    /// A heart beat and the reports after it.
    fn beat(&mut self, at: usize) {
        let now = self.now();
        let Some(mut session) = self.nodes[at].session.take() else { return };
        let stats = StorageStats {
            last_source_update: self.nodes[at].disk.last_write,
            last_sync_update: self.nodes[at].disk.last_receipt,
            ..StorageStats::default()
        };
        let news = self.cluster.beat(&mut session, Some(&stats), now).unwrap();
        let own = self.nodes[at].id();
        let received: Vec<_> = self.nodes[at]
            .view
            .keys()
            .map(|peer| {
                (
                    *peer,
                    if *peer == own { 0 } else { self.nodes[at].received.get(peer).copied().unwrap_or(0) },
                )
            })
            .collect();
        let more = self.cluster.sync_report(&mut session, &received).unwrap();
        let space = [PathSpace { total_mb: 100_000, free_mb: 50_000 }];
        let most = self.cluster.disk_usage(&mut session, &space).unwrap();
        self.answered();
        self.nodes[at].session = Some(session);
        let joins_again = [news, more, most].iter().any(|news| self.hear(at, news));
        if joins_again {
            self.disconnect(at);
        }
    }

    fn hear(&mut self, at: usize, news: &CheckSync) -> bool {
        let Some(members) = &news.members else { return false };
        self.say(|| {
            let brief = |brief: &Brief| format!("{}:{}", brief.id.unwrap(), brief.status);
            format!("{at} hears {}", members.iter().map(brief).collect::<Vec<_>>().join(" "))
        });
        assert!(members.is_sorted_by_key(|brief| brief.id), "seed {}: {members:?}", self.seed);
        self.nodes[at].hear(members)
    }

    /// A storage tells the tracker of another's status.
    fn tell(&mut self, from: usize, peer: StorageId, status: StorageStatus) -> bool {
        if !self.tracker_is_up || self.cluster.group(group(GROUP)).is_none() {
            return false;
        }
        let brief = Brief { status, id: Some(peer), ip: peer.as_str().parse().ok(), port: 0 };
        let from_ip = ip(&self.nodes[from].ip);
        self.cluster.report_status(group(GROUP), &brief, from_ip).unwrap();
        self.answered();
        self.say(|| format!("{from} tells {peer} {status}: {:?}", self.status(&peer)));
        true
    }

    /// One turn of the sender of `at` to `to` (3.3).
    fn send(&mut self, at: usize, to: usize, count: usize) {
        use StorageStatus as S;
        let (peer, own) = (self.nodes[to].id(), self.nodes[at].id());
        let Some(mut status) = self.nodes[at].view.get(&peer).copied() else { return };
        if ![S::WAIT_SYNC, S::SYNCING, S::ACTIVE].contains(&status) {
            return;
        }
        if !self.nodes[to].is_up {
            self.nodes[at].sending.remove(&peer);
            return;
        }
        let mark = self.nodes[at].disk.marks.get(&peer).copied().filter(|_| status > S::WAIT_SYNC);
        let mut mark = match (mark, self.nodes[at].sending.contains(&peer)) {
            (Some(mark), true) => mark,
            (mark, _) => {
                let Some(mark) = self.start_sender(at, &peer, status, mark) else { return };
                self.nodes[at].disk.marks.insert(peer, mark);
                if !mark.need_old && status != S::ACTIVE {
                    return;
                }
                if status == S::WAIT_SYNC {
                    status = S::SYNCING;
                    self.nodes[at].view.insert(peer, status);
                    self.tell(at, peer, S::SYNCING);
                }
                mark
            }
        };
        self.nodes[at].sending.insert(peer);
        for _ in 0..count {
            let Some(record) = self.nodes[at].next_record(&mut mark) else { break };
            self.nodes[to].receive(own, record, self.time);
            mark.at += 1;
        }
        let is_at_end = self.nodes[at].next_record(&mut mark).is_none();
        if is_at_end && mark.need_old && (!mark.old_done || status == S::SYNCING) {
            mark.old_done = true;
            if status == S::SYNCING {
                self.copied(at, to, mark);
            }
        }
        self.nodes[at].disk.marks.insert(peer, mark);
    }

    /// Where a sender begins: at its mark, or as the tracker says.
    fn start_sender(
        &mut self,
        at: usize,
        peer: &StorageId,
        status: StorageStatus,
        mark: Option<Mark>,
    ) -> Option<Mark> {
        if mark.is_some() && status != StorageStatus::SYNCING {
            return mark;
        }
        if !self.tracker_is_up {
            return None;
        }
        let source = self.cluster.sync_source(group(GROUP), peer, ip(&self.nodes[at].ip)).ok()?;
        self.answered();
        let is_source = source.is_some_and(|copy| copy.source == Some(self.nodes[at].id()));
        if let Some(mark) = mark.filter(|mark| mark.need_old || !is_source) {
            return Some(mark);
        }
        let until = source.map_or(0, |copy| copy.until);
        let binlog = &self.nodes[at].disk.binlog;
        let first_new = binlog.iter().position(|record| record.time >= until).unwrap_or(binlog.len());
        let start = if is_source || until == 0 { 0 } else { first_new };
        self.say(|| {
            format!("{at} starts sending to {peer} at {start}, source {is_source}, until {}", until - T0)
        });
        Some(Mark { at: start, need_old: is_source, old_done: false, until })
    }

    /// A source says that its copy is done; whether that is so is seen on the disks.
    fn copied(&mut self, at: usize, to: usize, mark: Mark) {
        let peer = self.nodes[to].id();
        self.nodes[at].view.insert(peer, StorageStatus::OFFLINE);
        let is_awaited = self.status(&peer) == Some(StorageStatus::SYNCING);
        // What was made at that very second its maker gives, too. The word is lost if the tracker is down just then.
        if self.tell(at, peer, StorageStatus::OFFLINE) && is_awaited {
            let give_all = &self.cluster.group(group(GROUP)).unwrap().member(&peer).unwrap().give_all;
            let binlog = &self.nodes[at].disk.binlog;
            let mut copied = binlog.iter().filter(|record| {
                let maker_gives = give_all.contains(&self.nodes[record.file.0].id());
                record.is_own || (record.time < mark.until && !maker_gives)
            });
            let is_whole = copied.all(|record| self.nodes[to].disk.files.contains(&record.file));
            self.nodes[to].is_filled = is_whole;
        }
    }

    /// A client uploads where it is sent to.
    fn upload(&mut self) {
        if !self.tracker_is_up {
            return;
        }
        let Ok(place) = self.cluster.query_store(None, CLIENT) else { return };
        let to = self.nodes.iter().position(|node| ip(&node.ip) == place.servers[0].ip).unwrap();
        if self.nodes[to].is_up {
            let number = u32::try_from(self.files[to].len()).unwrap();
            self.files[to].push(self.time);
            let time = self.time;
            self.nodes[to].write((to, number), time);
            self.say(|| format!("{to} takes file {number}"));
        }
    }

    /// A client asks for a file that its maker has: whoever is named has it, too. Left out are those for whom only the age
    /// of the file speaks, and the guess when nobody is sure.
    fn download(&mut self, file: File) {
        if !self.nodes[file.0].disk.files.contains(&file) {
            return;
        }
        let time = self.files[file.0][usize::try_from(file.1).unwrap()];
        let name = normal(&self.nodes[file.0].ip, time);
        let now = self.now();
        let Some(group_) = self.cluster.group(group(GROUP)) else { return };
        let maker = self.nodes[file.0].id();
        let Some(maker_is_there) = group_.member(&maker).map(|member| member.status == StorageStatus::ACTIVE)
        else {
            return;
        };
        let proven =
            |node: &Node| group_.member(&node.id()).is_some_and(|member| member.has_from(&maker) > time);
        let Ok(servers) = self.cluster.query_fetch_all(group(GROUP), &name, CLIENT, now) else { return };
        for node in self.nodes.iter().filter(|node| servers.iter().any(|server| server.ip == ip(&node.ip))) {
            if node.number != file.0 && proven(node) {
                assert!(
                    node.disk.files.contains(&file),
                    "seed {}: a reader of {file:?} of {time} is sent to {}",
                    self.seed,
                    node.ip
                );
            }
        }
        assert!(!maker_is_there || servers.iter().any(|server| server.ip == ip(&self.nodes[file.0].ip)));
    }

    /// Whether another member has all files: an operator who removes the last one loses them.
    fn is_replaceable(&self, at: usize) -> bool {
        let mut others = self.nodes.iter().filter(|node| node.number != at && node.is_filled);
        others.any(|node| self.status(&node.id()) >= Some(StorageStatus::OFFLINE))
    }

    fn operate(&mut self) {
        let at = self.dice.below(self.nodes.len());
        match self.dice.below(24) {
            0..8 => self.nodes[at].is_up = true,
            8..11 => {
                self.say(|| format!("{at} is stopped"));
                if let Some(session) = self.nodes[at].stop()
                    && self.tracker_is_up
                {
                    self.cluster.disconnected(&session);
                    self.answered();
                }
            }
            11 => self.disconnect(at),
            12..14 if !self.nodes[at].is_up && self.is_replaceable(at) => self.wipe(at),
            14..17 if self.tracker_is_up && self.is_replaceable(at) => {
                let (id, now) = (self.nodes[at].id(), self.now());
                if self.cluster.delete_storage(group(GROUP), &id, now).is_ok() {
                    self.say(|| format!("{at} is deleted"));
                    self.deleted.insert(id);
                    self.nodes[at].is_filled = false;
                }
                self.answered();
            }
            17 if self.tracker_is_up => self.kill_tracker(),
            18..21 if !self.tracker_is_up => self.start_tracker(),
            21 if self.tracker_is_up => self.save(),
            22 => self.skew = i64::try_from(self.dice.below(401)).unwrap() - 200,
            23 if self.tracker_is_up => {
                let now = self.now();
                self.cluster.check_alive(now);
            }
            _ => {}
        }
    }

    /// Some seconds in which everybody does what it does.
    fn tick(&mut self, records: usize) {
        self.time += 3 + i64::try_from(self.dice.below(5)).unwrap();
        for at in 0..self.nodes.len() {
            if self.nodes[at].is_up {
                self.nodes[at].look();
                if self.tracker_is_up && self.nodes[at].session.is_none() {
                    self.join(at);
                }
                if self.tracker_is_up {
                    self.beat(at);
                }
                self.nodes[at].look();
                for to in (0..self.nodes.len()).filter(|to| *to != at) {
                    self.send(at, to, records);
                }
            }
            self.check();
        }
    }

    fn history(mut self) {
        let steps = 15 + self.dice.below(45);
        for _ in 0..steps {
            if self.dice.one_in(2) {
                self.operate();
                self.check();
            }
            for _ in 0..self.dice.below(3) {
                self.upload();
            }
            let records = self.dice.below(4);
            self.tick(records);
            if !self.tracker_is_up {
                continue;
            }
            for maker in 0..self.nodes.len() {
                if let Some(last) = self.files[maker].len().checked_sub(1) {
                    let number = u32::try_from(last.saturating_sub(self.dice.below(4))).unwrap();
                    self.download((maker, number));
                }
            }
        }
        self.quiet();
    }

    /// All run; in the end all serve and have all files of each other.
    fn quiet(mut self) {
        self.say(|| "all is quiet".to_owned());
        if !self.tracker_is_up {
            self.start_tracker();
        }
        let gone = |world: &Self, at: usize| world.deleted.contains(&world.nodes[at].id());
        for at in 0..self.nodes.len() {
            let is_gone = gone(&self, at);
            self.nodes[at].is_up = !is_gone;
            if is_gone {
                self.disconnect(at);
            }
        }
        let there: Vec<usize> = (0..self.nodes.len()).filter(|&at| !gone(&self, at)).collect();
        let mut ticks = 0;
        while !self.is_done(&there) {
            ticks += 1;
            assert!(ticks < 300, "seed {}: stuck\n{}", self.seed, self.show());
            self.tick(1000);
            let now = self.now();
            self.cluster.check_alive(now);
        }
    }

    fn is_done(&self, there: &[usize]) -> bool {
        there.iter().all(|&at| {
            let node = &self.nodes[at];
            let own_files = || node.disk.binlog.iter().filter(|record| record.is_own);
            self.status(&node.id()) == Some(StorageStatus::ACTIVE)
                && there.iter().all(|&other| {
                    own_files().all(|record| self.nodes[other].disk.files.contains(&record.file))
                })
        })
    }

    /// Who stands where, and what of each other's own files they lack.
    fn show(&self) -> String {
        let line = |node: &Node| {
            let own =
                self.nodes.iter().flat_map(|maker| maker.disk.binlog.iter().filter(|record| record.is_own));
            let lacks: Vec<_> = own
                .filter(|record| !node.disk.files.contains(&record.file))
                .map(|record| record.file)
                .collect();
            let (status, disk) = (self.status(&node.id()), &node.disk);
            format!("{} {status:?} lacks {lacks:?} sees {:?} has {:?}", node.number, node.view, disk.marks)
        };
        self.nodes.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn ten_thousand_short_histories() {
    let run = |seeds: std::ops::Range<u64>| seeds.for_each(|seed| World::new(seed).history());
    if let Some(seed) = one_seed() {
        return run(seed..seed + 1);
    }
    std::thread::scope(|scope| {
        for half in [0..5000, 5000..10_000] {
            scope.spawn(move || run(half));
        }
    });
}
