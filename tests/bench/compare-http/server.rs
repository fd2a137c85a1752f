//! A server under load: its process, pinned to a processor, and the processor time that it has used.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::cluster::Daemon;
use crate::process::Process;
use crate::say::say;

/// Whose program a server is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Make {
    Ours,
    /// Another build of ours.
    Base,
    Nginx,
    Module,
}

/// A running server.
pub(crate) struct Server {
    pub(crate) make: Make,
    /// As the table calls it.
    pub(crate) name: &'static str,
    /// `http://ADDRESS:PORT`.
    pub(crate) url: String,
    /// `https://ADDRESS:PORT`, if it has a certificate.
    pub(crate) tls_url: Option<String>,
    process: Option<Process>,
    /// The tracker that it needs.
    _tracker: Option<Daemon>,
}

impl Server {
    pub(crate) fn new(
        make: Make,
        [url, tls_url]: [String; 2],
        has_tls: bool,
        process: Process,
        tracker: Option<Daemon>,
    ) -> Self {
        let name = match make {
            Make::Ours => "fdfs",
            Make::Base => "base",
            Make::Nginx => "nginx",
            Make::Module => "module",
        };
        Self {
            make,
            name,
            url,
            tls_url: has_tls.then_some(tls_url),
            process: Some(process),
            _tracker: tracker,
        }
    }

    /// Processor time of the process, its children and all their threads since they started.
    pub(crate) fn used(&self) -> Duration {
        let process = self.process.as_ref().expect("it runs until `stop`").id();
        let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().filter_map(|word| word.parse().ok());
        children.chain([process]).map(used_by).sum()
    }

    /// Ends it in order: nginx's workers do not end with a master that is killed.
    pub(crate) async fn stop(mut self) {
        if let Some(mut process) = self.process.take() {
            process.stop().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            process.signal(rustix::process::Signal::TERM);
            // Its worker ends by itself then; what is dropped next is the master, which would leave it behind.
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

/// Time on a processor of all threads, which the kernel counts in nanoseconds.
pub(crate) fn used_by(process: u32) -> Duration {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Duration::ZERO };
    let of_thread = |dir: PathBuf| {
        let text = std::fs::read_to_string(dir.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    };
    threads.flatten().filter_map(|thread| of_thread(thread.path())).sum()
}

/// The processors for servers and for load generators.
pub(crate) struct Cores {
    server: usize,
    pub(crate) load: usize,
}

impl Cores {
    /// Two different ones that this process may use.
    pub(crate) fn find() -> Self {
        let allowed = rustix::thread::sched_getaffinity(None).expect("the kernel tells");
        let allowed: Vec<usize> =
            (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        match allowed[..] {
            [server, load, ..] => Self { server, load },
            _ => {
                say("only one processor: servers and load generators share it, the ratios say little");
                Self { server: allowed[0], load: allowed[0] }
            }
        }
    }

    /// `command` on the processor for servers.
    pub(crate) fn server(&self, command: &Command) -> Command {
        pinned(self.server, command)
    }

    /// `command` on the processor for load generators.
    pub(crate) fn load(&self, command: &Command) -> Command {
        pinned(self.load, command)
    }
}

fn pinned(core: usize, command: &Command) -> Command {
    let mut pinned = Command::new("taskset");
    pinned.args(["-c", &core.to_string()]).arg(command.get_program()).args(command.get_args());
    pinned.env_remove("RUST_LOG");
    pinned
}

/// Whether a program is there.
pub(crate) fn is_on_path(program: &str) -> bool {
    on_path(program).next().is_some()
}

/// Every program of that name on the PATH, and where Debian keeps daemons, which not every PATH has.
pub(crate) fn on_path(program: &str) -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    dirs.push(PathBuf::from("/usr/sbin"));
    let program = program.to_owned();
    dirs.into_iter().map(move |dir| dir.join(&program)).filter(|path| path.is_file())
}

/// Puts this thread, and those that it starts, on a processor.
pub(crate) fn take(processor: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(processor);
    rustix::thread::sched_setaffinity(None, &set).expect("it was allowed before");
}
