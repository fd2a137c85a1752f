//! Sees files appear on a storage's disk, by inotify.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

/// When each file, by its base name, got its name on a disk.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<HashMap<String, Instant>>>);

impl Seen {
    /// Watches the two-level directories of the store path at `base` until the process ends.
    pub(crate) fn on(base: &Path) -> Self {
        let inotify = inotify::init(CreateFlags::CLOEXEC).expect("inotify is there");
        let directories = |dir: &Path| -> Vec<_> {
            let entries = std::fs::read_dir(dir).expect("readable").flatten().map(|entry| entry.path());
            entries
                .filter(|path| path.is_dir() && path.file_name().is_some_and(|name| name.len() == 2))
                .collect()
        };
        for high in directories(&base.join("data")) {
            for low in directories(&high) {
                inotify::add_watch(&inotify, &low, WatchFlags::CREATE | WatchFlags::MOVED_TO)
                    .expect("a few watches are allowed");
            }
        }
        let seen = Self::default();
        let sink = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = vec![MaybeUninit::uninit(); 1 << 16];
            let mut events = Reader::new(inotify, &mut buffer);
            while let Ok(event) = events.next() {
                let now = Instant::now();
                if let Some(name) = event.file_name().and_then(|name| name.to_str().ok()) {
                    sink.0.lock().expect("nobody panics with it").entry(name.to_owned()).or_insert(now);
                }
            }
        });
        seen
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().expect("nobody panics with it").len()
    }

    pub(crate) fn at(&self, name: &str) -> Option<Instant> {
        self.0.lock().expect("nobody panics with it").get(name).copied()
    }

    /// First and last.
    pub(crate) fn span(&self) -> Option<(Instant, Instant)> {
        let seen = self.0.lock().expect("nobody panics with it");
        Some((*seen.values().min()?, *seen.values().max()?))
    }
}
