//! The node's link to its trackers: one task a tracker, each with a connection of its own.
//!
//! A task asks for its own address and the cluster's parameters, joins, arranges the source of old files, and then beats.
//! Whatever fails is said once, and tried again after a pause.

mod changelog;
mod group;
mod hear;
mod identity;
mod join;
mod leader;
mod marks;
mod own;
mod refill;
mod reports;
mod session;
mod trunk;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use protocol::client::{ClientError, ClientLimits};
use protocol::cluster::SenderReport;
use protocol::config::params::BadParams;
use protocol::config::server_address::ServerAddress;
use protocol::config::{ConfigError, StorageConf};
use protocol::service::ConnectionCounts;
use protocol::{GroupName, Status, StorageId};
use thiserror::Error;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::peers::Peers;
use crate::received::Received;
use crate::store::{Store, StoreError};
use crate::trackers::Trackers;
use crate::trunk::TrunkRole;
use crate::view::{Standing, View};
pub(crate) use group::{NoGroup, ask_group};
use marks::Marks;
pub(crate) use own::Own;
use session::Session;

/// First pause after a failure; it doubles up to the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest while nothing listens at the tracker. One that is back refuses all clients until members have joined.
const ABSENT_PAUSE: Duration = Duration::from_millis(500);
/// Between a session that has to join again and the next.
const AGAIN_PAUSE: Duration = Duration::from_secs(1);

/// What all tasks of the link share.
pub(crate) struct Link {
    pub(crate) store: Store,
    pub(crate) view: View,
    pub(crate) counts: Vec<Arc<ConnectionCounts>>,
    pub(crate) trackers: Trackers,
    pub(crate) peers: Peers,
    pub(crate) received: Received,
    /// What the senders to the peers do.
    pub(crate) senders: watch::Receiver<Vec<SenderReport>>,
    pub(crate) facts: Facts,
    pub(crate) limits: ClientLimits,
    pub(crate) heart_beat_interval: Duration,
    pub(crate) stat_report_interval: Duration,
    /// Port of the HTTP service.
    pub(crate) http_port: Option<u16>,
    /// Where others reach it, if the configuration says so.
    pub(crate) advertise_url: Option<String>,
    /// Own address when the node ran last.
    pub(crate) ip_before: Option<IpAddr>,
    /// Held while the source of old files is arranged, which one tracker does for all.
    pub(crate) arranging: Mutex<()>,
    pub(crate) own: Own,
    /// This node's part in trunk files.
    pub(crate) trunk: TrunkRole,
}

impl Link {
    fn marks(&self, uses_ids: bool) -> Marks {
        Marks { sync_dir: self.store.sync_dir().to_owned(), own_port: self.facts.port, uses_ids }
    }

    /// Where others reach this node by HTTP; empty if they do not.
    fn http_url(&self, ip: IpAddr) -> String {
        let own = || self.http_port.map(|port| format!("http://{}", SocketAddr::new(ip, port)));
        self.advertise_url.clone().or_else(own).unwrap_or_default()
    }
}

/// What a join says about this node.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) group: GroupName,
    pub(crate) port: u16,
    pub(crate) store_path_count: i64,
    pub(crate) subdir_count: i64,
    pub(crate) upload_priority: i64,
    pub(crate) up_time: i64,
    pub(crate) server_id: Option<StorageId>,
}

impl Facts {
    pub(crate) fn of(conf: &StorageConf, group: GroupName, up_time: i64) -> Self {
        Self {
            group,
            port: conf.daemon.port(),
            store_path_count: i64::try_from(conf.store_paths.len()).unwrap_or(i64::MAX),
            subdir_count: conf.subdir_count_per_path.into(),
            upload_priority: conf.upload_priority.into(),
            up_time,
            server_id: conf.server_id,
        }
    }
}

