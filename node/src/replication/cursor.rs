//! The order of sending to one peer: a pure machine over records, answers and time.
//!
//! Records come in binlog order and leave in any order that keeps those of one file in theirs: a file has one record
//! under way at most. The mark is the end of the longest run of records that are dealt with, so whatever was under way
//! at a crash is sent again, which receivers bear.
//!
//! A record that fails is tried again after pauses that double; others pass it. After [`TRIES`] it is set aside. If its
//! status says that the peer is in trouble and not the record ([`Fault::Peer`]), that happens only when so many have
//! passed it that no more may.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use protocol::LogicName;

use crate::store::{BinlogPosition, Entry, Op};

/// Failures of one record after which it is set aside.
pub(crate) const TRIES: u32 = 6;
/// First pause after a failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Records that may wait to be sent or be under way.
const WINDOW: usize = 1024;
/// Records that are kept at all: those done behind one that is not count, too.
const MOST_KEPT: usize = 64 * 1024;

/// Number of a record, in binlog order from the start of the sender.
pub(crate) type Number = u64;

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The peer refuses this record.
    Record,
    /// The peer has no room, or no time: it would refuse others as well.
    Peer,
}

/// What becomes of a record that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is tried again.
    Again,
    /// It is dealt with, and belongs on the list of dead letters.
    SetAside,
}

/// A record whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) number: Number,
    /// How often it has failed.
    pub(crate) tries: u32,
    /// Where it ends in the binlog.
    pub(crate) end: BinlogPosition,
    pub(crate) entry: Entry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Behind another record of its file, ready, or pausing.
    Waiting,
    UnderWay,
    Done,
}

#[derive(Debug)]
struct Slot {
    end: BinlogPosition,
    /// `None` for records that are not for this peer.
    entry: Option<Entry>,
    state: State,
    tries: u32,
}

/// The records that are not all dealt with.
#[derive(Debug)]
pub(crate) struct Cursor {
    slots: VecDeque<Slot>,
    /// Number of the first slot.
    first: Number,
    mark: BinlogPosition,
    /// Lines that the mark has passed.
    passed: u64,
    /// Records of each file that are not dealt with, in order.
    queues: HashMap<LogicName, VecDeque<Number>>,
    ready: BTreeSet<Number>,
    /// By the time at which they may go again.
    pausing: BTreeSet<(Duration, Number)>,
    under_way: usize,
    /// Times of records that are not dealt with, counted.
    times: BTreeMap<i64, usize>,
}

impl Cursor {
    /// Everything before `mark` is dealt with.
    pub(crate) fn new(mark: BinlogPosition) -> Self {
        Self {
            slots: VecDeque::new(),
            first: 0,
            mark,
            passed: 0,
            queues: HashMap::new(),
            ready: BTreeSet::new(),
            pausing: BTreeSet::new(),
            under_way: 0,
            times: BTreeMap::new(),
        }
    }

    /// Everything before this position is dealt with.
    pub(crate) fn mark(&self) -> BinlogPosition {
        self.mark
    }

