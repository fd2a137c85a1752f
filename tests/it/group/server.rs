//! One server of a group, ours or FastDFS's: started, stopped, killed, frozen, cut off from the network and back again.

use std::net::{IpAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Signal, geteuid};

use super::disk;
use crate::address;
use crate::cluster::{self, Config, FEW_DIRECTORIES, START, made};
use crate::process::Process;
use crate::theirs::program;
use crate::wait::until;

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Make {
    Ours,
    Theirs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Tracker,
    Node,
}

/// A tracker or a storage.
pub(crate) struct Server {
    pub(crate) make: Make,
    pub(crate) ip: IpAddr,
    /// `base_path` and only store path.
    pub(crate) base: PathBuf,
    conf: PathBuf,
    role: Role,
    process: Option<Process>,
    cut: Option<Cut>,
}

/// What FastDFS is told beyond addresses and directories; ours the same where it is not in the sample.
const THEIR_NETWORK: &str =
    "connect_timeout = 2\nnetwork_timeout = 10\nthread_stack_size = 512KB\nlog_level = info";

impl Server {
    /// A tracker at `ip` with its files in `dir`, not started yet.
    pub(crate) fn tracker(make: Make, dir: &Path, ip: IpAddr) -> Self {
        let server = Self::new(make, Role::Tracker, dir, ip);
        let base = server.base.display();
        match make {
            Make::Ours => Config::sample("tracker.conf")
                .set("base_path", base)
                .set("bind_addr", ip)
                .set("reserved_storage_space", "1%")
                .set("check_active_interval", 5)
                .set("connect_timeout", 2)
                .set("network_timeout", 10)
                .write(&server.conf),
            Make::Theirs => server.write(&format!(
                "bind_addr = {ip}\nport = 22122\nbase_path = {base}\n{THEIR_NETWORK}\nreserved_storage_space = 1%\n\
                 check_active_interval = 5\nsave_interval = 1\n"
            )),
        }
        server
    }

    /// A storage of `group1` at `ip` with its files in `dir`, not started yet.
    pub(crate) fn node(make: Make, dir: &Path, ip: IpAddr, trackers: &[IpAddr]) -> Self {
        let server = Self::new(make, Role::Node, dir, ip);
        let base = server.base.display();
        let lines: String =
            trackers.iter().map(|ip| format!("tracker_server = {}\n", address::tracker(*ip))).collect();
        match make {
            Make::Ours => {
                let (first, others) = trackers.split_first().expect("a tracker");
                let config = cluster::node_config(&server.base, ip, *first)
                    .set("connect_timeout", 2)
                    .set("network_timeout", 10)
                    .add(FEW_DIRECTORIES);
                let add = |config: Config, ip: &IpAddr| {
                    config.add(&format!("tracker_server = {}", address::tracker(*ip)))
                };
                others.iter().fold(config, add).write(&server.conf);
            }
            Make::Theirs => server.write(&format!(
                "group_name = group1\nbind_addr = {ip}\nport = 23000\nbase_path = {base}\nstore_path0 = {base}\n\
                 {lines}{THEIR_NETWORK}\nbuff_size = 256KB\nheart_beat_interval = 1\nstat_report_interval = 1\n\
                 sync_wait_msec = 50\nsync_binlog_buff_interval = 1\n{FEW_DIRECTORIES}\n"
            )),
        }
        server
    }

    fn new(make: Make, role: Role, dir: &Path, ip: IpAddr) -> Self {
        let base = made(dir.join(ip.to_string()));
        let conf = dir.join(format!("{ip}.conf"));
        Self { make, ip, base, conf, role, process: None, cut: None }
    }

    /// Adds lines to its configuration, before all others.
    pub(crate) fn tell(&self, lines: &str) {
        let text = std::fs::read_to_string(&self.conf).expect("it was written before");
        self.write(&format!("{lines}\n{text}"));
    }

    /// Gives `key` this value in its configuration, before it starts.
    pub(crate) fn set(&self, key: &str, value: &str) {
        let text = std::fs::read_to_string(&self.conf).expect("it was written before");
        let is_key = |line: &&str| line.split_once('=').is_some_and(|(name, _)| name.trim() == key);
        let others: String =
            text.lines().filter(|line| !is_key(line)).map(|line| format!("{line}\n")).collect();
        self.write(&format!("{key} = {value}\n{others}"));
    }

