//! Jobs of the store on threads of the runtime, those of all store paths, and the thread that stands by for them.
//!
//! While a disk is quick, short jobs run where their caller does. The runtime has a thread for each processor, and one that is
//! spare: if it worked beside the others, they would take turns on the processors, and what waits for a turn waits for
//! milliseconds. But a disk that hangs can hold all the others. So the spare one sleeps, and works from when no job ends
//! any more until one does.

use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

/// Jobs hang when none ends for so long.
const HANG: Duration = Duration::from_millis(10);
/// The jobs of this process; one at a time unless [`Spare::keep`] says otherwise.
pub(super) static IN_PLACE: LazyLock<Arc<InPlace>> = LazyLock::new(|| Arc::new(InPlace::new(1)));

/// Counts jobs.
#[derive(Debug)]
pub(super) struct InPlace {
    limit: AtomicUsize,
    busy: AtomicUsize,
    ended: AtomicU64,
    /// The spare thread waits for a job to begin.
    is_asleep: AtomicBool,
    is_closed: Mutex<bool>,
    wake: Condvar,
}

impl InPlace {
    fn new(limit: usize) -> Self {
        Self {
            limit: AtomicUsize::new(limit),
            busy: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            is_asleep: AtomicBool::new(false),
            is_closed: Mutex::new(false),
            wake: Condvar::new(),
        }
    }

    /// Whether there is room for one more job, which has begun then.
    pub(super) fn try_begin(&self) -> bool {
        if self.busy.fetch_add(1, SeqCst) >= self.limit.load(Relaxed) {
            self.busy.fetch_sub(1, SeqCst);
            return false;
        }
        if self.is_asleep.load(SeqCst) && self.is_asleep.swap(false, SeqCst) {
            // Locked, so that it does not fall asleep between.
            drop(self.is_closed.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_one();
        }
        true
    }

    /// A job has ended.
    pub(super) fn end(&self) {
        self.ended.fetch_add(1, SeqCst);
        self.busy.fetch_sub(1, SeqCst);
    }

    /// Blocks until jobs hang, and tells whether the thread is still wanted.
    fn stand_by(&self) -> bool {
        let mut is_closed = self.is_closed.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_closed {
            let before = self.ended.load(SeqCst);
            is_closed = self.wake.wait_timeout(is_closed, HANG).unwrap_or_else(PoisonError::into_inner).0;
            let none_ended = self.ended.load(SeqCst) == before;
            match self.busy.load(SeqCst) {
                0 if none_ended && !*is_closed => {
                    self.is_asleep.store(true, SeqCst);
                    // One that has begun before this could be seen wakes nobody.
                    if self.busy.load(SeqCst) == 0 {
                        is_closed = self.wake.wait(is_closed).unwrap_or_else(PoisonError::into_inner);
                    }
                    self.is_asleep.store(false, SeqCst);
                }
                0 => {}
                _ if none_ended && !*is_closed => return true,
                _ => {}
            }
        }
        false
    }

    /// Ready when a job has ended, or none is left.
    async fn go_on(&self) {
        loop {
            let before = self.ended.load(SeqCst);
            tokio::time::sleep(HANG).await;
            if self.busy.load(SeqCst) == 0 || self.ended.load(SeqCst) != before {
                return;
            }
        }
    }

    fn close(&self) {
        *self.is_closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wake.notify_all();
    }
}

/// Keeps one thread of a runtime spare, until it is dropped, which has to be before the runtime ends.
#[derive(Debug)]
#[must_use = "the thread works like the others once this is gone"]
pub struct Spare(Arc<InPlace>);

impl Spare {
    /// Of a runtime that has one thread more than so many, which jobs may hold.
    pub fn keep(runtime: &Handle, threads: usize) -> Self {
        IN_PLACE.limit.store(threads, Relaxed);
        Self::of(runtime, Arc::clone(&IN_PLACE))
    }

    fn of(runtime: &Handle, jobs: Arc<InPlace>) -> Self {
        let (watched, own) = (Arc::clone(&jobs), runtime.clone());
        runtime.spawn(async move {
            leave_events(&own);
            while watched.stand_by() {
                tracing::debug!("jobs of the store hang, a spare thread goes on for theirs");
                watched.go_on().await;
                leave_events(&own);
            }
        });
        Self(jobs)
    }
}

/// Makes another thread of the runtime wait for the events of all: the one that did may be this one, which is to sleep, and
/// those that have nothing to do would not notice. A task from outside wakes one of them.
fn leave_events(runtime: &Handle) {
    let own = runtime.clone();
    drop(runtime.spawn_blocking(move || drop(own.spawn(async {}))));
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;

    /// One processor's runtime.
    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    }

    #[test]
    fn others_go_on_while_all_jobs_hang() {
        let (runtime, jobs) = (runtime(), Arc::new(InPlace::new(1)));
        let spare = Spare::of(runtime.handle(), Arc::clone(&jobs));
        for _ in 0..3 {
            let ((hang, hangs), (tell, told)) = (mpsc::channel::<()>(), mpsc::channel());
            let held = Arc::clone(&jobs);
            let job = runtime.spawn(async move {
                assert!(held.try_begin());
                tell.send(()).unwrap();
                // As a system call does that waits for the disk.
                hangs.recv().unwrap_err();
                held.end();
            });
            told.recv().unwrap();
            assert!(!jobs.try_begin(), "it is the only one");
            runtime.block_on(runtime.spawn(async {})).unwrap();
            drop(hang);
            runtime.block_on(job).unwrap();
        }
        drop(spare);
    }

    #[test]
    fn the_thread_is_spare_while_jobs_end() {
        let (runtime, jobs) = (runtime(), Arc::new(InPlace::new(1)));
        let spare = Spare::of(runtime.handle(), Arc::clone(&jobs));
        while !jobs.is_asleep.load(SeqCst) {
            std::thread::yield_now();
        }
        let until = Instant::now() + 5 * HANG;
        let threads = runtime.block_on(runtime.spawn(async move {
            let mut threads = std::collections::HashSet::new();
            while Instant::now() < until {
                if jobs.try_begin() {
                    jobs.end();
                }
                threads.insert(std::thread::current().id());
                tokio::task::yield_now().await;
            }
            threads
        }));
        assert_eq!(threads.unwrap().len(), 1, "the other one stands by");
        drop(spare);
    }

    /// The thread that goes to sleep may be the one that waited for the events of all.
    #[test]
    fn events_are_heard_while_the_thread_stands_by() {
        use std::io::{Read, Write};

        let (runtime, jobs) = (runtime(), Arc::new(InPlace::new(1)));
        let spare = Spare::of(runtime.handle(), Arc::clone(&jobs));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.unwrap();
            }
        });
        for _ in 0..10 {
            let held = Arc::clone(&jobs);
            let job = runtime.spawn(async move {
                assert!(held.try_begin());
                std::thread::sleep(3 * HANG);
                held.end();
            });
            runtime.block_on(job).unwrap();
            while !jobs.is_asleep.load(SeqCst) {
                std::thread::yield_now();
            }
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
            stream.write_all(b"x").unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        drop(spare);
    }

    #[test]
    fn a_runtime_without_jobs_ends() {
        let runtime = runtime();
        let spare = Spare::of(runtime.handle(), Arc::new(InPlace::new(1)));
        std::thread::sleep(3 * HANG);
        drop(spare);
        drop(runtime);
    }
}
