//! `status`, `stop`, `reload` and `reopen` of a daemon in the background, by its pid file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use protocol::Status;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::Kind;
use crate::output::{complain, print};

/// After this a daemon that does not end is killed.
const PATIENCE: Duration = Duration::from_secs(30);

const EXIT_NOT_RUNNING: u8 = 2;

/// What the pid file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// There is none, or it has no number.
    None,
    /// Its process has ended, or is another program.
    Stale(Pid),
    Running(Pid),
}

/// Pid of the running daemon.
pub(super) fn running(kind: Kind, base: &Path) -> Option<Pid> {
    match owner(kind, base) {
        Owner::Running(pid) => Some(pid),
        Owner::None | Owner::Stale(_) => None,
    }
}

pub(super) fn status(kind: Kind, base: &Path) -> ExitCode {
    match running(kind, base) {
        Some(pid) => {
            print(format_args!("Running, pid: {}", pid.as_raw_nonzero()));
            ExitCode::SUCCESS
        }
        None => {
            print(format_args!("NOT running"));
            ExitCode::from(EXIT_NOT_RUNNING)
        }
    }
}

/// Sends a signal to the daemon.
pub(super) fn signal(kind: Kind, base: &Path, signal: Signal) -> ExitCode {
    match send(kind, base, signal) {
        Ok(_) => ExitCode::SUCCESS,
        Err(code) => code,
    }
}

fn send(kind: Kind, base: &Path, signal: Signal) -> Result<Pid, ExitCode> {
    let pid = match owner(kind, base) {
        Owner::None => {
            complain(format_args!("pid file: {} not exist!", pid_path(kind, base).display()));
            return Err(ExitCode::from(EXIT_NOT_RUNNING));
        }
        Owner::Stale(pid) => {
            let gone = Status::ESRCH;
            return Err(not_killed(pid, gone));
        }
        Owner::Running(pid) => pid,
    };
    match kill_process(pid, signal) {
        Ok(()) => Ok(pid),
        Err(errno) => Err(not_killed(pid, Status::from_io(&errno.into()))),
    }
}

pub(super) fn stop(kind: Kind, base: &Path) -> ExitCode {
    let pid = match send(kind, base, Signal::TERM) {
        Ok(pid) => pid,
        Err(code) => return code,
    };
    let number = pid.as_raw_nonzero();
    complain(format_args!("waiting for pid [{number}] exit ..."));
    let end = Instant::now() + PATIENCE;
    while is_alive(pid) {
        if Instant::now() > end {
            complain(format_args!("waiting for pid [{number}] exit timeout, force kill!"));
            // If this fails too, the process has ended in between.
            let _ = kill_process(pid, Signal::KILL);
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    complain(format_args!("pid [{number}] exit.\n"));
    ExitCode::SUCCESS
}

fn not_killed(pid: Pid, why: Status) -> ExitCode {
    let number = pid.as_raw_nonzero();
    complain(format_args!("kill pid: {number} fail, errno: {}, error info: {}", why.0, why.text()));
    ExitCode::from(why.0)
}

fn pid_path(kind: Kind, base: &Path) -> PathBuf {
    base.join("data").join(kind.pid_file())
}

fn owner(kind: Kind, base: &Path) -> Owner {
    let text = fs::read_to_string(pid_path(kind, base)).unwrap_or_default();
    match text.trim().parse().ok().and_then(Pid::from_raw) {
        None => Owner::None,
        Some(pid) if is_alive(pid) && is_daemon(pid, kind, base) => Owner::Running(pid),
        Some(pid) => Owner::Stale(pid),
    }
}

/// Whether the process lives; one that has ended and waits for its parent does not.
fn is_alive(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    match state {
        Some('Z' | 'X') => false,
        Some(_) => true,
        // Without /proc, the kernel still knows who is there.
        None => test_kill_process(pid).is_ok(),
    }
}

/// Whether the process is this daemon: it goes by FastDFS's name, or it is `fdfs` and has the base path's lock open.
fn is_daemon(pid: Pid, kind: Kind, base: &Path) -> bool {
    let proc = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    let command = fs::read(proc.join("cmdline")).unwrap_or_default();
    let program = command.split(|&byte| byte == 0).next().unwrap_or_default();
    let program = String::from_utf8_lossy(program);
    let program = program.rsplit('/').next().unwrap_or_default();
    if program == kind.fastdfs_name() {
        return true;
    }
    let lock = fs::canonicalize(base.join("data/.lock")).unwrap_or_default();
    let Ok(descriptors) = fs::read_dir(proc.join("fd")) else {
        // Somebody else's process: its name has to do.
        return program.starts_with("fdfs");
    };
    descriptors.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|target| target == lock))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::daemon::DataLock;

    #[test]
    fn the_owner_of_a_base_path_is_who_holds_its_lock() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path();
        assert_eq!(owner(Kind::Tracker, base), Owner::None);
        let own = Pid::from_raw(i32::try_from(std::process::id()).unwrap()).unwrap();
        let lock = DataLock::take(base, Kind::Tracker.pid_file()).unwrap();
        assert_eq!(owner(Kind::Tracker, base), Owner::Running(own));
        drop(lock);
        assert_eq!(owner(Kind::Tracker, base), Owner::None);
        fs::write(pid_path(Kind::Tracker, base), own.as_raw_nonzero().to_string()).unwrap();
        assert_eq!(owner(Kind::Tracker, base), Owner::Stale(own), "another program with that pid");
        fs::write(pid_path(Kind::Tracker, base), "2147483647").unwrap();
        assert!(matches!(owner(Kind::Tracker, base), Owner::Stale(_)));
    }
}
