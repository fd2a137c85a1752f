//! The settings in force. A reload exchanges them as a whole; a request under way keeps those that it began with.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::settings::Settings;

/// A handle on the settings in force; clones share them.
#[derive(Debug, Clone)]
pub struct Site(Arc<ArcSwap<Settings>>);

impl Site {
    /// Begins with these.
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(settings)))
    }

    /// The settings in force.
    pub fn now(&self) -> Arc<Settings> {
        self.0.load_full()
    }

    /// Puts others into force, for requests that begin from now on. A reload is no way to new requests for an address that
    /// has had its number.
    pub fn set(&self, mut settings: Settings) {
        settings.policy.access.keep(&self.now().policy.access);
        self.0.store(Arc::new(settings));
    }

    /// Opens the access log anew, since somebody has moved it away.
    pub fn reopen_logs(&self) {
        if let Some(log) = &self.now().access_log {
            log.reopen();
        }
    }

    /// Waits until all lines of the access log are in its file. Blocking.
    pub fn flush_logs(&self) {
        if let Some(log) = &self.now().access_log {
            log.flush();
        }
    }
}
