//! What operators see of a sender.

use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::StorageId;
use protocol::cluster::{SenderReport, SenderState};
use tokio::sync::watch;

use super::dead_letters::{DeadLetters, Letter};
use crate::store::BinlogPosition;

/// Dead letters that are shown.
const SHOWN: usize = 1000;

/// How far a peer is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lag {
    pub(super) seconds: i64,
    pub(super) files: i64,
    pub(super) bytes: i64,
}

/// One sender's numbers, written by it once a second.
pub(crate) struct Progress {
    peer: StorageId,
    known: Mutex<Known>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Known {
    state: SenderState,
    mark: BinlogPosition,
    lag: Lag,
    /// Records since the last second, and the pace that comes of them.
    recent: u64,
    pace: u64,
    dead: usize,
    first_dead: Vec<Letter>,
    /// Why the peer cannot be sent to.
    trouble: Option<String>,
}

impl Progress {
    pub(super) fn new(peer: StorageId, changed: watch::Sender<u64>) -> Self {
        Self { peer, known: Mutex::default(), changed }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.changed.send_modify(|generation| *generation += 1);
    }

    pub(super) fn set_state(&self, state: SenderState) {
        let before = std::mem::replace(&mut self.known().state, state);
        if before != state {
            self.tell();
        }
    }

    /// The peer has everything: what was said of its lag up to a second ago is over, too.
    pub(super) fn set_in_step(&self) {
        let mut known = self.known();
        let now = (SenderState::IN_STEP, Lag::default());
        if (known.state, known.lag) != now {
            (known.state, known.lag) = now;
            drop(known);
            self.tell();
        }
    }

    pub(super) fn set_mark(&self, mark: BinlogPosition) {
        self.known().mark = mark;
    }

    pub(super) fn set_trouble(&self, trouble: Option<&str>) {
        self.known().trouble = trouble.map(str::to_owned);
    }

    pub(super) fn set_dead_letters(&self, list: &DeadLetters) {
        let mut known = self.known();
        known.dead = list.len();
        known.first_dead = list.letters().take(SHOWN).cloned().collect();
        drop(known);
        self.tell();
    }

    pub(super) fn count(&self, records: u64) {
        self.known().recent += records;
    }

    /// Called once a second: the pace is the mean of this second and those before, the newer counting more.
    pub(super) fn set_lag(&self, lag: Lag, is_filling: bool) {
        let mut known = self.known();
        let recent = std::mem::take(&mut known.recent);
        known.pace = if known.pace == 0 { recent } else { (known.pace * 3 + recent) / 4 };
        let state = match (lag.files, is_filling) {
            (_, true) => SenderState::OLD_FILES,
            (0, false) => SenderState::IN_STEP,
            (_, false) if known.pace == 0 && lag.seconds > 10 => SenderState::STALLED,
            _ => SenderState::BEHIND,
        };
        if known.lag != lag || known.state != state || recent > 0 {
            (known.lag, known.state) = (lag, state);
            drop(known);
            self.tell();
        }
    }

    /// Why the peer cannot be sent to, if it cannot.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.known().trouble.clone()
    }

    /// Everything before this position has arrived.
    pub(crate) fn mark(&self) -> BinlogPosition {
        self.known().mark
    }

    /// Records that the peer refused for good: the oldest of them.
    pub(crate) fn first_dead_letters(&self) -> Vec<Letter> {
        self.known().first_dead.clone()
    }

    /// For trackers and REST.
    pub(crate) fn report(&self) -> SenderReport {
        let known = self.known();
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        SenderReport {
            peer: self.peer,
            state: known.state,
            lag_seconds: known.lag.seconds,
            files_to_go: known.lag.files,
            bytes_to_go: known.lag.bytes,
            per_second: number(known.pace),
            dead_letters: i64::try_from(known.dead).unwrap_or(i64::MAX),
            binlog_index: known.mark.index.into(),
            binlog_offset: number(known.mark.offset),
        }
    }
}
