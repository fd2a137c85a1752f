//! A tracker and a node of ours, on the processor for servers: with a file for each upload, or with trunk files.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::address::{self, STORAGE_HTTP_PORT, TRACKER_HTTP_PORT};
use crate::client::{To, Way};
use crate::cluster::{Config, START, made, node_config, ready, wait_for_a_place};
use crate::process::{Process, fdfs};
use crate::server::Cores;
use crate::wait::until;

/// Where uploads go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Into files of their own.
    Files,
    /// Into slots of trunk files, as SeaweedFS puts them into volumes.
    Slots,
}

/// Length of the name of a file in a slot, without the directories.
const SLOT_NAME: usize = 50;

pub(crate) struct Ours {
    kept: Kept,
    dir: PathBuf,
    node: Process,
    tracker: Process,
    node_ip: IpAddr,
    tracker_ip: IpAddr,
    data: PathBuf,
}

impl Ours {
    pub(crate) async fn start(dir: &Path, cores: &Cores, kept: Kept) -> Self {
        let dir = made(dir.join(if kept == Kept::Files { "files" } else { "slots" }));
        let (tracker_ip, node_ip) = (address::fresh(), address::fresh());
        let (base, conf) = (made(dir.join("tracker")), dir.join("tracker.conf"));
        let config =
            Config::sample("tracker.conf").set("base_path", base.display()).set("bind_addr", tracker_ip);
        let config = config.set("reserved_storage_space", "1%").add("http.keepalive_requests = 0");
        config.set("use_trunk_file", kept == Kept::Slots).write(&conf);
        let tracker = start("tracker", &conf, cores);
        let (base, conf) = (made(dir.join("node")), dir.join("storage.conf"));
        // As many connections and requests as the clients want, as SeaweedFS takes them.
        let config = node_config(&base, node_ip, tracker_ip).add("http.keepalive_requests = 0");
        config.add("subdir_count_per_path = 16").write(&conf);
        let mut node = start("node", &conf, cores);
        let url = format!("http://{}/readyz", SocketAddr::new(node_ip, STORAGE_HTTP_PORT));
        until("ready node", START, async || {
            node.assert_running();
            ready(&url).await
        })
        .await;
        wait_for_a_place(tracker_ip).await;
        if kept == Kept::Slots {
            wait_for_slots(node_ip).await;
        }
        Self { kept, dir, node, tracker, node_ip, tracker_ip, data: base.join("data") }
    }

    pub(crate) fn ways(&self) -> Vec<Way> {
        let http = SocketAddr::new(self.node_ip, STORAGE_HTTP_PORT);
        let tracker = SocketAddr::new(self.tracker_ip, TRACKER_HTTP_PORT);
        let both = vec![self.node.id(), self.tracker.id()];
        if self.kept == Kept::Slots {
            return vec![
                Way { name: "trunk", to: To::Node(http), servers: vec![self.node.id()] },
                Way { name: "tracker-t", to: To::Tracker(tracker), servers: both },
            ];
        }
        vec![
            Way { name: "node", to: To::Node(http), servers: vec![self.node.id()] },
            Way { name: "tracker", to: To::Tracker(tracker), servers: both },
            Way {
                name: "native",
                to: To::Native(address::storage(self.node_ip)),
                servers: vec![self.node.id()],
            },
        ]
    }

    /// Takes away what was stored, so that no run has more to do than another.
    pub(crate) fn forget_files(&self) {
        let dirs = |path: &Path| -> Vec<PathBuf> {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
        };
        for directory in dirs(&self.data).iter().flat_map(|path| dirs(path)) {
            for file in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                // What is no plain file stays.
                let _ = std::fs::remove_file(file.path());
            }
        }
    }

    pub(crate) async fn stop(mut self) {
        self.node.stop().await;
        self.tracker.stop().await;
        // A tmpfs has room for one of these at a time.
        std::fs::remove_dir_all(&self.dir).expect("what was stored can be removed");
    }
}

/// Waits until an upload goes into a slot: the tracker has to say first whose the trunk files are.
async fn wait_for_slots(node: IpAddr) {
    let url = format!("http://{}/v1/files", SocketAddr::new(node, STORAGE_HTTP_PORT));
    until("upload into a trunk file", START, async || {
        let answer = reqwest::Client::new().post(&url).body("first").send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok());
        let name = location.and_then(|location| location.rsplit('/').next()).unwrap_or_default();
        if name.len() == SLOT_NAME { Ok(()) } else { Err(format!("{location:?}")) }
    })
    .await;
}

fn start(role: &str, conf: &Path, cores: &Cores) -> Process {
    let mut command = fdfs();
    command.arg(role).arg(conf);
    Process::start(&mut cores.server(&command))
}
