//! What an operator asks of all trackers: each keeps its own view of the cluster, so it is told to each.

use std::net::SocketAddr;

use protocol::client::ClientError;
use protocol::cluster::StorageStatus;
use protocol::tracker::{ListStorages, StorageList};
use protocol::wire::{Empty, Request};
use protocol::{GroupName, Status, StorageId};
use tokio::task::JoinSet;

use super::driver::{connect, exchange};
use crate::app::Shared;

/// What another tracker said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// It did it.
    Done,
    /// It did not, for that reason.
    Refused(Status),
    /// It cannot be reached, or says nothing.
    Nothing,
}

impl Said {
    pub(crate) fn of<A>(answer: Result<A, ClientError>) -> Self {
        match answer {
            Ok(_) => Self::Done,
            Err(ClientError::Refused { status, .. }) => Self::Refused(status),
            Err(_) => Self::Nothing,
        }
    }
}

/// Asks all other trackers at once to do something.
pub(crate) async fn tell_others<Q>(shared: &Shared, request: Q) -> Vec<(SocketAddr, Said)>
where
    Q: Request + Clone + Send + Sync + 'static,
{
    let set = shared.peers.inner().set.clone();
    let mut tasks = JoinSet::new();
    for who in set.others() {
        let (set, request) = (set.clone(), request.clone());
        tasks.spawn(async move {
            let answer = async {
                let mut connection = connect(&set, who).await?;
                exchange::<_, Empty>(&mut connection, &request).await
            };
            (who, Said::of(answer.await))
        });
    }
    in_order(tasks.join_all().await)
}

/// Asks one other tracker, whose answer is a text.
pub(crate) async fn tell_one<Q: Request>(
    shared: &Shared,
    who: SocketAddr,
    request: &Q,
) -> Result<bytes::Bytes, Said> {
    let set = shared.peers.inner().set.clone();
    let answer = async {
        let mut connection = connect(&set, who).await?;
        exchange::<_, bytes::Bytes>(&mut connection, request).await
    };
    answer.await.map_err(|error| Said::of::<()>(Err(error)))
}

/// How the other trackers that answer and know a storage have it.
pub(crate) async fn statuses_elsewhere(
    shared: &Shared,
    group: GroupName,
    id: StorageId,
) -> Vec<(SocketAddr, StorageStatus)> {
    let set = shared.peers.inner().set.clone();
    let mut tasks = JoinSet::new();
    for who in set.others() {
        let set = set.clone();
        tasks.spawn(async move {
            let mut connection = connect(&set, who).await.ok()?;
            let request = ListStorages { group, id: Some(id) };
            let list: StorageList = exchange(&mut connection, &request).await.ok()?;
            list.storages.first().map(|storage| (who, storage.status))
        });
    }
    in_order(tasks.join_all().await.into_iter().flatten().collect())
}

fn in_order<T>(mut answers: Vec<(SocketAddr, T)>) -> Vec<(SocketAddr, T)> {
    answers.sort_by_key(|(who, _)| *who);
    answers
}
