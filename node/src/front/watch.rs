//! Learns from the trackers, and goes on learning: parameters, storage ids, members of all groups, their HTTP addresses.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use protocol::GroupName;
use protocol::client::ClientError;
use protocol::cluster::{GroupReplication, QueryReplication};
use protocol::config::params::{BadParams, ClusterParams};
use protocol::config::{ConfigError, LocalFacts, StorageIds};
use protocol::daemon::Chain;
use protocol::tracker::{
    GroupList, ListAllGroups, ListStorages, ParameterRequest, StorageIdsText, StorageList,
};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::cluster::Cluster;
use crate::trackers::Trackers;
use crate::view::View;

/// How old what is known gets.
const REFRESH: Duration = Duration::from_secs(10);
/// Between attempts while no tracker answers.
const RETRY: Duration = Duration::from_secs(1);

/// What the configuration says itself, which goes before the trackers' word.
pub(super) struct Given {
    /// Age from which a file is with all members.
    pub(super) max_delay: Option<Duration>,
    /// The table of storage ids.
    pub(super) ids: Option<StorageIds>,
}

/// The watcher.
pub(super) struct Watch {
    pub(super) trackers: Trackers,
    pub(super) cluster: Cluster,
    pub(super) view: View,
    pub(super) given: Given,
}

#[derive(Debug, Error)]
enum WatchError {
    #[error("no tracker answers")]
    Ask(#[from] ClientError),
    #[error("a tracker's parameters make no sense")]
    Params(#[from] BadParams),
    #[error("a tracker's storage ids make no sense")]
    Ids(#[from] ConfigError),
}

impl Watch {
    /// Learns until `stop` is cancelled. An outage of the trackers is told once.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut is_down = false;
        loop {
            let learnt = tokio::select! {
                () = stop.cancelled() => return,
                learnt = self.learn() => learnt,
            };
            let wait = match learnt {
                Ok(()) => {
                    if std::mem::take(&mut is_down) {
                        info!("the trackers answer again");
                    }
                    REFRESH
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_down, true) {
                        let error = Chain(&error);
                        warn!(%error, "nothing is learnt from the trackers; what is known of the members stays");
                    }
                    RETRY
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn learn(&self) -> Result<(), WatchError> {
        let trackers = &self.trackers;
        let text: Bytes = trackers.ask(&ParameterRequest).await?;
        let mut params = ClusterParams::parse(&String::from_utf8_lossy(&text))?;
        if let Some(max_delay) = self.given.max_delay {
            params.storage_sync_file_max_delay = max_delay;
        }
        let ids = match &self.given.ids {
            None if params.use_storage_id => Some(self.ask_ids().await?),
            given => given.clone(),
        };
        self.view.learn(params, ids);
        let GroupList(groups) = trackers.ask(&ListAllGroups).await?;
        // Addresses come and go while this runs.
        let local = tokio::task::spawn_blocking(|| LocalFacts::detect().addresses).await.unwrap_or_default();
        for group in groups {
            self.learn_group(group.name, &local).await?;
        }
        Ok(())
    }

    async fn learn_group(&self, group: GroupName, local: &[IpAddr]) -> Result<(), ClientError> {
        let list: StorageList = self.trackers.ask(&ListStorages { group, id: None }).await?;
        self.cluster.hear(group, &list.storages, local);
        match self.trackers.ask::<_, GroupReplication>(&QueryReplication(group)).await {
            Ok(GroupReplication(members)) => {
                self.view.learn_http_urls(members.into_iter().map(|(id, report)| (id, report.http_url)));
            }
            // FastDFS's trackers do not know the question.
            Err(error) if error.status().is_some() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn ask_ids(&self) -> Result<StorageIds, WatchError> {
        let mut table = StorageIdsText::default();
        while let Some(request) = table.next() {
            table.take(&self.trackers.ask(&request).await?);
        }
        Ok(StorageIds::parse_served(table.lines(), "the tracker's storage ids")?)
    }
}
