//! Many short histories of crashes, restarts, partitions, losses and delays, in simulated time. Afterwards, with a quiet
//! network, there is one leader and it stays.

mod machine;
mod reference;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{Ipv4Addr, SocketAddr};

use protocol::Status;

use machine::Machine;
use reference::Reference;

use super::{Claim, Effect, Election, Event, Leadership, Millis, Ping, Vote};

/// How long a peer that does not answer is waited for.
const TIMEOUT: Millis = 2_000;
const CHAOS: Millis = 25_000;
const SETTLE: Millis = 20_000;
/// FastDFS's trackers pause for up to eleven seconds between two tries.
const THEIRS_SETTLE: Millis = 40_000;
const CALM: Millis = 30_000;

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Claim,
    Propose,
    Commit,
    Ping,
    Demote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Claim(Claim),
    Status(Status),
    Silence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Message {
    from: usize,
    to: usize,
    /// Start of the sender, so that answers to a dead process are dropped.
    life: u64,
    round: u64,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Start(usize),
    Kill(usize),
    /// The tracker hears of the others for the first time.
    Trackers(usize, u64),
    Tick(usize, u64),
    Ask(Message),
    Answered(Message, Answer),
    Cut(usize, usize),
    Mend(usize, usize),
    Quiet,
}

/// What came back of a question so far.
#[derive(Default)]
struct Pending {
    missing: usize,
    claims: Vec<(SocketAddr, Claim)>,
    agreed: Vec<SocketAddr>,
    refused: bool,
}

struct Node {
    election: Machine,
    started: Millis,
    life: u64,
    pending: BTreeMap<u64, Pending>,
}

struct World {
    dice: Dice,
    now: Millis,
    sequence: u64,
    queue: BinaryHeap<Reverse<(Millis, u64)>>,
    items: BTreeMap<u64, Item>,
    nodes: Vec<Option<Node>>,
    /// How many, from the first, are FastDFS's.
    theirs: usize,
    lives: u64,
    cut: Vec<Vec<bool>>,
    /// Of a hundred messages, how many are lost.
    loss: u64,
    max_delay: u64,
    /// Changes of leadership, with their time.
    changes: Vec<(Millis, usize, Leadership)>,
}

fn address(node: usize) -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, u8::try_from(node + 1).unwrap()), 22_122).into()
}

