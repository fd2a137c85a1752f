//! Tracker or node: their configurations and applications behind one face.

use std::path::Path;

use protocol::config::{ConfigError, DaemonConf, Diagnostic, LocalFacts, StorageConf, TrackerConf};
use protocol::daemon::LockError;
use tokio_util::sync::CancellationToken;

/// Which daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tracker,
    Node,
}

impl Kind {
    /// FastDFS's name of the program, which its pid file has too.
    pub(crate) fn fastdfs_name(self) -> &'static str {
        match self {
            Self::Tracker => "fdfs_trackerd",
            Self::Node => "fdfs_storaged",
        }
    }

    pub(crate) fn pid_file(self) -> &'static str {
        match self {
            Self::Tracker => "fdfs_trackerd.pid",
            Self::Node => "fdfs_storaged.pid",
        }
    }

    pub(crate) fn log_file(self) -> &'static str {
        match self {
            Self::Tracker => "trackerd.log",
            Self::Node => "storaged.log",
        }
    }

    /// Reads the daemon's configuration.
    pub(crate) fn load(
        self,
        path: &Path,
        facts: &LocalFacts,
    ) -> Result<(DaemonSettings, Vec<Diagnostic>), ConfigError> {
        Ok(match self {
            Self::Tracker => {
                let (conf, found) = TrackerConf::load(path, facts)?;
                (DaemonSettings::Tracker(Box::new(conf)), found)
            }
            Self::Node => {
                let (conf, found) = StorageConf::load(path, facts)?;
                (DaemonSettings::Node(Box::new(conf)), found)
            }
        })
    }
}

/// A daemon's whole configuration.
#[derive(Debug)]
pub(crate) enum DaemonSettings {
    Tracker(Box<TrackerConf>),
    Node(Box<StorageConf>),
}

impl DaemonSettings {
    /// The keys that both daemons have.
    pub(crate) fn shared(&self) -> &DaemonConf {
        match self {
            Self::Tracker(conf) => &conf.daemon,
            Self::Node(conf) => &conf.daemon,
        }
    }

    /// Native connections at a time.
    pub(crate) fn max_connections(&self) -> u32 {
        self.shared().max_connections
    }

    /// Takes the base path and binds the listeners.
    pub(crate) async fn build(self, facts: &LocalFacts) -> Result<App, StartError> {
        match self {
            Self::Tracker(conf) => Ok(App::Tracker(Box::new(tracker::App::build(*conf, facts).await?))),
            Self::Node(conf) => Ok(App::Node(Box::new(node::App::build(*conf, facts).await?))),
        }
    }
}

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Tracker(#[from] tracker::StartError),
    #[error(transparent)]
    Node(#[from] node::StartError),
}

impl StartError {
    /// Pid of the process that has the base path, if that is why.
    pub(crate) fn owner(&self) -> Option<&str> {
        match self {
            Self::Tracker(tracker::StartError::Lock(LockError::Owned { owner, .. }))
            | Self::Node(node::StartError::Lock(LockError::Owned { owner, .. })) => Some(owner),
            _ => None,
        }
    }
}

/// A daemon that is ready to run.
pub(crate) enum App {
    Tracker(Box<tracker::App>),
    Node(Box<node::App>),
}

impl App {
    /// For changes while it runs.
    pub(crate) fn control(&self) -> Control {
        match self {
            Self::Tracker(_) => Control::Tracker,
            Self::Node(app) => Control::Node(app.control()),
        }
    }

    /// Serves until `stop` is cancelled, then drains and saves.
    pub(crate) async fn run(self, stop: CancellationToken) {
        match self {
            Self::Tracker(app) => app.run(stop).await,
            Self::Node(app) => app.run(stop).await,
        }
    }
}

/// A handle on a daemon that runs.
#[derive(Debug, Clone)]
pub(crate) enum Control {
    Tracker,
    Node(node::Control),
}

impl Control {
    /// Puts into force what a running daemon takes; if that fails, all stays as it is. Blocking.
    pub(crate) fn reload(&self, settings: &DaemonSettings) -> Result<(), node::ReloadError> {
        match (self, settings) {
            (Self::Node(control), DaemonSettings::Node(conf)) => control.reload(conf),
            _ => Ok(()),
        }
    }

    /// Opens access logs anew.
    pub(crate) fn reopen_logs(&self) {
        match self {
            Self::Tracker => {}
            Self::Node(control) => control.reopen_logs(),
        }
    }
}
