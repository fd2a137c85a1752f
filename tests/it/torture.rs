//! A group under load while its servers are killed, frozen, cut off, restarted, added and removed, with a checker of its own.
//!
//! The faults and each client's operations come from one seed, which a failure prints: `FDFS_TORTURE_SEED=N` repeats them
//! (their timing depends on the machine). `FDFS_TORTURE_MINUTES=30` lengthens the run.

mod board;
mod faults;
mod history;
mod load;
mod readers;
mod verdict;

use std::time::Duration;

use protocol::HostPort;
use protocol::client::{Client, ClientLimits};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::address::{self, TRACKER_PORT};
use crate::group::Group;
use crate::group::server::{Make, Server};
use crate::say::say;
use crate::theirs::is_here;
use board::Board;
use faults::{Fault, Lanes, Schedule};
use history::History;
use load::{Files, Loader};
use readers::Reader;

const LOADERS: u64 = 6;
const READERS: u64 = 4;

/// What a run is made of.
struct Plan {
    make: Make,
    time: Duration,
    seed: u64,
    tracker_faults: &'static [Fault],
    node_faults: &'static [Fault],
    pace: Duration,
    files: Files,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_keeps_every_promise_under_torture() {
    let minutes = variable("FDFS_TORTURE_MINUTES").unwrap_or(2);
    run(Plan {
        make: Make::Ours,
        time: Duration::from_secs(minutes * 60),
        seed: variable("FDFS_TORTURE_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000)),
        tracker_faults: &[Fault::Kill, Fault::Stop, Fault::Freeze, Fault::Cut],
        node_faults: &[Fault::Kill, Fault::KillPair, Fault::Stop, Fault::Freeze, Fault::Cut, Fault::Toggle],
        files: Files::All,
        pace: Duration::from_millis(60),
    })
    .await;
}

/// The control: the checker has nothing against FastDFS where FastDFS is right. It may forget what it told clients when it
/// is killed, and ends itself when it is cut off, so it is only frozen. And its members come to differ in files that change,
/// even without faults, since it sends the changes of one file over several connections at once; so none change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fastdfs_passes_a_gentle_torture() {
    if !is_here("fastdfs_passes_a_gentle_torture") {
        return;
    }
    run(Plan {
        make: Make::Theirs,
        time: Duration::from_secs(variable("FDFS_TORTURE_CONTROL_SECONDS").unwrap_or(20)),
        seed: 1,
        tracker_faults: &[],
        node_faults: &[Fault::Freeze],
        files: Files::Constant,
        pace: Duration::from_millis(60),
    })
    .await;
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

async fn run(plan: Plan) {
    const MEMBERS: usize = 3;
    let mut group = Group::start(&[plan.make; 3], &[plan.make; MEMBERS]).await;
    let trackers: Vec<_> = group.trackers.iter().map(|tracker| tracker.ip).collect();
    let board = Board::new();
    let scene = Scene { dir: group.dir.take(), board: board.clone(), seed: plan.seed };
    let dir = scene.dir.as_ref().expect("just made").path();
    let fourth = Server::node(plan.make, dir, address::fresh(), &trackers);
    for (index, node) in group.nodes.iter().enumerate() {
        board.seat(node);
        board.up(index);
    }
    let history = History::new(board.clone());
    let host_port =
        |ip: &std::net::IpAddr| HostPort::parse(&ip.to_string(), TRACKER_PORT).expect("an address");
    let trackers: Vec<_> = trackers.iter().map(host_port).collect();

    let stop = CancellationToken::new();
    let mut tasks = start_clients(&plan, &trackers, &board, &history, &stop);
    let lanes = Lanes {
        board: &board,
        history: &history,
        end: Instant::now() + plan.time,
        calm: tokio::sync::Mutex::new(()),
        trackers: trackers.clone(),
    };
    let of_trackers = async {
        if !plan.tracker_faults.is_empty() {
            let schedule = Schedule::new(plan.seed, plan.tracker_faults, group.trackers.len());
            lanes.trouble_trackers(&mut group.trackers, schedule).await;
        }
    };
    let schedule = Schedule::new(plan.seed + 1, plan.node_faults, MEMBERS + 1);
    tokio::join!(of_trackers, lanes.trouble_nodes(&mut group.nodes, Some(fourth), schedule));
    tokio::time::sleep_until(lanes.end).await;
    stop.cancel();
    while let Some(ended) = tasks.join_next().await {
        ended.expect("clients do not panic");
    }

    let mut random = fastrand::Rng::with_seed(plan.seed);
    verdict::judge(&history, &board.ups(), &mut random, &group.client()).await;
    let violations = history.violations();
    let shown = violations[..violations.len().min(20)].join("\n");
    assert!(violations.is_empty(), "{} violations\n{shown}\n{:#?}", violations.len(), history.counts());
    say(&format!("torture with seed {}: {} files, {:?}", plan.seed, history.all().len(), history.counts()));
}

/// The place of a run: kept with its story when the run fails.
struct Scene {
    dir: Option<TempDir>,
    board: Board,
    seed: u64,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let Some(dir) = self.dir.take_if(|_| std::thread::panicking()) else { return };
        let kept = dir.keep();
        say(&format!(
            "FDFS_TORTURE_SEED={}; disks, logs and story.txt are kept in {}",
            self.seed,
            kept.display()
        ));
        if let Err(error) = std::fs::write(kept.join("story.txt"), self.board.story()) {
            say(&format!("no story.txt: {error}\n{}", self.board.story()));
        }
    }
}

fn start_clients(
    plan: &Plan,
    trackers: &[HostPort],
    board: &Board,
    history: &History,
    stop: &CancellationToken,
) -> JoinSet<()> {
    let limits = ClientLimits {
        connect_timeout: Duration::from_secs(1),
        network_timeout: Duration::from_secs(5),
        connect_retries: 0,
        ..ClientLimits::default()
    };
    let http = reqwest::Client::builder().timeout(limits.network_timeout).build().expect("good options");
    let patient = ClientLimits { network_timeout: Duration::from_secs(20), ..limits.clone() };
    let mut tasks = JoinSet::new();
    for number in 0..LOADERS {
        let loader = Loader {
            files: plan.files,
            client: Client::new(trackers.to_vec(), limits.clone()),
            http: http.clone(),
            board: board.clone(),
            history: history.clone(),
            random: fastrand::Rng::with_seed(plan.seed * 100 + number),
            pace: plan.pace,
            own: Vec::new(),
        };
        tasks.spawn(loader.run(stop.clone()));
    }
    for number in 0..READERS {
        let reader = Reader {
            client: Client::new(trackers.to_vec(), patient.clone()),
            http: reqwest::Client::new(),
            board: board.clone(),
            history: history.clone(),
            random: fastrand::Rng::with_seed(plan.seed * 100 + LOADERS + number),
            pace: plan.pace / 3,
        };
        tasks.spawn(reader.run(stop.clone()));
    }
    tasks
}
