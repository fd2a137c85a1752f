//! Signals of a running daemon.
//!
//! | signal | effect |
//! |---|---|
//! | TERM, INT, QUIT | drain, save, end |
//! | a second INT or QUIT | end at once |
//! | HUP | start a new log file, open the access log anew, read the configuration again |
//! | USR1 | open the logs anew, which somebody has moved away |
//! | USR2 | a line in the log |
//!
//! A second TERM changes nothing: FastDFS's `stop` sends one every second while the drain is under way.

use std::future::Future;
use std::io;
use std::pin::pin;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::reload::Reload;

/// Exit code of a daemon that was told twice.
const EXIT_INTERRUPTED: i32 = 130;

/// The signals that a daemon hears, from its creation on.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hang_up: Signal,
    user1: Signal,
    user2: Signal,
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Terminate,
    Interrupt,
    HangUp,
    Reopen,
    User,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hang_up: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::Terminate,
            _ = self.interrupt.recv() => Heard::Interrupt,
            _ = self.quit.recv() => Heard::Interrupt,
            _ = self.hang_up.recv() => Heard::HangUp,
            _ = self.user1.recv() => Heard::Reopen,
            _ = self.user2.recv() => Heard::User,
        }
    }
}

/// Runs a daemon until it ends, which a signal asks for by `stop`.
pub(crate) async fn run_until_stopped(
    running: impl Future<Output = ()>,
    stop: CancellationToken,
    mut signals: Signals,
    reload: Option<&Reload>,
) {
    let mut running = pin!(running);
    loop {
        let heard = tokio::select! {
            () = &mut running => return,
            heard = signals.next() => heard,
        };
        match heard {
            Heard::HangUp | Heard::Reopen => {
                let Some(reload) = reload else { continue };
                let work = async {
                    match heard {
                        Heard::HangUp => reload.everything().await,
                        _ => reload.reopen_logs(),
                    }
                };
                // The daemon goes on meanwhile.
                tokio::select! {
                    () = &mut running => return,
                    () = work => {}
                }
            }
            Heard::User => info!("SIGUSR2 has no effect"),
            Heard::Interrupt if stop.is_cancelled() => {
                warn!("second signal, ending without waiting for requests under way");
                std::process::exit(EXIT_INTERRUPTED);
            }
            Heard::Terminate | Heard::Interrupt if !stop.is_cancelled() => {
                info!("stopping: requests under way finish first");
                stop.cancel();
            }
            Heard::Terminate | Heard::Interrupt => {}
        }
    }
}
