//! The threads of one store path, behind a bounded queue: a slow disk makes its own callers wait, nobody else.

use std::collections::VecDeque;
use std::future::{Future, ready};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::in_place::IN_PLACE;

/// Jobs that wait or run at once; further callers wait for a place.
const PLACES: usize = 1024;
/// Enough for the deepest job.
const STACK: usize = 256 * 1024;

type Job = Box<dyn FnOnce() + Send>;

/// The job did not run to its end: its thread is gone, or it panicked.
#[derive(Debug, Clone, Copy, Error)]
#[error("a job of the store was dropped")]
pub struct PoolGone;

#[derive(Default)]
struct Queue {
    /// With the places that they have.
    jobs: VecDeque<(Job, Option<OwnedSemaphorePermit>)>,
    idle: usize,
    closed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The threads of one store path; they end when it is dropped.
pub(super) struct Pool {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    pace: Pace,
}

/// Whether the disk takes short jobs at the pace of memory. Then going to another thread and back costs more than the
/// job itself, and the caller's thread does it ([`IN_PLACE`]). As soon as one job took long, the threads of the pool have all
/// of them for a while.
struct Pace {
    start: Instant,
    /// Milliseconds after `start` until which the disk counts as slow.
    slow_until_ms: AtomicU64,
}

/// A job that takes longer than this has waited for the disk.
const SLOW: Duration = Duration::from_millis(10);
/// How long the disk counts as slow after that.
const RECOVERY: Duration = Duration::from_millis(500);

impl Pace {
    fn new() -> Self {
        Self { start: Instant::now(), slow_until_ms: AtomicU64::new(0) }
    }

    fn since_start_ms(&self, now: Instant) -> u64 {
        u64::try_from(now.duration_since(self.start).as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes a turn, if the disk is quick and there is one.
    fn try_begin(&self) -> Option<Instant> {
        let now = Instant::now();
        let is_slow = self.since_start_ms(now) < self.slow_until_ms.load(Ordering::Relaxed);
        (!is_slow && IN_PLACE.try_begin()).then_some(now)
    }

    fn end(&self, began: Instant) {
        let now = Instant::now();
        if now.duration_since(began) > SLOW {
            self.slow_until_ms.store(self.since_start_ms(now + RECOVERY), Ordering::Relaxed);
        }
        IN_PLACE.end();
    }
}

impl Pool {
    /// Starts `threads` threads.
    pub(super) fn start(name: &str, threads: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared { queue: Mutex::default(), wake: Condvar::new() });
        let places = Arc::new(Semaphore::new(PLACES));
        let pool = Self { shared: Arc::clone(&shared), places, pace: Pace::new() };
        for _ in 0..threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(move || work(&shared))?;
        }
        Ok(pool)
    }

    /// Runs a blocking job on one of the threads and waits for its result. A caller that goes away does not stop it.
    ///
    /// No `async fn`, whose callers would have room for the job as long as they wait.
    pub(super) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, PoolGone>> + Send {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Nobody hears the result of a caller that went away.
            let _ = tell.send(job());
        });
        async move {
            let place = match Arc::clone(&self.places).try_acquire_owned() {
                Ok(place) => place,
                Err(_) => Arc::clone(&self.places).acquire_owned().await.map_err(|_| PoolGone)?,
            };
            self.enqueue(job, Some(place));
            told.await.map_err(|_| PoolGone)
        }
    }

    /// Runs a job of few system calls: on the caller's thread while the disk is quick, else as [`Pool::run`].
    pub(super) fn run_short<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, PoolGone>> + Send {
        let Some(began) = self.pace.try_begin() else { return self.run(job).left_future() };
        let outcome = catch_unwind(AssertUnwindSafe(job));
        self.pace.end(began);
        ready(outcome.map_err(|_| PoolGone)).right_future()
    }

    /// Runs a job that nobody waits for, such as a clean-up; it does not need a place.
    pub(super) fn run_detached(&self, job: impl FnOnce() + Send + 'static) {
        self.enqueue(Box::new(job), None);
    }

    fn enqueue(&self, job: Job, place: Option<OwnedSemaphorePermit>) {
        let mut queue = self.shared.lock();
        queue.jobs.push_back((job, place));
        let wake = queue.idle > 0;
        drop(queue);
        if wake {
            self.shared.wake.notify_one();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

fn work(shared: &Shared) {
    let mut queue = shared.lock();
    loop {
        if let Some((job, place)) = queue.jobs.pop_front() {
            drop(queue);
            // A panic is a bug in one job; its caller hears `PoolGone`, and the thread goes on.
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!("a job of the store panicked");
            }
            drop(place);
            queue = shared.lock();
        } else if queue.closed {
            return;
        } else {
            queue.idle += 1;
            queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }
}