fn node_at(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(v4) => usize::from(v4.ip().octets()[3]) - 1,
        SocketAddr::V6(_) => unreachable!("all are IPv4"),
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed);
        let count = usize::try_from(2 + dice.below(3)).unwrap();
        let (loss, max_delay) = (dice.below(4) * 5, [3, 50, 400][usize::try_from(dice.below(3)).unwrap()]);
        let mut world = Self {
            dice,
            now: 0,
            sequence: 0,
            queue: BinaryHeap::new(),
            items: BTreeMap::new(),
            nodes: (0..count).map(|_| None).collect(),
            theirs: 0,
            lives: 0,
            cut: vec![vec![false; count]; count],
            loss,
            max_delay,
            changes: Vec::new(),
        };
        for node in 0..count {
            let at = world.dice.below(3_000);
            world.at(at, Item::Start(node));
        }
        world
    }

    fn at(&mut self, time: Millis, item: Item) {
        self.sequence += 1;
        self.queue.push(Reverse((time, self.sequence)));
        self.items.insert(self.sequence, item);
    }

    /// Faults at random moments, all over by `CHAOS`.
    fn plan_faults(&mut self) {
        let count = self.nodes.len() as u64;
        for _ in 0..self.dice.below(8) {
            let at = 3_000 + self.dice.below(CHAOS - 4_000);
            let lasts = 100 + self.dice.below(12_000);
            let node = usize::try_from(self.dice.below(count)).unwrap();
            let other = usize::try_from(self.dice.below(count)).unwrap();
            if self.dice.below(2) == 0 {
                self.at(at, Item::Kill(node));
                self.at((at + lasts).min(CHAOS), Item::Start(node));
            } else if node != other {
                self.at(at, Item::Cut(node, other));
                self.at((at + lasts).min(CHAOS), Item::Mend(node, other));
            }
        }
        self.at(CHAOS, Item::Quiet);
    }

    fn run_until(&mut self, end: Millis) {
        while let Some(Reverse((time, sequence))) = self.queue.peek().copied() {
            if time > end {
                break;
            }
            self.queue.pop();
            self.now = time;
            let item = self.items.remove(&sequence).unwrap();
            self.step(item);
        }
        self.now = end;
    }

    fn step(&mut self, item: Item) {
        match item {
            Item::Start(node) => self.start(node),
            Item::Kill(node) => self.nodes[node] = None,
            Item::Cut(a, b) => (self.cut[a][b], self.cut[b][a]) = (true, true),
            Item::Mend(a, b) => (self.cut[a][b], self.cut[b][a]) = (false, false),
            Item::Quiet => {
                self.loss = 0;
                self.max_delay = self.max_delay.min(50);
            }
            Item::Trackers(node, life) => {
                let others = (0..self.nodes.len()).filter(|other| *other != node).map(address).collect();
                self.event(node, life, Event::Trackers { own: address(node), others });
            }
            Item::Tick(node, life) => {
                let now = self.now;
                let is_due = self.nodes[node].as_ref().is_some_and(|it| {
                    it.life == life && it.election.deadline().is_some_and(|at| it.started + at <= now)
                });
                if is_due {
                    self.event(node, life, Event::Tick);
                }
            }
            Item::Ask(message) => self.arrives(message),
            Item::Answered(message, answer) => self.answered(message, answer),
        }
    }

    fn start(&mut self, node: usize) {
        if self.nodes[node].is_some() {
            return;
        }
        self.lives += 1;
        let restart = i64::try_from(self.dice.below(1_000)).unwrap();
        let election = if node < self.theirs {
            Machine::Theirs(Reference::new())
        } else {
            Machine::Ours(Box::new(Election::new(restart)))
        };
        let life = self.lives;
        self.nodes[node] = Some(Node { election, started: self.now, life, pending: BTreeMap::new() });
        let heard = self.now + self.dice.below(1_500);
        self.at(heard, Item::Trackers(node, life));
    }

    fn event(&mut self, node: usize, life: u64, event: Event) {
        let (now, random) = (self.now, self.dice.next());
        let Some(it) = self.nodes[node].as_mut().filter(|it| it.life == life) else { return };
        let effects = it.election.handle(event, now - it.started, random);
        self.effects(node, effects);
    }

    fn effects(&mut self, node: usize, effects: Vec<Effect>) {
        let Some(it) = self.nodes[node].as_ref() else { return };
        let (life, started, deadline) = (it.life, it.started, it.election.deadline());
        for effect in effects {
            match effect {
                Effect::Ask { round, whom } => self.ask_all(node, life, round, &whom, What::Claim),
                Effect::Propose { round, whom } => self.ask_all(node, life, round, &whom, What::Propose),
                Effect::Commit { round, whom } => self.ask_all(node, life, round, &whom, What::Commit),
                Effect::Ping { round, leader } => self.ask_all(node, life, round, &[leader], What::Ping),
                Effect::Demote(whom) => self.ask_all(node, life, 0, &[whom], What::Demote),
                Effect::Lead(leadership, _) => self.changes.push((self.now, node, leadership)),
            }
        }
        if let Some(deadline) = deadline {
            self.at((started + deadline).max(self.now), Item::Tick(node, life));
        }
    }

    fn ask_all(&mut self, from: usize, life: u64, round: u64, whom: &[SocketAddr], what: What) {
        if whom.is_empty() {
            let voted = Event::Voted { round, vote: Vote::Agreed, agreed: Vec::new() };
            return self.event(from, life, voted);
        }
        if let Some(it) = self.nodes[from].as_mut().filter(|_| what != What::Demote) {
            it.pending.insert(round, Pending { missing: whom.len(), ..Pending::default() });
        }
        for to in whom.iter().copied().map(node_at) {
            let message = Message { from, to, life, round, what };
            if self.is_lost(from, to) {
                self.at(self.now + TIMEOUT, Item::Answered(message, Answer::Silence));
            } else {
                let delay = 1 + self.dice.below(self.max_delay);
                self.at(self.now + delay, Item::Ask(message));
            }
        }
    }

    fn is_lost(&mut self, from: usize, to: usize) -> bool {
        self.cut[from][to] || self.dice.below(100) < self.loss
    }

    fn arrives(&mut self, message: Message) {
        let (now, random) = (self.now, self.dice.next());
        let named = address(message.from);
        let Some(it) = self.nodes[message.to].as_mut() else {
            // Refused by the system at once.
            self.at(now + 1, Item::Answered(message, Answer::Silence));
            return;
        };
        let local = now - it.started;
        let (answer, effects) = match message.what {
            What::Claim => (Answer::Claim(it.election.claim(local)), Vec::new()),
            What::Propose => {
                let (result, effects) = it.election.proposed(named, local);
                (Answer::Status(result.err().unwrap_or(Status::OK)), effects)
            }
            What::Commit => {
                let (result, effects) = it.election.committed(named, local);
                (Answer::Status(result.err().unwrap_or(Status::OK)), effects)
            }
            What::Ping => {
                let leads = it.election.leadership() == Leadership::Own;
                (Answer::Status(if leads { Status::OK } else { Status::EOPNOTSUPP }), Vec::new())
            }
            What::Demote => {
                let (result, effects) = it.election.reselect(local, random);
                (Answer::Status(result.err().unwrap_or(Status::OK)), effects)
            }
        };
        self.effects(message.to, effects);
        if self.is_lost(message.to, message.from) {
            self.at(now + TIMEOUT, Item::Answered(message, Answer::Silence));
        } else {
            let delay = 1 + self.dice.below(self.max_delay);
            self.at(now + delay, Item::Answered(message, answer));
        }
    }

    fn answered(&mut self, message: Message, answer: Answer) {
        let Message { from, to, life, round, what } = message;
        let Some(it) = self.nodes[from].as_mut().filter(|it| it.life == life) else { return };
        let Some(pending) = it.pending.get_mut(&round) else { return };
        pending.missing -= 1;
        match answer {
            Answer::Claim(claim) => pending.claims.push((address(to), claim)),
            Answer::Status(status) if status != Status::OK => pending.refused = true,
            Answer::Status(_) => pending.agreed.push(address(to)),
            Answer::Silence => {}
        }
        if pending.missing > 0 {
            return;
        }
        let Some(Pending { claims, agreed, refused, .. }) = it.pending.remove(&round) else { return };
        let event = match what {
            What::Claim => Event::Claims { round, claims, others: Vec::new() },
            What::Propose | What::Commit => {
                Event::Voted { round, vote: if refused { Vote::Refused } else { Vote::Agreed }, agreed }
            }
            What::Ping if refused => Event::Pinged { round, outcome: Ping::LeadsNot },
            What::Ping if answer == Answer::Silence => Event::Pinged { round, outcome: Ping::Silent },
            What::Ping => Event::Pinged { round, outcome: Ping::Leads },
            What::Demote => return,
        };
        self.event(from, life, event);
    }

    /// Whom each running tracker takes for the leader.
    fn views(&self) -> Vec<(usize, Option<usize>)> {
        let view = |(node, it): (usize, &Option<Node>)| {
            let leader = match it.as_ref()?.election.leadership() {
                Leadership::Unknown => None,
                Leadership::Own => Some(node),
                Leadership::Other(leader) => Some(node_at(leader)),
            };
            Some((node, leader))
        };
        self.nodes.iter().enumerate().filter_map(view).collect()
    }

    /// The leader that all trackers of `side` agree on.
    fn agreed(&self, side: &[usize]) -> Option<usize> {
        let mut views =
            self.views().into_iter().filter(|(node, _)| side.contains(node)).map(|(_, leader)| leader);
        let first = views.next()??;
        (views.all(|leader| leader == Some(first)) && side.contains(&first)).then_some(first)
    }
}

