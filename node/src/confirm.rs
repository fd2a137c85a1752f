//! `durability = replica:N`: whether other members have what was stored here. Uploads by either protocol ask here.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use gateway::files::{Confirmed, Holds, Witness};
use protocol::config::StorageConf;
use protocol::{FileId, StorageId};
use tokio::time::{Instant, timeout};

use crate::remote::Remote;
use crate::replication::{Listener, Replication};

/// Files that members are asked about at a time.
const AT_ONCE: usize = 16;
/// Least time for that: longer than a member is waited for that does not answer, so that the others count.
const ASKING: Duration = Duration::from_secs(6);

/// What the node knows of its members' copies. Clones share it.
#[derive(Clone)]
pub(crate) struct Confirm {
    replication: Replication,
    replicas: u8,
    patience: Duration,
}

/// A wait that has begun.
pub(crate) struct NodeWitness {
    listener: Listener,
    patience: Duration,
    /// Members that have all of the files already.
    known: BTreeSet<StorageId>,
}

impl Confirm {
    pub(crate) fn new(conf: &StorageConf, replication: Replication) -> Self {
        Self { replication, replicas: conf.replicas, patience: conf.replica_timeout }
    }

    /// Members that have to confirm every upload.
    pub(crate) fn replicas(&self) -> u8 {
        self.replicas
    }

    /// Members that could.
    pub(crate) fn members_in_service(&self) -> u8 {
        u8::try_from(self.replication.members_in_service()).unwrap_or(u8::MAX)
    }

    /// Begins to listen, before a commit.
    pub(crate) fn begin(&self) -> NodeWitness {
        NodeWitness { listener: self.replication.listen(), patience: self.patience, known: BTreeSet::new() }
    }

    /// The same of files that are stored: the members are asked who has them. One that does not answer takes of the time
    /// that is waited.
    pub(crate) async fn begin_again(&self, remote: &Remote, files: &[FileId]) -> NodeWitness {
        let (begun, start) = (self.begin(), Instant::now());
        let asked: Vec<_> = files.iter().map(|file| holders(remote, file)).collect();
        let of_all = stream::iter(asked)
            .buffered(AT_ONCE)
            .collect::<Vec<_>>()
            .map(|all| all.into_iter().reduce(|some, more| &some & &more));
        let known = timeout(self.patience.max(ASKING), of_all).await.ok().flatten().unwrap_or_default();
        NodeWitness { known, patience: self.patience.saturating_sub(start.elapsed()), ..begun }
    }
}

/// The members that have a file.
async fn holders(remote: &Remote, file: &FileId) -> BTreeSet<StorageId> {
    let holders = remote.holders(file).await;
    let have = holders.iter().filter(|holder| matches!(holder.holds, Holds::Yes(_)));
    have.filter_map(|holder| StorageId::parse(&holder.id).ok()).collect()
}

impl NodeWitness {
    /// Waits until so many members have the files; gives how many have them if these are fewer.
    pub(crate) async fn wait(self, files: Vec<FileId>, members: u8) -> Result<(), u8> {
        let names = files.into_iter().map(|file| file.name).collect();
        let waited = self.listener.wait(names, members.into(), self.patience, self.known).await;
        waited.map_err(|few| u8::try_from(few).unwrap_or(u8::MAX))
    }
}

impl Witness for NodeWitness {
    fn confirm(
        self: Box<Self>,
        files: Vec<FileId>,
        members: u8,
    ) -> Pin<Box<dyn Future<Output = Confirmed> + Send>> {
        Box::pin(async move {
            match self.wait(files, members).await {
                Ok(()) => Confirmed::Yes,
                Err(few) => Confirmed::ByFewer(few),
            }
        })
    }
}
