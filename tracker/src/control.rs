//! What a running tracker takes from its configuration when that is read again.

use std::time::Duration;

use gateway::server::Edge;
use gateway::server::tls::BadCertificate;
use gateway::{BadSettings, Settings, Site};
use protocol::config::TrackerConf;
use thiserror::Error;

/// Why a configuration does not come into force; the one before stays.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// Files that the settings of HTTP name.
    #[error(transparent)]
    Web(#[from] BadSettings),
    /// Certificates of HTTP.
    #[error(transparent)]
    Certificate(#[from] BadCertificate),
}

/// A handle on a tracker that runs.
#[derive(Debug, Clone)]
pub struct Control {
    pub(crate) site: Site,
    pub(crate) edge: Edge,
    /// Taken at the start, also for what is read again.
    pub(crate) network_timeout: Duration,
}

impl Control {
    /// Puts the settings of HTTP into force, all or none. Blocking.
    pub fn reload(&self, conf: &TrackerConf) -> Result<(), ReloadError> {
        let settings = Settings::load(&conf.web, self.network_timeout)?;
        self.edge.reload(&conf.web.limits, &conf.web.tls)?;
        self.site.set(settings);
        Ok(())
    }

    /// Opens access and audit log anew.
    pub fn reopen_logs(&self) {
        self.site.reopen_logs();
    }

    /// Waits until access and audit log are in their files. Blocking.
    pub fn flush_logs(&self) {
        self.site.flush_logs();
    }
}
