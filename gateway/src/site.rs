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
        let before = self.now();
        settings.policy.access.keep(&before.policy.access);
        settings.authority.keep(&before.authority);
        self.0.store(Arc::new(settings));
    }

    /// Says how the id of the node is found whose site it is: tickets name the node that they are for.
    pub fn identify(&self, own_id: impl Fn() -> Option<String> + Send + Sync + 'static) {
        self.now().authority.memory().identify(own_id);
    }

    /// Opens access and audit log anew, since somebody has moved them away.
    pub fn reopen_logs(&self) {
        let settings = self.now();
        if let Some(log) = &settings.access_log {
            log.reopen();
        }
        if let Some(log) = &settings.audit_log {
            log.reopen();
        }
    }

    /// Waits until all lines of both logs are in their files. Blocking.
    pub fn flush_logs(&self) {
        let settings = self.now();
        if let Some(log) = &settings.access_log {
            log.flush();
        }
        if let Some(log) = &settings.audit_log {
            log.flush();
        }
    }
}
