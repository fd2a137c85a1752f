//! Running `fdfs` by any name, in a directory and on an address of its own.

use std::net::Ipv4Addr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longest wait for anything: generous, since a machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a run said and how it ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

/// A scratch directory with links to the program.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a file; gives its path as an argument.
    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The program under this name.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let link = self.path(name);
        if !link.exists() {
            symlink(env!("CARGO_BIN_EXE_fdfs"), &link).unwrap();
        }
        let mut command = Command::new(link);
        command.args(arguments).env_remove("FDFS_LOG").current_dir(self.directory.path());
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> Run {
        let output = self.command(name, arguments).stdin(Stdio::null()).output().unwrap();
        Run {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap(),
        }
    }
}

/// An address that no other test and no other run uses.
pub(crate) fn fresh_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(64);
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, NEXT.fetch_add(1, Ordering::Relaxed), high, low.clamp(1, 254))
}

/// Waits for a fact.
pub(crate) fn until(what: &str, mut fact: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !fact() {
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A tracker's configuration on an address of its own.
pub(crate) fn tracker_conf(place: &Place, more: &str) -> String {
    let base = place.path("tracker");
    let address = fresh_address();
    place.write("tracker.conf", &format!("base_path = {}\nbind_addr = {address}\n{more}", base.display()))
}

/// Stops a background daemon when the test ends, however it ends.
pub(crate) struct Stopped<'a> {
    pub(crate) place: &'a Place,
    pub(crate) conf: &'a str,
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.place.run("fdfs_trackerd", &[self.conf, "stop"]);
    }
}

/// A foreground child that is killed when the test ends.
pub(crate) struct Killed(pub(crate) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The content of a file, empty while there is none.
pub(crate) fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
