//! Files that were sent before, kept ready to be sent again: small ones with their content, larger ones open, each with
//! the head of its answer.
//!
//! Only files that never change under their name are kept, and when one is asked for, the name is looked up anew (one
//! system call): a file that was deleted or replaced is not served. Where this process alone takes names from files, that is
//! done after each name that was taken, and now and then (`http.open_file_cache_valid`), for those that a person removes.
//! Memory and open files are bounded. Who is asked
//! for least goes first; what nobody asked for in a while is closed, so that a deleted file gives its room back.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use protocol::FileId;
use rustix::process::{Resource, getrlimit};

use crate::at_hand::{Heads, Plain};
use crate::body::Body;
use crate::byte_ranges::{BYTE_RANGES, cut};
use crate::conditions;
use crate::file_body::{self, FileBody, Segment, Source, source};
use crate::files::{Files, SmallRead, Version};
use crate::settings::Settings;
use crate::validators::Validators;

/// Most open files, and the share of those that the process may open.
const MAX_OPEN: u64 = 8192;
const OPEN_SHARE: u64 = 4;
/// What an entry takes besides its content, about.
const ENTRY: usize = 1024;
/// Room that the next entry may want.
const TYPICAL: usize = 8 * 1024;
/// What a 304 says of the headers of a whole file (RFC 9110, 15.4.5).
const IN_NOT_MODIFIED: [HeaderName; 3] = [ETAG, LAST_MODIFIED, CACHE_CONTROL];
/// No moment at all.
const NEVER: u64 = 0;
/// Parts with a lock of their own.
const SHARDS: usize = 16;
/// Open files that were not asked for between two of these are closed.
const SWEEP: Duration = Duration::from_secs(10);

/// A file that was sent.
#[derive(Debug)]
pub(crate) struct Entry {
    path: Box<str>,
    settings: Weak<Settings>,
    pub(crate) id: FileId,
    version: Version,
    /// Of an answer with all of the file.
    pub(crate) headers: HeaderMap,
    validators: Validators,
    content: Held,
    pub(crate) len: u64,
    /// The heads of complete answers, in clear text and by TLS, once they were needed.
    heads: [OnceLock<Heads>; 2],
    is_used: AtomicBool,
    /// When its name was last looked up, as [`Shelf::moment`] has it.
    looked_at: AtomicU64,
}

impl Entry {
    /// An entry of the path as the request has it; its answer is good for the settings that it was made with. None for
    /// files that can change.
    pub(crate) fn of<F: Files>(
        path: &str,
        settings: &Arc<Settings>,
        files: &Arc<F>,
        (id, validators): (FileId, Validators),
        read: SmallRead,
        headers: HeaderMap,
    ) -> Option<Self> {
        let version = read.version()?;
        let (len, content) = match read {
            SmallRead::Content { mutable: true, .. } => return None,
            SmallRead::Content { content, modified, .. } => {
                (content.len() as u64, Held::Small(content, modified))
            }
            SmallRead::Large(file) if file.mutable => return None,
            SmallRead::Large(file) => (file.len, Held::Open(source(Arc::clone(files), id.clone(), file))),
        };
        let settings = Arc::downgrade(settings);
        let is_used = AtomicBool::new(false);
        let looked_at = AtomicU64::new(NEVER);
        let heads = Default::default();
        Some(Self {
            path: path.into(),
            settings,
            id,
            version,
            headers,
            validators,
            content,
            len,
            heads,
            is_used,
            looked_at,
        })
    }

    /// The file as it was read.
    pub(crate) fn read(&self) -> SmallRead {
        match &self.content {
            Held::Small(content, modified) => SmallRead::Content {
                content: content.clone(),
                modified: *modified,
                mutable: false,
                version: Some(self.version),
            },
            Held::Open(source) => SmallRead::Large(source.file().clone()),
        }
    }

