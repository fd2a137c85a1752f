//! Elections of trunk servers: asks the candidates of a group how much they know (31), ends the winner's own past (32), and
//! lets the state take it. What the state decides is in `state::trunk`.
//!
//! Every change stands in `logs/trunk_server_change.log`, as FastDFS writes it.

use std::collections::HashMap;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::client::ClientError;
use protocol::trunk::{DeleteBinlogMarks, GetTrunkBinlogSize, TrunkBinlogSize};
use protocol::wire::{Empty, Request, Response};
use protocol::{GroupName, Status, StorageId};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::app::Shared;
use crate::peers::driver::{connect_to, exchange};
use crate::state::{Naming, Refusal, TrunkChange, TrunkElection, best_candidate};

/// How often it is looked whether a group needs a trunk server.
const TICK: Duration = Duration::from_millis(500);
/// First pause after an election without a winner; it doubles up to the longest one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What elections share.
pub(crate) struct Elections {
    /// Held during one, so that there is only one at a time.
    turn: Mutex<()>,
    log: PathBuf,
}

impl Elections {
    /// With the log of changes below this base path.
    pub(crate) fn new(base: &Path) -> Self {
        Self { turn: Mutex::new(()), log: base.join("logs/trunk_server_change.log") }
    }
}

/// Elects trunk servers where one is needed, until `stop`.
pub(crate) async fn run(shared: Arc<Shared>, stop: CancellationToken) {
    let mut timer = tokio::time::interval(TICK);
    let mut failures: HashMap<GroupName, Failure> = HashMap::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = timer.tick() => {}
        }
        let elections = needed(&shared);
        failures.retain(|group, _| elections.iter().any(|election| election.group == *group));
        for election in elections {
            if failures.get(&election.group).is_some_and(|failure| Instant::now() < failure.again) {
                continue;
            }
            let outcome = tokio::select! {
                () = stop.cancelled() => return,
                outcome = elect_if_needed(&shared, election.group) => outcome,
            };
            match outcome {
                Ok(()) => drop(failures.remove(&election.group)),
                Err(status) => note(&mut failures, election.group, status),
            }
        }
    }
}

/// An election that had no winner.
struct Failure {
    pause: Duration,
    again: Instant,
}

fn note(failures: &mut HashMap<GroupName, Failure>, group: GroupName, status: Status) {
    let pause = match failures.get(&group) {
        Some(failure) => (failure.pause * 2).min(LONGEST_PAUSE),
        None => {
            warn!(%group, %status, "no storage of the group can be its trunk server now, trying again");
            FIRST_PAUSE
        }
    };
    failures.insert(group, Failure { pause, again: Instant::now() + pause });
}

fn needed(shared: &Shared) -> Vec<TrunkElection> {
    let now = shared.now();
    shared.state().trunk_elections(now)
}

async fn elect_if_needed(shared: &Shared, group: GroupName) -> Result<(), Refusal> {
    let _turn = shared.elections.turn.lock().await;
    match needed(shared).into_iter().find(|election| election.group == group) {
        Some(election) => elect(shared, &election).await.map(|_| ()),
        None => Ok(()),
    }
}

/// Names the trunk server of a group, as command 94 does: this storage, or any. Gives it.
pub(crate) async fn name(
    shared: &Shared,
    group: GroupName,
    id: Option<&StorageId>,
) -> Result<StorageId, Refusal> {
    let _turn = shared.elections.turn.lock().await;
    let naming = shared.state().may_name_trunk_server(group, id)?;
    match naming {
        Naming::Present(id) => Ok(id),
        Naming::Elect(election) => elect(shared, &election).await,
    }
}

/// One election, from the question to the log. `ENOENT` without a candidate that answers.
async fn elect(shared: &Shared, election: &TrunkElection) -> Result<StorageId, Refusal> {
    let sizes = sizes(shared, election).await;
    let winner = best_candidate(&sizes).ok_or(Status::ENOENT)?;
    if election.last.is_some_and(|last| last != winner) {
        let at = election.candidates.iter().find(|(id, _)| *id == winner).map(|(_, at)| *at);
        let told = ask::<_, Empty>(shared, at.ok_or(Status::ENOENT)?, &DeleteBinlogMarks).await;
        if let Err(error) = told {
            warn!(group = %election.group, storage = %winner, %error, "a storage cannot become the trunk server");
            return Err(error.status().unwrap_or(Status::EIO));
        }
    }
    let change = shared.state().elect_trunk_server(election, winner)?;
    shared.saver.before_answer(shared).await;
    let log = shared.elections.log.clone();
    let written = tokio::task::spawn_blocking(move || append(&log, &change)).await;
    if let Err(error) = written.unwrap_or_else(|lost| Err(std::io::Error::other(lost))) {
        error!(%error, "logs/trunk_server_change.log cannot be written");
    }
    Ok(winner)
}

/// How much each candidate knows that answers, in their order. Whoever has no trunk binlog yet knows nothing.
async fn sizes(shared: &Shared, election: &TrunkElection) -> Vec<(StorageId, u64)> {
    let mut asking = JoinSet::new();
    let from = shared.peers.own_address();
    for (place, (id, at)) in election.candidates.iter().copied().enumerate() {
        asking.spawn(async move {
            let asked = async {
                let mut connection = connect_to(at, from).await?;
                exchange::<_, TrunkBinlogSize>(&mut connection, &GetTrunkBinlogSize).await
            };
            let size = match asked.await {
                Ok(TrunkBinlogSize(size)) => Some(size),
                Err(error) if error.status() == Some(Status::ENOENT) => Some(0),
                Err(error) => {
                    tracing::debug!(storage = %id, %error, "it does not tell the size of its trunk binlog");
                    None
                }
            };
            (place, id, size)
        });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(place, _, _)| *place);
    answers.into_iter().filter_map(|(_, id, size)| Some((id, size?))).collect()
}

async fn ask<Q: Request, A: Response>(
    shared: &Shared,
    at: SocketAddr,
    request: &Q,
) -> Result<A, ClientError> {
    let mut connection = connect_to(at, shared.peers.own_address()).await?;
    exchange(&mut connection, request).await
}

/// `[YYYY-MM-DD hh:mm:ss] group  old  =>  new`. Blocking.
fn append(log: &Path, TrunkChange { group, before, after }: &TrunkChange) -> std::io::Result<()> {
    if let Some(directory) = log.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let time = chrono::Local::now().format("%Y-%m-%d %H:%M:%S");
    let before = before.as_deref().unwrap_or("-");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    file.write_all(format!("[{time}] {group}  {before}  =>  {after}\n").as_bytes())
}
