//! Requests per address. What is remembered of addresses is bounded: many addresses make it forget, never grow.
//!
//! IPv6 clients count by their /64, which is what one of them usually has.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use http::StatusCode;
use http::header::RETRY_AFTER;
use protocol::config::web_conf::LimitReqConf;

use crate::problem::Problem;
use crate::refusal::{Refusal, refuse};

/// Parts of the table, so that threads seldom wait for each other.
const SHARDS: usize = 16;
/// Addresses in one generation of a shard; in all 262 144 at most are remembered, in about 8 MB.
const GENERATION: usize = 8192;
/// Shortest life of a generation.
const MIN_LIFE: Duration = Duration::from_secs(10);

/// The limit of a site.
pub(crate) struct Limiter<C: Clock = MonotonicClock> {
    limiter: RateLimiter<Key, Addresses, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    conf: LimitReqConf,
}

impl Limiter {
    pub(crate) fn new(conf: &LimitReqConf) -> Option<Self> {
        Self::with_clock(conf, MonotonicClock)
    }
}

impl<C: Clock + Clone> Limiter<C> {
    fn with_clock(conf: &LimitReqConf, clock: C) -> Option<Self> {
        let period = conf.per.checked_div(conf.rate)?;
        let burst = conf.burst.saturating_add(1);
        let quota = Quota::with_period(period)?.allow_burst(burst.try_into().ok()?);
        // An address that was quiet for so long has its whole burst again, as has one that was never seen.
        let life = period.checked_mul(burst)?;
        let addresses = Addresses::new(life);
        Some(Self { limiter: RateLimiter::new(quota, addresses, clock.clone()), clock, conf: *conf })
    }

    /// Whether it limits in the same way.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.conf == other.conf
    }

    /// Counts a request; how long to wait if it is one too many.
    fn take(&self, address: IpAddr) -> Result<(), Duration> {
        self.limiter.check_key(&Key::of(address)).map_err(|until| until.wait_time_from(self.clock.now()))
    }

    /// Counts a request and refuses it if it is one too many.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        let Err(wait) = self.take(address) else { return Ok(()) };
        let detail = "this address asks more often than the site allows; wait as long as Retry-After says";
        let status = StatusCode::from_u16(self.conf.status).unwrap_or(StatusCode::TOO_MANY_REQUESTS);
        let mut response = refuse(Problem::new(status, "too_many_requests", detail));
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, seconds.max(1).into());
        Err(response)
    }
}

impl<C: Clock> fmt::Debug for Limiter<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Limiter").field("conf", &self.conf).finish_non_exhaustive()
    }
}

/// An IPv4 address, or the network of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key(u64);

impl Key {
    pub(crate) fn of(address: IpAddr) -> Self {
        /// No IPv6 client has an address that begins so (RFC 4291, 2.7).
        const V4: u64 = 0xffff_ffff << 32;
        Self(match address.to_canonical() {
            IpAddr::V4(address) => V4 | u64::from(address.to_bits()),
            IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or(u64::MAX),
        })
    }

    /// Neighbours are spread over the shards.
    fn shard(self) -> usize {
        usize::try_from(self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60).unwrap_or(0)
    }
}

/// What is remembered of addresses.
pub(crate) struct Addresses {
    shards: [Mutex<Shard>; SHARDS],
    life: Duration,
}

impl Addresses {
    /// Who is quiet for `life` may be forgotten.
    pub(crate) fn new(life: Duration) -> Self {
        let life = life.max(MIN_LIFE);
        Self { shards: std::array::from_fn(|_| Mutex::new(Shard::new())), life }
    }

