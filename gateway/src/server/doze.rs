//! Sleep of idle connections, so that those which say nothing hold nothing.
//!
//! hyper keeps two buffers of 8 KB and room for an answer under way, some 25 KB, as long as it has a connection. A
//! connection whose client has been silent for a while is taken from it, and waits as a bare socket. Which costs a little
//! when the client speaks again, so that busy connections are left alone, unless there are very many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// Silence after which a connection sleeps: longer than between the requests of a page, shorter than people read it.
const AFTER: Duration = Duration::from_secs(1);
/// Connections that hyper may have before any that is silent sleeps at once.
const MANY: usize = 1024;

/// Counts the connections that are awake.
#[derive(Debug, Default)]
pub(super) struct Doze(AtomicUsize);

impl Doze {
    /// A connection wakes, until the guard ends.
    pub(super) fn wake(self: &Arc<Self>) -> Awake {
        self.0.fetch_add(1, Relaxed);
        Awake(Arc::clone(self))
    }
}

/// A connection that is awake.
#[derive(Debug)]
pub(super) struct Awake(Arc<Doze>);

impl Awake {
    /// Its share of what all that are awake may have of something.
    pub(super) fn share(&self, of_all: usize) -> usize {
        of_all / self.0.0.load(Relaxed).max(1)
    }

    /// Silence after which this one shall sleep.
    pub(super) fn sleeps_after(&self) -> Duration {
        if self.0.0.load(Relaxed) > MANY { Duration::ZERO } else { AFTER }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}