    /// Makes it a storage of another group than `group1`, before it starts.
    pub(crate) fn belong_to(&self, group: &str) {
        let text = std::fs::read_to_string(&self.conf).expect("it was written before");
        self.write(&text.replace("group_name = group1", &format!("group_name = {group}")));
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.conf, text).expect("the scratch directory can be written");
    }

    /// Starts it, without waiting for anything.
    pub(crate) fn start(&mut self) {
        let (ours, theirs) = match self.role {
            Role::Tracker => ("tracker", "fdfs_trackerd"),
            Role::Node => ("node", "fdfs_storaged"),
        };
        self.process = Some(match self.make {
            Make::Ours => cluster::start(ours, &self.conf),
            Make::Theirs => {
                let mut command = Command::new(program(theirs).expect("looked for before"));
                Process::start(command.arg("--no-daemon").arg(&self.conf).arg("start"))
            }
        });
    }

    /// Waits until its native port takes connections.
    pub(crate) async fn wait_listening(&mut self) {
        let at = match self.role {
            Role::Tracker => address::tracker(self.ip),
            Role::Node => address::storage(self.ip),
        };
        until(&format!("listener at {at}"), START, async || {
            self.assert_running();
            TcpStream::connect_timeout(&at, Duration::from_secs(1)).map_err(|error| error.to_string())
        })
        .await;
    }

    /// SIGTERM and its end.
    pub(crate) async fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        let ended = process.stop().await;
        assert!(ended.status.success(), "{}: {}: {}", self.ip, ended.status, ended.stderr);
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.take().expect("it runs").crash();
    }

    /// SIGSTOP: its connections stay, its kernel accepts more, and it never answers.
    pub(crate) fn freeze(&self) {
        self.process.as_ref().expect("it runs").signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.process.as_ref().expect("it runs").signal(Signal::CONT);
    }

    /// Nothing reaches it and it reaches nobody, until [`Self::join`]; false where the system does not let us.
    pub(crate) fn cut_off(&mut self) -> bool {
        self.cut = Cut::new(self.ip);
        self.cut.is_some()
    }

    /// The network is back.
    pub(crate) fn join(&mut self) {
        self.cut = None;
    }

    /// Forgets everything: its disk is replaced by an empty one.
    pub(crate) fn wipe(&mut self) {
        assert!(self.process.is_none(), "a running server uses its files");
        std::fs::remove_dir_all(&self.base).expect("the scratch directory can be written");
        made(self.base.clone());
    }

    /// Loses the files and the directories that they were in, as with a new disk for its store path; what it knows of its
    /// group and of what happened stays.
    pub(crate) fn lose_files(&mut self) {
        assert!(self.process.is_none(), "a running server uses its files");
        let data = self.base.join("data");
        for high in disk::levels(&data) {
            std::fs::remove_dir_all(high).expect("the scratch directory can be written");
        }
        std::fs::remove_file(data.join(".fastdfs_vars")).expect("a store path has a mark");
    }

    /// Whether it has been started and not ended by us.
    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some()
    }

    /// Fails at once when it has ended by itself.
    pub(crate) fn assert_running(&mut self) {
        if let Some(process) = &mut self.process {
            process.assert_running();
        }
    }

    /// The last lines of its logs, for who looks at a failure.
    pub(crate) fn log_tail(&self, lines: usize) -> String {
        let mut text = format!("--- {} ({:?} {:?})\n", self.ip, self.make, self.role);
        let Ok(entries) = std::fs::read_dir(self.base.join("logs")) else { return text };
        for path in entries.flatten().map(|entry| entry.path()) {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            let all: Vec<&str> = log.lines().collect();
            let tail = &all[all.len().saturating_sub(lines)..];
            text.push_str(&format!("{}:\n{}\n", path.display(), tail.join("\n")));
        }
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            crate::say::say(&self.log_tail(30));
        }
    }
}

/// A route that leads packets for one of our own addresses nowhere. Our addresses are of this process alone, so nobody
/// else is cut off.
struct Cut(IpAddr);

impl Cut {
    fn new(ip: IpAddr) -> Option<Self> {
        (geteuid().is_root() && route("add", ip)).then(|| Self(ip))
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        // A left-over route does no harm but to the next process with our number.
        route("del", self.0);
    }
}

fn route(verb: &str, ip: IpAddr) -> bool {
    let mut command = Command::new("ip");
    command.args(["route", verb, "blackhole", &format!("{ip}/32"), "table", "local"]);
    command.output().is_ok_and(|output| output.status.success())
}