    /// Looks, and changes nothing.
    pub(crate) fn look<T, F, E>(&self, key: &Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let shard = self.shards[key.shard() % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        let known = shard.young.get(key).or_else(|| shard.old.get(key)).copied();
        decide(known).map(|(outcome, _)| outcome)
    }
}

/// Two generations: who asks is in the young one; who is still in the old one when that goes has not asked for a life.
struct Shard {
    young: HashMap<Key, Nanos>,
    old: HashMap<Key, Nanos>,
    since: Instant,
}

impl Shard {
    fn new() -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), since: Instant::now() }
    }

    /// Makes the young generation the old one when its life is over, or it has no place left.
    fn age(&mut self, life: Duration) {
        if self.young.len() < GENERATION && (self.young.is_empty() || self.since.elapsed() < life) {
            return;
        }
        self.old = mem::take(&mut self.young);
        self.since = Instant::now();
    }
}

impl StateStore for Addresses {
    type Key = Key;

    fn measure_and_replace<T, F, E>(&self, key: &Key, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut shard = self.shards[key.shard() % SHARDS].lock().unwrap_or_else(PoisonError::into_inner);
        shard.age(self.life);
        let known = shard.young.get(key).or_else(|| shard.old.get(key)).copied();
        let (outcome, state) = decide(known)?;
        shard.young.insert(*key, state);
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limiter(rate: u32, burst: u32) -> (Limiter<FakeRelativeClock>, FakeRelativeClock) {
        let conf = LimitReqConf { rate, per: Duration::from_secs(1), burst, status: 429 };
        let clock = FakeRelativeClock::default();
        (Limiter::with_clock(&conf, clock.clone()).unwrap(), clock)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_and_then_the_rate() {
        let (limiter, clock) = limiter(2, 3);
        let (one, other) = (ip("192.0.2.1"), ip("192.0.2.2"));
        let taken = (0..10).filter(|_| limiter.take(one).is_ok()).count();
        assert_eq!(taken, 4);
        assert_eq!(limiter.take(one), Err(Duration::from_millis(500)));
        assert_eq!(limiter.take(other), Ok(()));
        clock.advance(Duration::from_millis(1000));
        let taken = (0..10).filter(|_| limiter.take(one).is_ok()).count();
        assert_eq!(taken, 2);
    }

    #[test]
    fn ipv6_counts_by_network() {
        let (limiter, _) = limiter(1, 0);
        assert_eq!(limiter.take(ip("2001:db8:0:1::1")), Ok(()));
        assert!(limiter.take(ip("2001:db8:0:1:ffff::9")).is_err());
        assert_eq!(limiter.take(ip("2001:db8:0:2::1")), Ok(()));
        assert_eq!(limiter.take(ip("192.0.2.1")), Ok(()));
        assert!(limiter.take(ip("::ffff:192.0.2.1")).is_err());
    }

    #[test]
    fn a_million_addresses_take_bounded_memory() {
        let (limiter, _) = limiter(1, 0);
        for number in 0..1_000_000_u32 {
            assert_eq!(limiter.take(IpAddr::V4(number.into())), Ok(()));
        }
        // Who came lately is still known.
        assert!(limiter.take(IpAddr::V4(999_999.into())).is_err());
        let refused = limiter.check(IpAddr::V4(999_999.into())).unwrap_err();
        let shards = limiter.limiter.into_state_store().shards;
        let kept: usize = shards
            .iter()
            .map(|shard| shard.lock().unwrap())
            .map(|shard| shard.young.len() + shard.old.len())
            .sum();
        assert!(kept <= SHARDS * GENERATION * 2, "{kept}");
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()[RETRY_AFTER]),
            (429, &"1".parse::<http::HeaderValue>().unwrap())
        );
    }

    #[test]
    fn who_is_quiet_is_forgotten() {
        let mut shard = Shard::new();
        shard.young.insert(Key(1), Nanos::from(1));
        shard.age(Duration::from_secs(60));
        assert_eq!((shard.young.len(), shard.old.len()), (1, 0), "still young");
        shard.age(Duration::ZERO);
        assert_eq!((shard.young.len(), shard.old.len()), (0, 1));
        shard.young.insert(Key(2), Nanos::from(1));
        shard.age(Duration::ZERO);
        assert!(shard.old.contains_key(&Key(2)) && shard.old.len() == 1, "the first is gone");
    }
}
