//! How far replication between two members is.

use axum::extract::{Path, State};
use gateway::problem::Problem;
use serde::Serialize;

use super::App;
use super::problems::no_such_group;
use super::query::parse_group;
use crate::state::Pair;

/// The way from one member to another. Where the source is FastDFS's, only timestamps are known.
#[derive(Serialize)]
pub(super) struct PairView {
    source: String,
    destination: String,
    /// `reports` of the sender, or `timestamps` of the receiver.
    known_by: &'static str,
    state: Option<&'static str>,
    lag_seconds: Option<i64>,
    files_to_go: Option<i64>,
    bytes_to_go: Option<i64>,
    per_second: Option<i64>,
    seconds_to_go: Option<i64>,
    dead_letters: Option<i64>,
    last_synced: Option<i64>,
}

impl PairView {
    pub(super) fn of(pair: &Pair) -> Self {
        let sender = pair.sender.as_ref();
        Self {
            source: pair.source.to_string(),
            destination: pair.destination.to_string(),
            known_by: if sender.is_some() { "reports" } else { "timestamps" },
            state: sender.map(|sender| sender.state.name()),
            lag_seconds: pair.lag_seconds,
            files_to_go: sender.map(|sender| sender.files_to_go),
            bytes_to_go: sender.map(|sender| sender.bytes_to_go),
            per_second: sender.map(|sender| sender.per_second),
            seconds_to_go: sender.and_then(|sender| sender.seconds_to_go()),
            dead_letters: sender.map(|sender| sender.dead_letters),
            last_synced: (pair.synced > 0).then_some(pair.synced),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Pairs {
    group: String,
    replication: Vec<PairView>,
}

/// Every pair of a group.
pub(super) async fn pairs(
    State(shared): App,
    Path(group): Path<String>,
) -> Result<axum::Json<Pairs>, Problem> {
    let name = parse_group(&group)?;
    let state = shared.state();
    let group = state.group(name).ok_or_else(|| no_such_group(name))?;
    let replication = group.pairs(shared.now()).iter().map(PairView::of).collect();
    Ok(axum::Json(Pairs { group: name.to_string(), replication }))
}