/// Runs one history; gives how long after its faults the last change of leadership was.
fn history(mut world: World, seed: u64) -> Millis {
    let settled = CHAOS + if world.theirs > 0 { THEIRS_SETTLE } else { SETTLE };
    world.plan_faults();
    world.run_until(CHAOS);
    let dead = usize::try_from(world.dice.below(3 * world.nodes.len() as u64)).unwrap();
    let mut sides: Vec<Vec<usize>> = vec![(0..world.nodes.len()).collect()];
    match world.dice.below(3) {
        // Everything is well again.
        0 => {}
        // One stays down.
        1 if dead < world.nodes.len() => {
            world.nodes[dead] = None;
            sides[0].retain(|node| *node != dead);
        }
        // A clean partition stays: each side has its leader.
        _ => {
            let (left, right): (Vec<usize>, Vec<usize>) = sides[0].iter().partition(|node| **node < 1);
            for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (*a, *b))) {
                (world.cut[a][b], world.cut[b][a]) = (true, true);
            }
            sides = vec![left, right];
        }
    }
    world.run_until(settled);
    for side in &sides {
        assert!(world.agreed(side).is_some(), "seed {seed}: {side:?} do not agree: {:?}", world.views());
    }
    let last = world.changes.last().map_or(0, |(time, _, _)| *time);
    world.run_until(settled + CALM);
    let later: Vec<_> = world.changes.iter().filter(|(time, _, _)| *time > settled).collect();
    assert!(later.is_empty(), "seed {seed}: the leader changed in calm: {later:?}");
    last.saturating_sub(CHAOS)
}

