//! One tracker and one storage as separate daemons, from the sample configurations and units of `deploy`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fastdfs::TrackerClient;
use tempfile::TempDir;

use crate::address::{self, STORAGE_HTTP_PORT, TRACKER_HTTP_PORT};
use crate::process::{Process, fdfs};
use crate::wait::until;

/// A first start may make 65,536 directories; everything later is quick.
pub(crate) const START: Duration = Duration::from_secs(60);
/// For storage.conf: 64 directories of files instead of 65,536, which are slow to make and to remove.
pub(crate) const FEW_DIRECTORIES: &str = "subdir_count_per_path = 8";

/// A sample configuration, changed for a test.
#[derive(Clone)]
pub(crate) struct Config(String);

impl Config {
    /// `deploy/conf/NAME` as a site gets it.
    pub(crate) fn sample(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/conf").join(name);
        Self(std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// Gives `key`, which the sample sets once, another value.
    pub(crate) fn set(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        let is_key = |line: &&str| line.split_once('=').is_some_and(|(name, _)| name.trim() == key);
        let lines: Vec<&str> = self.0.lines().filter(is_key).collect();
        let [line] = lines[..] else { panic!("the sample sets {key} {} times", lines.len()) };
        self.0 = self.0.replacen(&format!("\n{line}\n"), &format!("\n{key} = {value}\n"), 1);
        self
    }

    /// Puts a line at the top, before any section.
    pub(crate) fn add(self, line: &str) -> Self {
        Self(format!("{line}\n{}", self.0))
    }

    pub(crate) fn write(&self, path: &Path) {
        std::fs::write(path, &self.0).expect("the scratch directory can be written");
    }
}

/// A daemon of ours with its configuration and data directory.
pub(crate) struct Daemon {
    pub(crate) process: Process,
    pub(crate) ip: IpAddr,
    /// `base_path` and only store path.
    pub(crate) base: PathBuf,
    pub(crate) conf: PathBuf,
    role: &'static str,
}

impl Daemon {
    /// `fdfs tracker` in `dir`, whose HTTP answers when this returns.
    pub(crate) async fn tracker(dir: &Path, ip: IpAddr, change: impl FnOnce(Config) -> Config) -> Self {
        let base = made(dir.join("tracker"));
        let conf = dir.join("tracker.conf");
        // The sample keeps a tenth of the disk free, which a machine that runs tests may not have.
        let config = Config::sample("tracker.conf")
            .set("base_path", base.display())
            .set("bind_addr", ip)
            .set("reserved_storage_space", "1%");
        change(config).write(&conf);
        let mut daemon = Self { process: start("tracker", &conf), ip, base, conf, role: "tracker" };
        daemon.wait_ready().await;
        daemon
    }

    /// `fdfs node` in `dir` for `tracker`, active when this returns.
    pub(crate) async fn node(
        dir: &Path,
        ip: IpAddr,
        tracker: IpAddr,
        change: impl FnOnce(Config) -> Config,
    ) -> Self {
        let base = made(dir.join("storage"));
        let conf = dir.join("storage.conf");
        change(node_config(&base, ip, tracker)).write(&conf);
        let mut daemon = Self { process: start("node", &conf), ip, base, conf, role: "node" };
        daemon.wait_ready().await;
        daemon
    }

    /// Starts it again after a stop or a crash.
    pub(crate) async fn restart(&mut self) {
        self.process = start(self.role, &self.conf);
        self.wait_ready().await;
    }

    /// A path of its HTTP service as a URL.
    pub(crate) fn url(&self, path: &str) -> String {
        let port = if self.role == "tracker" { TRACKER_HTTP_PORT } else { STORAGE_HTTP_PORT };
        format!("http://{}:{port}{path}", self.ip)
    }

    /// Starts it again without its tracker: it lives, and is not ready.
    pub(crate) async fn start_unready(&mut self) {
        self.process = start(self.role, &self.conf);
        self.wait_for("/healthz").await;
    }

    pub(crate) async fn wait_ready(&mut self) {
        // A tracker is ready only once a storage is.
        self.wait_for(if self.role == "tracker" { "/healthz" } else { "/readyz" }).await;
    }

    async fn wait_for(&mut self, path: &str) {
        let url = self.url(path);
        let process = &mut self.process;
        until(&format!("answer from {url}"), START, async || {
            process.assert_running();
            ready(&url).await
        })
        .await;
    }
}

/// The sample for a storage at `ip` with everything in `base`.
pub(crate) fn node_config(base: &Path, ip: IpAddr, tracker: IpAddr) -> Config {
    Config::sample("storage.conf")
        .set("base_path", base.display())
        .set("store_path0", base.display())
        .set("bind_addr", ip)
        .set("tracker_server", address::tracker(tracker))
        .set("heart_beat_interval", 1)
}

/// `/readyz` of `url` says yes; else what it says.
pub(crate) async fn ready(url: &str) -> Result<(), String> {
    let answer = reqwest::get(url).await.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    if status.is_success() { Ok(()) } else { Err(format!("{status}: {text}")) }
}

/// Starts `role` as its systemd unit does, with another configuration.
pub(crate) fn start(role: &str, conf: &Path) -> Process {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../deploy/systemd/fdfs-{role}.service"));
    let unit = std::fs::read_to_string(unit).expect("there is a unit for each daemon");
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("it starts something");
    let words: Vec<_> = line.split(' ').collect();
    let ["/usr/bin/fdfs", arguments @ .., conf_path] = &words[..] else { panic!("not ours: {line}") };
    assert!(
        conf_path.starts_with("/etc/fdfs/") && conf_path.ends_with(".conf"),
        "the last word is a path: {line}"
    );
    Process::start(fdfs().args(arguments).arg(conf))
}

/// A directory, made if it is not there.
pub(crate) fn made(dir: PathBuf) -> PathBuf {
    std::fs::create_dir_all(&dir).expect("the scratch directory can be written");
    dir
}

/// One tracker and one storage.
pub(crate) struct Cluster {
    // Before the directory, so that the daemons end first.
    pub(crate) node: Daemon,
    pub(crate) tracker: Daemon,
    pub(crate) dir: TempDir,
}

impl Cluster {
    /// As in the samples, but for their many directories.
    pub(crate) async fn start() -> Self {
        Self::start_with(|conf| conf, |conf| conf).await
    }

    /// With changes to tracker.conf and storage.conf, and few directories.
    pub(crate) async fn start_with(
        tracker_conf: impl FnOnce(Config) -> Config,
        node_conf: impl FnOnce(Config) -> Config,
    ) -> Self {
        Self::start_exactly_with(tracker_conf, |conf| node_conf(conf).add(FEW_DIRECTORIES)).await
    }

    /// With these changes to tracker.conf and storage.conf.
    pub(crate) async fn start_exactly_with(
        tracker_conf: impl FnOnce(Config) -> Config,
        node_conf: impl FnOnce(Config) -> Config,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a scratch directory");
        let tracker = Daemon::tracker(dir.path(), address::fresh(), tracker_conf).await;
        let node = Daemon::node(dir.path(), address::fresh(), tracker.ip, node_conf).await;
        wait_for_a_place(tracker.ip).await;
        Self { node, tracker, dir }
    }
}

/// Waits until the tracker at `ip` sends uploads somewhere.
pub(crate) async fn wait_for_a_place(ip: IpAddr) {
    until("place to store", START, async || {
        let mut tracker =
            TrackerClient::connect(address::tracker(ip)).await.map_err(|error| error.to_string())?;
        tracker.get_store_storage(None::<&str>).await.map_err(|error| error.to_string())
    })
    .await;
}
