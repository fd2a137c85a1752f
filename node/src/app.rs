//! Starting and stopping a node: its directories, its listeners, its link to the trackers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gateway::idempotency::Keys;
use gateway::server::tls::BadCertificate;
use gateway::server::{Edge, HttpServer};
use gateway::{BadSettings, Gateway, Settings, Site};
use http::Method;
use protocol::client::ClientLimits;
use protocol::config::daemon_conf::HttpListen;
use protocol::config::web_conf::ListenOn;
use protocol::config::{AllowHosts, ConfigError, LocalFacts, StorageConf};
use protocol::daemon::{Chain, DataLock, ListenError, LockError};
use protocol::service::{NativeService, ServiceLimits};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use crate::confirm::Confirm;
use crate::control::Control;
use crate::courier::Couriers;
use crate::expiry;
use crate::http::{NodeFiles, replication};
use crate::link::{self, Link, NoGroup};
use crate::native::{self, Native};
use crate::peers::Peers;
use crate::received::Received;
use crate::recovery::Recovery;
use crate::remote::{self, Remote};
use crate::replication::Replication;
use crate::store::{Store, StoreError};
use crate::trackers::Trackers;
use crate::trunk::TrunkRole;
use crate::view::View;

const PID_NAME: &str = "fdfs_storaged.pid";
const DRAIN: Duration = Duration::from_secs(30);