#[test]
fn one_leader_remains_after_any_faults() {
    let mut times: Vec<_> = (0..3_000).map(|seed| history(World::new(seed), seed)).collect();
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!("ms to agree after faults: median {}, 99 % {}, longest {}", at(50), at(99), at(100));
    assert!(at(99) < 12_000, "trackers agree within seconds");
}

/// The same among FastDFS's trackers. One of ours always stays, since those leave two leaders to their storages.
#[test]
fn one_leader_remains_among_trackers_of_fastdfs() {
    let mut times = Vec::new();
    for seed in 0..1_000 {
        let mut world = World::new(seed);
        world.theirs = world.nodes.len() - 1;
        times.push(history(world, seed));
    }
    times.sort_unstable();
    let at = |part: usize| times[(times.len() - 1) * part / 100];
    println!("ms to agree after faults: median {}, 99 % {}, longest {}", at(50), at(99), at(100));
}

/// A partition of two halves, each with its leader, heals to one leader within seconds.
#[test]
fn a_healed_partition_has_one_leader_within_seconds() {
    for seed in 0..500 {
        let mut world = World::new(seed);
        world.loss = 0;
        let all: Vec<usize> = (0..world.nodes.len()).collect();
        for other in &all[1..] {
            (world.cut[0][*other], world.cut[*other][0]) = (true, true);
        }
        world.run_until(30_000);
        assert!(world.agreed(&all[..1]).is_some() && world.agreed(&all[1..]).is_some(), "seed {seed}");
        for other in &all[1..] {
            (world.cut[0][*other], world.cut[*other][0]) = (false, false);
        }
        world.run_until(42_000);
        assert!(world.agreed(&all).is_some(), "seed {seed}: {:?}", world.views());
    }
}

/// Two trackers that cannot reach each other do not both lead while a third reaches both.
#[test]
fn a_tracker_between_two_parts_keeps_one_leader() {
    for seed in 0..500 {
        let mut world = World::new(seed);
        world.loss = 0;
        let all: Vec<usize> = (0..world.nodes.len()).collect();
        if all.len() < 3 {
            continue;
        }
        world.run_until(20_000);
        assert!(world.agreed(&all).is_some(), "seed {seed}: {:?}", world.views());
        (world.cut[0][1], world.cut[1][0]) = (true, true);
        world.run_until(60_000);
        let views = world.views();
        let leaders = views.iter().filter(|(node, leader)| *leader == Some(*node)).count();
        assert_eq!(leaders, 1, "seed {seed}: {views:?}");
    }
}