    /// The heads of its answers.
    pub(crate) fn heads(&self, settings: &Settings, is_secure: bool) -> &Heads {
        let write = || {
            let finish = |status, headers, holds_file| {
                let mut response = Response::new(());
                (*response.status_mut(), *response.headers_mut()) = (status, headers);
                settings.policy.headers.finish(&mut response, holds_file, is_secure);
                response.into_parts().0.headers
            };
            let whole = finish(StatusCode::OK, self.headers.clone(), true);
            let mut parts = self.headers.clone();
            parts.insert(CONTENT_TYPE, HeaderValue::from_static(BYTE_RANGES));
            let parts = finish(StatusCode::PARTIAL_CONTENT, parts, true);
            let validators = IN_NOT_MODIFIED.into_iter().filter_map(|name| {
                let value = self.headers.get(&name)?.clone();
                Some((name, value))
            });
            let not_modified = finish(StatusCode::NOT_MODIFIED, validators.collect(), false);
            Heads::of(whole, parts, &not_modified)
        };
        self.heads[usize::from(is_secure)].get_or_init(write)
    }

    /// Whether a client that says so has it already.
    pub(crate) fn is_had(&self, plain: &Plain<'_>) -> bool {
        conditions::has_it(plain.if_none_match, plain.if_modified_since, &self.validators)
    }

    /// All of its content.
    pub(crate) fn body(&self) -> Body {
        match &self.content {
            Held::Small(content, _) => content.clone().into(),
            Held::Open(source) => FileBody::whole(Arc::clone(source)).into(),
        }
    }

    /// Parts of it, and what is between them.
    pub(crate) fn parts(&self, segments: Vec<Segment>) -> Body {
        match &self.content {
            Held::Small(content, _) => cut(content, &segments).into(),
            Held::Open(source) => match file_body::little(source.file(), &segments) {
                Some(bytes) => bytes.into(),
                None => FileBody::new(Arc::clone(source), segments).into(),
            },
        }
    }

    fn bytes(&self) -> usize {
        match &self.content {
            Held::Small(content, _) => content.len() + ENTRY,
            Held::Open(_) => ENTRY,
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.content, Held::Open(_))
    }
}

enum Held {
    /// The content, and the time for `Last-Modified`.
    Small(Bytes, SystemTime),
    Open(Arc<dyn Source>),
}

impl std::fmt::Debug for Held {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Small(..) => "Small",
            Self::Open(_) => "Open",
        })
    }
}

/// All that is ready; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Ready(Arc<Shelf>);

#[derive(Debug)]
struct Shelf {
    shards: [Mutex<Shard>; SHARDS],
    max_bytes: usize,
    max_open: usize,
    is_swept: AtomicBool,
    began: Instant,
}

impl Ready {
    /// Room for so many bytes.
    pub(crate) fn new(max_bytes: u64) -> Self {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let nofile = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let max_open = usize::try_from(MAX_OPEN.min(nofile / OPEN_SHARE)).unwrap_or(0);
        Self::with_room(max_bytes, max_open)
    }

    fn with_room(max_bytes: usize, max_open: usize) -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        let (max_bytes, max_open) = (max_bytes / SHARDS, max_open / SHARDS);
        Self(Arc::new(Shelf {
            shards,
            max_bytes,
            max_open,
            is_swept: AtomicBool::new(false),
            began: Instant::now(),
        }))
    }

    /// What was kept for a path, if the file under the name is still the same.
    pub(crate) fn get(&self, files: &impl Files, settings: &Arc<Settings>, path: &str) -> Option<Arc<Entry>> {
        let entry = self.find(path, settings)?;
        // Before the look: what is taken meanwhile is looked for the next time.
        let moment =
            files.names_taken(&entry.id).and_then(|taken| self.0.moment(settings.file_cache_valid, taken));
        if moment.is_some() && moment == Some(entry.looked_at.load(Ordering::Relaxed)) {
            return Some(entry);
        }
        if files.version(&entry.id) == Some(entry.version) {
            entry.looked_at.store(moment.unwrap_or(NEVER), Ordering::Relaxed);
            return Some(entry);
        }
        self.remove(&entry);
        None
    }

    fn find(&self, path: &str, settings: &Arc<Settings>) -> Option<Arc<Entry>> {
        let entry = self.0.shard(path).entries.get(path).map(Arc::clone)?;
        if !std::ptr::eq(entry.settings.as_ptr(), Arc::as_ptr(settings)) {
            self.remove(&entry);
            return None;
        }
        entry.is_used.store(true, Ordering::Relaxed);
        Some(entry)
    }

    /// Whether a file that was just sent is worth its place. While there is room all are; then most are not, or of more
    /// files than there is room for each would go before it is asked for again.
    pub(crate) fn admits(&self, path: &str) -> bool {
        const ONE_OF: u8 = 8;
        let shard = self.0.shard(path);
        let is_full = shard.bytes + TYPICAL > self.0.max_bytes || shard.open + 1 > self.0.max_open;
        drop(shard);
        !is_full || fastrand::u8(..ONE_OF) == 0
    }

    /// Forgets an entry.
    fn remove(&self, entry: &Arc<Entry>) {
        self.0.shard(&entry.path).remove(entry);
    }

    /// Keeps an entry, in the place of others. Needs a runtime.
    pub(crate) fn keep(&self, entry: Entry) {
        if entry.bytes() > self.0.max_bytes || entry.is_open() && self.0.max_open == 0 {
            return;
        }
        if entry.is_open() && !self.0.is_swept.swap(true, Ordering::Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(&self.0)));
        }
        let entry = Arc::new(entry);
        let mut shard = self.0.shard(&entry.path);
        if let Some(old) = shard.entries.get(&entry.path).map(Arc::clone) {
            shard.remove(&old);
        }
        // Room is made first: what comes is asked for by nobody yet, and would go before all that is.
        if entry.is_open() && shard.open >= self.0.max_open {
            shard.drop_one(true);
        }
        while shard.bytes + entry.bytes() > self.0.max_bytes && shard.drop_one(false) {}
        shard.bytes += entry.bytes();
        shard.open += usize::from(entry.is_open());
        shard.entries.insert(entry.path.clone(), Arc::clone(&entry));
        shard.order.push_back(entry);
    }
}

