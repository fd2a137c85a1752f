//! What bad clients cost the others: a visitor's answer times and the server's memory while a crowd behaves badly.
//!
//! The tests have crowds that any machine bears; `cargo bench --bench attack` has those that a site may meet.

pub(crate) mod crowd;
pub(crate) mod reader;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::address::STORAGE_HTTP_PORT;
use crate::cluster::Cluster;
use crate::say::say;
use crate::wait::until;
use crowd::{Crowd, Files, Manner};
use reader::read_for;

/// For a connection that does nothing good. Of it, more than half is what hyper keeps for a connection with a request.
const KIB_A_CONNECTION: f64 = 20.0;
/// How much longer the slowest of a hundred answers may take for a visitor beside a crowd.
const SLOWDOWN: u32 = 3;
/// For what ends when connections are gone.
const RELEASE: Duration = Duration::from_secs(20);
const SMALL: usize = 4096;
const LARGE: usize = 100 << 20;

/// A cluster whose node is attacked.
pub(crate) struct Target {
    pub(crate) cluster: Cluster,
    pub(crate) at: SocketAddr,
    pub(crate) files: Files,
}

/// What an attack came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) manner: Manner,
    pub(crate) count: usize,
    /// Connections that the server still had at the end.
    pub(crate) held: usize,
    pub(crate) quiet_p99: Duration,
    pub(crate) p99: Duration,
    pub(crate) before_kib: u64,
    pub(crate) during_kib: u64,
    /// When the same crowd comes again.
    pub(crate) again_kib: u64,
}

impl Target {
    /// Starts it, with what is read from it.
    pub(crate) async fn start() -> Self {
        let cluster = Cluster::start().await;
        let url = cluster.node.url("/v1/files?filename=x.jpg");
        let client = reqwest::Client::new();
        let mut paths = Vec::new();
        for len in [SMALL, LARGE] {
            let answer = client.post(&url).body(vec![b'a'; len]).send().await.expect("the node answers");
            let stored = answer.text().await.expect("a body");
            let stored: serde_json::Value = serde_json::from_str(&stored).expect("the documented JSON");
            paths.push(format!("/{}", stored["file_id"].as_str().expect("an ID")));
        }
        let at = SocketAddr::new(cluster.node.ip, STORAGE_HTTP_PORT);
        let files = Files { small: paths[0].clone(), small_len: SMALL, large: paths[1].clone() };
        Self { cluster, at, files }
    }

    /// Attacks for so long.
    pub(crate) async fn attack(&self, manner: Manner, count: usize, time: Duration) -> Outcome {
        // What comes once (code, threads, buffers of a first request of that kind) is no growth.
        drop(Crowd::gather(manner, 8, self.at, &self.files));
        self.read(Duration::from_millis(200)).join().expect("a quiet visitor");
        let quiet = self.read(time).join().expect("a quiet visitor");
        let (before_kib, files_before) = (self.kib(), self.open_files());

        let (held, times, during_kib) = self.beside(manner, count, time, files_before).await;
        // What is given back need not go back to the system, but another crowd must find it.
        let (_, _, again_kib) = self.beside(manner, count, time / 3, files_before).await;
        let (quiet_p99, p99) = (quiet.p99(), times.p99());
        Outcome { manner, count, held, quiet_p99, p99, before_kib, during_kib, again_kib }
    }

    /// A crowd comes, a visitor reads beside it, the crowd goes. How many were held, the visitor's times, most memory.
    async fn beside(
        &self,
        manner: Manner,
        count: usize,
        time: Duration,
        files_before: usize,
    ) -> (usize, reader::Times, u64) {
        let mut crowd = Crowd::gather(manner, count, self.at, &self.files);
        let visitor = self.read(time);
        let (start, mut during_kib, mut seconds) = (Instant::now(), 0, 0);
        while !visitor.is_finished() {
            if start.elapsed().as_secs() >= seconds {
                seconds += 1;
                crowd.step();
            }
            during_kib = self.kib().max(during_kib);
            std::thread::sleep(Duration::from_millis(20));
        }
        let times = visitor.join().expect("a visitor beside the crowd");
        let held = crowd.held();
        drop(crowd);
        until("end of what the crowd had open", RELEASE, async || {
            let open = self.open_files();
            if open <= files_before + 2 { Ok(()) } else { Err(format!("{open} open, {files_before} before")) }
        })
        .await;
        (held, times, during_kib)
    }

    fn read(&self, time: Duration) -> std::thread::JoinHandle<reader::Times> {
        read_for(self.at, &self.files.small, self.files.small_len, time)
    }

    fn kib(&self) -> u64 {
        self.cluster.node.process.resident_kib()
    }

    fn open_files(&self) -> usize {
        let of = format!("/proc/{}/fd", self.cluster.node.process.id());
        std::fs::read_dir(of).expect("the node runs").count()
    }
}

impl Outcome {
    /// Memory that a connection of the crowd costs.
    pub(crate) fn kib_a_connection(&self) -> f64 {
        let grown = self.during_kib.saturating_sub(self.before_kib);
        kib(grown) / kib(u64::try_from(self.count).expect("a count fits"))
    }

    /// What is wrong with it. Answers that take no longer than `noticed` are never slow: they may say more about a machine
    /// that has other work than about the server.
    pub(crate) fn faults(&self, noticed: Duration) -> Vec<String> {
        let mut faults = Vec::new();
        if self.held < self.count {
            faults.push(format!("only {} of {} connections were held", self.held, self.count));
        }
        if self.p99 > noticed.max(self.quiet_p99 * SLOWDOWN) {
            faults.push(format!("p99 of a visitor went from {:?} to {:?}", self.quiet_p99, self.p99));
        }
        if self.kib_a_connection() > KIB_A_CONNECTION {
            faults.push(format!("{:.1} KiB a connection", self.kib_a_connection()));
        }
        let leaked = self.again_kib.saturating_sub(self.during_kib);
        if leaked > self.during_kib.saturating_sub(self.before_kib) / 2 + 4096 {
            faults.push(format!("{leaked} KiB more when the same crowd comes again"));
        }
        faults
    }

    /// A line for people.
    pub(crate) fn say(&self) {
        say(&format!(
            "{:?} x {}: held {}, visitor's p99 {:.2?} (quiet {:.2?}), {:.1} KiB a connection, \
             resident {} KiB before, {} during, {} when it comes again",
            self.manner,
            self.count,
            self.held,
            self.p99,
            self.quiet_p99,
            self.kib_a_connection(),
            self.before_kib,
            self.during_kib,
            self.again_kib
        ));
    }
}

fn kib(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// Lets this process, and what it starts, have so many descriptors; false where that is not allowed.
pub(crate) fn raise_open_files(wanted: usize) -> bool {
    let wanted = u64::try_from(wanted).expect("fits");
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum;
    if limit.current.is_none_or(|current| current >= wanted) {
        return true;
    }
    if maximum.is_some_and(|maximum| maximum < wanted) {
        return false;
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok()
}
