//! Tracker, node or gateway: their configurations and applications behind one face.

use std::path::{Path, PathBuf};

use protocol::config::{
    ConfigError, DaemonConf, Diagnostic, LocalFacts, LogConf, LogLevel, ModuleConf, StorageConf, TrackerConf,
};
use protocol::daemon::LockError;
use tokio_util::sync::CancellationToken;

/// Which daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tracker,
    Node,
    /// In front of a FastDFS storage.
    Gateway,
}

impl Kind {
    /// FastDFS's name of the program, which its pid file has too.
    pub(crate) fn fastdfs_name(self) -> &'static str {
        match self {
            Self::Tracker => "fdfs_trackerd",
            Self::Node => "fdfs_storaged",
            // FastDFS has none: there, nginx is this.
            Self::Gateway => "fdfs_gateway",
        }
    }

    pub(crate) fn pid_file(self) -> &'static str {
        match self {
            Self::Tracker => "fdfs_trackerd.pid",
            Self::Node => "fdfs_storaged.pid",
            Self::Gateway => "fdfs_gateway.pid",
        }
    }

    fn log_file(self) -> &'static str {
        match self {
            Self::Tracker => "trackerd.log",
            Self::Node => "storaged.log",
            Self::Gateway => "gateway.log",
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
            Self::Gateway => {
                let (conf, found) = ModuleConf::load(path, facts)?;
                (DaemonSettings::Gateway(Box::new(conf)), found)
            }
        })
    }
}

/// A daemon's whole configuration.
#[derive(Debug)]
pub(crate) enum DaemonSettings {
    Tracker(Box<TrackerConf>),
    Node(Box<StorageConf>),
    Gateway(Box<ModuleConf>),
}

/// What the process of a daemon is like, whatever the daemon does.
#[derive(Debug, Clone)]
pub(crate) struct Process<'a> {
    /// Directory of `data/` with the pid file, and of `logs/`.
    pub(crate) base: &'a Path,
    pub(crate) log_path: PathBuf,
    pub(crate) log_level: LogLevel,
    pub(crate) error_log: &'a LogConf,
    /// Connections at a time that need a descriptor each.
    pub(crate) max_connections: u32,
    pub(crate) run_by_user: Option<&'a str>,
    pub(crate) run_by_group: Option<&'a str>,
}

impl<'a> Process<'a> {
    fn of_daemon(kind: Kind, conf: &'a DaemonConf) -> Self {
        Self {
            base: &conf.base_path,
            log_path: conf.base_path.join("logs").join(kind.log_file()),
            log_level: conf.log_level,
            error_log: &conf.error_log,
            max_connections: conf.max_connections,
            run_by_user: conf.run_by_user.as_deref(),
            run_by_group: conf.run_by_group.as_deref(),
        }
    }

    fn of_gateway(conf: &'a ModuleConf) -> Self {
        let own_log = || conf.own_dir.join("logs").join(Kind::Gateway.log_file());
        Self {
            base: &conf.own_dir,
            log_path: conf.log_filename.clone().unwrap_or_else(own_log),
            log_level: conf.log_level,
            error_log: &conf.error_log,
            max_connections: u32::try_from(conf.web.limits.max_connections).unwrap_or(u32::MAX),
            run_by_user: conf.run_by_user.as_deref(),
            run_by_group: conf.run_by_group.as_deref(),
        }
    }
}

impl DaemonSettings {
    /// The process that it asks for.
    pub(crate) fn process(&self) -> Process<'_> {
        match self {
            Self::Tracker(conf) => Process::of_daemon(Kind::Tracker, &conf.daemon),
            Self::Node(conf) => Process::of_daemon(Kind::Node, &conf.daemon),
            Self::Gateway(conf) => Process::of_gateway(conf),
        }
    }

    /// Takes the base path and binds the listeners.
    pub(crate) async fn build(self, facts: &LocalFacts) -> Result<App, StartError> {
        match self {
            Self::Tracker(conf) => Ok(App::Tracker(Box::new(tracker::App::build(*conf, facts).await?))),
            Self::Node(conf) => Ok(App::Node(Box::new(node::App::build(*conf, facts).await?))),
            Self::Gateway(conf) => Ok(App::Gateway(Box::new(node::Front::build(*conf, facts).await?))),
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
    Gateway(Box<node::Front>),
}

impl App {
    /// For changes while it runs.
    pub(crate) fn control(&self) -> Control {
        match self {
            Self::Tracker(app) => Control::Tracker(app.control()),
            Self::Node(app) => Control::Http(app.control()),
            Self::Gateway(front) => Control::Http(front.control()),
        }
    }

    /// Serves until `stop` is cancelled, then drains and saves.
    pub(crate) async fn run(self, stop: CancellationToken) {
        match self {
            Self::Tracker(app) => app.run(stop).await,
            Self::Node(app) => app.run(stop).await,
            Self::Gateway(front) => front.run(stop).await,
        }
    }
}

/// A handle on a daemon that runs.
#[derive(Debug, Clone)]
pub(crate) enum Control {
    Tracker(tracker::Control),
    Http(node::Control),
}

impl Control {
    /// Puts into force what a running daemon takes; if that fails, all stays as it is. Blocking.
    pub(crate) fn reload(&self, settings: &DaemonSettings) -> anyhow::Result<()> {
        match (self, settings) {
            (Self::Http(control), DaemonSettings::Node(conf)) => control.reload(&conf.web)?,
            (Self::Http(control), DaemonSettings::Gateway(conf)) => control.reload(&conf.web)?,
            (Self::Tracker(control), DaemonSettings::Tracker(conf)) => control.reload(conf)?,
            _ => {}
        }
        Ok(())
    }

    /// Opens access logs anew.
    pub(crate) fn reopen_logs(&self) {
        match self {
            Self::Tracker(control) => control.reopen_logs(),
            Self::Http(control) => control.reopen_logs(),
        }
    }
}
