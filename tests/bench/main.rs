//! Measures replication with real processes: `cargo bench -p cli --bench group -- MEASUREMENT...`.
//!
//! | measurement | what |
//! |---|---|
//! | `lag` | time from an acknowledged upload to its file on the other member's disk, under 1,000 uploads/s of 4 KB |
//! | `catch-up` | a member that was down gets 100,000 files of 4 KB |
//! | `read` | any member is asked 1 ms after each of 100,000 uploads, by HTTP and natively |
//! | `stalled` | uploads and lag to one peer while the other peer is frozen |
//!
//! `lag`, `catch-up` and `stalled` run with ours and, where it is on the PATH, with FastDFS; `ours` or `theirs` as a further
//! word leaves out the other. A number is the seconds of `lag` and the files of `catch-up` and `read`. Data lies in the directory for
//! temporary files (`TMPDIR`).

#[path = "../it/address.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod address;
#[allow(dead_code, reason = "the comparisons use the rest")]
mod asked;
mod catch_up;
#[path = "../it/cluster.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod cluster;
#[path = "../it/group/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod group;
mod lag;
mod load;
#[path = "../it/process.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod process;
mod read;
#[path = "../it/say.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod say;
mod stalled;
#[path = "../it/theirs.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod theirs;
#[path = "../it/wait.rs"]
mod wait;
mod watch;

use group::server::Make;
use say::say;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let asked = asked::words();
    let (names, numbers): (Vec<_>, Vec<_>) = asked.iter().partition(|word| word.parse::<u64>().is_err());
    let number =
        |default: u64| numbers.first().map_or(default, |word| word.parse().expect("looked at above"));
    let is_asked =
        |make: &str| !names.iter().any(|name| ["ours", "theirs"].contains(&name.as_str()) && *name != make);
    let mut makes = Vec::new();
    if is_asked("ours") {
        makes.push(Make::Ours);
    }
    if is_asked("theirs") && theirs::is_here("comparison with FastDFS") {
        makes.push(Make::Theirs);
    }
    for name in &names {
        match name.as_str() {
            "ours" | "theirs" => {}
            "lag" => {
                for make in &makes {
                    lag::measure(*make, number(20)).await;
                }
            }
            "catch-up" => {
                for make in &makes {
                    catch_up::measure(*make, number(100_000)).await;
                }
            }
            "read" => read::measure(number(100_000)).await,
            "stalled" => {
                for make in &makes {
                    stalled::measure(*make).await;
                }
            }
            other => say(&format!("no measurement is called {other}; see the head of tests/bench/main.rs")),
        }
    }
    if names.is_empty() {
        say(
            "name what to measure: lag, catch-up, read, stalled; and a number of seconds or files if you like",
        );
    }
}
