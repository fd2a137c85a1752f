//! A store in memory. Large files lie in a temporary file at an odd offset, as those in trunk files do.

mod files;
mod partials;
mod remote;
mod witness;
mod writes;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gateway::files::{Carrier, Committed, Current, Files, UploadKind, UploadSpec, Version, WriteError};
use gateway::idempotency::Keys;
use protocol::file_id::{
    FileExt, NameCode, NameTail, SizeField, Source, StorePathIndex, SubDir, TrunkSlot, slave_name,
};
use protocol::metadata::Metadata;
use protocol::{FileId, LogicName};
use tokio::sync::watch;

use partials::Shelf;
use witness::Members;

/// Time of all files: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const TIME: u32 = 784_111_777;

/// What the store says to writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Willing,
    Busy,
    Full,
    /// Uploads begin, and the disk is full at their first piece.
    FullLater,
}

/// What the members of the group do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They answer.
    Answer,
    /// They do not.
    Silent,
    /// One says that it has a file, and is gone when asked for its content.
    GoneLater,
    /// One ends in the middle of the content.
    BreakOff,
}

/// URL of the other member.
pub const MEMBER_URL: &str = "https://img2.example.com:8443";

#[derive(Debug, Clone)]
pub struct Entry {
    pub content: Bytes,
    mutable: bool,
    /// Times that it changed: each gives it a time one second later.
    changes: u64,
    is_link: bool,
    /// As if it had a file of its own.
    version: Option<Version>,
}

impl Entry {
    fn new(content: Bytes, mutable: bool) -> Self {
        let file = tempfile::tempfile().unwrap();
        let version = Version::of(&rustix::fs::fstat(&file).unwrap());
        Self { content, mutable, changes: 0, is_link: false, version }
    }

    fn modified(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::from(TIME) + self.changes)
    }

    fn current(&self) -> Current {
        Current { len: self.content.len() as u64, modified: self.modified() }
    }
}

#[derive(Debug)]
pub struct State {
    pub stored: Mutex<HashMap<String, Entry>>,
    /// The keys of uploads, once they are remembered.
    pub keys: OnceLock<Keys>,
    /// What uploads said about files.
    pub metadata: Mutex<HashMap<String, Metadata>>,
    /// What another member has.
    pub elsewhere: Mutex<HashMap<String, Entry>>,
    /// How the members behave.
    pub others: Mutex<Others>,
    /// Times that members were asked.
    pub finds: AtomicUsize,
    /// Parts that were asked for of the other member's file.
    pub opened: Mutex<Vec<Range<u64>>>,
    pub specs: Mutex<Vec<UploadSpec>>,
    pub mood: Mutex<Mood>,
    /// A file whose disk does not answer.
    pub stuck: watch::Sender<Option<FileId>>,
    /// Whether the disk gives nothing of what is there.
    pub unreadable: AtomicBool,
    /// Large files get as short as this as soon as they are open.
    pub cut: Mutex<Option<u64>>,
    /// Who carries out writes that are not for this node; `None` while no tracker answers.
    pub carrier: Mutex<Option<Carrier>>,
    /// The member that carries out writes natively.
    pub member: Mutex<Option<Fake>>,
    /// One change at a time.
    changing: Arc<tokio::sync::Mutex<()>>,
    /// Uploads that were begun and neither committed nor dropped.
    pub live: AtomicUsize,
    /// Uploads that were dropped without a commit.
    pub abandoned: AtomicUsize,
    names_taken: AtomicU64,
    /// Uploads that are continued.
    pub shelf: Shelf,
    /// Those that confirm uploads.
    pub members: Members,
    pub next: AtomicU32,
}

/// The store; clones are the same one.
#[derive(Debug, Clone)]
pub struct Fake(pub Arc<State>);

impl Fake {
    pub fn new() -> Self {
        Self(Arc::new(State {
            stored: Mutex::default(),
            keys: OnceLock::new(),
            metadata: Mutex::default(),
            elsewhere: Mutex::default(),
            others: Mutex::new(Others::Answer),
            finds: AtomicUsize::new(0),
            opened: Mutex::default(),
            specs: Mutex::default(),
            mood: Mutex::new(Mood::Willing),
            stuck: watch::Sender::default(),
            unreadable: AtomicBool::new(false),
            cut: Mutex::default(),
            carrier: Mutex::new(Some(Carrier::Here)),
            member: Mutex::default(),
            changing: Arc::default(),
            live: AtomicUsize::new(0),
            abandoned: AtomicUsize::new(0),
            shelf: Shelf::default(),
            members: Members::default(),
            next: AtomicU32::new(1),
            names_taken: AtomicU64::new(0),
        }))
    }

    pub fn set_mood(&self, mood: Mood) {
        *self.0.mood.lock().unwrap() = mood;
    }

    pub fn count(&self) -> usize {
        self.0.stored.lock().unwrap().len()
    }

    pub fn content(&self, id: &str) -> Option<Bytes> {
        self.0.stored.lock().unwrap().get(id).map(|entry| entry.content.clone())
    }

    /// Stores content under a name of its own.
    pub fn add(&self, kind: &UploadKind, ext: &str, content: &[u8]) -> FileId {
        let ext = FileExt::parse(ext).unwrap();
        self.keep(kind, ext, Bytes::copy_from_slice(content)).id
    }

