//! What a running tracker takes from its configuration when that is read again.

use gateway::server::Edge;
use gateway::server::tls::BadCertificate;
use protocol::config::TrackerConf;

/// A handle on a tracker that runs.
#[derive(Debug, Clone)]
pub struct Control {
    pub(crate) edge: Edge,
}

impl Control {
    /// Puts limits and certificates of HTTP into force, all or none. Blocking.
    pub fn reload(&self, conf: &TrackerConf) -> Result<(), BadCertificate> {
        self.edge.reload(&conf.http_limits, &conf.http_tls)
    }
}
