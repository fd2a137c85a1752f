//! Copying another tracker's files: inside the first JOIN after a start, if this tracker was away for more than ten minutes
//! and another one knows better, or if it knows no group at all.
//!
//! Unlike the reference, a tracker whose peers are all down takes its storages in: what they tell is all that it needs.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use protocol::client::{ClientError, Connection};
use protocol::cluster::Join;
use protocol::peers::{
    GetOneSystemFile, GetSystemFilesEnd, GetSystemFilesStart, SYSTEM_FILES, SystemFilePiece, TrackerGetStatus,
};
use protocol::wire::Empty;
use thiserror::Error;
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::called;
use super::driver::{connect, exchange, read};
use super::election::Claim;
use super::set::TrackerSet;
use crate::app::Shared;
use crate::files::{self, FileError};
use crate::state::{Cluster, Session};

/// Absence after which others may know better, seconds.
const LONG: i64 = 600;
/// Longest wait of the first JOIN.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest file that is taken.
const MAX_FILE: u64 = 64 << 20;
const DIRECTORY: &str = ".pulled";

#[derive(Debug, Error)]
enum PullError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("file {0} is {1} bytes long, or changes its length")]
    Length(u8, u64),
    #[error("cannot keep what it sent")]
    Io(#[from] io::Error),
    #[error(transparent)]
    File(#[from] FileError),
}

/// Brings this tracker up to date before the first storage joins. Other JOINs wait for that.
pub(crate) async fn before_first_join(shared: &Shared, session: &Session, join: &Join) {
    let Ok(set) = shared.peers.inner().set.with(&called(session, join), &join.trackers) else { return };
    let once = &shared.peers.pulled;
    once.get_or_init(|| async {
        if tokio::time::timeout(PATIENCE, pull(shared, &set)).await.is_err() {
            warn!("copying another tracker's files takes too long, going on with what is known here");
        }
    })
    .await;
}

async fn pull(shared: &Shared, set: &TrackerSet) {
    let gap = shared.peers.last_run.gap(shared.up_time());
    let knows_nothing = shared.state().groups().is_empty();
    if set.others().is_empty() || (gap <= LONG && !knows_nothing) {
        return;
    }
    let mut candidates = claims(set).await;
    // Addresses do not tell who knows more.
    let key =
        |claim: &Claim| (claim.is_leader, claim.running_time, std::cmp::Reverse(claim.restart_interval));
    if !knows_nothing {
        let own = Claim { is_leader: false, running_time: 0, restart_interval: gap };
        candidates.retain(|(_, claim)| key(claim) > key(&own));
    }
    candidates.sort_by_key(|(_, claim)| std::cmp::Reverse(key(claim)));
    for (tracker, _) in candidates {
        match copy(shared, set, tracker).await {
            Ok(cluster) => {
                let mut state = shared.state();
                info!(%tracker, groups = cluster.groups().len(), "took over what another tracker knows");
                state.adopt(cluster);
                return;
            }
            Err(error) => {
                warn!(%tracker, error = %protocol::daemon::Chain(&error), "cannot copy this tracker's files");
            }
        }
    }
}

/// Claims of all other trackers that know a group.
async fn claims(set: &TrackerSet) -> Vec<(SocketAddr, Claim)> {
    let mut tasks = JoinSet::new();
    for who in set.others() {
        let set = set.clone();
        tasks.spawn(async move {
            let mut connection = connect(&set, who).await.ok()?;
            Some((who, read(exchange(&mut connection, &TrackerGetStatus).await.ok()?)))
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

async fn copy(shared: &Shared, set: &TrackerSet, tracker: SocketAddr) -> Result<Cluster, PullError> {
    let mut connection = connect(set, tracker).await?;
    let Empty = exchange(&mut connection, &GetSystemFilesStart).await?;
    let mut contents = Vec::new();
    for index in 0..SYSTEM_FILES {
        contents.push(file(&mut connection, index).await?);
    }
    let Empty = exchange(&mut connection, &GetSystemFilesEnd).await?;
    let (data, rules) = (shared.peers.last_run.data().to_owned(), shared.state().rules().clone());
    let load = move || {
        let directory = data.join(DIRECTORY);
        let loaded = write(&directory, &contents).map_err(PullError::from);
        let loaded = loaded.and_then(|()| Ok(files::load(&directory, rules)?));
        fs::remove_dir_all(&directory)?;
        loaded
    };
    tokio::task::spawn_blocking(load).await.map_err(|error| PullError::Io(io::Error::other(error)))?
}

async fn file(connection: &mut Connection, index: u8) -> Result<Vec<u8>, PullError> {
    let mut content = Vec::new();
    loop {
        let offset = content.len() as u64;
        let piece: SystemFilePiece = exchange(connection, &GetOneSystemFile { index, offset }).await?;
        content.extend_from_slice(&piece.bytes);
        let len = content.len() as u64;
        if len == piece.total {
            return Ok(content);
        }
        if piece.total > MAX_FILE || len > piece.total || piece.bytes.is_empty() {
            return Err(PullError::Length(index, piece.total));
        }
    }
}

/// Puts the files where they can be read like this tracker's own.
fn write(directory: &Path, contents: &[Vec<u8>]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    files::NAMES.iter().zip(contents).try_for_each(|(name, content)| fs::write(directory.join(name), content))
}
