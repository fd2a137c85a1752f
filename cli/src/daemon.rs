//! The life of a daemon: configuration, rights, limits, log, start, signals, end.
//!
//! Order matters. Rights are given up and the limit of open files is raised while the process has one thread, since
//! both would else hold for that thread only; the log starts before anything that may write to it; a background start
//! tells its parent that it is ready only when the listeners are bound and the last run's state is read.

mod background;
mod control;
mod kind;
mod limits;
mod memory;
mod named;
mod privileges;
mod reload;
mod signals;
mod threads;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, ValueEnum};
use protocol::config::{ConfigError, Diagnostic, LocalFacts, Severity, Snapshot};
use rustix::process::Signal;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::logging::{self, LogFile, Sink};
use crate::output::{chain, complain};
use kind::{Control, StartError};
pub(crate) use kind::{DaemonSettings, Kind};
pub(crate) use limits::raise as raise_limits;
pub(crate) use named::run as run_named;
use reload::Reload;
pub(crate) use signals::{Signals, run_until_stopped};
pub(crate) use threads::Threads;

/// Status that scripts know from FastDFS: it runs already.
const EXIT_RUNNING: u8 = 17;

/// What to do with a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Start in the background; returns when it serves
    Start,
    /// Stop, and wait for the end
    Stop,
    /// Stop if it runs, then start in the background
    Restart,
    /// Say whether it runs
    Status,
    /// Check the configuration and have the running daemon take it (SIGHUP)
    Reload,
    /// Have it open its logs anew, once they were moved away (SIGUSR1)
    Reopen,
}

/// Arguments of `fdfs tracker`, `fdfs node` and `fdfs gateway`.
#[derive(Debug, Args)]
pub(crate) struct DaemonArgs {
    /// Configuration file: tracker.conf, storage.conf or mod_fastdfs.conf
    conf: PathBuf,
    /// Without it, the daemon runs in the foreground and logs to standard error
    action: Option<Action>,
}

/// Runs `fdfs tracker`, `fdfs node` or `fdfs gateway`.
pub(crate) fn run(kind: Kind, args: &DaemonArgs) -> ExitCode {
    let name = match kind {
        Kind::Tracker => "fdfs tracker",
        Kind::Node => "fdfs node",
        Kind::Gateway => "fdfs gateway",
    };
    Daemon { kind, name, conf: &args.conf }.act(args.action)
}

/// A daemon as the command line names it.
#[derive(Debug, Clone, Copy)]
struct Daemon<'a> {
    kind: Kind,
    /// What its complaints begin with.
    name: &'static str,
    conf: &'a Path,
}

