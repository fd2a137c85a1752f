//! A child process that cannot outlive its test: output collected, killed when dropped, shown when the test fails.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait::until;

/// A daemon saves and ends well within this.
const END: Duration = Duration::from_secs(20);

/// The `fdfs` that Cargo built for these tests, or the one that `FDFS_TEST_BINARY` names, without settings of whoever runs
/// them.
pub(crate) fn fdfs() -> Command {
    let named = std::env::var_os("FDFS_TEST_BINARY");
    let mut command = Command::new(named.unwrap_or_else(|| env!("CARGO_BIN_EXE_fdfs").into()));
    command.env_remove("RUST_LOG");
    command
}

/// A running child.
pub(crate) struct Process {
    name: String,
    child: Child,
    stdout: Output,
    stderr: Output,
}

/// How a child ended and what it said.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Process {
    /// Starts `command` with both outputs collected and nothing to read.
    pub(crate) fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let stdout = Output::collect(child.stdout.take().expect("stdout is piped"));
        let stderr = Output::collect(child.stderr.take().expect("stderr is piped"));
        Self { name, child, stdout, stderr }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has logged so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Fails at once when the process has ended, so that nobody waits for a dead one.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child can be asked") {
            panic!("{} has ended with {status}", self.name);
        }
    }

    /// SIGKILL, as a crash.
    pub(crate) fn crash(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// SIGTERM, then its end.
    pub(crate) async fn stop(&mut self) -> Ended {
        self.signal(Signal::TERM);
        self.ended().await
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a child's number");
        kill_process(id, signal).expect("a running child takes signals");
    }

    /// Its end, which must come by itself.
    pub(crate) async fn ended(&mut self) -> Ended {
        self.ended_within(END).await
    }

    /// The same, where it may take longer.
    pub(crate) async fn ended_within(&mut self, limit: Duration) -> Ended {
        let child = &mut self.child;
        let status = until(&format!("end of {}", self.name), limit, async || {
            child.try_wait().expect("a child can be asked").ok_or_else(|| "still running".to_owned())
        })
        .await;
        Ended { status, stdout: self.stdout.whole(), stderr: self.stderr.whole() }
    }

    /// Resident memory, in KiB. Of a debug build only what it has taken for itself: its code is several times that of a
    /// release build, and how much of it the kernel keeps in memory says nothing.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.status_kib(if cfg!(debug_assertions) { "RssAnon:" } else { "VmRSS:" })
    }

    /// The most resident memory there has been, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the child is running");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("the kernel tells");
        line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only when the child has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = format!("--- {}\n{}{}\n", self.name, self.stdout.whole(), self.stderr.whole());
            // Nothing else can be done about a closed stderr than to fail as the test already does.
            let _ = std::io::stderr().write_all(said.as_bytes());
        }
    }
}

/// A pipe read to its end by a thread, so that the child never waits for a reader.
struct Output {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Output {
    fn collect(mut pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut piece) {
                sink.lock().expect("no reader panics").extend_from_slice(&piece[..count]);
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().expect("no reader panics")).into_owned()
    }

    /// Everything, once the child has ended.
    fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no reader panics");
        }
        self.text()
    }
}