    /// Stores content under a name with a slot of a trunk file.
    pub fn add_in_trunk(&self, ext: &str, content: &[u8]) -> FileId {
        let random = self.0.next.fetch_add(1, Ordering::Relaxed);
        let len = u32::try_from(content.len()).unwrap();
        let size = SizeField::trunk(len, random);
        let slot = TrunkSlot { file_id: 1, offset: 4096, size: len + 24 };
        let tail = NameTail::new(FileExt::parse(ext).unwrap(), random);
        let name =
            LogicName::make(StorePathIndex(0), SubDir::default(), &code(size, content), Some(&slot), &tail);
        let id = FileId { group: self.group(), name };
        self.add_as(&id.to_string(), false, content);
        self.has_no_version(&id.to_string());
        id
    }

    /// As trunk files and links have none.
    pub fn has_no_version(&self, id: &str) {
        self.0.stored.lock().unwrap().get_mut(id).unwrap().version = None;
    }

    /// Gives a file metadata.
    pub fn describe(&self, id: &str, name: &str, value: &str) {
        self.0.metadata.lock().unwrap().entry(id.to_owned()).or_default().insert(name, value).unwrap();
    }

    /// Stores content under a given name.
    pub fn add_as(&self, id: &str, mutable: bool, content: &[u8]) {
        let entry = Entry::new(Bytes::copy_from_slice(content), mutable);
        self.0.stored.lock().unwrap().insert(id.to_owned(), entry);
    }

    /// Lets another member have a file that is here.
    pub fn move_away(&self, id: &str) {
        let entry = self.take_away(id).unwrap();
        self.0.elsewhere.lock().unwrap().insert(id.to_owned(), entry);
    }

    /// Nobody has a file any more.
    pub fn lose(&self, id: &str) {
        self.take_away(id).unwrap();
    }

    fn take_away(&self, id: &str) -> Option<Entry> {
        let gone = self.0.stored.lock().unwrap().remove(id);
        self.0.names_taken.fetch_add(1, Ordering::SeqCst);
        gone
    }

    /// From now on reads of this file do not end, until no file hangs.
    pub fn hang(&self, id: Option<&FileId>) {
        self.0.stuck.send_replace(id.cloned());
    }

    /// From now on the disk gives nothing.
    pub fn break_disk(&self) {
        self.0.unreadable.store(true, Ordering::SeqCst);
    }

    fn keep(&self, kind: &UploadKind, ext: FileExt, content: Bytes) -> Committed {
        let random = self.0.next.fetch_add(1, Ordering::Relaxed);
        let mutable = *kind != UploadKind::Normal;
        let len = content.len() as u64;
        let size = if mutable { SizeField::appender(random) } else { SizeField::normal(len, random) };
        let code = code(size, &content);
        let crc32 = code.crc32;
        let tail = NameTail::new(ext, random);
        let name = match kind {
            UploadKind::Slave { master, prefix } => slave_name(master, *prefix, ext).unwrap(),
            _ => LogicName::make(StorePathIndex(0), SubDir::default(), &code, None, &tail),
        };
        let id = FileId { group: self.group(), name };
        self.0.stored.lock().unwrap().insert(id.to_string(), Entry::new(content, mutable));
        Committed { id, len, crc32, timestamp: TIME }
    }

    pub fn keep_with(&self, spec: &UploadSpec, content: Bytes) -> Committed {
        let made = self.keep(&spec.kind, spec.ext, content);
        if !spec.metadata.is_empty() {
            self.0.metadata.lock().unwrap().insert(made.id.to_string(), spec.metadata.clone());
        }
        made
    }

    /// What has an ID here.
    fn entry(&self, id: &FileId) -> Option<Entry> {
        self.0.stored.lock().unwrap().get(&id.to_string()).cloned()
    }

    /// Appender files only.
    fn to_change(&self, id: &FileId) -> Result<Entry, WriteError> {
        let entry = self.entry(id).ok_or(WriteError::NotFound)?;
        let is_appender = id.name.code().is_ok_and(|code| code.size.is_appender());
        if is_appender { Ok(entry) } else { Err(WriteError::Invalid("not an appender file")) }
    }

    fn set_content(&self, id: &FileId, content: Bytes) -> Current {
        let mut stored = self.0.stored.lock().unwrap();
        let entry = stored.get_mut(&id.to_string()).unwrap();
        entry.content = content;
        entry.changes += 1;
        entry.current()
    }

    /// A slave has a master, and is the first of its name.
    fn check_slave(&self, kind: &UploadKind, ext: FileExt) -> Result<(), WriteError> {
        let UploadKind::Slave { master, prefix } = kind else { return Ok(()) };
        let name = slave_name(master, *prefix, ext).map_err(|_| WriteError::Invalid("no such slave"))?;
        let id = |name| FileId { group: self.group(), name };
        if self.entry(&id(master.clone())).is_none() {
            return Err(WriteError::NotFound);
        }
        if self.entry(&id(name)).is_some() { Err(WriteError::Exists) } else { Ok(()) }
    }

    /// The metadata that an upload gave a file.
    pub fn metadata_of(&self, id: &str) -> Option<Metadata> {
        self.0.metadata.lock().unwrap().get(id).cloned()
    }

    /// What the disk says to pieces.
    pub fn refuse_pieces(&self) -> Result<(), WriteError> {
        match *self.0.mood.lock().unwrap() {
            Mood::FullLater => Err(WriteError::NoSpace),
            _ => Ok(()),
        }
    }

    pub fn refusal(&self) -> Result<(), WriteError> {
        match *self.0.mood.lock().unwrap() {
            Mood::Willing | Mood::FullLater => Ok(()),
            Mood::Busy => Err(WriteError::Busy),
            Mood::Full => Err(WriteError::NoSpace),
        }
    }
}

fn code(size: SizeField, content: &[u8]) -> NameCode {
    let crc32 = crc32fast::hash(content);
    NameCode { source: Source::Ip(Ipv4Addr::new(127, 0, 17, 1)), timestamp: TIME, size, crc32 }
}
