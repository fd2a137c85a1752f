//! The cursor alone, and ten thousand short histories of it: failures, lost connections, crashes that start again from
//! the last saved mark.

use fastrand::Rng;

use super::*;
use crate::store::Side;

fn name(number: u64) -> LogicName {
    LogicName::parse(&format!("M00/00/00/file{number:06}")).unwrap()
}

fn entry(time: i64, op: Op<LogicName>, file: u64) -> Entry {
    Entry { time, side: Side::Source, op, name: name(file) }
}

fn at(offset: u64) -> BinlogPosition {
    BinlogPosition { index: 0, offset }
}

const NOW: Duration = Duration::ZERO;

#[test]
fn files_pass_each_other_but_records_of_one_keep_their_order() {
    let mut cursor = Cursor::new(at(0));
    cursor.push(at(1), Some(entry(10, Op::Create, 1)));
    cursor.push(at(2), Some(entry(10, Op::Append(0, 1), 1)));
    cursor.push(at(3), Some(entry(11, Op::Create, 2)));
    cursor.push(at(4), Some(entry(12, Op::Rename(name(1)), 3)));
    cursor.push(at(5), None);
    assert_eq!(cursor.next(NOW).unwrap().number, 0);
    assert_eq!(cursor.next(NOW).unwrap().number, 2);
    assert_eq!(cursor.next(NOW), None);
    assert!(cursor.is_safe_to_report(10) && !cursor.is_safe_to_report(11));
    cursor.done(2);
    assert_eq!(cursor.mark(), at(0));
    cursor.done(0);
    assert_eq!(cursor.mark(), at(1));
    assert_eq!(cursor.next(NOW).unwrap().number, 1);
    assert_eq!(cursor.next(NOW), None);
    cursor.done(1);
    assert_eq!(cursor.mark(), at(3));
    assert_eq!(cursor.next(NOW).unwrap().number, 3);
    cursor.done(3);
    assert_eq!((cursor.mark(), cursor.outstanding(), cursor.oldest()), (at(5), 0, None));
    cursor.push(at(6), None);
    assert_eq!(cursor.mark(), at(6));
}

#[test]
fn a_refused_record_lets_others_pass_and_is_set_aside_in_the_end() {
    let mut cursor = Cursor::new(at(0));
    cursor.push(at(1), Some(entry(10, Op::Create, 1)));
    cursor.push(at(2), Some(entry(10, Op::Create, 2)));
    let mut now = NOW;
    for round in 1..=TRIES {
        assert_eq!(cursor.next(now).unwrap().number, 0);
        let fate = cursor.failed(0, Fault::Record, now);
        assert_eq!(fate, if round == TRIES { Fate::SetAside } else { Fate::Again });
        if round == 1 {
            assert_eq!(cursor.next(now).unwrap().number, 1);
            cursor.done(1);
        }
        if round < TRIES {
            assert_eq!((cursor.next(now), cursor.mark()), (None, at(0)));
            now = cursor.wakes_at().unwrap();
        }
    }
    assert_eq!((cursor.mark(), cursor.outstanding()), (at(2), 0));
}

#[test]
fn a_peer_in_trouble_loses_nothing_until_the_window_is_full() {
    let mut cursor = Cursor::new(at(0));
    cursor.push(at(1), Some(entry(10, Op::Create, 1)));
    let mut now = NOW;
    for _ in 0..TRIES * 3 {
        let number = cursor.next(now).unwrap().number;
        assert_eq!(cursor.failed(number, Fault::Peer, now), Fate::Again);
        now = cursor.wakes_at().unwrap();
    }
    let mut pushed = 1;
    while cursor.has_room() {
        pushed += 1;
        cursor.push(at(pushed), Some(entry(10, Op::Create, pushed)));
        let number = cursor.next(NOW).unwrap().number;
        cursor.done(number);
    }
    assert_eq!(cursor.mark(), at(0));
    let number = cursor.next(now).unwrap().number;
    assert_eq!(cursor.failed(number, Fault::Peer, now), Fate::SetAside);
    assert_eq!(cursor.mark(), at(pushed));
}

#[test]
fn a_record_that_comes_back_moves_no_mark_and_has_one_try() {
    let mut cursor = Cursor::new(at(7));
    cursor.push_again(entry(10, Op::Create, 1));
    let number = cursor.next(NOW).unwrap().number;
    assert_eq!(cursor.failed(number, Fault::Record, NOW), Fate::SetAside);
    cursor.push_again(entry(10, Op::Create, 1));
    let number = cursor.next(NOW).unwrap().number;
    cursor.done(number);
    assert_eq!((cursor.mark(), cursor.outstanding()), (at(7), 0));
}

/// What the peer has seen of one record.
#[derive(Default, Clone)]
struct Seen {
    applied: bool,
    set_aside: bool,
}