/// Why a session with a tracker ended.
#[derive(Debug, Error)]
pub(crate) enum LinkError {
    /// No address.
    #[error("the name {0} has no address")]
    NoAddress(String),
    /// The tracker cannot be reached, refuses, or talks nonsense.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Its parameters cannot be used.
    #[error(transparent)]
    Params(#[from] BadParams),
    /// Its table of storage ids cannot be used.
    #[error(transparent)]
    Ids(#[from] ConfigError),
    /// What it says of this node's identity cannot be used.
    #[error("{0}")]
    Identity(String),
    /// The join is refused for what it says.
    #[error(
        "the tracker refuses the join; subdir_count_per_path and store_path_count must be those of the group's other \
         members, and the port too unless file names carry storage ids"
    )]
    JoinRefused(#[source] ClientError),
    /// A new member needs a source, and there is none now.
    #[error("no active member of the group can give this node the group's old files now")]
    NobodyFeeds,
    /// It does not know the member that feeds this node, or wants it to be fed.
    #[error(
        "the tracker does not take yet what this node says of its old files; the leading tracker decides"
    )]
    SourceRefused,
    /// A new join sets right what the tracker has.
    #[error("joining again, since {0}")]
    Again(&'static str),
    /// The node's own state cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LinkError {
    /// The tracker's word, if that is what failed.
    fn status(&self) -> Option<Status> {
        match self {
            Self::Client(error) => error.status(),
            _ => None,
        }
    }

    fn is_unreachable(&self) -> bool {
        matches!(self, Self::Client(error) if error.is_unreachable())
    }

    fn is_not_found(&self) -> bool {
        self.status() == Some(Status::ENOENT)
    }
}

/// What was said about a tracker since it was last joined: each failure once, however they take turns.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    const MOST: usize = 16;

    fn is_news(&mut self, text: &str) -> bool {
        let is_news = !self.0.iter().any(|said| said == text) && self.0.len() < Self::MOST;
        if is_news {
            self.0.push(text.to_owned());
        }
        is_news
    }
}

/// Keeps the link to one tracker until `stop` is cancelled.
pub(crate) async fn run(link: Arc<Link>, tracker: ServerAddress, stop: CancellationToken) {
    let name = tracker.primary.to_string();
    let index = link.trackers.servers().position(|known| *known == tracker).unwrap_or_default();
    let mut said = Said::default();
    let mut pause = FIRST_PAUSE;
    loop {
        let outcome = tokio::select! {
            // A session that serves ends by itself, with a good-bye.
            biased;
            outcome = attempt(&link, index, &tracker, &stop, &mut said, &mut pause) => outcome,
            () = stop.cancelled() => return,
        };
        let Err(error) = outcome else { return };
        link.own.lost(index);
        if matches!(error, LinkError::Again(_)) {
            info!(tracker = %name, "{error}");
            pause = AGAIN_PAUSE;
        } else {
            if link.trackers.leader() == Some(index) {
                link.trackers.set_leader(None);
            }
            let text = explain(&error);
            match error {
                // It passes as soon as the leading tracker has decided.
                LinkError::SourceRefused => info!(tracker = %name, "{text}"),
                _ if said.is_news(&text) => {
                    warn!(tracker = %name, error = %text, "no link to the tracker, trying again");
                }
                _ => {}
            }
            link.view.set_standing(&name, Standing::Waiting(format!("tracker {name}: {text}")));
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        pause = (pause * 2).min(if error.is_unreachable() { ABSENT_PAUSE } else { LONGEST_PAUSE });
    }
}

/// One session, from connecting to its end; `Ok` only when told to stop.
async fn attempt(
    link: &Link,
    index: usize,
    tracker: &ServerAddress,
    stop: &CancellationToken,
    said: &mut Said,
    pause: &mut Duration,
) -> Result<(), LinkError> {
    let address = resolve(tracker).await?;
    let mut session = Session::open(link, index, tracker, address).await?;
    session.join().await?;
    session.beat().await?;
    session.report_disk_usage().await?;
    info!(tracker = %tracker.primary, "joined the tracker");
    *said = Said::default();
    *pause = FIRST_PAUSE;
    session.keep(stop).await
}

/// The first address of a tracker's name that the system knows.
async fn resolve(tracker: &ServerAddress) -> Result<SocketAddr, LinkError> {
    for place in tracker.addresses() {
        if let Some(ip) = place.ip() {
            return Ok(SocketAddr::new(ip, place.port));
        }
        let found = tokio::net::lookup_host((place.host.as_str(), place.port)).await;
        if let Some(address) = found.ok().and_then(|mut found| found.next()) {
            return Ok(address);
        }
    }
    Err(LinkError::NoAddress(tracker.primary.to_string()))
}

/// All that an error says, in one line.
fn explain(error: &LinkError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

/// Runs a change of the node's state files off the async threads.
async fn blocking(
    store: &Store,
    change: impl FnOnce(&Store) -> Result<(), StoreError> + Send + 'static,
) -> Result<(), LinkError> {
    let store = store.clone();
    Ok(blocking_io(move || change(&store)).await??)
}

async fn blocking_io<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<T, LinkError> {
    let lost = |_| LinkError::Identity("a job on the node's state files was lost".to_owned());
    tokio::task::spawn_blocking(job).await.map_err(lost)
}
