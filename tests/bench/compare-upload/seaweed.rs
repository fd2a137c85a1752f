//! SeaweedFS: one process that is master and volume server, on the processor for servers.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::address;
use crate::client::{To, Way};
use crate::cluster::made;
use crate::process::Process;
use crate::server::{Cores, is_on_path};
use crate::wait::until;

/// It elects itself first.
const START: Duration = Duration::from_secs(60);
const MASTER_PORT: u16 = 9333;

pub(crate) struct Seaweed {
    process: Process,
    ip: IpAddr,
    dir: PathBuf,
}

pub(crate) fn is_here() -> bool {
    is_on_path("weed")
}

impl Seaweed {
    /// Nobody, where there is no `weed`.
    pub(crate) async fn start(dir: &Path, cores: &Cores) -> Option<Self> {
        if !is_here() {
            return None;
        }
        let (ip, dir) = (address::fresh(), made(dir.join("weed")));
        let mut command = Command::new("weed");
        command.args(["server", "-master.telemetry=false", "-volume.max=50", &format!("-ip={ip}")]);
        command.arg(format!("-ip.bind={ip}")).arg(format!("-dir={}", dir.display()));
        let mut process = Process::start(&mut cores.server(&command));
        let url = format!("http://{}/dir/assign", SocketAddr::new(ip, MASTER_PORT));
        until("place in SeaweedFS", START, async || {
            process.assert_running();
            let answer = reqwest::get(&url).await.map_err(|error| error.to_string())?;
            let text = answer.text().await.map_err(|error| error.to_string())?;
            if text.contains("\"fid\"") { Ok(()) } else { Err(text) }
        })
        .await;
        Some(Self { process, ip, dir })
    }

    pub(crate) fn ways(&self) -> Vec<Way> {
        let (master, servers) = (SocketAddr::new(self.ip, MASTER_PORT), vec![self.process.id()]);
        vec![
            Way { name: "volume", to: To::Volume { master }, servers: servers.clone() },
            Way { name: "master", to: To::Master(master), servers },
        ]
    }

    pub(crate) async fn stop(mut self) {
        self.process.stop().await;
        std::fs::remove_dir_all(&self.dir).expect("it is our own");
    }
}
