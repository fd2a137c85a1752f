//! Compares our HTTP service with nginx: `cargo bench -p cli --bench compare-http -- [quick|full] [CASE...]`.
//!
//! One store directory, filled by `fdfs`, is served by ours, by nginx and, where it is on the machine, by nginx with
//! fastdfs-nginx-module. Each server has one processor, the load generators (`wrk`, `h2load`) have another one. A round
//! measures every server once, in changing order; a ratio is made of two measurements of one round, and what is printed is
//! the median of the rounds with the least and the greatest.
//!
//! - `quick` (the default) takes 3 rounds of 1 s a case, `full` 9 of 3 s; `rounds=N` and `seconds=N` are for what is between.
//! - `CASE` is the name of a case or what it begins with; without one all are run.
//! - `without=nginx`, `without=module` leave a server out.
//! - `FDFS_NGINX_MODULE` names an nginx with the module; else the first `nginx-fdfs` or `nginx` on the PATH that has it.
//! - `FDFS_TEST_BINARY` names the `fdfs` to measure, `FDFS_COMPARE_BASE` another build of it to compare with.
//!
//! `lean-64k` is `hot-64k` by a generator of our own that takes less than wrk does, so that the server is the limit.
//!
//! "busy" is how much of its processor the server used: below 0.9 the load generator, or what else runs on the machine, was
//! the limit, and the ratio of processor time per request ("cost") says more than the one of requests per second.

#[path = "../../it/address.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod address;
#[path = "../asked.rs"]
mod asked;
mod cases;
mod certificate;
#[path = "../../it/cluster.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod cluster;
mod files;
mod lean;
mod load;
mod nginx;
mod ours;
#[path = "../../it/process.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod process;
mod report;
#[path = "../../it/say.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod say;
mod server;
mod spread;
#[path = "../../it/wait.rs"]
mod wait;

use std::time::Duration;

use asked::Asked;
use cases::Case;
use report::Rounds;
use say::say;
use server::{Cores, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let asked = match Asked::of(&asked::words(), cases::ALL, |case| case.name) {
        Ok(asked) => asked,
        Err(problem) => return say(&problem),
    };
    for tool in ["wrk", "taskset"] {
        if !server::is_on_path(tool) {
            return say(&format!("{tool} is not on the PATH; Debian has it in wrk or util-linux"));
        }
    }
    let cores = Cores::find();
    let store = files::Store::fill().await;
    let mut servers = vec![ours::Ours::start_first(&store, &cores).await];
    servers.extend(ours::Ours::start_base(&store, &cores).await);
    if !asked.without.iter().any(|name| name == "nginx") {
        servers.extend(nginx::plain(&store, &cores).await);
    }
    if !asked.without.iter().any(|name| name == "module") {
        servers.extend(nginx::with_module(&store, &cores).await);
    }
    if servers.len() == 1 {
        say("nothing to compare with: these are the numbers of fdfs alone");
    }
    report::say_head(&servers, asked.rounds, asked.time);
    for case in &asked.cases {
        measure(case, &store, &servers, &cores, &asked);
    }
    for server in servers {
        server.stop().await;
    }
}

/// All rounds of one case, and their line in the table.
fn measure(case: &Case, store: &files::Store, servers: &[Server], cores: &Cores, asked: &Asked<Case>) {
    if let Some(reason) = case.load.missing() {
        return say(&format!("skipped: {}: {reason}", case.name));
    }
    let able: Vec<&Server> = servers.iter().filter(|server| case.is_for(server)).collect();
    // The first requests fill caches of files, pages and names, which all servers have.
    for server in &able {
        case.run(server, store, cores, Duration::from_millis(500));
    }
    let mut rounds = Rounds::new(&able);
    for round in 0..asked.rounds {
        for turn in 0..able.len() {
            let which = (round + turn) % able.len();
            rounds.add(which, case.run(able[which], store, cores, asked.time));
        }
    }
    rounds.say(case);
}
