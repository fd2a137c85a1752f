//! Who can be asked at this moment. Faults write it before they strike and after they are mended; load and readers look.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use crate::address;
use crate::group::server::{Make, Server};

/// A storage as clients see it.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) index: usize,
    pub(super) make: Make,
    pub(super) ip: IpAddr,
    pub(super) base: PathBuf,
    /// It is expected to answer.
    pub(super) is_up: bool,
    /// It will be removed: it gets no new files.
    pub(super) is_leaving: bool,
    /// Counts the faults: unchanged means up all the time.
    pub(super) epoch: u64,
}

impl Seat {
    pub(super) fn native(&self) -> SocketAddr {
        address::storage(self.ip)
    }
}

/// Shared by all tasks of a run.
#[derive(Clone)]
pub(super) struct Board(Arc<Inner>);

struct Inner {
    seats: Mutex<Vec<Seat>>,
    events: Mutex<Vec<String>>,
    start: Instant,
}

impl Board {
    pub(super) fn new() -> Self {
        let (seats, events) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { seats, events, start: Instant::now() }))
    }

    /// A storage takes part, or takes part again; it is down until [`Self::up`].
    pub(super) fn seat(&self, server: &Server) {
        let mut seats = self.seats();
        if seats.iter().any(|seat| seat.ip == server.ip) {
            return;
        }
        let index = seats.len();
        let (ip, base) = (server.ip, server.base.clone());
        seats.push(Seat { index, make: server.make, ip, base, is_up: false, is_leaving: false, epoch: 0 });
    }

    pub(super) fn up(&self, index: usize) {
        let mut seats = self.seats();
        seats[index].epoch += 1;
        seats[index].is_up = true;
        seats[index].is_leaving = false;
    }

    pub(super) fn down(&self, index: usize) {
        let mut seats = self.seats();
        seats[index].epoch += 1;
        seats[index].is_up = false;
    }

    pub(super) fn leaving(&self, index: usize) {
        self.seats()[index].is_leaving = true;
    }

    pub(super) fn all(&self) -> Vec<Seat> {
        self.seats().clone()
    }

    pub(super) fn get(&self, index: usize) -> Seat {
        self.seats()[index].clone()
    }

    /// Those that answer now.
    pub(super) fn ups(&self) -> Vec<Seat> {
        self.seats().iter().filter(|seat| seat.is_up).cloned().collect()
    }

    /// Whether `seat` has been up since it was taken from here.
    pub(super) fn is_unchanged(&self, seat: &Seat) -> bool {
        seat.is_up && self.seats()[seat.index].epoch == seat.epoch
    }

    /// Notes what happens, with the time since the start.
    pub(super) fn tell(&self, event: &str) {
        let line = format!("{:9.3} {event}", self.0.start.elapsed().as_secs_f64());
        self.0.events.lock().expect("no task panics with it").push(line);
    }

    pub(super) fn story(&self) -> String {
        self.0.events.lock().expect("no task panics with it").join("\n")
    }

    fn seats(&self) -> MutexGuard<'_, Vec<Seat>> {
        self.0.seats.lock().expect("no task panics with it")
    }
}