struct History {
    rng: Rng,
    log: Vec<Option<Entry>>,
    seen: Vec<Seen>,
    cursor: Cursor,
    /// Index in `log` of the cursor's record 0, and of the next to push.
    base: usize,
    next: usize,
    saved: BinlogPosition,
    under_way: Vec<(Number, usize, Entry)>,
    now: Duration,
    /// Newest time that the peer heard over the reporting connection.
    reported: i64,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut time = 1000;
        let log = (0..rng.usize(5..60))
            .map(|_| {
                time += rng.i64(0..2);
                let op = match rng.u8(0..5) {
                    0 => Op::Append(0, 1),
                    1 => Op::Delete,
                    2 => Op::Rename(name(rng.u64(0..6))),
                    _ => Op::Create,
                };
                rng.bool()
                    .then(|| entry(time, op, rng.u64(0..6)))
                    .or_else(|| rng.bool().then(|| entry(time, Op::Create, rng.u64(6..99))))
            })
            .collect::<Vec<_>>();
        let seen = vec![Seen::default(); log.len()];
        let cursor = Cursor::new(at(0));
        Self {
            rng,
            log,
            seen,
            cursor,
            base: 0,
            next: 0,
            saved: at(0),
            under_way: Vec::new(),
            now: NOW,
            reported: 0,
        }
    }

    fn step(&mut self) {
        match self.rng.u8(0..12) {
            0..4 => self.push(),
            4..7 => self.send(),
            7..10 => self.answer(),
            10 => self.saved = self.cursor.mark(),
            _ => match self.rng.u8(0..4) {
                0 => self.crash(),
                1 => self.lose_connections(),
                _ => self.now += Duration::from_millis(self.rng.u64(0..5000)),
            },
        }
        self.check();
    }

    fn push(&mut self) {
        if self.next < self.log.len() && self.cursor.has_room() {
            self.next += 1;
            self.cursor.push(at(self.next as u64), self.log[self.next - 1].clone());
        }
    }

    fn send(&mut self) {
        let Some(Turn { number, entry, .. }) = self.cursor.next(self.now) else { return };
        let index = self.index(number);
        assert_eq!(self.log[index].as_ref(), Some(&entry));
        for (_, _, other) in &self.under_way {
            assert!(
                !names(other).any(|file| names(&entry).any(|own| own == file)),
                "two records of one file"
            );
        }
        // All earlier records of the file are dealt with.
        for earlier in self.base..index {
            let Some(before) = &self.log[earlier] else { continue };
            if names(before).any(|file| names(&entry).any(|own| own == file)) {
                assert!(self.seen[earlier].applied || self.seen[earlier].set_aside, "order within a file");
            }
        }
        if self.cursor.is_safe_to_report(entry.time) {
            self.reported = self.reported.max(entry.time);
        }
        self.under_way.push((number, index, entry));
    }

    /// Index in the log of a record of this cursor: numbers count only records that follow the first outstanding one.
    fn index(&self, number: Number) -> usize {
        let slot = usize::try_from(number - self.cursor.first).unwrap();
        usize::try_from(self.cursor.slots[slot].end.offset).unwrap() - 1
    }

    fn answer(&mut self) {
        if self.under_way.is_empty() {
            return;
        }
        let (number, index, _) = self.under_way.swap_remove(self.rng.usize(0..self.under_way.len()));
        match self.rng.u8(0..6) {
            0 => {
                let fault = if self.rng.bool() { Fault::Record } else { Fault::Peer };
                if self.cursor.failed(number, fault, self.now) == Fate::SetAside {
                    assert_eq!(fault, Fault::Record);
                    self.seen[index].set_aside = true;
                }
            }
            1 => {
                // Applied, but the answer was lost with the connection.
                self.seen[index].applied = true;
                self.cursor.lost(number);
            }
            _ => {
                self.seen[index].applied = true;
                self.cursor.done(number);
            }
        }
    }

    fn lose_connections(&mut self) {
        for (number, index, _) in std::mem::take(&mut self.under_way) {
            self.seen[index].applied |= self.rng.bool();
            self.cursor.lost(number);
        }
    }

    fn crash(&mut self) {
        self.under_way.clear();
        self.cursor = Cursor::new(self.saved);
        self.base = usize::try_from(self.saved.offset).unwrap();
        self.next = self.base;
    }

    fn check(&self) {
        let mark = usize::try_from(self.cursor.mark().offset).unwrap();
        for (record, seen) in self.log.iter().zip(&self.seen).take(mark) {
            assert!(record.is_none() || seen.applied || seen.set_aside, "the mark passed a record");
        }
        assert_eq!(self.cursor.under_way(), self.under_way.len());
        // What the peer reports to trackers is true of every record that the binlog had in order of time.
        for index in 0..self.next.max(self.base) {
            let Some(record) = &self.log[index] else { continue };
            let seen = &self.seen[index];
            assert!(
                record.time >= self.reported || seen.applied || seen.set_aside,
                "the peer reports too much"
            );
        }
    }

    /// No more faults: everything arrives.
    fn finish(&mut self) {
        for _ in 0..10_000 {
            if self.cursor.mark() == at(self.log.len() as u64) {
                return;
            }
            self.push();
            self.send();
            while let Some((number, index, _)) = self.under_way.pop() {
                self.seen[index].applied = true;
                self.cursor.done(number);
            }
            if let Some(wakes) = self.cursor.wakes_at() {
                self.now = self.now.max(wakes);
            }
            self.check();
        }
        panic!("the mark does not reach the end");
    }
}

#[test]
fn ten_thousand_histories_lose_no_record_and_keep_order() {
    for seed in 0..10_000 {
        let mut history = History::new(seed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..200 {
                history.step();
            }
            history.finish();
        }));
        assert!(outcome.is_ok(), "seed {seed}");
    }
}
