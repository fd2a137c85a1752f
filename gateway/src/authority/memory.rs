//! What a process remembers of tickets and calls; a reload of the configuration goes on with it.

use std::fmt;
use std::sync::OnceLock;

use super::now_ms;
use super::once::Once;

type OwnId = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// What was used, and since when that is known.
pub(crate) struct Memory {
    pub(super) tickets: Once,
    pub(super) calls: Once,
    /// Milliseconds.
    pub(super) since: i64,
    own_id: OnceLock<OwnId>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { tickets: Once::default(), calls: Once::default(), since: now_ms(), own_id: OnceLock::new() }
    }
}

impl Memory {
    /// Says how the node's id is found, once.
    pub(crate) fn identify(&self, own_id: impl Fn() -> Option<String> + Send + Sync + 'static) {
        // A node has one id, whoever says it first.
        let _ = self.own_id.set(Box::new(own_id));
    }

    /// The node's id, if it has one and knows it.
    pub(super) fn own_id(&self) -> Option<String> {
        self.own_id.get().and_then(|own_id| own_id())
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Memory").field("since", &self.since).finish_non_exhaustive()
    }
}
