//! Asking the trackers: any of them serves, in turn; one that cannot be reached is passed over.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::connection::MAX_ANSWER;
use super::{ClientError, Pool};
use crate::tracker::{
    DeleteGroup, DeleteStorage, FileName, GetLeader, GroupList, GroupRecord, ListAllGroups, ListOneGroup,
    ListStorages, ParameterRequest, QueryFetch, QueryFetchAll, QueryStore, QueryStoreAll, QueryStoreInGroup,
    QueryStoreInGroupAll, QueryUpdate, ServerAnswer, ServerListAnswer, SetTrunkServer, StorageList,
    StoreAllAnswer, StoreAnswer,
};
use crate::wire::{DecodeError, Empty, Request, Response};
use crate::{FileId, GroupName, HostPort, StorageId};

/// The trackers of a cluster.
#[derive(Debug, Clone)]
pub struct TrackerClient {
    trackers: Arc<[HostPort]>,
    next: Arc<AtomicUsize>,
    pool: Pool,
}

impl TrackerClient {
    /// Trackers by name or address; names are looked up when they are asked.
    pub fn new(trackers: Vec<HostPort>, pool: Pool) -> Self {
        Self { trackers: trackers.into(), next: Arc::default(), pool }
    }

    /// The configured trackers.
    pub fn trackers(&self) -> &[HostPort] {
        &self.trackers
    }

    /// A client of one of the trackers only.
    pub fn only(&self, tracker: &HostPort) -> Self {
        Self::new(vec![tracker.clone()], self.pool.clone())
    }

    /// Sends a request to the next tracker that can be reached.
    pub async fn call<Q: Request, A: Response>(&self, request: &Q) -> Result<A, ClientError> {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.trackers.len();
        let mut last = ClientError::NoTracker;
        for turn in 0..count {
            let Some(tracker) = self.trackers.get(start.wrapping_add(turn) % count) else { continue };
            let addresses = match tokio::net::lookup_host((tracker.host.as_str(), tracker.port)).await {
                Ok(addresses) => addresses,
                Err(source) => {
                    last = ClientError::Connect { address: tracker.to_string(), source };
                    continue;
                }
            };
            for address in addresses {
                match self.call_at(address, request).await {
                    Err(error) if error.is_unreachable() => last = error,
                    outcome => return outcome,
                }
            }
        }
        Err(last)
    }

    /// Sends a request to one address; the pool gives no connection that the tracker has closed meanwhile.
    async fn call_at<Q: Request, A: Response>(
        &self,
        address: SocketAddr,
        request: &Q,
    ) -> Result<A, ClientError> {
        let frame = request.to_frame();
        let mut connection = self.pool.take(address).await?;
        connection.send(Q::COMMAND, &frame).await?;
        let body = connection.answer(Q::COMMAND, MAX_ANSWER).await;
        self.pool.give_back(connection);
        A::decode_body(&body?).map_err(|source| ClientError::Answer { address, command: Q::COMMAND, source })
    }

    /// Where to upload, in this group or in one that the tracker chooses.
    pub async fn query_store(&self, group: Option<GroupName>) -> Result<StoreAnswer, ClientError> {
        match group {
            Some(group) => self.call(&QueryStoreInGroup(group)).await,
            None => self.call(&QueryStore).await,
        }
    }

    /// All places to upload.
    pub async fn query_store_all(&self, group: Option<GroupName>) -> Result<StoreAllAnswer, ClientError> {
        match group {
            Some(group) => self.call(&QueryStoreInGroupAll(group)).await,
            None => self.call(&QueryStoreAll).await,
        }
    }

    /// Where to read a file.
    pub async fn query_fetch(&self, file: &FileId) -> Result<ServerAnswer, ClientError> {
        let name = self.file_name(file)?;
        self.call(&QueryFetch { group: file.group, name }).await
    }

    /// All places to read a file.
    pub async fn query_fetch_all(&self, file: &FileId) -> Result<ServerListAnswer, ClientError> {
        let name = self.file_name(file)?;
        self.call(&QueryFetchAll { group: file.group, name }).await
    }

    /// Where to change a file.
    pub async fn query_update(&self, file: &FileId) -> Result<ServerAnswer, ClientError> {
        let name = self.file_name(file)?;
        self.call(&QueryUpdate { group: file.group, name }).await
    }

    fn file_name(&self, file: &FileId) -> Result<FileName, ClientError> {
        let bad = |_: DecodeError| ClientError::Content(std::io::ErrorKind::InvalidInput.into());
        FileName::new(file.name.as_str().as_bytes()).map_err(bad)
    }

    /// All groups.
    pub async fn groups(&self) -> Result<Vec<GroupRecord>, ClientError> {
        self.call(&ListAllGroups).await.map(|GroupList(groups)| groups)
    }

    /// One group.
    pub async fn group(&self, group: GroupName) -> Result<Option<GroupRecord>, ClientError> {
        self.call(&ListOneGroup(group)).await.map(|GroupList(groups)| groups.first().copied())
    }

    /// Storages of a group, or one of them.
    pub async fn storages(
        &self,
        group: GroupName,
        id: Option<StorageId>,
    ) -> Result<StorageList, ClientError> {
        self.call(&ListStorages { group, id }).await
    }

    /// Deletes a storage at the tracker asked.
    pub async fn delete_storage(&self, group: GroupName, id: StorageId) -> Result<(), ClientError> {
        self.call(&DeleteStorage { group, id }).await.map(|Empty| ())
    }

    /// Deletes an empty group at the tracker asked.
    pub async fn delete_group(&self, group: GroupName) -> Result<(), ClientError> {
        self.call(&DeleteGroup(group)).await.map(|Empty| ())
    }

    /// Chooses the trunk server; gives the chosen one's id.
    pub async fn set_trunk_server(
        &self,
        group: GroupName,
        id: Option<StorageId>,
    ) -> Result<String, ClientError> {
        let answer: Bytes = self.call(&SetTrunkServer { group, id }).await?;
        Ok(String::from_utf8_lossy(crate::wire::until_nul(&answer)).into_owned())
    }

    /// `ip:port` of the leader.
    pub async fn leader(&self) -> Result<String, ClientError> {
        let answer: Bytes = self.call(&GetLeader).await?;
        Ok(String::from_utf8_lossy(crate::wire::until_nul(&answer)).into_owned())
    }

    /// The parameters that the tracker sets, lines of `key=value`.
    pub async fn parameters(&self) -> Result<Bytes, ClientError> {
        self.call(&ParameterRequest).await
    }
}