impl Shelf {
    /// A time so long in which no file like the one in question has lost its name.
    fn moment(&self, long: Duration, names_taken: u64) -> Option<u64> {
        const OF_NAMES: u32 = 24;
        let times = self.began.elapsed().as_millis().checked_div(long.as_millis())?;
        let times = u64::try_from(times).unwrap_or(0);
        Some((times + 1) << OF_NAMES | names_taken & ((1 << OF_NAMES) - 1))
    }

    fn shard(&self, path: &str) -> MutexGuard<'_, Shard> {
        // Names end in random characters and an extension.
        let sum =
            path.bytes().rev().take(16).fold(0_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(byte));
        self.shards[sum % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<Box<str>, Arc<Entry>>,
    /// The same entries, those that came first in front.
    order: VecDeque<Arc<Entry>>,
    bytes: usize,
    open: usize,
}

impl Shard {
    fn remove(&mut self, entry: &Arc<Entry>) {
        if self.entries.get(&entry.path).is_some_and(|found| Arc::ptr_eq(found, entry)) {
            self.order.retain(|other| !Arc::ptr_eq(other, entry));
            self.forget(entry);
        }
    }

    /// Takes it off the books; it is out of the order already.
    fn forget(&mut self, entry: &Entry) {
        self.entries.remove(&entry.path);
        self.bytes -= entry.bytes();
        self.open -= usize::from(entry.is_open());
    }

    /// Drops the oldest entry that was not asked for since its last turn; of all, or of the open ones.
    fn drop_one(&mut self, of_open: bool) -> bool {
        // At the latest in the second round.
        for _ in 0..2 * self.order.len() {
            let Some(entry) = self.order.pop_front() else { return false };
            let counts = entry.is_open() || !of_open;
            if counts && !entry.is_used.swap(false, Ordering::Relaxed) {
                self.forget(&entry);
                return true;
            }
            self.order.push_back(entry);
        }
        false
    }

    /// Drops open files that were not asked for since the last time.
    fn close_unused(&mut self) {
        let unused = |entry: &Arc<Entry>| entry.is_open() && !entry.is_used.swap(false, Ordering::Relaxed);
        let (gone, kept) = std::mem::take(&mut self.order).into_iter().partition(unused);
        self.order = kept;
        let gone: VecDeque<_> = gone;
        for entry in gone {
            self.forget(&entry);
        }
    }
}

/// Closes what nobody asks for; ends when all is closed.
async fn sweep(shelf: Weak<Shelf>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(shelf) = shelf.upgrade() else { return };
        let mut open = 0;
        for shard in &shelf.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.close_unused();
            open += shard.open;
        }
        if open == 0 {
            shelf.is_swept.store(false, Ordering::Relaxed);
            return;
        }
    }
}

#[cfg(test)]
mod tests;
