//! The trackers of the cluster and who leads, as this one sees it.

use std::net::SocketAddr;

use axum::extract::State;
use serde::Serialize;

use super::App;
use crate::state::{Cluster, Leadership};

#[derive(Serialize)]
struct TrackerView {
    /// As storages know it.
    address: SocketAddr,
    /// Whether it is the one that answers.
    is_own: bool,
    is_leader: bool,
}

#[derive(Serialize)]
pub(super) struct Trackers {
    /// Nobody, while one is being elected or no storage has joined.
    leader: Option<SocketAddr>,
    trackers: Vec<TrackerView>,
}

/// Who leads, as storages know it.
pub(super) fn leader(state: &Cluster, own: Option<SocketAddr>) -> Option<SocketAddr> {
    match state.leadership() {
        Leadership::Own => own,
        Leadership::Other(leader) => Some(leader),
        Leadership::Unknown => None,
    }
}

pub(super) async fn trackers(State(shared): App) -> axum::Json<Trackers> {
    let (own, others) = shared.peers.known();
    let leader = leader(&shared.state(), own);
    let all = own.into_iter().chain(others);
    let view =
        |address| TrackerView { address, is_own: own == Some(address), is_leader: leader == Some(address) };
    axum::Json(Trackers { leader, trackers: all.map(view).collect() })
}
