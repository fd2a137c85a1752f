//! Bad tokens of an address, counted.
//!
//! An address that has sent too many is answered 429 without a look at what it shows, so that trying is slow. Who showed
//! something good at that address within the last hours is not held up by the others there.

use std::collections::HashSet;
use std::fmt;
use std::mem;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::limiter::{Addresses, Key};

/// Good ones in one generation.
const MAX_KNOWN: usize = 8192;
/// Life of a generation.
const KNOWN_FOR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

/// The counters of a site.
pub(crate) struct Failures<C: Clock = MonotonicClock> {
    per_minute: u32,
    counter: RateLimiter<Key, Counting, C, NoOpMiddleware<C::Instant>>,
    looker: RateLimiter<Key, Looking, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    known: Mutex<Known>,
}

impl Failures {
    /// So many a minute; `None` for 0.
    pub(crate) fn new(per_minute: u32) -> Option<Self> {
        Self::with_clock(per_minute, MonotonicClock)
    }
}

impl<C: Clock + Clone> Failures<C> {
    fn with_clock(per_minute: u32, clock: C) -> Option<Self> {
        let period = MINUTE.checked_div(per_minute)?;
        let quota = Quota::with_period(period)?.allow_burst(per_minute.try_into().ok()?);
        let addresses = Arc::new(Addresses::new(MINUTE));
        Some(Self {
            per_minute,
            counter: RateLimiter::new(quota, Counting(Arc::clone(&addresses)), clock.clone()),
            looker: RateLimiter::new(quota, Looking(addresses), clock.clone()),
            clock,
            known: Mutex::new(Known::new()),
        })
    }

    /// Whether it counts in the same way.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.per_minute == other.per_minute
    }

    /// How long an address has to wait before what it shows is looked at.
    pub(crate) fn wait(&self, address: IpAddr, shown: &[u8; 32]) -> Option<Duration> {
        let key = Key::of(address);
        let until = self.looker.check_key(&key).err()?;
        let is_known = self.known.lock().unwrap_or_else(PoisonError::into_inner).has(key, shown);
        (!is_known).then(|| until.wait_time_from(self.clock.now()))
    }

    /// Counts something bad.
    pub(crate) fn count(&self, address: IpAddr) {
        // One too many is seen by the next look.
        let _ = self.counter.check_key(&Key::of(address));
    }

    /// Remembers something good.
    pub(crate) fn know(&self, address: IpAddr, shown: &[u8; 32]) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).add(Key::of(address), shown);
    }
}

impl<C: Clock> fmt::Debug for Failures<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Failures").field("per_minute", &self.per_minute).finish_non_exhaustive()
    }
}

/// Hashes of what was good, with the address, in two generations.
struct Known {
    young: HashSet<(Key, [u8; 32])>,
    old: HashSet<(Key, [u8; 32])>,
    since: Instant,
}

impl Known {
    fn new() -> Self {
        Self { young: HashSet::new(), old: HashSet::new(), since: Instant::now() }
    }

    fn has(&self, key: Key, shown: &[u8; 32]) -> bool {
        self.young.contains(&(key, *shown)) || self.old.contains(&(key, *shown))
    }

    fn add(&mut self, key: Key, shown: &[u8; 32]) {
        if self.young.len() >= MAX_KNOWN || !self.young.is_empty() && self.since.elapsed() >= KNOWN_FOR {
            self.old = mem::take(&mut self.young);
            self.since = Instant::now();
        }
        self.young.insert((key, *shown));
    }
}

struct Counting(Arc<Addresses>);
struct Looking(Arc<Addresses>);

impl StateStore for Counting {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, decide)
    }
}

impl StateStore for Looking {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.look(key, decide)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    #[test]
    fn an_address_has_so_many_tries_a_minute_and_who_was_good_goes_on() {
        let clock = FakeRelativeClock::default();
        let failures = Failures::with_clock(3, clock.clone()).unwrap();
        let (here, there): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let (good, bad) = ([1; 32], [2; 32]);
        failures.know(here, &good);
        for _ in 0..3 {
            assert_eq!(failures.wait(here, &bad), None);
            assert_eq!(failures.wait(here, &bad), None, "looking counts nothing");
            failures.count(here);
        }
        let wait = failures.wait(here, &bad).unwrap();
        assert!(wait > Duration::from_secs(19) && wait <= Duration::from_secs(20), "{wait:?}");
        assert_eq!(failures.wait(here, &good), None);
        assert_eq!(failures.wait(there, &bad), None);
        assert!(failures.wait(here, &[3; 32]).is_some());
        clock.advance(Duration::from_secs(20));
        assert_eq!(failures.wait(here, &bad), None);
        failures.count(here);
        assert!(failures.wait(here, &bad).is_some());
        assert!(Failures::new(0).is_none());
    }

    #[test]
    fn what_was_good_takes_bounded_memory() {
        let failures = Failures::new(10).unwrap();
        for number in 0..100_000_u32 {
            failures.know(IpAddr::V4(number.into()), &[0; 32]);
        }
        let known = failures.known.lock().unwrap();
        assert!(known.young.len() + known.old.len() <= 2 * MAX_KNOWN);
        assert!(known.has(Key::of(IpAddr::V4(99_999.into())), &[0; 32]));
    }
}
