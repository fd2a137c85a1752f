//! Ratios of the rounds, and the table.

use crate::Size;
use crate::client::Sample;
use crate::say::say;
use crate::spread::Spread;

/// What was measured of one size: for each way its samples, in the order of the rounds.
pub(crate) struct Rounds {
    of: Vec<(&'static str, Vec<Sample>)>,
}

impl Rounds {
    pub(crate) fn new() -> Self {
        Self { of: Vec::new() }
    }

    pub(crate) fn add(&mut self, way: &'static str, sample: Sample) {
        match self.of.iter_mut().find(|(name, _)| *name == way) {
            Some((_, samples)) => samples.push(sample),
            None => self.of.push((way, vec![sample])),
        }
    }

    /// Prints a line for each way and one for each ratio.
    pub(crate) fn say(&self, size: &Size) {
        say(&format!("\n{}", size.name));
        for (way, samples) in &self.of {
            let median = |value: fn(&Sample) -> f64| Spread::of(samples.iter().map(value)).median;
            let errors: usize = samples.iter().map(|sample| sample.errors).sum();
            let wrong = if errors > 0 { format!("  {errors} ERRORS") } else { String::new() };
            say(&format!(
                "  {way:9} {:>8.0}/s  p50 {:.2} ms  p99 {:.2} ms  busy {:.2}{wrong}",
                median(|sample| sample.per_second),
                median(|sample| sample.p50),
                median(|sample| sample.p99),
                median(|sample| sample.busy),
            ));
        }
        for (ours, theirs, bar) in [
            ("node", "volume", size.bar),
            ("trunk", "volume", size.bar),
            ("tracker", "master", size.bar),
            ("tracker-t", "master", size.bar),
            ("node", "native", 0.85),
        ] {
            self.say_ratio(ours, theirs, bar);
        }
    }

    fn say_ratio(&self, ours: &str, theirs: &str, bar: f64) {
        let of = |way: &str| self.of.iter().find(|(name, _)| *name == way).map(|(_, samples)| samples);
        let (Some(ours_of), Some(theirs_of)) = (of(ours), of(theirs)) else { return };
        let ratio = |value: fn(&Sample) -> f64| {
            Spread::of(ours_of.iter().zip(theirs_of).map(|(ours, theirs)| value(ours) / value(theirs)))
        };
        let rate = ratio(|sample| sample.per_second);
        let verdict = if rate.median >= bar { "met" } else { "MISSED" };
        say(&format!(
            "  {ours} / {theirs}: rate {} bar {bar} {verdict}  p99 {}  cost {}",
            rate.with_ends(),
            ratio(|sample| sample.p99).with_ends(),
            ratio(|sample| sample.busy / sample.per_second).with_ends(),
        ));
    }
}
