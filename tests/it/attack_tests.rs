//! Crowds of bad clients of a size that every machine bears; `cargo bench --bench attack` has larger ones.

use std::time::Duration;

use crate::attack::crowd::{Manner, status};
use crate::attack::{Target, raise_open_files};
use crate::say::skipped;

const TIME: Duration = Duration::from_secs(3);
const COUNT: usize = 400;
/// With other tests beside this one; without a bound on what a slow reader is given, a visitor waited for 5 s.
const HELD_UP: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_bad_clients_costs_little_and_leaves_nothing_behind() {
    if !raise_open_files(2 * COUNT) {
        return skipped("crowd of bad clients", "too few descriptors are allowed");
    }
    let mut faults = Vec::new();
    for manner in [
        Manner::Silent,
        Manner::Idle,
        Manner::Drip,
        Manner::SlowReader,
        Manner::EndlessUpload,
        Manner::EndlessRead,
    ] {
        // Each has a node of its own: what one has left behind would hide what the next one costs.
        let target = Target::start().await;
        let outcome = target.attack(manner, COUNT, TIME).await;
        outcome.say();
        faults.extend(outcome.faults(HELD_UP).into_iter().map(|fault| format!("{manner:?}: {fault}")));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_too_large_are_refused() {
    let target = Target::start().await;
    let small = &target.files.small;
    let head =
        |header: &str, value: String| format!("GET {small} HTTP/1.1\r\nHost: x\r\n{header}: {value}\r\n\r\n");
    assert_eq!(status(target.at, &head("X-Long", "x".repeat(64 << 10))), 431);
    assert_eq!(status(target.at, &head("Range", format!("bytes={}", "0-0,".repeat(100_000)))), 431);
    // As many ranges as a head holds: more than are served one by one, so they are not (RFC 9110, 14.2).
    let many = status(target.at, &head("Range", format!("bytes={}", "0-0,".repeat(4_000))));
    assert!([200, 206, 416].contains(&many), "{many}");
    assert_eq!(status(target.at, &head("X-Short", "x".into())), 200, "others are served");
}
