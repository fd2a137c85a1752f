//! Places for connections: so many in all, so many from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts of what is taken; shared by all listeners.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, u32>>,
}

impl Places {
    /// Takes a place, if fewer than `max` are taken.
    pub(super) fn take(self: &Arc<Self>, max: usize) -> Option<Place> {
        if self.taken.fetch_add(1, Relaxed) >= max {
            self.taken.fetch_sub(1, Relaxed);
            return None;
        }
        Some(Place { places: Arc::clone(self), address: None })
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.by_address.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
}

impl Place {
    /// Counts the connection to its address; false if that has `max` already. 0 is no limit.
    pub(super) fn claim(&mut self, address: IpAddr, max: u32) -> bool {
        if max == 0 {
            return true;
        }
        let address = neighbourhood(address);
        let mut counts = self.places.counts();
        let count = counts.entry(address).or_default();
        if *count >= max {
            return false;
        }
        *count += 1;
        self.address = Some(address);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(1, Relaxed);
        let Some(address) = self.address else { return };
        let mut counts = self.places.counts();
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or the /64 that IPv6 hands out as the smallest unit.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Places;

    #[test]
    fn places_come_back_and_leave_nothing_behind() {
        let places = Arc::new(Places::default());
        let first = places.take(2).unwrap();
        let second = places.take(2).unwrap();
        assert!(places.take(2).is_none());
        drop(first);
        let third = places.take(2).unwrap();
        drop((second, third));
        assert_eq!(places.taken.load(std::sync::atomic::Ordering::Relaxed), 0);
    }

    #[test]
    fn addresses_are_counted_apart_and_ipv6_by_network() {
        let places = Arc::new(Places::default());
        let claim = |text: &str| {
            let mut place = places.take(100).unwrap();
            place.claim(text.parse().unwrap(), 2).then_some(place)
        };
        let held = [claim("10.0.0.1"), claim("::ffff:10.0.0.1"), claim("2001:db8::1"), claim("2001:db8::2")];
        assert!(held.iter().all(Option::is_some));
        assert!(claim("10.0.0.1").is_none());
        assert!(claim("2001:db8::3").is_none());
        assert!(claim("10.0.0.2").is_some() && claim("2001:db8:0:1::1").is_some());
        drop(held);
        assert!(claim("10.0.0.1").is_some());
        assert!(places.counts().is_empty());
    }

    #[test]
    fn no_limit_counts_nothing() {
        let places = Arc::new(Places::default());
        let mut place = places.take(1).unwrap();
        assert!(place.claim("10.0.0.1".parse().unwrap(), 0));
        assert!(places.counts().is_empty());
    }
}
