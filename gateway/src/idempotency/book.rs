//! Which keys are known and what became of them: pure, with the clock as an argument.

use std::collections::{HashMap, VecDeque};

/// A key of a principal, as its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) [u8; 16]);

/// What a request looked like, as a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(super) [u8; 16]);

/// Where an answer lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) len: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// A request of this process is at it; where the log of the store was when it began.
    UnderWay(String),
    /// One of an earlier process was, and nobody knows how far it came.
    Unknown(String),
    Done(Place),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) fingerprint: Fingerprint,
    /// Unix seconds.
    pub(super) begun: i64,
    state: State,
    /// Distinguishes it from an earlier one of the same key.
    turn: u64,
}

impl Entry {
    pub(super) fn place(&self) -> Option<Place> {
        match &self.state {
            State::Done(place) => Some(*place),
            _ => None,
        }
    }

    pub(super) fn since(&self) -> Option<&str> {
        match &self.state {
            State::UnderWay(since) | State::Unknown(since) => Some(since),
            State::Done(_) => None,
        }
    }

    fn is_under_way(&self) -> bool {
        matches!(self.state, State::UnderWay(_))
    }
}

/// What a key means to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// It is this request's now. With the log's position if an earlier one may have stored something since.
    Mine(Option<String>),
    /// Another request has it.
    UnderWay,
    /// It was given with another request.
    Differs,
    /// It was answered.
    Done(Place),
    /// No room: too many requests with keys are under way.
    Full,
}

/// Places in the order that may be out of use whatever the maximum.
const FEW: usize = 16;

/// The keys of a lifetime, at most so many.
#[derive(Debug)]
pub(super) struct Book {
    entries: HashMap<Key, Entry>,
    /// In order of their beginning; some are gone or were begun anew.
    order: VecDeque<(Key, u64)>,
    turns: u64,
    lifetime: i64,
    max: usize,
}

