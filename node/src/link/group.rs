//! Which group this node belongs to, where `storage.conf` leaves that to the trackers' table of storage ids (109).

use std::time::Duration;

use bytes::Bytes;
use protocol::client::ClientError;
use protocol::cluster::GetGroupName;
use protocol::wire::until_nul;
use protocol::{GroupName, Status};
use thiserror::Error;
use tokio::time::{Instant, sleep};

use crate::trackers::Trackers;

/// How long trackers that start together with this node are waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(500);

/// The trackers do not tell the group.
#[derive(Debug, Error)]
pub enum NoGroup {
    /// They say that they do not know.
    #[error(
        "group_name is not in storage.conf, and the trackers know no storage with this address and port {port} \
         (status {status}); write group_name, or have use_storage_id = true and this node in the trackers' storage_ids.conf"
    )]
    Unknown {
        /// Own port.
        port: u16,
        /// The trackers' answer.
        status: Status,
    },
    /// None of them answers.
    #[error(
        "group_name is not in storage.conf, so a tracker has to tell it, and none answers; write it, or start a tracker"
    )]
    Unreachable(#[source] ClientError),
}

/// Asks the trackers for the group of the storage that has the caller's address and this port.
pub(crate) async fn ask_group(trackers: &Trackers, port: u16) -> Result<GroupName, NoGroup> {
    let start = Instant::now();
    let request = GetGroupName { ip: None, port };
    loop {
        let error = match trackers.ask::<_, Bytes>(&request).await {
            Ok(text) => {
                let group =
                    std::str::from_utf8(until_nul(&text)).ok().and_then(|text| GroupName::parse(text).ok());
                return group.ok_or(NoGroup::Unknown { port, status: Status::EINVAL });
            }
            Err(error) => error,
        };
        if let Some(status) = error.status() {
            return Err(NoGroup::Unknown { port, status });
        }
        if start.elapsed() >= PATIENCE {
            return Err(NoGroup::Unreachable(error));
        }
        sleep(STEP).await;
    }
}
