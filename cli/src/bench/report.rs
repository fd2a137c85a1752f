//! What a run has shown, as text or as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::engine::Tally;

/// Numbers of one run; this is the JSON form.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// `upload`, `download`, `query` or `delete`.
    pub(super) op: &'static str,
    /// `native` or `http`.
    pub(super) protocol: &'static str,
    /// Server that was loaded.
    pub(super) target: String,
    /// Bytes of a file; none for queries and deletes.
    pub(super) size: Option<u64>,
    /// Connections, each with one request under way.
    pub(super) connections: usize,
    /// Measured time.
    pub(super) seconds: f64,
    /// Requests that succeeded.
    pub(super) ops: u64,
    pub(super) ops_per_second: f64,
    /// Payload in units of 1,000,000 bytes.
    pub(super) mb_per_second: f64,
    /// Latency of the requests that succeeded.
    pub(super) latency_ms: Latency,
    /// Requests that failed.
    pub(super) errors: u64,
    /// The same by kind.
    pub(super) error_kinds: BTreeMap<String, u64>,
    /// Processor time of the load generator itself.
    pub(super) client_cpu_us_per_op: f64,
}

/// Milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
    pub(super) p999: f64,
    pub(super) max: f64,
}

/// What the run was asked to do.
pub(super) struct Setting {
    pub(super) op: &'static str,
    pub(super) protocol: &'static str,
    pub(super) target: String,
    pub(super) size: Option<u64>,
    pub(super) connections: usize,
}

impl Report {
    pub(super) fn new(setting: Setting, tally: &Tally, cpu: Duration) -> Self {
        let Setting { op, protocol, target, size, connections } = setting;
        let seconds = tally.elapsed.as_secs_f64().max(1e-9);
        let ops = tally.latencies.total();
        let answered = ops + tally.error_count();
        let ms = |per_mille| tally.latencies.quantile(per_mille).as_secs_f64() * 1e3;
        Self {
            op,
            protocol,
            target,
            size,
            connections,
            seconds,
            ops,
            ops_per_second: float(ops) / seconds,
            mb_per_second: float(tally.payload) / 1e6 / seconds,
            latency_ms: Latency {
                p50: ms(500),
                p90: ms(900),
                p99: ms(990),
                p999: ms(999),
                max: tally.latencies.max().as_secs_f64() * 1e3,
            },
            errors: tally.error_count(),
            error_kinds: tally.errors.clone(),
            client_cpu_us_per_op: cpu.as_secs_f64() * 1e6 / float(answered.max(1)),
        }
    }

    /// A few lines for people.
    pub(super) fn text(&self) -> String {
        let Latency { p50, p90, p99, p999, max } = self.latency_ms;
        let size = self.size.map(|size| format!(" of {size} bytes")).unwrap_or_default();
        let mut text = format!(
            "{}{size}, {} connections, {} {}, {:.1} s\n\
             ops/s    {:.0} ({} done, {} failed)\n\
             MB/s     {:.1}\n\
             latency  p50 {p50:.3} ms, p90 {p90:.3}, p99 {p99:.3}, p99.9 {p999:.3}, max {max:.3}\n\
             client   {:.1} us of processor time per request",
            self.op,
            self.connections,
            self.protocol,
            self.target,
            self.seconds,
            self.ops_per_second,
            self.ops,
            self.errors,
            self.mb_per_second,
            self.client_cpu_us_per_op,
        );
        for (kind, count) in &self.error_kinds {
            text.push_str(&format!("\nerrors   {count} x {kind}"));
        }
        text
    }
}

/// For ratios that people read: past 2^53 the last digits do not matter.
#[allow(clippy::cast_precision_loss, reason = "a ratio for people needs no more than 53 bits")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::histogram::Histogram;

    #[test]
    fn a_report_says_rates_latencies_and_errors() {
        let mut latencies = Histogram::new();
        (0..1000).for_each(|_| latencies.add(Duration::from_millis(2)));
        let errors = BTreeMap::from([("status 28".to_owned(), 3)]);
        let tally = Tally { latencies, payload: 4_096_000, errors, elapsed: Duration::from_secs(2) };
        let setting = Setting {
            op: "upload",
            protocol: "native",
            target: "127.0.0.1:23000".to_owned(),
            size: Some(4096),
            connections: 16,
        };
        let report = Report::new(setting, &tally, Duration::from_micros(10_030));
        assert_eq!(
            report.text(),
            "upload of 4096 bytes, 16 connections, native 127.0.0.1:23000, 2.0 s\n\
             ops/s    500 (1000 done, 3 failed)\n\
             MB/s     2.0\n\
             latency  p50 2.000 ms, p90 2.000, p99 2.000, p99.9 2.000, max 2.000\n\
             client   10.0 us of processor time per request\n\
             errors   3 x status 28"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["ops"], 1000);
        assert_eq!(json["errors"], 3);
        assert_eq!(json["latency_ms"]["max"], 2.0);
    }
}