/// Why a node does not start; one line that says what to do.
#[derive(Debug, Error)]
pub enum StartError {
    /// The base path is not ours.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store cannot open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Files that the settings of file URLs name.
    #[error(transparent)]
    Web(#[from] BadSettings),
    /// Certificates of HTTP.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
    /// A listener.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The group, which the configuration leaves to the trackers.
    #[error(transparent)]
    Group(#[from] NoGroup),
    /// The table of storage ids that the configuration names.
    #[error(transparent)]
    Ids(#[from] ConfigError),
    /// The file of idempotency keys.
    #[error("data/idempotency.log cannot be opened")]
    Keys(#[source] std::io::Error),
    /// The job that opens the store was lost.
    #[error("opening the store failed")]
    Lost,
}

/// A node that is ready to run.
pub struct App {
    native: Arc<Native>,
    link: Link,
    recovery: Recovery,
    replication: Replication,
    services: Vec<NativeService>,
    http: Vec<HttpServer>,
    site: Site,
    control: Control,
    allow_hosts: AllowHosts,
    keys: Option<Keys>,
    save_interval: Duration,
    /// How long uploads that are continued are remembered.
    upload_expiration: Duration,
    _lock: DataLock,
}

impl App {
    /// Takes the base path, opens the store and binds the listeners. The trackers need not be there yet.
    pub async fn build(conf: StorageConf, facts: &LocalFacts) -> Result<Self, StartError> {
        let lock = DataLock::take(&conf.daemon.base_path, PID_NAME)?;
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
        let http = bind_http(&edge, &conf.http, facts)?;
        let settings = Settings::load(&conf.web, conf.daemon.network_timeout)?;
        let bind = conf.daemon.listen.inner_bind_addr.first().copied().filter(|_| conf.client_bind);
        let limits = ClientLimits {
            connect_timeout: conf.daemon.connect_timeout,
            network_timeout: conf.daemon.network_timeout,
            connect_retries: 0,
            bind,
            ..ClientLimits::default()
        };
        let trackers = Trackers::new(&conf.tracker_servers, &limits);
        let mut conf = conf;
        if conf.group_name.is_none() {
            conf.group_name = Some(link::ask_group(&trackers, conf.daemon.port()).await?);
        }
        let conf = Arc::new(conf);
        let for_store = Arc::clone(&conf);
        let now = SystemTime::now();
        let opened = tokio::task::spawn_blocking(move || Store::open(&for_store, now)).await;
        let store = opened.map_err(|_| StartError::Lost)??;
        let keys = open_keys(&conf, now).await?;
        let view = View::new();
        let up_time = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let received = Received::default();
        let peers = Peers::new();
        let replication = Replication::new(
            &conf,
            store.clone(),
            peers.clone(),
            trackers.clone(),
            view.clone(),
            limits.clone(),
        );
        let trunk = TrunkRole::new(
            store.clone(),
            peers.clone(),
            view.clone(),
            limits.clone(),
            conf.daemon.port(),
            conf.heart_beat_interval,
        );
        let link = Link {
            store: store.clone(),
            view: view.clone(),
            counts: services.iter().map(NativeService::counts).collect(),
            trackers,
            peers: peers.clone(),
            received: received.clone(),
            senders: replication.reports(),
            facts: link::Facts::of(&conf, store.group(), i64::try_from(up_time).unwrap_or(i64::MAX)),
            limits,
            heart_beat_interval: conf.heart_beat_interval,
            stat_report_interval: conf.stat_report_interval,
            http_port: conf.http.server_port,
            advertise_url: conf.web.advertise_url.clone(),
            ip_before: store.init_flag().last_ip_addr.split(',').next().and_then(|ip| ip.trim().parse().ok()),
            arranging: tokio::sync::Mutex::new(()),
            own: link::Own::default(),
            trunk: trunk.clone(),
        };
        let recovery = Recovery::new(&store, &view, &peers, &conf, &link.limits);
        let member = remote::Member {
            store: store.clone(),
            view: view.clone(),
            peers: link.peers.clone(),
            port: conf.daemon.port(),
        };
        let remote = Remote::new(remote::Setup {
            standpoint: member,
            view: view.clone(),
            trackers: link.trackers.clone(),
            limits: link.limits.clone(),
            http_port: conf.http.server_port.unwrap_or(0),
        });
        let site = Site::new(settings);
        let confirm = Confirm::new(&conf, replication.clone());
        let recovering = Mutex::default();
        Ok(Self {
            native: Arc::new(Native { store, view, received, remote, peers, confirm, recovering }),
            link,
            recovery,
            replication,
            services,
            http,
            control: Control::new(site.clone(), edge, conf.daemon.network_timeout),
            site,
            allow_hosts: conf.daemon.allow_hosts.clone(),
            keys,
            save_interval: conf.sync_stat_file_interval,
            upload_expiration: conf.web.resumable.expiration,
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

    /// Routes of its HTTP port, file URLs left out.
    pub fn routes(&self) -> Vec<(Method, &'static str)> {
        self.gateway().routes().to_vec()
    }

    fn gateway(&self) -> Gateway<NodeFiles> {
        let files = Arc::new(NodeFiles {
            store: self.native.store.clone(),
            view: self.native.view.clone(),
            remote: self.native.remote.clone(),
            keys: self.keys.clone(),
            couriers: Couriers::new(self.native.store.clone(), self.link.limits.clone()),
            confirm: self.native.confirm.clone(),
        });
        let own_routes = replication::routes(self.replication.clone(), self.site.clone());
        Gateway::new(files, self.site.clone(), own_routes)
    }

    /// Serves until `stop` is cancelled, then drains and saves.
    pub async fn run(self, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let (store, gateway) = (self.native.store.clone(), self.gateway());
        for address in self.services.iter().filter_map(|service| service.local_addr().ok()) {
            info!(%address, "native service is up");
        }
        info!("HTTP: {}", self.site.now().authority.summary());
        let replication = self.replication.clone();
        self.site.identify(move || replication.own().map(|id| id.to_string()));
        for service in self.services {
            let (native, allow) = (Arc::clone(&self.native), self.allow_hosts.clone());
            let handle = move |connection| native::serve(Arc::clone(&native), connection);
            tasks.spawn(service.serve(move |ip| allow.permits(ip), stop.clone(), handle));
        }
        for server in self.http {
            tasks.spawn(server.serve(gateway.clone(), stop.clone()));
        }
        let link = Arc::new(self.link);
        // A node whose disk was replaced joins when it has its files back; it serves what it has meanwhile.
        let (recovery, later, joining) = (self.recovery, tasks.clone(), stop.clone());
        let replication = self.replication;
        tasks.spawn(async move {
            recovery.run(&joining).await;
            later.spawn(replication.run(joining.clone()));
            later.spawn(link.trunk.clone().run(joining.clone()));
            for tracker in link.trackers.servers().cloned() {
                later.spawn(link::run(Arc::clone(&link), tracker, joining.clone()));
            }
        });
        tasks.spawn(save_counters(store.clone(), self.save_interval, stop.clone()));
        tasks.spawn(sweep_uploads(store.clone(), self.upload_expiration, stop.clone()));
        tasks.spawn(store.trunk().give_back(stop.clone()));
        tasks.spawn(expiry::run(store.clone(), stop.clone()));
        tasks.close();
        tasks.wait().await;
        if let Err(error) = store.close().await {
            error!(error = %Chain(&error), "state is not saved");
        }
        let control = self.control;
        if let Err(error) = tokio::task::spawn_blocking(move || control.flush_logs()).await {
            error!(%error, "access log is not flushed");
        }
        info!("node has stopped");
    }
}

/// The keys of uploads that are carried out once, unless the configuration wants none.
async fn open_keys(conf: &StorageConf, now: SystemTime) -> Result<Option<Keys>, StartError> {
    let lifetime = conf.web.idempotency_key_lifetime;
    if lifetime.is_zero() {
        return Ok(None);
    }
    let (path, durability) = (conf.daemon.base_path.join("data/idempotency.log"), conf.durability);
    let opened = tokio::task::spawn_blocking(move || Keys::open(path, lifetime, durability, now)).await;
    opened.map_err(|_| StartError::Lost)?.map(Some).map_err(StartError::Keys)
}

/// The HTTP listeners of a configuration.
pub(crate) fn bind_http(
    edge: &Edge,
    conf: &HttpListen,
    facts: &LocalFacts,
) -> Result<Vec<HttpServer>, ListenError> {
    let key = if conf.listen.is_empty() { "http.server_port" } else { "http.listen" };
    let bind = |on: ListenOn| edge.bind(on).map_err(|error| ListenError::new(on.address, key, &error));
    conf.listeners(facts).into_iter().map(bind).collect()
}

/// Removes uploads whose time is over, now and from time to time.
async fn sweep_uploads(store: Store, expiration: Duration, stop: CancellationToken) {
    let interval = (expiration / 4).clamp(Duration::from_secs(1), Duration::from_secs(60));
    let mut timer = tokio::time::interval(interval);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = timer.tick() => store.sweep_partials(expiration).await,
        }
    }
}

/// Saves the counters from time to time.
async fn save_counters(store: Store, interval: Duration, stop: CancellationToken) {
    let mut timer = tokio::time::interval(interval.max(Duration::from_secs(1)));
    timer.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = timer.tick() => {}
        }
        let saving = store.clone();
        match tokio::task::spawn_blocking(move || saving.save_counters()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(error = %Chain(&error), "counters are not saved, will be tried again"),
            Err(error) => error!(%error, "saving counters failed"),
        }
    }
}
