//! Crowds of bad clients of the size that a site may meet: `cargo bench -p cli --bench attack -- [seconds=N] [MANNER...]`.
//!
//! A visitor reads a small file beside each crowd. A line says what the crowd did to the visitor's answer times and what
//! each of its connections cost in memory; lines that begin with `FAULT` say what is worse than it may be, and the exit
//! status then is 1. Manners: `silent`, `idle`, `drip`, `slowreader`, `endlessupload`, `endlessread`.

#[path = "../../it/address.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod address;
#[path = "../asked.rs"]
#[allow(dead_code, reason = "the comparisons use the rest")]
mod asked;
#[path = "../../it/attack/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod attack;
#[path = "../../it/cluster.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod cluster;
#[path = "../../it/process.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod process;
#[path = "../../it/say.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod say;
#[path = "../../it/wait.rs"]
mod wait;

use std::process::ExitCode;
use std::time::Duration;

use attack::crowd::Manner;
use attack::{Target, raise_open_files};
use say::{say, skipped};

/// The bar for a node that 10,000 clients keep connections to.
const IDLE_KIB: u64 = 64 << 10;

/// Answers within this are never called slow.
const NOTICED: Duration = Duration::from_millis(2);

const CROWDS: &[(Manner, &str, usize)] = &[
    (Manner::Silent, "silent", 5_000),
    (Manner::Idle, "idle", 10_000),
    (Manner::Drip, "drip", 5_000),
    (Manner::SlowReader, "slowreader", 2_000),
    (Manner::EndlessUpload, "endlessupload", 1_000),
    (Manner::EndlessRead, "endlessread", 5_000),
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let words = asked::words();
    let seconds = words.iter().find_map(|word| word.strip_prefix("seconds=")?.parse().ok()).unwrap_or(10);
    let is_asked =
        |name: &str| words.iter().all(|word| word.contains('=')) || words.iter().any(|word| word == name);
    let mut faults = 0;
    for (manner, name, count) in CROWDS.iter().filter(|(_, name, _)| is_asked(name)) {
        if !raise_open_files(count + 500) {
            skipped(name, "this process may not have as many descriptors");
            continue;
        }
        // Each has a node of its own: what one has left behind is not the next one's.
        let target = Target::start().await;
        let outcome = target.attack(*manner, *count, Duration::from_secs(seconds)).await;
        outcome.say();
        let mut found = outcome.faults(NOTICED);
        if *manner == Manner::Idle && outcome.during_kib > IDLE_KIB {
            found.push(format!("{} KiB are resident", outcome.during_kib));
        }
        faults += found.len();
        for fault in found {
            say(&format!("FAULT {name}: {fault}"));
        }
    }
    if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
