//! A tracker and a node of ours, on the processor for servers.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::address::{self, STORAGE_HTTP_PORT, TRACKER_HTTP_PORT};
use crate::client::{To, Way};
use crate::cluster::{Config, START, made, node_config, ready, wait_for_a_place};
use crate::process::{Process, fdfs};
use crate::server::Cores;
use crate::wait::until;

pub(crate) struct Ours {
    node: Process,
    tracker: Process,
    node_ip: IpAddr,
    tracker_ip: IpAddr,
    data: PathBuf,
}

impl Ours {
    pub(crate) async fn start(dir: &Path, cores: &Cores) -> Self {
        let (tracker_ip, node_ip) = (address::fresh(), address::fresh());
        let (base, conf) = (made(dir.join("tracker")), dir.join("tracker.conf"));
        let config =
            Config::sample("tracker.conf").set("base_path", base.display()).set("bind_addr", tracker_ip);
        config.set("reserved_storage_space", "1%").add("http.keepalive_requests = 0").write(&conf);
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
        Self { node, tracker, node_ip, tracker_ip, data: base.join("data") }
    }

    pub(crate) fn ways(&self) -> Vec<Way> {
        let http = SocketAddr::new(self.node_ip, STORAGE_HTTP_PORT);
        let tracker = SocketAddr::new(self.tracker_ip, TRACKER_HTTP_PORT);
        let both = vec![self.node.id(), self.tracker.id()];
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
    }
}

fn start(role: &str, conf: &Path, cores: &Cores) -> Process {
    let mut command = fdfs();
    command.arg(role).arg(conf);
    Process::start(&mut cores.server(&command))
}
