//! Ratios of the rounds, and the table.

use std::time::Duration;

use crate::cases::{Case, Unit};
use crate::load::Sample;
use crate::say::say;
use crate::server::{Make, Server};
use crate::spread::Spread;

/// What was measured of one case: for each server its samples, in the order of the rounds.
pub(crate) struct Rounds<'a> {
    of: Vec<(&'a Server, Vec<Sample>)>,
}

/// h2load tells no percentiles.
fn time(milliseconds: f64) -> String {
    if milliseconds.is_nan() { "-".to_owned() } else { format!("{milliseconds:.2} ms") }
}

/// The head of the table.
pub(crate) fn say_head(servers: &[Server], rounds: usize, time: Duration) {
    let names: Vec<_> = servers.iter().map(|server| server.name).collect();
    say(&format!("{} x {time:?} a case and server: {}", rounds, names.join(", ")));
    say(
        "ratios are fdfs / other: rate more is better, p99 and cost (processor time per request) less is better",
    );
}

impl<'a> Rounds<'a> {
    pub(crate) fn new(servers: &[&'a Server]) -> Self {
        Self { of: servers.iter().map(|server| (*server, Vec::new())).collect() }
    }

    pub(crate) fn add(&mut self, which: usize, sample: Sample) {
        self.of[which].1.push(sample);
    }

    /// Prints a line for each server and one for each ratio.
    pub(crate) fn say(&self, case: &Case) {
        let (rate, unit): (fn(&Sample) -> f64, _) = match case.unit {
            Unit::Requests => (|sample| sample.requests_per_second, "/s"),
            Unit::Mebibytes => (|sample| sample.mebibytes_per_second, " MiB/s"),
        };
        say(&format!("\n{}", case.name));
        for (server, samples) in &self.of {
            let median = |value: &dyn Fn(&Sample) -> f64| Spread::of(samples.iter().map(value)).median;
            let errors: f64 = samples.iter().map(|sample| sample.errors).sum();
            let wrong = if errors > 0.0 { format!("  {errors} ERRORS") } else { String::new() };
            say(&format!(
                "  {:7} {:>9.0}{unit}  p50 {}  p99 {}  busy {:.2}{wrong}",
                server.name,
                median(&rate),
                time(median(&|sample| sample.p50)),
                time(median(&|sample| sample.p99)),
                median(&|sample| sample.busy),
            ));
        }
        let Some((_, ours)) = self.of.iter().find(|(server, _)| server.make == Make::Ours) else { return };
        for (server, theirs) in self.of.iter().filter(|(server, _)| server.make != Make::Ours) {
            let ratio = |value: &dyn Fn(&Sample) -> f64| {
                Spread::of(ours.iter().zip(theirs).map(|(ours, theirs)| value(ours) / value(theirs)))
            };
            let rates = ratio(&rate);
            let bar = case.bar(server.make);
            let verdict = match bar {
                0.0 => String::new(),
                // A server that answered nothing is no measure.
                _ if !rates.greatest.is_finite() => " NOT MEASURED".to_owned(),
                _ if rates.median >= bar => format!(" bar {bar} met"),
                _ => format!(" bar {bar} MISSED"),
            };
            say(&format!(
                "  / {:5} rate {}{verdict}  p99 {}  cost {}",
                server.name,
                rates.with_ends(),
                ratio(&|sample| sample.p99).with_ends(),
                ratio(&|sample| sample.busy / rate(sample)).with_ends(),
            ));
        }
    }
}
