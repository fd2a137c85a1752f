//! A gateway in front of an existing FastDFS storage: serves that storage's store paths, and what the members of the
//! cluster have besides, without being a member itself.
//!
//! `cluster` is what is known of the members, `watch` learns it from the trackers, `files` answers the gateway. Nothing is
//! written below the store paths; the own pid file and log have a directory of their own.

mod cluster;
mod files;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway::routes::Routes;
use gateway::server::{Edge, HttpServer};
use gateway::{Gateway, Settings, Site};
use protocol::client::ClientLimits;
use protocol::config::client_conf::IdSource;
use protocol::config::{LocalFacts, ModuleConf, StorageIds};
use protocol::daemon::DataLock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::app::{StartError, bind_http};
use crate::control::Control;
use crate::remote::{Remote, Setup};
use crate::store::Reader;
use crate::trackers::Trackers;
use crate::view::View;
use cluster::Cluster;
use files::FrontFiles;
use watch::{Given, Watch};

const PID_NAME: &str = "fdfs_gateway.pid";
const DRAIN: Duration = Duration::from_secs(30);

/// A gateway that is ready to run.
pub struct Front {
    files: Arc<FrontFiles>,
    watch: Option<Watch>,
    http: Vec<HttpServer>,
    site: Site,
    control: Control,
    _lock: DataLock,
}

impl Front {
    /// Opens the store paths for reading and binds the listeners. The trackers need not be there yet.
    pub async fn build(conf: ModuleConf, facts: &LocalFacts) -> Result<Self, StartError> {
        let lock = DataLock::take(&conf.own_dir, PID_NAME)?;
        let edge = Edge::load(&conf.web.limits, &conf.web.tls, DRAIN)?;
        let http = bind_http(&edge, &conf.http, facts)?;
        let site = Site::new(Settings::load(&conf.web, conf.network_timeout)?);
        let mut groups = Vec::new();
        for group in &conf.groups {
            let paths = group.store_paths.clone();
            let opened = tokio::task::spawn_blocking(move || Reader::open(&paths)).await;
            groups.push((group.name, opened.map_err(|_| StartError::Lost)??));
        }
        let (others, watch) = match others(&conf, facts)? {
            Some((remote, watch)) => (Some((remote, watch.cluster.clone())), Some(watch)),
            None => (None, None),
        };
        let first = conf.groups.first().map(|group| group.name).ok_or(StartError::Lost)?;
        let files = Arc::new(FrontFiles { first, groups, others });
        let control = Control::new(site.clone(), edge, conf.network_timeout);
        Ok(Self { files, watch, http, site, control, _lock: lock })
    }

    /// The first HTTP address.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.first().and_then(|server| server.local_addr().ok())
    }

    /// For changes while it runs.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Serves until `stop` is cancelled, then drains.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        info!("HTTP: {}", self.site.now().authority.summary());
        let gateway = Gateway::new(self.files, self.site, Routes::new());
        for server in self.http {
            if let Ok(address) = server.local_addr() {
                info!(%address, "HTTP service is up");
            }
            tasks.spawn(server.serve(gateway.clone(), stop.clone()));
        }
        match self.watch {
            Some(watch) => drop(tasks.spawn(watch.run(stop.clone()))),
            None => info!("no trackers are configured: only files of this machine's disks are served"),
        }
        tasks.close();
        tasks.wait().await;
        let control = self.control;
        if let Err(error) = tokio::task::spawn_blocking(move || control.flush_logs()).await {
            error!(%error, "the access log was not flushed");
        }
        info!("gateway has stopped");
    }
}

/// The members of the cluster, where trackers are configured.
fn others(conf: &ModuleConf, facts: &LocalFacts) -> Result<Option<(Remote, Watch)>, StartError> {
    if conf.tracker_servers.is_empty() {
        return Ok(None);
    }
    let limits = ClientLimits {
        connect_timeout: conf.connect_timeout,
        network_timeout: conf.network_timeout,
        connect_retries: 0,
        ..ClientLimits::default()
    };
    let ids = match &conf.id_source {
        IdSource::File(path) => Some(StorageIds::load(path, facts)?.0),
        IdSource::None | IdSource::Tracker => None,
    };
    let view = View::new();
    let mut params = view.params();
    params.storage_sync_file_max_delay = conf.max_delay.unwrap_or(params.storage_sync_file_max_delay);
    view.learn(params, ids.clone());
    let trackers = Trackers::new(&conf.tracker_servers, &limits);
    let cluster = Cluster::new(conf.groups.iter().map(|group| (group.name, group.storage_port)));
    let remote = Remote::new(Setup {
        standpoint: cluster.clone(),
        view: view.clone(),
        trackers: trackers.clone(),
        limits,
        http_port: conf.http.server_port.unwrap_or(0),
    });
    Ok(Some((remote, Watch { trackers, cluster, view, given: Given { max_delay: conf.max_delay, ids } })))
}
