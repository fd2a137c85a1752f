//! The threads of a daemon.

use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use node::store::Spare;
use tokio::runtime::{Builder, Runtime};

use super::{Kind, memory};

/// Those that a node has for requests, at most.
const MOST: usize = 8;

/// A runtime, and its spare thread where a store is served: a disk that hangs can hold the others (small files are read and
/// stored where the request arrives).
pub(crate) struct Threads {
    runtime: Runtime,
    spare: Option<Spare>,
}

impl Threads {
    /// As many as a daemon wants.
    pub(super) fn of(kind: Kind) -> anyhow::Result<Self> {
        let processors = processors();
        match kind {
            // A query is two system calls: a second thread costs more in wake-ups than it answers.
            Kind::Tracker => Self::start((processors / 2).clamp(1, 4), false),
            Kind::Node | Kind::Gateway => Self::start(processors.min(MOST), true),
        }
    }

    /// Of a tracker and a node in one process.
    pub(crate) fn of_both() -> anyhow::Result<Self> {
        Self::start(processors().clamp(2, MOST), true)
    }

    fn start(workers: usize, has_spare: bool) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(workers + usize::from(has_spare))
            // Connections in the order in which they asked, as far as there are so many: else those that have been answered
            // are looked at again before the others' first turn, and one in a hundred waits three times as long.
            .event_interval(1024)
            .global_queue_interval(8)
            .max_blocking_threads(16)
            .thread_keep_alive(Duration::from_secs(5))
            .enable_all()
            .build()
            .context("cannot start the threads of the daemon")?;
        let spare = has_spare.then(|| Spare::keep(runtime.handle(), workers));
        runtime.spawn(memory::give_back());
        Ok(Self { runtime, spare })
    }

    /// Runs to the end of `main`, and ends all else.
    pub(crate) fn run<T>(self, main: impl Future<Output = T>) -> T {
        let outcome = self.runtime.block_on(main);
        drop(self.spare);
        self.runtime.shutdown_timeout(Duration::from_secs(1));
        outcome
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