impl Daemon<'_> {
    fn act(self, action: Option<Action>) -> ExitCode {
        // The child of a background start has its parent's arguments.
        if background::is_child() {
            return self.serve(Place::Background);
        }
        match action {
            None => self.serve(Place::Foreground),
            Some(Action::Start) => self.start(),
            Some(Action::Status) => self.with_base(|base| control::status(self.kind, base)),
            Some(Action::Stop) => self.with_base(|base| control::stop(self.kind, base)),
            // A configuration that is refused is explained here, and the daemon keeps what it has.
            Some(Action::Reload) => self.with_base(|base| control::signal(self.kind, base, Signal::HUP)),
            Some(Action::Reopen) => self.with_base(|base| control::signal(self.kind, base, Signal::USR1)),
            Some(Action::Restart) => self.with_base(|base| {
                if control::running(self.kind, base).is_some() {
                    let stopped = control::stop(self.kind, base);
                    if stopped != ExitCode::SUCCESS {
                        return stopped;
                    }
                }
                complain(format_args!("starting ..."));
                self.start()
            }),
        }
    }

    fn start(self) -> ExitCode {
        background::start().unwrap_or_else(|error| self.fail(&error, 1))
    }

    fn with_base(self, act: impl FnOnce(&Path) -> ExitCode) -> ExitCode {
        match self.kind.load(self.conf, &LocalFacts::detect()) {
            Ok((settings, _)) => act(settings.process().base),
            Err(error) => self.refuse(error),
        }
    }

    /// Runs the daemon in this process.
    fn serve(self, place: Place) -> ExitCode {
        // Includes and tables are named relative to the file, and a background daemon leaves its directory.
        let conf = std::path::absolute(self.conf).unwrap_or_else(|_| self.conf.to_owned());
        let facts = LocalFacts::detect();
        let (settings, found) =
            match self.kind.load(if place == Place::Background { &conf } else { self.conf }, &facts) {
                Ok(loaded) => loaded,
                Err(error) => return self.refuse(error),
            };
        let started_with = match Snapshot::load(&conf, &facts) {
            Ok(snapshot) => Arc::new(snapshot),
            Err(error) => return self.refuse(error),
        };
        let prepared = self.prepare(&settings, place, &found);
        let log = match prepared {
            Ok(log) => log,
            Err(error) => return self.fail(&error, 1),
        };
        let threads = match Threads::of(self.kind) {
            Ok(threads) => threads,
            Err(error) => return self.fail(&error, 1),
        };
        let outcome = threads.run(self.build_and_run(settings, &facts, place, |control| Reload {
            kind: self.kind,
            conf,
            started_with,
            control,
            log,
        }));
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let code = if error.downcast_ref::<StartError>().is_some_and(|start| start.owner().is_some())
                {
                    EXIT_RUNNING
                } else {
                    1
                };
                self.fail(&error, code)
            }
        }
    }

    /// All that needs a process with one thread, then the log.
    fn prepare(
        self,
        settings: &DaemonSettings,
        place: Place,
        found: &[Diagnostic],
    ) -> anyhow::Result<Option<Arc<LogFile>>> {
        let process = settings.process();
        if place == Place::Background {
            background::detach()?;
        }
        // Root may go past the system's limit, so the limit comes first.
        limits::raise(process.max_connections)?;
        privileges::apply(&process)?;
        let file = if place == Place::Foreground {
            None
        } else {
            let path = process.log_path;
            let opened = LogFile::open(path.clone(), process.error_log.clone());
            Some(Arc::new(opened.with_context(|| format!("cannot write the log {}", path.display()))?))
        };
        logging::start(process.log_level, Sink { file: file.clone(), stderr: place != Place::Background });
        for finding in found {
            match finding.severity {
                Severity::Info => info!("{}: {}", finding.place, finding.message),
                Severity::Warning | Severity::Error => {
                    if place == Place::Background {
                        complain(format_args!("{finding}"));
                    }
                    warn!("{}: {}", finding.place, finding.message);
                }
            }
        }
        Ok(file)
    }

    async fn build_and_run(
        self,
        settings: DaemonSettings,
        facts: &LocalFacts,
        place: Place,
        reload: impl FnOnce(Control) -> Reload,
    ) -> anyhow::Result<()> {
        let signals = Signals::listen()?;
        let app = match settings.build(facts).await {
            Ok(app) => app,
            Err(error) => {
                let error = error.into();
                if place != Place::Foreground {
                    error!("does not start: {}", chain(&error));
                }
                return Err(error);
            }
        };
        if place == Place::Background {
            background::report_ready()?;
        }
        let stop = CancellationToken::new();
        let reload = reload(app.control());
        run_until_stopped(app.run(stop.clone()), stop, signals, Some(&reload)).await;
        Ok(())
    }

    /// Says why a configuration cannot be used, each finding once.
    fn refuse(self, error: ConfigError) -> ExitCode {
        let code = error.exit_code();
        match &error {
            ConfigError::Refused { diagnostics, .. } => {
                for finding in diagnostics.iter().filter(|finding| finding.severity != Severity::Info) {
                    complain(format_args!("{}: {finding}", self.name));
                }
                ExitCode::from(code)
            }
            ConfigError::Read { .. } | ConfigError::Disabled { .. } => self.fail(&error.into(), code),
        }
    }

    /// The one line that says why nothing started.
    fn fail(self, error: &anyhow::Error, code: u8) -> ExitCode {
        match error.downcast_ref::<StartError>().and_then(StartError::owner) {
            // In FastDFS's words, which scripts may look for.
            Some(owner) if self.name == self.kind.fastdfs_name() => {
                complain(format_args!("process {} already running, pid: {owner}", self.name));
            }
            _ => complain(format_args!("{}: {}", self.name, chain(error))),
        }
        ExitCode::from(code)
    }
}

/// Where a daemon runs and logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `fdfs tracker CONF`: logs to standard error.
    Foreground,
    /// `fdfs_trackerd -N CONF`: logs to both.
    ForegroundWithFile,
    /// Logs to its file.
    Background,
}
