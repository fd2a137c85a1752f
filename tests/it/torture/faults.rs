//! What goes wrong, by a schedule that a seed makes: two lanes, one for the trackers and one for the storages, each with one
//! fault at a time, so that always two trackers and one storage are up.

use std::time::Duration;

use protocol::client::Client;
use protocol::cluster::StorageStatus;
use protocol::{HostPort, StorageId};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};

use super::board::Board;
use super::history::{History, Life};
use crate::address;
use crate::group::server::{Make, Server};
use crate::group::{disk, group1, limits, storages};
use crate::wait::until;

/// A server that was down must take part again within this.
const RETURN: Duration = Duration::from_secs(90);

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Kill,
    Stop,
    Freeze,
    Cut,
    /// Storages only: two are killed together.
    KillPair,
    /// Storages only: the fourth member joins, or is removed and comes back the next time.
    Toggle,
}

/// One line of a schedule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    after: Duration,
    fault: Fault,
    target: usize,
    lasting: Duration,
    /// Whether a removed storage comes back with an empty disk.
    wiped: bool,
}

/// An endless schedule: all kinds in random order, again and again.
pub(super) struct Schedule {
    random: fastrand::Rng,
    kinds: Vec<Fault>,
    turn: Vec<Fault>,
    targets: usize,
}

impl Schedule {
    pub(super) fn new(seed: u64, kinds: &[Fault], targets: usize) -> Self {
        Self { random: fastrand::Rng::with_seed(seed), kinds: kinds.to_vec(), turn: Vec::new(), targets }
    }

    fn next(&mut self) -> Step {
        if self.turn.is_empty() {
            self.turn.clone_from(&self.kinds);
            self.random.shuffle(&mut self.turn);
        }
        let fault = self.turn.pop().expect("filled above");
        let mut ms = |range: std::ops::Range<u64>| Duration::from_millis(self.random.u64(range));
        let (after, lasting) = (ms(300..3_000), ms(200..6_000));
        Step { after, fault, target: self.random.usize(..self.targets), lasting, wiped: self.random.bool() }
    }
}

/// Everything that both lanes use.
pub(super) struct Lanes<'a> {
    pub(super) board: &'a Board,
    pub(super) history: &'a History,
    pub(super) end: Instant,
    /// Held by who needs the trackers to be left alone.
    pub(super) calm: Mutex<()>,
    /// Addresses of all trackers.
    pub(super) trackers: Vec<HostPort>,
}

