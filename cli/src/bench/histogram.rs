//! Latencies, counted in buckets that are never wider than 1/128 of their value.

use std::time::Duration;

const SUB_BITS: u32 = 7;
const SUB: usize = 1 << SUB_BITS;
const BUCKETS: usize = (64 - 7 + 1) * SUB;

/// Counts of latencies; the greatest is kept exactly.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: Duration,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, max: Duration::ZERO }
    }

    pub(super) fn add(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
        }
        self.total += 1;
        self.max = self.max.max(latency);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (own, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *own += theirs;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// Latencies counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn max(&self) -> Duration {
        self.max
    }

    /// The latency that `per_mille` of a thousand requests stay within.
    pub(super) fn quantile(&self, per_mille: u64) -> Duration {
        let wanted = (self.total * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper_bound(index)).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(nanos: u64) -> usize {
    let low = usize::try_from(nanos).unwrap_or(usize::MAX);
    if low < SUB {
        return low;
    }
    let shift = nanos.ilog2() - SUB_BITS;
    let octave = usize::try_from(shift).unwrap_or(0) + 1;
    octave * SUB + (low >> shift) - SUB
}

/// Greatest value of a bucket.
fn upper_bound(index: usize) -> u64 {
    let (octave, place) = (index / SUB, index % SUB);
    let Some(shift) = octave.checked_sub(1) else { return place as u64 };
    let base = (SUB + place) as u128 + 1;
    u64::try_from((base << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for nanos in [0, 1, 127, 128, 129, 255, 256, 1000, 123_456_789, u64::MAX / 3, u64::MAX] {
            let index = bucket(nanos);
            assert!(upper_bound(index) >= nanos, "{nanos}");
            assert!(index == 0 || upper_bound(index - 1) < nanos, "{nanos}");
            assert!(index < BUCKETS, "{nanos}");
        }
    }

    #[test]
    fn quantiles_of_a_thousand_values() {
        let mut counted = Histogram::new();
        (1..=1000).for_each(|ms| counted.add(Duration::from_millis(ms)));
        for (per_mille, ms) in [(500, 500), (990, 990), (999, 999), (1000, 1000)] {
            let got = counted.quantile(per_mille).as_secs_f64() * 1000.0;
            let wanted = f64::from(ms);
            assert!((got - wanted).abs() <= wanted / 100.0, "{per_mille}: {got}");
        }
        assert_eq!(counted.max(), Duration::from_secs(1));
        assert_eq!(counted.total(), 1000);
    }
}
