//! What a connection is doing: its requests tell, the clock of its socket reads.
//!
//! The counters order nothing, so relaxed access is enough; with HTTP/1.1 one task has them all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

use tokio::sync::Notify;

/// Answers in a row that were at hand, after which the next one most likely is: to change ways costs as much as an answer.
const LIKELY: u32 = 2;
/// How often that is doubled at most, for clients whose requests look ordinary but are not for the fast path.
const MAX_VAIN: u32 = 10;

/// Shared by the requests of a connection and its socket.
#[derive(Debug, Default)]
pub(super) struct Phase {
    /// Requests that the app has not answered yet.
    in_app: AtomicUsize,
    /// Requests so far.
    served: AtomicU32,
    /// Answers by hyper in a row that were at hand.
    at_hand: AtomicU32,
    /// How many shall be before the next one is looked for on the fast path, doubled so many times.
    vain: AtomicU32,
    /// Whether the client may still be sending a body that nobody reads.
    unread: AtomicBool,
    /// Answers of HTTP/2 that are being taken, and a count that changes whenever one goes on.
    sending: AtomicUsize,
    progress: AtomicUsize,
    last: Notify,
}

impl Phase {
    /// A request begins. The guard ends with the app's answer.
    pub(super) fn begin(self: &Arc<Self>) -> InApp {
        self.in_app.fetch_add(1, Relaxed);
        self.served.fetch_add(1, Relaxed);
        InApp(Arc::clone(self))
    }

    /// A request that is answered without the app's doing.
    pub(super) fn count(&self) {
        self.served.fetch_add(1, Relaxed);
    }

    /// Notes whether an answer by hyper could have been had on the fast path.
    pub(super) fn note(&self, at_hand: bool) {
        let before = self.at_hand.load(Relaxed);
        self.at_hand.store(if at_hand { before.saturating_add(1) } else { 0 }, Relaxed);
    }

    /// Whether the connection is likely to ask for what the fast path has.
    pub(super) fn is_for_fast_path(&self) -> bool {
        self.at_hand.load(Relaxed) >= LIKELY << self.vain.load(Relaxed)
    }

    /// The fast path is left, after it had answered something or in vain.
    pub(super) fn leave_fast_path(&self, in_vain: bool) {
        let vain = if in_vain { (self.vain.load(Relaxed) + 1).min(MAX_VAIN) } else { 0 };
        self.vain.store(vain, Relaxed);
        self.at_hand.store(0, Relaxed);
    }

    /// Requests that have begun.
    pub(super) fn served(&self) -> u32 {
        self.served.load(Relaxed)
    }

    /// Whether the app has the word, so that silence of the client means nothing.
    pub(super) fn is_busy(&self) -> bool {
        self.in_app.load(Relaxed) > 0
    }

    /// An answer goes out, until the guard ends.
    pub(super) fn send(self: &Arc<Self>) -> Sending {
        self.sending.fetch_add(1, Relaxed);
        Sending(Arc::clone(self))
    }

    /// A number that changes while the client takes something of an answer; none if there is no answer to take.
    pub(super) fn progress(&self) -> Option<usize> {
        (self.sending.load(Relaxed) > 0).then(|| self.progress.load(Relaxed))
    }

    /// The connection shall end with the requests that it has.
    pub(super) fn end_with_this(&self) {
        self.last.notify_one();
    }

    /// Waits for that.
    pub(super) async fn last_request(&self) {
        self.last.notified().await;
    }

    /// A body was given up before its end.
    pub(super) fn leave_unread(&self) {
        self.unread.store(true, Relaxed);
    }

    /// Whether a body was given up before its end.
    pub(super) fn has_unread(&self) -> bool {
        self.unread.load(Relaxed)
    }
}

/// A request that the app is answering.
#[derive(Debug)]
pub(super) struct InApp(Arc<Phase>);

impl Drop for InApp {
    fn drop(&mut self) {
        self.0.in_app.fetch_sub(1, Relaxed);
    }
}

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Sending(Arc<Phase>);

impl Sending {
    /// The client took something.
    pub(super) fn progress(&self) {
        self.0.progress.fetch_add(1, Relaxed);
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.0.sending.fetch_sub(1, Relaxed);
    }
}
