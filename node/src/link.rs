//! The node's link to its trackers: one task a tracker, each with a connection of its own.
//!
//! A task asks for its own address and the cluster's parameters, joins, arranges the source of old files, and then beats.
//! Whatever fails is said once, and tried again after a pause.

mod session;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use protocol::client::{ClientError, ClientLimits};
use protocol::config::params::BadParams;
use protocol::config::server_address::ServerAddress;
use protocol::config::{ConfigError, StorageConf};
use protocol::service::ConnectionCounts;
use protocol::{GroupName, Status, StorageId};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::store::{Store, StoreError};
use crate::view::{Standing, View};
use session::Session;

/// First pause after a failure; it doubles up to the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// While a node pauses, a tracker that came back sends it no clients.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What all tasks of the link share.
pub(crate) struct Link {
    pub(crate) store: Store,
    pub(crate) view: View,
    pub(crate) counts: Vec<Arc<ConnectionCounts>>,
    /// Trackers of the configuration.
    pub(crate) trackers: Vec<ServerAddress>,
    pub(crate) facts: Facts,
    pub(crate) limits: ClientLimits,
    pub(crate) heart_beat_interval: Duration,
    pub(crate) stat_report_interval: Duration,
    /// Held while the source of old files is arranged, which one tracker does for all.
    pub(crate) arranging: Mutex<()>,
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

    fn is_not_found(&self) -> bool {
        self.status() == Some(Status::ENOENT)
    }
}

/// Keeps the link to one tracker until `stop` is cancelled.
pub(crate) async fn run(link: Arc<Link>, tracker: ServerAddress, stop: CancellationToken) {
    let name = tracker.primary.to_string();
    let mut said = String::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let outcome = tokio::select! {
            // A session that serves ends by itself, with a good-bye.
            biased;
            outcome = attempt(&link, &tracker, &stop, &mut said, &mut pause) => outcome,
            () = stop.cancelled() => return,
        };
        let Err(error) = outcome else { return };
        let text = explain(&error);
        if text != said {
            warn!(tracker = %name, error = %text, "no link to the tracker, trying again");
            said.clone_from(&text);
        }
        link.view.set_standing(&name, Standing::Waiting(format!("tracker {name}: {text}")));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One session, from connecting to its end; `Ok` only when told to stop.
async fn attempt(
    link: &Link,
    tracker: &ServerAddress,
    stop: &CancellationToken,
    said: &mut String,
    pause: &mut Duration,
) -> Result<(), LinkError> {
    let address = resolve(tracker).await?;
    let mut session = Session::open(link, &tracker.primary.to_string(), address).await?;
    session.join().await?;
    session.beat().await?;
    session.report_disk_usage().await?;
    info!(tracker = %tracker.primary, "joined the tracker");
    said.clear();
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

/// The tracker's text about a caller's addresses: one, or two with a comma.
fn parse_addresses(text: &[u8]) -> Result<Vec<IpAddr>, LinkError> {
    let text = String::from_utf8_lossy(text);
    let addresses: Result<Vec<IpAddr>, _> =
        text.trim_end_matches('\0').split(',').map(|part| part.trim().parse()).collect();
    addresses.map_err(|_| LinkError::Identity(format!("the tracker takes this node's address for '{text}'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_read_as_trackers_write_them() {
        let check = |text: &str, expected: Option<&[&str]>| {
            let read = parse_addresses(text.as_bytes()).ok();
            let read: Option<Vec<String>> = read.map(|ips| ips.iter().map(IpAddr::to_string).collect());
            assert_eq!(
                read.as_deref(),
                expected.map(|ips| ips.iter().map(|ip| (*ip).to_owned()).collect::<Vec<_>>()).as_deref()
            );
        };
        check("127.0.1.1", Some(&["127.0.1.1"]));
        check("10.0.0.1,1.2.3.4", Some(&["10.0.0.1", "1.2.3.4"]));
        check("::1", Some(&["::1"]));
        check("127.0.1.1\0\0", Some(&["127.0.1.1"]));
        check("", None);
        check("nonsense", None);
    }
}
