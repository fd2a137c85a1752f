//! Which tracker leads: the one that says so of itself.

use std::net::SocketAddr;

use protocol::cluster::Brief;
use tracing::{info, warn};

use super::Link;

/// Hears whom the tracker of this session takes for the leader.
pub(super) async fn hear(link: &Link, from: usize, brief: &Brief) {
    let Some(ip) = brief.ip else {
        if link.trackers.leader() == Some(from) {
            link.trackers.set_leader(None);
        }
        return;
    };
    let address = SocketAddr::new(ip, brief.port);
    let Some(leader) = link.trackers.find(address) else {
        warn!(leader = %address, "the leading tracker is not in tracker_server of storage.conf");
        return;
    };
    if link.trackers.leader() != Some(leader) {
        info!(leader = %address, "this tracker leads");
        link.trackers.set_leader(Some(leader));
    }
}
