//! Starting and stopping a tracker: its directory, its listeners, its timers.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gateway::server::tls::BadCertificate;
use gateway::server::{Edge, HttpServer};
use gateway::{BadSettings, RestService, Settings, Site};
use protocol::AddressWidth;
use protocol::config::params::IdType;
use protocol::config::trunk_conf::TrunkConf;
use protocol::config::{AllowHosts, ConfigError, LocalFacts, TrackerConf};
use protocol::daemon::{DataLock, ListenError, LockError};
use protocol::service::{NativeService, ServiceLimits};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::control::Control;
use crate::files::{self, FileError};
use crate::peers::last_run::{self, LastRun};
use crate::peers::{self, Peers};
use crate::saver::Saver;
use crate::state::{Cluster, IdTrust, NameSource, Rules, TrunkMode};
use crate::trunk::{self, Elections};
use crate::{http, native};

/// The FastDFS version that this tracker behaves like.
pub(crate) const VERSION: &str = "6.16.1";
const PID_NAME: &str = "fdfs_trackerd.pid";
const DRAIN: Duration = Duration::from_secs(10);

/// Why a tracker does not start; one line that says what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// The base path is not ours.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The table of storage ids.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file of the last run.
    #[error(transparent)]
    File(#[from] FileError),
    /// Files that the settings of HTTP name.
    #[error(transparent)]
    Web(#[from] BadSettings),
    /// Certificates of HTTP.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    /// A listener.
    #[error(transparent)]
    Listen(#[from] ListenError),
}

/// What connections, timers and REST share.
pub(crate) struct Shared {
    state: Mutex<Cluster>,
    /// Writes the state's files.
    pub(crate) saver: Saver,
    parameters: String,
    /// HTTP port of storages, which the native protocol does not carry.
    pub(crate) storage_http_port: u16,
    connections: AtomicU64,
    up_time: i64,
    started: Instant,
    /// Of trunk servers.
    pub(crate) elections: Elections,
    /// The other trackers.
    pub(crate) peers: Peers,
    /// What HTTP is set to, above all who may do what.
    pub(crate) site: Site,
}

/// How long after its start a tracker takes it that its storages are on their way.
const RETURN: Duration = Duration::from_secs(2);
/// How often it looks whether they are back.
const RETURN_STEP: Duration = Duration::from_millis(20);

impl Shared {
    /// Waits, shortly after the start, until storages are back that were here before: clients would take it for the last
    /// word that there are none. Storages come back within a second.
    pub(crate) async fn await_return(&self) {
        while self.started.elapsed() < RETURN && self.state().awaits_storages() {
            tokio::time::sleep(RETURN_STEP).await;
        }
    }

    /// The state, and what the configuration says besides.
    pub(crate) fn new(
        cluster: Cluster,
        saver: Saver,
        parameters: String,
        storage_http_port: u16,
        last_run: LastRun,
    ) -> Self {
        let up_time = unix_now();
        Self {
            state: Mutex::new(cluster),
            elections: Elections::new(saver.base()),
            saver,
            parameters,
            storage_http_port,
            connections: AtomicU64::new(0),
            started: Instant::now(),
            up_time,
            peers: Peers::new(up_time, last_run),
            site: Site::new(Settings::plain()),
        }
    }

    /// The same with the settings of a configuration.
    pub(crate) fn with_site(self, site: Site) -> Self {
        Self { site, ..self }
    }

    /// The state. Held for one call only, never across a wait.
    pub(crate) fn state(&self) -> MutexGuard<'_, Cluster> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Unix seconds.
    pub(crate) fn now(&self) -> i64 {
        unix_now()
    }

    pub(crate) fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn parameters(&self) -> &str {
        &self.parameters
    }

    pub(crate) fn up_time(&self) -> i64 {
        self.up_time
    }
}

fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A tracker that is ready to run.
pub struct App {
    shared: Arc<Shared>,
    services: Vec<NativeService>,
    http: Vec<HttpServer>,
    control: Control,
    allow_hosts: AllowHosts,
    check_interval: Duration,
    _lock: DataLock,
}

impl App {
    /// Takes the base path, loads the last run's files and binds the listeners.
    pub async fn build(conf: TrackerConf, facts: &LocalFacts) -> Result<Self, StartError> {
        let ids = conf.load_storage_ids(facts)?.map(|(ids, _)| ids);
        let params = conf.params(ids.as_ref());
        let rules = Rules {
            store_lookup: conf.store_lookup,
            store_server: conf.store_server,
            store_path: conf.store_path,
            download_server: conf.download_server,
            reserved: conf.reserved_storage_space,
            check_active_interval: seconds(conf.check_active_interval),
            sync_max_delay: seconds(conf.storage_sync_file_max_delay),
            sync_max_time: seconds(conf.storage_sync_file_max_time),
            trunk_start_patience: trunk_start_patience(&conf.trunk),
            use_trunk_file: if conf.trunk.use_trunk_file { TrunkMode::On } else { TrunkMode::Off },
            trust_storage_id: if conf.trust_storage_server_id {
                IdTrust::Trusted
            } else {
                IdTrust::ByAddress
            },
            names: if conf.id_type_in_filename == IdType::Id { NameSource::Id } else { NameSource::Ip },
            width: params.response_ip_addr_size,
            ids,
        };
        debug_assert!([AddressWidth::V4, AddressWidth::V6].contains(&rules.width));
        let lock = DataLock::take(&conf.daemon.base_path, PID_NAME)?;
        let data = conf.daemon.base_path.join("data");
        let cluster = files::load(&data, rules)?;
        let limits = ServiceLimits {
            max_connections: i32::try_from(conf.daemon.max_connections).unwrap_or(i32::MAX),
            network_timeout: conf.daemon.network_timeout,
            drain_timeout: DRAIN,
        };
        let mut services = Vec::new();
        for address in conf.daemon.listen.sockets(facts) {
            let bound = NativeService::bind(address, limits).await;
            services.push(bound.map_err(|error| ListenError::new(address, "port", &error))?);
        }
        let edge = Edge::load(&conf.web.limits, &conf.web.tls, DRAIN)?;
        let site = Site::new(Settings::load(&conf.web, conf.daemon.network_timeout)?);
        let mut http = Vec::new();
        for on in conf.http.listeners(facts) {
            let key = if conf.http.listen.is_empty() { "http.server_port" } else { "http.listen" };
            http.push(edge.bind(on).map_err(|error| ListenError::new(on.address, key, &error))?);
        }
        let last_run = LastRun::load(&data);
        let (parameters, saver) = (params.serialize(), Saver::new(data));
        let shared = Shared::new(cluster, saver, parameters, conf.storage_http_port, last_run);
        let shared = Arc::new(shared.with_site(site.clone()));
        let check_interval = conf.check_active_interval;
        Ok(Self {
            shared,
            services,
            http,
            control: Control { site, edge, network_timeout: conf.daemon.network_timeout },
            allow_hosts: conf.daemon.allow_hosts,
            check_interval,
            _lock: lock,
        })
    }

    /// The first native address.
    pub fn native_addr(&self) -> Option<SocketAddr> {
        self.services.first().and_then(|service| service.local_addr().ok())
    }

    /// The first HTTP address.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http.first().and_then(|server| server.local_addr().ok())
    }

    /// For changes while it runs.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Serves until `stop` is cancelled, then drains and saves.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        for address in self.services.iter().filter_map(|service| service.local_addr().ok()) {
            info!(%address, "native service is up");
        }
        info!("HTTP: {}", self.shared.site.now().authority.summary());
        let counts = self.services.iter().map(NativeService::counts).collect();
        tasks.spawn(peers::driver::run(Arc::clone(&self.shared), counts, stop.clone()));
        tasks.spawn(last_run::leave_traces(Arc::clone(&self.shared), stop.clone()));
        for service in self.services {
            let (shared, counts, allow) =
                (Arc::clone(&self.shared), service.counts(), self.allow_hosts.clone());
            let handle =
                move |connection| native::serve(Arc::clone(&shared), Arc::clone(&counts), connection);
            tasks.spawn(service.serve(move |ip| allow.permits(ip), stop.clone(), handle));
        }
        let rest = RestService::new(self.shared.site.clone(), http::routes(Arc::clone(&self.shared)));
        for server in self.http {
            tasks.spawn(server.serve(rest.clone(), stop.clone()));
        }
        tasks.spawn(check_alive(Arc::clone(&self.shared), self.check_interval, stop.clone()));
        tasks.spawn(trunk::run(Arc::clone(&self.shared), stop.clone()));
        tasks.spawn(save_changes(Arc::clone(&self.shared), stop.clone()));
        tasks.close();
        tasks.wait().await;
        self.shared.saver.finish(&self.shared).await;
        let control = self.control;
        if let Err(error) = tokio::task::spawn_blocking(move || control.flush_logs()).await {
            error!(%error, "access log is not flushed");
        }
        info!("tracker has stopped");
    }
}

/// Marks silent storages as offline.
async fn check_alive(shared: Arc<Shared>, interval: Duration, stop: CancellationToken) {
    let mut timer = tokio::time::interval(interval.max(Duration::from_secs(1)));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = timer.tick() => {}
        }
        let now = shared.now();
        shared.state().check_alive(now);
    }
}

async fn save_changes(shared: Arc<Shared>, stop: CancellationToken) {
    shared.saver.run(&shared, &stop).await;
}

/// Check intervals for the start of a trunk server, which reads its trunk binlog.
fn trunk_start_patience(conf: &TrunkConf) -> i64 {
    let patience = if conf.trunk_init_check_occupying { 5 } else { 3 };
    if conf.trunk_init_reload_from_binlog { patience * 2 } else { patience }
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