impl Lanes<'_> {
    fn client(&self) -> Client {
        Client::new(self.trackers.clone(), limits())
    }

    /// Until the end of the run or of the pause; false at the end of the run.
    async fn pause(&self, time: Duration) -> bool {
        timeout_at(self.end, sleep(time)).await.is_ok()
    }

    /// Faults of the trackers.
    pub(super) async fn trouble_trackers(&self, servers: &mut [Server], mut schedule: Schedule) {
        loop {
            let step = schedule.next();
            if !self.pause(step.after).await {
                return;
            }
            let _calm = self.calm.lock().await;
            let server = &mut servers[step.target];
            self.board.tell(&format!(
                "tracker {} {}: {:?} for {:?}",
                step.target, server.ip, step.fault, step.lasting
            ));
            self.strike(server, step).await;
            server.wait_listening().await;
            self.board.tell(&format!("tracker {} is back", step.target));
        }
    }

    /// Faults of the storages. `fourth` is the member that comes and goes.
    pub(super) async fn trouble_nodes(
        &self,
        servers: &mut Vec<Server>,
        mut fourth: Option<Server>,
        mut schedule: Schedule,
    ) {
        let first = servers.len();
        loop {
            let step = schedule.next();
            if !self.pause(step.after).await {
                break;
            }
            if step.fault == Fault::Toggle {
                self.toggle(servers, &mut fourth, step, first).await;
                continue;
            }
            let index = step.target % servers.len();
            if step.fault == Fault::KillPair {
                let other = (index + 1) % servers.len();
                self.kill_pair(servers, [index, other], step).await;
                continue;
            }
            let server = &mut servers[index];
            self.board
                .tell(&format!("storage {index} {}: {:?} for {:?}", server.ip, step.fault, step.lasting));
            self.board.down(index);
            self.strike(server, step).await;
            self.wait_active(server).await;
            self.board.up(index);
            self.board.tell(&format!("storage {index} is back"));
        }
    }

    async fn kill_pair(&self, servers: &mut [Server], pair: [usize; 2], step: Step) {
        self.board.tell(&format!("storages {pair:?}: Kill for {:?}", step.lasting));
        for index in pair {
            self.board.down(index);
            servers[index].kill();
        }
        sleep(step.lasting).await;
        for index in pair {
            servers[index].start();
        }
        for index in pair {
            self.wait_active(&mut servers[index]).await;
            self.board.up(index);
            self.board.tell(&format!("storage {index} is back"));
        }
    }

    /// A fault from its beginning to its end.
    async fn strike(&self, server: &mut Server, step: Step) {
        match step.fault {
            Fault::Kill => {
                server.kill();
                sleep(step.lasting).await;
                server.start();
            }
            Fault::Stop => {
                server.stop().await;
                sleep(step.lasting).await;
                server.start();
            }
            Fault::Freeze => {
                server.freeze();
                sleep(step.lasting).await;
                server.thaw();
            }
            Fault::Cut => {
                if !server.cut_off() {
                    self.board.tell("the network cannot be cut here; nothing done");
                    return;
                }
                sleep(step.lasting).await;
                server.join();
            }
            Fault::KillPair | Fault::Toggle => unreachable!("done elsewhere"),
        }
    }

    /// Waits until a storage serves and a tracker says so.
    pub(super) async fn wait_active(&self, server: &mut Server) {
        server.wait_listening().await;
        let trackers = self.client().trackers;
        let ip = server.ip;
        until(&format!("active {ip}"), RETURN, async || {
            server.assert_running();
            let known = storages(&trackers).await?;
            let found = known.iter().find(|known| known.ip == Some(ip));
            match found.map(|found| found.status) {
                Some(StorageStatus::ACTIVE) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        if server.make == Make::Ours {
            let url = format!("http://{ip}:{}/readyz", address::STORAGE_HTTP_PORT);
            until(&format!("ready {ip}"), RETURN, async || crate::cluster::ready(&url).await).await;
        }
    }

    async fn toggle(&self, servers: &mut Vec<Server>, fourth: &mut Option<Server>, step: Step, first: usize) {
        if let Some(mut server) = fourth.take() {
            if step.wiped {
                server.wipe();
            }
            self.board.tell(&format!("storage {} joins, disk wiped: {}", server.ip, step.wiped));
            self.board.seat(&server);
            server.start();
            self.wait_active(&mut server).await;
            servers.push(server);
            self.board.up(first);
            self.board.tell("it is active");
        } else if servers.len() > first {
            let mut server = servers.pop().expect("counted");
            self.board.tell(&format!("storage {} leaves", server.ip));
            self.board.leaving(first);
            self.wait_for_copies(first).await;
            self.board.down(first);
            server.kill();
            let _calm = self.calm.lock().await;
            self.delete_at_trackers(&server).await;
            self.board.tell("it is deleted at the trackers");
            *fourth = Some(server);
        }
    }

    /// What only this member has would be lost with it.
    async fn wait_for_copies(&self, index: usize) {
        // Uploads that began before it was leaving.
        sleep(limits().network_timeout).await;
        let others: Vec<_> = self.board.all().into_iter().filter(|seat| seat.index != index).collect();
        let own: Vec<_> = self.history.all().into_iter().filter(|entry| entry.home == index).collect();
        until("copies of its files", RETURN, async || {
            let is_missing = |entry: &&std::sync::Arc<super::history::Entry>| {
                entry.state().life == Life::Known
                    && !others.iter().all(|seat| disk::path(&seat.base, entry.id.name.as_str()).exists())
            };
            match own.iter().find(is_missing) {
                None => Ok(()),
                Some(entry) => Err(format!("{} has no copy", entry.id)),
            }
        })
        .await;
    }

    /// As `fdfs_monitor CONF delete group1 ID` does: once no tracker calls it active, at every tracker.
    async fn delete_at_trackers(&self, server: &Server) {
        let id = StorageId::parse(&server.ip.to_string()).expect("an address is an ID");
        let client = self.client().trackers;
        for tracker in &self.trackers {
            let tracker = client.only(tracker);
            until(&format!("deletion of {id:?}"), RETURN, async || {
                tracker.delete_storage(group1(), id).await.map_err(|error| format!("{error:?}"))
            })
            .await;
        }
    }
}
