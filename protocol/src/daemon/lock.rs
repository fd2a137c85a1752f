//! One daemon per base path: a lock that ends with its process, and FastDFS's pid file beside it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use thiserror::Error;

use super::replace_file;

/// A base path that is ours until this is dropped.
#[derive(Debug)]
pub struct DataLock {
    _lock: File,
    pid_path: PathBuf,
}

/// Why the base path cannot be ours.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{base_path} is in use by pid {owner}; stop it first, or give another base_path")]
    Owned {
        /// The base path.
        base_path: String,
        /// Pid of the owner, as far as known.
        owner: String,
    },
    /// A directory or file could not be made.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl DataLock {
    /// Makes `<base_path>/data` and `<base_path>/logs`, locks the first and writes `<base_path>/data/<pid_name>`.
    ///
    /// A pid file left behind by a crash is replaced: the lock decides, not the file. So is one that names a living
    /// process of FastDFS itself, which takes no lock: then the start is refused.
    pub fn take(base_path: &Path, pid_name: &str) -> Result<Self, LockError> {
        let data = base_path.join("data");
        for directory in [&data, &base_path.join("logs")] {
            fs::create_dir_all(directory)
                .map_err(|source| failed("create the directory", directory, source))?;
        }
        let lock_path = data.join(".lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|source| failed("open", &lock_path, source))?;
        let pid_path = data.join(pid_name);
        let written = fs::read_to_string(&pid_path).unwrap_or_default();
        let owned = |owner: &str| LockError::Owned {
            base_path: base_path.display().to_string(),
            owner: if owner.is_empty() { "unknown".to_owned() } else { owner.to_owned() },
        };
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(owned(written.trim())),
            Err(errno) => return Err(failed("lock", &lock_path, errno.into())),
        }
        if is_reference_daemon(written.trim(), pid_name) {
            return Err(owned(written.trim()));
        }
        let pid = std::process::id().to_string();
        replace_file(&pid_path, pid.as_bytes()).map_err(|source| failed("write", &pid_path, source))?;
        Ok(Self { _lock: lock, pid_path })
    }
}

impl Drop for DataLock {
    fn drop(&mut self) {
        let own = fs::read_to_string(&self.pid_path).is_ok_and(|pid| pid == std::process::id().to_string());
        if own {
            // A file that stays behind is harmless: the lock decides.
            let _ = fs::remove_file(&self.pid_path);
        }
    }
}

/// Whether the pid is that of a living C daemon, whose name its pid file carries.
fn is_reference_daemon(pid: &str, pid_name: &str) -> bool {
    let Ok(pid) = pid.parse::<u32>() else { return false };
    let Ok(command) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let program = command.split(|&byte| byte == 0).next().unwrap_or_default();
    let program = String::from_utf8_lossy(program);
    let program = Path::new(program.as_ref()).file_name().map(|name| name.to_string_lossy().into_owned());
    pid != std::process::id()
        && program.is_some_and(|program| pid_name.strip_suffix(".pid") == Some(&program))
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> LockError {
    LockError::Io { doing, path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_has_one_owner_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = DataLock::take(directory.path(), "x.pid").unwrap();
        let pid = std::process::id().to_string();
        assert_eq!(fs::read_to_string(directory.path().join("data/x.pid")).unwrap(), pid);
        let second = DataLock::take(directory.path(), "x.pid").unwrap_err();
        assert!(second.to_string().contains(&pid), "{second}");
        drop(first);
        assert!(!directory.path().join("data/x.pid").exists());
        fs::write(directory.path().join("data/x.pid"), "").unwrap();
        DataLock::take(directory.path(), "x.pid").unwrap();
    }
}
