//! What a running node or gateway takes from its configuration when that is read again.

use std::time::Duration;

use gateway::server::Edge;
use gateway::server::tls::BadCertificate;
use gateway::{BadSettings, Settings, Site};
use protocol::config::WebConf;
use thiserror::Error;

/// Why a configuration does not come into force; the one before stays.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// Files that the settings of file URLs name.
    #[error(transparent)]
    Web(#[from] BadSettings),
    /// Certificates of HTTP.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
}

/// A handle on a node or gateway that runs.
#[derive(Debug, Clone)]
pub struct Control {
    site: Site,
    edge: Edge,
    /// Taken at the start, also for what is read again.
    network_timeout: Duration,
}

impl Control {
    pub(crate) fn new(site: Site, edge: Edge, network_timeout: Duration) -> Self {
        Self { site, edge, network_timeout }
    }

    /// Puts the settings of HTTP into force, all or none. Requests and connections under way end with those that they began
    /// with. Blocking.
    pub fn reload(&self, conf: &WebConf) -> Result<(), ReloadError> {
        let settings = Settings::load(conf, self.network_timeout)?;
        self.edge.reload(&conf.limits, &conf.tls)?;
        self.site.set(settings);
        Ok(())
    }

    /// Opens the access log anew.
    pub fn reopen_logs(&self) {
        self.site.reopen_logs();
    }

    /// Waits until the access log is in its file. Blocking.
    pub fn flush_logs(&self) {
        self.site.flush_logs();
    }
}