impl Book {
    pub(super) fn new(lifetime: i64, max: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), turns: 0, lifetime, max }
    }

    /// A request with this key comes, while the store's log is at a position.
    pub(super) fn begin(&mut self, key: Key, fingerprint: Fingerprint, position: &str, now: i64) -> Found {
        self.expire(now);
        let mut since = None;
        if let Some(entry) = self.entries.get_mut(&key) {
            if entry.fingerprint != fingerprint {
                return Found::Differs;
            }
            match &entry.state {
                State::UnderWay(_) => return Found::UnderWay,
                State::Done(place) => return Found::Done(*place),
                State::Unknown(position) => {
                    since = Some(position.clone());
                    entry.state = State::UnderWay(position.clone());
                }
            }
        }
        if since.is_none() {
            if !self.make_room() {
                return Found::Full;
            }
            self.insert(key, fingerprint, now, State::UnderWay(position.to_owned()));
        }
        Found::Mine(since)
    }

    fn insert(&mut self, key: Key, fingerprint: Fingerprint, begun: i64, state: State) {
        self.turns += 1;
        let turn = self.turns;
        self.entries.insert(key, Entry { fingerprint, begun, state, turn });
        self.order.push_back((key, turn));
        if self.order.len() > 2 * self.max + FEW {
            let entries = &self.entries;
            self.order.retain(|(key, turn)| entries.get(key).is_some_and(|entry| entry.turn == *turn));
        }
    }

    /// As a file says that it began, in a process that has ended.
    pub(super) fn began(&mut self, key: Key, fingerprint: Fingerprint, begun: i64, since: String) {
        // The place in the order is that of the last beginning.
        self.insert(key, fingerprint, begun, State::Unknown(since));
    }

    pub(super) fn done(&mut self, key: Key, place: Place) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.state = State::Done(place);
        }
    }

    /// What the request with this key stored could not be noted.
    pub(super) fn lose(&mut self, key: Key) {
        if let Some(entry) = self.entries.get_mut(&key)
            && let State::UnderWay(since) = &entry.state
        {
            entry.state = State::Unknown(since.clone());
        }
    }

    /// The request with this key stored nothing.
    pub(super) fn free(&mut self, key: Key) {
        self.entries.remove(&key);
    }

    /// Forgets what is older than the lifetime.
    pub(super) fn expire(&mut self, now: i64) {
        while let Some((key, turn)) = self.order.front().copied() {
            match self.entries.get(&key).filter(|entry| entry.turn == turn) {
                Some(entry) if entry.begun + self.lifetime > now || entry.is_under_way() => return,
                Some(_) => {
                    self.entries.remove(&key);
                }
                None => {}
            }
            self.order.pop_front();
        }
    }

    /// Forgets the oldest that is not under way.
    pub(super) fn forget_one(&mut self) -> bool {
        for _ in 0..self.order.len() {
            let Some((key, turn)) = self.order.pop_front() else { return false };
            match self.entries.get(&key).filter(|entry| entry.turn == turn) {
                None => {}
                Some(entry) if entry.is_under_way() => self.order.push_back((key, turn)),
                Some(_) => {
                    self.entries.remove(&key);
                    return true;
                }
            }
        }
        false
    }

    fn make_room(&mut self) -> bool {
        self.entries.len() < self.max || self.forget_one()
    }

    /// All, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Key, &Entry)> {
        let found = |(key, turn): &(Key, u64)| {
            self.entries.get(key).filter(|entry| entry.turn == *turn).map(|entry| (*key, entry))
        };
        self.order.iter().filter_map(found)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Key = Key([1; 16]);
    const TWO: Key = Key([2; 16]);
    const PRINT: Fingerprint = Fingerprint([7; 16]);
    const OTHER: Fingerprint = Fingerprint([8; 16]);
    const PLACE: Place = Place { offset: 10, len: 20 };

    #[test]
    fn a_key_has_one_request_at_a_time_and_one_answer() {
        let mut book = Book::new(100, 10);
        assert_eq!(book.begin(ONE, PRINT, "0:1", 0), Found::Mine(None));
        assert_eq!(book.begin(ONE, PRINT, "0:1", 1), Found::UnderWay);
        assert_eq!(book.begin(ONE, OTHER, "0:1", 1), Found::Differs);
        assert_eq!(book.begin(TWO, OTHER, "0:1", 1), Found::Mine(None));
        book.done(ONE, PLACE);
        assert_eq!(book.begin(ONE, PRINT, "0:1", 99), Found::Done(PLACE));
        assert_eq!(book.begin(ONE, OTHER, "0:1", 99), Found::Differs);
        book.free(TWO);
        assert_eq!(book.begin(TWO, PRINT, "0:1", 99), Found::Mine(None));
        assert_eq!(book.begin(ONE, OTHER, "0:1", 100), Found::Mine(None), "its lifetime is over");
        assert_eq!(book.begin(TWO, PRINT, "0:1", 1000), Found::UnderWay, "a slow request keeps its key");
    }

    #[test]
    fn what_a_crash_left_is_told_to_the_next_request_only() {
        let mut book = Book::new(100, 10);
        book.began(ONE, PRINT, 5, "0:60".to_owned());
        book.began(TWO, PRINT, 6, "0:90".to_owned());
        book.done(TWO, PLACE);
        assert_eq!(book.begin(ONE, OTHER, "0:1", 7), Found::Differs);
        assert_eq!(book.begin(ONE, PRINT, "0:1", 7), Found::Mine(Some("0:60".to_owned())));
        assert_eq!(book.begin(ONE, PRINT, "0:1", 7), Found::UnderWay);
        assert_eq!(book.begin(TWO, PRINT, "0:1", 7), Found::Done(PLACE));
        assert_eq!(book.entries().map(|(key, _)| key).collect::<Vec<_>>(), [ONE, TWO]);
    }

    #[test]
    fn memory_is_bounded_and_what_is_under_way_stays() {
        let mut book = Book::new(100, 2);
        assert_eq!(book.begin(ONE, PRINT, "0:1", 0), Found::Mine(None));
        assert_eq!(book.begin(TWO, PRINT, "0:1", 0), Found::Mine(None));
        let three = Key([3; 16]);
        assert_eq!(book.begin(three, PRINT, "0:1", 0), Found::Full);
        book.done(TWO, PLACE);
        assert_eq!(book.begin(three, PRINT, "0:1", 0), Found::Mine(None));
        assert_eq!(book.begin(ONE, PRINT, "0:1", 0), Found::UnderWay);
        assert_eq!(book.len(), 2);
        for round in 0..1000 {
            book.free(three);
            assert_eq!(book.begin(three, PRINT, "0:1", round), Found::Mine(None));
        }
        assert!(book.order.len() <= 4 + FEW);
    }
}
