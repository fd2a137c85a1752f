//! Changes of a running daemon: its configuration is read again, its logs are opened anew. No connection ends by them.

use std::path::PathBuf;
use std::sync::Arc;

use protocol::config::{ConfigError, Diagnostic, LocalFacts, Severity, Snapshot};
use tracing::{error, info, warn};

use super::kind::Control;
use super::{DaemonSettings, Kind};
use crate::logging::{self, LogFile};
use crate::output::chain;

/// What signals change.
#[derive(Debug, Clone)]
pub(crate) struct Reload {
    pub(super) kind: Kind,
    /// The configuration, by its absolute path.
    pub(super) conf: PathBuf,
    /// The configuration as it was at the start.
    pub(super) started_with: Arc<Snapshot>,
    pub(super) control: Control,
    pub(super) log: Option<Arc<LogFile>>,
}

impl Reload {
    /// Opens the logs anew, since somebody has moved them away.
    pub(super) fn reopen_logs(&self) {
        if let Some(log) = &self.log {
            log.reopen();
        }
        self.control.reopen_logs();
        info!("logs are opened anew");
    }

    /// Starts a new log file, opens the access log anew, and puts the configuration into force.
    pub(super) async fn everything(&self) {
        if let Some(log) = &self.log {
            log.rotate();
        }
        self.control.reopen_logs();
        let own = self.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || own.read_again()).await {
            error!(%error, "reading the configuration again failed");
        }
    }

    /// Reads the configuration; what cannot be used leaves everything as it was.
    fn read_again(&self) {
        let path = self.conf.display();
        let facts = LocalFacts::detect();
        let read = self.kind.load(&self.conf, &facts).and_then(|(settings, found)| {
            let snapshot = Snapshot::load(&self.conf, &facts)?;
            Ok((settings, found, snapshot))
        });
        let (settings, found, snapshot) = match read {
            Ok(read) => read,
            Err(why) => {
                explain(&why);
                error!(%path, "the configuration is refused, the settings in force stay");
                return;
            }
        };
        report(&found);
        if let Err(why) = self.put_into_force(&settings) {
            error!(%path, "the configuration cannot be used, the settings in force stay: {}", chain(&why));
            return;
        }
        info!(%path, "configuration read again");
        let waiting = self.started_with.waiting(&snapshot);
        if !waiting.is_empty() {
            warn!(keys = waiting.join(", "), "changed keys take effect at the next start");
        }
    }

    fn put_into_force(&self, settings: &DaemonSettings) -> anyhow::Result<()> {
        self.control.reload(settings)?;
        logging::set_level(settings.process().log_level);
        Ok(())
    }
}

fn report(found: &[Diagnostic]) {
    for finding in found {
        match finding.severity {
            Severity::Info => info!("{}: {}", finding.place, finding.message),
            Severity::Warning | Severity::Error => warn!("{}: {}", finding.place, finding.message),
        }
    }
}

/// Each problem, as far as it is one.
fn explain(why: &ConfigError) {
    match why {
        ConfigError::Refused { diagnostics, .. } => {
            for finding in diagnostics.iter().filter(|finding| finding.severity != Severity::Info) {
                error!("{}: {}", finding.place, finding.message);
            }
        }
        ConfigError::Read { .. } | ConfigError::Disabled { .. } => error!("{why}"),
    }
}
