//! Which tracker leads: the one that says so of itself.
//!
//! Trackers that could not reach each other may both lead. Storages are the ones who notice, since they talk to all: a
//! change of leader is checked with the old one, and if that still claims to lead, both are asked to choose again.

use std::net::SocketAddr;

use protocol::cluster::Brief;
use protocol::peers::{LeaderClaim, ReselectLeader, TrackerGetStatus};
use protocol::wire::Empty;
use tracing::{info, warn};

use super::Link;

/// Hears whom the tracker of a session takes for the leader. An empty brief means that it knows of none.
pub(super) async fn hear(link: &Link, from: usize, brief: &Brief) {
    let before = link.trackers.leader();
    let Some(ip) = brief.ip else {
        if before == Some(from) {
            link.trackers.set_leader(None);
        }
        return;
    };
    let address = SocketAddr::new(ip, brief.port);
    let Some(leader) = link.trackers.find(address) else {
        warn!(leader = %address, "the leading tracker is not in tracker_server of storage.conf");
        return;
    };
    match before {
        Some(before) if before == leader => {}
        Some(before) if still_leads(link, before).await => {
            warn!(leader = %address, "two trackers claim to lead, asking both to choose again");
            for tracker in [before, leader] {
                if let Err(error) = link.trackers.ask_one::<_, Empty>(tracker, &ReselectLeader).await {
                    info!(%error, "a tracker that claimed to lead does not choose again");
                }
            }
            link.trackers.set_leader(None);
        }
        _ => {
            info!(leader = %address, "this tracker leads");
            link.trackers.set_leader(Some(leader));
        }
    }
}

/// Whether a tracker that led claims to do so still; one that does not answer does not.
async fn still_leads(link: &Link, tracker: usize) -> bool {
    let claim = link.trackers.ask_one::<_, LeaderClaim>(tracker, &TrackerGetStatus).await;
    claim.is_ok_and(|claim| claim.is_leader != 0)
}
