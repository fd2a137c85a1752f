//! Two short memories of a node that asks others: names that nobody has, and members that do not answer.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use protocol::FileId;
use tokio::time::Instant;

/// A name that nobody has is not asked for again for one to two of these.
const NOWHERE: Duration = Duration::from_secs(1);
/// Names that are remembered in one such time.
const MAX_NAMES: usize = 8 * 1024;
/// A member that did not answer is asked last for this long.
const SILENT: Duration = Duration::from_secs(5);

/// Names that all who could have them do not have: a page with a dead link that is asked for a thousand times a second
/// must not become a thousand questions to each member.
pub(super) struct Nowhere(Mutex<Generations>);

struct Generations {
    since: Instant,
    current: HashSet<FileId>,
    previous: HashSet<FileId>,
}

impl Generations {
    fn turn(&mut self) {
        let age = self.since.elapsed();
        if age >= NOWHERE {
            self.previous = std::mem::take(&mut self.current);
            if age >= NOWHERE * 2 {
                self.previous.clear();
            }
            self.since = Instant::now();
        }
    }
}

impl Nowhere {
    pub(super) fn new() -> Self {
        let (current, previous) = (HashSet::new(), HashSet::new());
        Self(Mutex::new(Generations { since: Instant::now(), current, previous }))
    }

    pub(super) fn note(&self, id: &FileId) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.turn();
        if known.current.len() < MAX_NAMES {
            known.current.insert(id.clone());
        }
    }

    pub(super) fn contains(&self, id: &FileId) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.turn();
        known.current.contains(id) || known.previous.contains(id)
    }
}

/// Members that did not answer lately.
#[derive(Default)]
pub(super) struct Silent(Mutex<HashMap<SocketAddr, Instant>>);

impl Silent {
    /// Whether that is news.
    pub(super) fn note(&self, at: SocketAddr) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Kept somewhat longer, so that one that stays silent is no news each time.
        known.retain(|_, since| since.elapsed() < SILENT * 12);
        known.insert(at, Instant::now()).is_none()
    }

    pub(super) fn forget(&self, at: SocketAddr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&at);
    }

    pub(super) fn contains(&self, at: SocketAddr) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&at).is_some_and(|since| since.elapsed() < SILENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> FileId {
        FileId::parse(&format!("group1/M00/00/00/fwAAAWsGiQKAevrkAAFGL0LKak{number:04}.jpg")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_forgotten_after_two_seconds_at_most() {
        let nowhere = Nowhere::new();
        tokio::time::advance(Duration::from_millis(900)).await;
        nowhere.note(&id(1));
        assert!(nowhere.contains(&id(1)) && !nowhere.contains(&id(2)));
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(nowhere.contains(&id(1)), "a second has not passed");
        nowhere.note(&id(2));
        tokio::time::advance(Duration::from_millis(1000)).await;
        assert!(!nowhere.contains(&id(1)) && nowhere.contains(&id(2)));
        tokio::time::advance(Duration::from_millis(5000)).await;
        assert!(!nowhere.contains(&id(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_names_does_not_fill_memory() {
        let nowhere = Nowhere::new();
        for number in 0..MAX_NAMES + 10 {
            nowhere.note(&id(number));
        }
        assert!(nowhere.contains(&id(0)) && !nowhere.contains(&id(MAX_NAMES)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_member_gets_its_place_back() {
        let silent = Silent::default();
        let (one, other) = ("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap());
        assert!(silent.note(one) && !silent.note(one) && silent.note(other));
        silent.forget(other);
        assert!(silent.contains(one) && !silent.contains(other));
        tokio::time::advance(SILENT).await;
        assert!(!silent.contains(one));
        assert!(!silent.note(one), "it has not answered since");
    }
}
