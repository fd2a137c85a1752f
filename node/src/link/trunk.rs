//! The trunk server: who it is by the leading tracker's word, and what this node reports while it is it.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use protocol::Status;
use protocol::cluster::{Brief, FetchTrunkFileId, ReportTrunkFileId, ReportTrunkFree, TrunkFileId};
use protocol::config::params::ClusterParams;
use protocol::tracker::ParameterRequest;
use protocol::wire::Empty;
use tokio::time::Instant;

use super::session::Session;
use super::{LinkError, blocking};
use crate::trunk::TrunkServer;

/// Shortest time between two looks at what there is to report.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the tracker was told of trunk files in this session.
#[derive(Default)]
pub(super) struct ReportedTrunk {
    looked: Option<Instant>,
    file_id: Option<u32>,
    free_mb: Option<i64>,
}

impl Session<'_> {
    /// The leading tracker has answered, and perhaps named another trunk server.
    pub(super) async fn hear_of_trunk(&mut self, told: Option<&Brief>) -> Result<(), LinkError> {
        if self.link.trackers.leader() != Some(self.index) {
            return Ok(());
        }
        let asked = self.asked;
        let Some(brief) = told else {
            self.link.trunk.leader_answered(asked);
            return Ok(());
        };
        if !self.params.trunk.use_trunk_file {
            self.ask_params_again().await?;
        }
        let is_own = |ip| brief.id == Some(self.id) || (ip == self.ip && brief.port == self.link.facts.port);
        let server = match brief.ip {
            Some(ip) if is_own(ip) => TrunkServer::Own,
            Some(ip) => TrunkServer::Member(SocketAddr::new(ip, brief.port)),
            None => TrunkServer::Nobody,
        };
        if server == TrunkServer::Own {
            let TrunkFileId(id) = self.ask(&FetchTrunkFileId).await?;
            let id = u32::try_from(id).unwrap_or(0);
            blocking(&self.link.store, move |store| store.trunk().adopt_file_id(id)).await?;
            self.link.trunk.leader_answered(asked);
        } else {
            self.link.trunk.end_lease();
        }
        self.link.trunk.tell(server);
        Ok(())
    }

    /// The trackers use trunk files now, and did not when this session began.
    async fn ask_params_again(&mut self) -> Result<(), LinkError> {
        let text: Bytes = self.ask(&ParameterRequest).await?;
        let params = ClusterParams::parse(&String::from_utf8_lossy(&text))?;
        self.link.store.set_params(&params);
        self.params = params;
        Ok(())
    }

    /// Tells what has changed in the trunk files, while this node is the trunk server.
    pub(super) async fn report_trunk(&mut self) -> Result<(), LinkError> {
        let told = &mut self.reported.trunk;
        let trunk = self.link.trunk.trunk();
        if told.looked.is_some_and(|at| at.elapsed() < INTERVAL) || !trunk.is_server() {
            return Ok(());
        }
        told.looked = Some(Instant::now());
        let (file_id, free_mb) =
            (trunk.file_id(), i64::try_from(trunk.free_bytes() >> 20).unwrap_or(i64::MAX));
        if self.reported.trunk.file_id != Some(file_id) {
            let report = ReportTrunkFileId(i32::try_from(file_id).unwrap_or(i32::MAX));
            if taken(self.ask(&report).await)? {
                self.reported.trunk.file_id = Some(file_id);
            }
        }
        if self.reported.trunk.free_mb != Some(free_mb) && taken(self.ask(&ReportTrunkFree(free_mb)).await)? {
            self.reported.trunk.free_mb = Some(free_mb);
        }
        Ok(())
    }
}

/// A tracker that follows may not have heard yet who the trunk server is.
fn taken(answer: Result<Empty, LinkError>) -> Result<bool, LinkError> {
    match answer {
        Ok(Empty) => Ok(true),
        Err(error) if error.status() == Some(Status::EINVAL) => Ok(false),
        Err(error) => Err(error),
    }
}