    /// Lines that the mark has passed since the start.
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }

    fn pass(&mut self, end: BinlogPosition) {
        // Records that were set aside before lie elsewhere.
        self.passed += u64::from(end > self.mark);
        self.mark = end;
    }

    /// Whether more records may be pushed.
    pub(crate) fn has_room(&self) -> bool {
        self.outstanding() < WINDOW && self.slots.len() < MOST_KEPT
    }

    /// Records that are not dealt with.
    pub(crate) fn outstanding(&self) -> usize {
        self.times.values().sum()
    }

    /// Time of the oldest of them, unix seconds.
    pub(crate) fn oldest(&self) -> Option<i64> {
        self.times.keys().next().copied()
    }

    /// Records that were sent and not answered.
    #[cfg(test)]
    pub(crate) fn under_way(&self) -> usize {
        self.under_way
    }

    /// Takes the next record of the binlog, which ends at `end`; without an entry it only moves the mark.
    pub(crate) fn push(&mut self, end: BinlogPosition, entry: Option<Entry>) {
        let number = self.first + self.slots.len() as u64;
        let Some(entry) = entry else {
            if self.slots.is_empty() {
                self.pass(end);
            } else {
                self.slots.push_back(Slot { end, entry: None, state: State::Done, tries: 0 });
            }
            return;
        };
        *self.times.entry(entry.time).or_default() += 1;
        let mut is_first = true;
        for name in names(&entry) {
            let queue = self.queues.entry(name.clone()).or_default();
            queue.push_back(number);
            is_first &= queue.len() == 1;
        }
        if is_first {
            self.ready.insert(number);
        }
        self.slots.push_back(Slot { end, entry: Some(entry), state: State::Waiting, tries: 0 });
    }

    fn slot(&self, number: Number) -> Option<&Slot> {
        self.slots.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn slot_mut(&mut self, number: Number) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The record of a number that is not dealt with.
    fn entry(&self, number: Number) -> Option<&Entry> {
        self.slot(number)?.entry.as_ref()
    }

    /// The next record to send: the oldest that may go. It is under way from now on.
    pub(crate) fn next(&mut self, now: Duration) -> Option<Turn> {
        while let Some((at, number)) = self.pausing.first().copied().filter(|(at, _)| *at <= now) {
            self.pausing.remove(&(at, number));
            self.ready.insert(number);
        }
        let number = self.ready.pop_first()?;
        let slot = self.slot_mut(number)?;
        slot.state = State::UnderWay;
        let turn = Turn { number, tries: slot.tries, end: slot.end, entry: slot.entry.clone()? };
        self.under_way += 1;
        Some(turn)
    }

    /// Takes a record that was set aside before: it follows all that is here, moves no mark, and has one try.
    pub(crate) fn push_again(&mut self, entry: Entry) {
        let end = self.slots.back().map_or(self.mark, |slot| slot.end);
        self.push(end, Some(entry));
        if let Some(slot) = self.slots.back_mut() {
            slot.tries = TRIES - 1;
        }
    }

    /// Whether this record is here and not dealt with.
    pub(crate) fn has(&self, entry: &Entry) -> bool {
        let queue = self.queues.get(&entry.name);
        queue.is_some_and(|queue| queue.iter().any(|number| self.entry(*number) == Some(entry)))
    }

    /// Whether the peer, once it has a record of this time, has all that is older: then the record may go over the
    /// connection by which the peer reports its progress to the trackers.
    pub(crate) fn is_safe_to_report(&self, time: i64) -> bool {
        self.oldest().is_none_or(|oldest| oldest >= time)
    }

    /// When a pausing record may go again.
    pub(crate) fn wakes_at(&self) -> Option<Duration> {
        self.pausing.first().map(|(at, _)| *at)
    }

    /// A record that was under way is dealt with.
    pub(crate) fn done(&mut self, number: Number) {
        let Some(slot) = self.slot_mut(number).filter(|slot| slot.state == State::UnderWay) else { return };
        slot.state = State::Done;
        let Some(entry) = slot.entry.take() else { return };
        self.under_way -= 1;
        if let Some(count) = self.times.get_mut(&entry.time) {
            *count -= 1;
            if *count == 0 {
                self.times.remove(&entry.time);
            }
        }
        for name in names(&entry) {
            let Some(queue) = self.queues.get_mut(name) else { continue };
            queue.pop_front();
            match queue.front().copied() {
                None => {
                    self.queues.remove(name);
                }
                Some(next) => self.ready_if_first(next),
            }
        }
        while let Some(slot) = self.slots.front().filter(|slot| slot.state == State::Done) {
            let end = slot.end;
            self.pass(end);
            self.slots.pop_front();
            self.first += 1;
        }
    }

    /// Makes a waiting record ready if it is the first of all its files.
    fn ready_if_first(&mut self, number: Number) {
        let Some(entry) = self.entry(number) else { return };
        let is_first = names(entry).all(|name| {
            self.queues.get(name).and_then(VecDeque::front).is_some_and(|first| *first == number)
        });
        if is_first {
            self.ready.insert(number);
        }
    }

    /// The connection of a record that was under way broke: it goes again, and nobody is to blame.
    pub(crate) fn lost(&mut self, number: Number) {
        let Some(slot) = self.slot_mut(number).filter(|slot| slot.state == State::UnderWay) else { return };
        slot.state = State::Waiting;
        self.under_way -= 1;
        self.ready.insert(number);
    }

    /// The peer refused a record that was under way. One that is set aside is dealt with.
    pub(crate) fn failed(&mut self, number: Number, fault: Fault, now: Duration) -> Fate {
        let Some(slot) = self.slot_mut(number).filter(|slot| slot.state == State::UnderWay) else {
            return Fate::Again;
        };
        slot.tries += 1;
        let tries = slot.tries;
        let blocks_queue = self.slots.len() >= MOST_KEPT;
        if tries >= TRIES && (fault == Fault::Record || blocks_queue) {
            self.done(number);
            return Fate::SetAside;
        }
        let Some(slot) = self.slot_mut(number) else { return Fate::Again };
        let pause = FIRST_PAUSE.saturating_mul(1 << (slot.tries - 1).min(8)).min(LONGEST_PAUSE);
        slot.state = State::Waiting;
        self.under_way -= 1;
        self.pausing.insert((now + pause, number));
        Fate::Again
    }
}

/// Files that a record is about: what must not happen at the same time.
fn names(entry: &Entry) -> impl Iterator<Item = &LogicName> {
    let other = match &entry.op {
        Op::Link(other) | Op::Rename(other) if *other != entry.name => Some(other),
        _ => None,
    };
    std::iter::once(&entry.name).chain(other)
}

#[cfg(test)]
mod tests;
