//! A store in memory. Large files lie in a temporary file at an odd offset, as those in trunk files do.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use gateway::files::{
    Carrier, Change, Checksum, Committed, Current, Errand, FileInfo, Files, FindError, Holder, Holds,
    LinkName, Located, LookError, NoCarrier, NotReady, OpenFile, RemoteContent, RemoteFile, SmallRead, Start,
    Upload, UploadKind, UploadSpec, Version, Witness, WriteError, Writes,
};
use gateway::idempotency::Keys;
use protocol::cluster::StorageStatus;
use protocol::file_id::{
    FileExt, NameCode, NameTail, SizeField, Source, StorePathIndex, SubDir, TrunkSlot, slave_name,
};
use protocol::metadata::Metadata;
use protocol::{FileId, GroupName, LogicName};
use tokio::sync::{OwnedMutexGuard, watch};

use crate::fake_partials::Shelf;
use crate::fake_witness::Members;

/// Time of all files: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub const TIME: u32 = 784_111_777;
/// What comes before the content of a large file.
const PADDING: [u8; 24] = [b'#'; 24];

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

/// An upload into the store.
pub struct FakeUpload {
    store: Fake,
    spec: UploadSpec,
    content: BytesMut,
    done: bool,
}

impl Upload for FakeUpload {
    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        if *self.store.0.mood.lock().unwrap() == Mood::FullLater {
            return Err(WriteError::NoSpace);
        }
        self.content.extend_from_slice(&chunk);
        Ok(())
    }

    fn set_metadata(&mut self, metadata: Metadata) {
        self.spec.metadata = metadata;
    }

    async fn commit(mut self) -> Result<Committed, WriteError> {
        self.done = true;
        let content = self.content.split().freeze();
        Ok(self.store.keep_with(&self.spec, content))
    }
}

impl Drop for FakeUpload {
    fn drop(&mut self) {
        self.store.0.live.fetch_sub(1, Ordering::SeqCst);
        if !self.done {
            self.store.0.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A change of a file of the store.
pub struct FakeChange {
    store: Fake,
    id: FileId,
    offset: usize,
    content: BytesMut,
    done: bool,
    _alone: OwnedMutexGuard<()>,
}

impl Change for FakeChange {
    fn offset(&self) -> u64 {
        self.offset as u64
    }

    async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        if *self.store.0.mood.lock().unwrap() == Mood::FullLater {
            return Err(WriteError::NoSpace);
        }
        self.content.extend_from_slice(&chunk);
        Ok(())
    }

    async fn commit(mut self) -> Result<Current, WriteError> {
        self.done = true;
        let old = self.store.entry(&self.id).ok_or(WriteError::NotFound)?.content;
        let end = self.offset + self.content.len();
        let rest = old.get(end..).unwrap_or_default();
        Ok(self.store.set_content(&self.id, [&old[..self.offset], &self.content, rest].concat().into()))
    }
}

impl Drop for FakeChange {
    fn drop(&mut self) {
        self.store.0.live.fetch_sub(1, Ordering::SeqCst);
        if !self.done {
            self.store.0.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// A file that the other member has.
pub struct FakeRemote {
    store: Fake,
    entry: Entry,
    metadata: Metadata,
}

impl RemoteFile for FakeRemote {
    type Content = FakeContent;

    fn len(&self) -> u64 {
        self.entry.content.len() as u64
    }

    fn modified(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(TIME.into())
    }

    fn is_mutable(&self) -> bool {
        self.entry.mutable
    }

    fn base_url(&self) -> String {
        MEMBER_URL.to_owned()
    }

    async fn described(&self) -> Metadata {
        self.metadata.clone()
    }

    async fn open(&self, part: Range<u64>) -> io::Result<FakeContent> {
        self.store.0.opened.lock().unwrap().push(part.clone());
        let others = *self.store.0.others.lock().unwrap();
        if others == Others::GoneLater {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let at = |at| usize::try_from(at).unwrap();
        let content = self.entry.content.slice(at(part.start)..at(part.end));
        Ok(FakeContent { content, breaks: others == Others::BreakOff })
    }
}

/// Content that comes from the other member in odd pieces.
pub struct FakeContent {
    content: Bytes,
    breaks: bool,
}

impl RemoteContent for FakeContent {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if self.content.is_empty() {
            return Ok(None);
        }
        if self.breaks && self.content.len() < 70_001 {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(Some(self.content.split_to(self.content.len().min(70_001))))
    }
}

impl Writes for Fake {
    type Upload = FakeUpload;
    type Change = FakeChange;

    async fn begin(&self, spec: UploadSpec) -> Result<FakeUpload, WriteError> {
        self.refusal()?;
        self.check_slave(&spec.kind, spec.ext)?;
        self.0.specs.lock().unwrap().push(spec.clone());
        self.0.live.fetch_add(1, Ordering::SeqCst);
        Ok(FakeUpload { store: self.clone(), spec, content: BytesMut::new(), done: false })
    }

    async fn put(&self, spec: UploadSpec, content: Vec<Bytes>) -> Result<Committed, WriteError> {
        self.refusal()?;
        self.check_slave(&spec.kind, spec.ext)?;
        self.0.specs.lock().unwrap().push(spec.clone());
        Ok(self.keep_with(&spec, content.concat().into()))
    }

    async fn delete(&self, id: &FileId) -> Result<(), WriteError> {
        let gone = self.take_away(&id.to_string());
        self.0.metadata.lock().unwrap().remove(&id.to_string());
        gone.map(|_| ()).ok_or(WriteError::NotFound)
    }

    async fn begin_change<N: Send + 'static>(
        &self,
        id: &FileId,
        _len: Option<u64>,
        decide: impl FnOnce(&Current) -> Result<Start, N> + Send + 'static,
    ) -> Result<Result<FakeChange, N>, WriteError> {
        self.refusal()?;
        let alone = Arc::clone(&self.0.changing).lock_owned().await;
        let current = self.to_change(id)?.current();
        let offset = match decide(&current) {
            Ok(Start::End) => current.len,
            Ok(Start::At(offset)) if offset <= current.len => offset,
            Ok(Start::At(_)) => return Err(WriteError::Invalid("behind the end")),
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.0.live.fetch_add(1, Ordering::SeqCst);
        let offset = usize::try_from(offset).unwrap();
        let (store, content) = (self.clone(), BytesMut::new());
        Ok(Ok(FakeChange { store, id: id.clone(), offset, content, done: false, _alone: alone }))
    }

    async fn truncate<N: Send + 'static>(
        &self,
        id: &FileId,
        decide: impl FnOnce(&Current) -> Result<u64, N> + Send + 'static,
    ) -> Result<Result<Current, N>, WriteError> {
        let _alone = self.0.changing.lock().await;
        let entry = self.to_change(id)?;
        let mut content = entry.content.to_vec();
        match decide(&entry.current()) {
            Ok(len) => content.resize(usize::try_from(len).unwrap(), 0),
            Err(refusal) => return Ok(Err(refusal)),
        }
        Ok(Ok(self.set_content(id, content.into())))
    }

    async fn finish(&self, id: &FileId) -> Result<Committed, WriteError> {
        let _alone = self.0.changing.lock().await;
        let entry = self.to_change(id)?;
        let ext = FileExt::parse(id.name.extension()).unwrap();
        let made = self.keep(&UploadKind::Normal, ext, entry.content);
        self.0.stored.lock().unwrap().remove(&id.to_string());
        let mut metadata = self.0.metadata.lock().unwrap();
        if let Some(items) = metadata.remove(&id.to_string()) {
            metadata.insert(made.id.to_string(), items);
        }
        Ok(made)
    }

    async fn edit_metadata<N: Send + 'static>(
        &self,
        id: &FileId,
        edit: impl FnOnce(&Metadata) -> Result<Metadata, N> + Send + 'static,
    ) -> Result<Result<Metadata, N>, WriteError> {
        self.refusal()?;
        if self.entry(id).is_none() {
            return Err(WriteError::NotFound);
        }
        let mut metadata = self.0.metadata.lock().unwrap();
        let items = metadata.entry(id.to_string()).or_default();
        let edited = edit(items);
        if let Ok(new) = &edited {
            *items = new.clone();
        }
        Ok(edited)
    }
}

impl Files for Fake {
    type Member = Self;
    type Remote = FakeRemote;
    type Partials = Self;

    fn group(&self) -> GroupName {
        GroupName::parse("group1").unwrap()
    }

    async fn locate(&self, id: &FileId) -> io::Result<Located> {
        match self.read_small(id, 0).await? {
            Located::Here(SmallRead::Large(file)) => Ok(Located::Here(file)),
            _ => Ok(Located::NotFound),
        }
    }

    async fn find(&self, id: &FileId) -> Result<FakeRemote, FindError> {
        self.0.finds.fetch_add(1, Ordering::SeqCst);
        if *self.0.others.lock().unwrap() == Others::Silent {
            return Err(FindError::Unreachable);
        }
        let entry = self.0.elsewhere.lock().unwrap().get(&id.to_string()).cloned();
        let metadata = self.metadata_of(&id.to_string()).unwrap_or_default();
        entry.map(|entry| FakeRemote { store: self.clone(), entry, metadata }).ok_or(FindError::NotFound)
    }

    async fn read_small(&self, id: &FileId, max: usize) -> io::Result<Located<SmallRead>> {
        // As from a disk: the answer is not there at the first look.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        self.0.stuck.subscribe().wait_for(|stuck| stuck.as_ref() != Some(id)).await.unwrap();
        let entry = self.0.stored.lock().unwrap().get(&id.to_string()).cloned();
        let Some(entry) = entry else { return Ok(Located::Missing) };
        let (modified, Entry { content, mutable, version, .. }) = (entry.modified(), entry);
        if self.0.unreadable.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        if content.len() <= max {
            return Ok(Located::Here(SmallRead::Content { content, modified, mutable, version }));
        }
        let mut file = tempfile::tempfile()?;
        file.write_all(&PADDING)?;
        file.write_all(&content)?;
        file.write_all(b"the next slot of the trunk file")?;
        if let Some(cut) = *self.0.cut.lock().unwrap() {
            file.set_len(PADDING.len() as u64 + cut)?;
        }
        let len = content.len() as u64;
        let offset = PADDING.len() as u64;
        let file = OpenFile { file: Arc::new(file), offset, len, modified, mutable, version };
        Ok(Located::Here(SmallRead::Large(file)))
    }

    fn version(&self, id: &FileId) -> Option<Version> {
        self.0.stored.lock().unwrap().get(&id.to_string())?.version
    }

    async fn described(&self, id: &FileId) -> Metadata {
        self.metadata_of(&id.to_string()).unwrap_or_default()
    }

    fn names_taken(&self, _: &FileId) -> Option<u64> {
        Some(self.0.names_taken.load(Ordering::SeqCst))
    }

    async fn read_at(&self, _: &FileId, file: &OpenFile, offset: u64, len: usize) -> io::Result<Bytes> {
        let left = usize::try_from(file.len.saturating_sub(offset)).unwrap();
        let mut bytes = vec![0; len.min(left)];
        file.file.read_exact_at(&mut bytes, file.offset + offset)?;
        Ok(bytes.into())
    }

    fn keys(&self) -> Option<&Keys> {
        self.0.keys.get()
    }

    async fn uploaded(&self, token: &str, _: &str) -> io::Result<Vec<(Committed, Option<String>)>> {
        let metadata = self.0.metadata.lock().unwrap();
        let is_it = |metadata: &Metadata| metadata.get("fdfs.idempotency") == Some(token);
        let found = metadata.iter().filter(|(id, metadata)| is_it(metadata) && self.content(id).is_some());
        let made = |(id, metadata): (&String, &Metadata)| {
            let (id, content) = (FileId::parse(id).unwrap(), self.content(id).unwrap());
            let crc32 = crc32fast::hash(&content);
            let made = Committed { id, len: content.len() as u64, crc32, timestamp: TIME };
            (made, metadata.get("fdfs.filename").map(str::to_owned))
        };
        Ok(found.map(made).collect())
    }

    fn replicas(&self) -> u8 {
        self.0.members.replicas()
    }

    fn members_in_service(&self) -> u8 {
        self.0.members.in_service()
    }

    fn witness(&self) -> Box<dyn Witness> {
        self.0.members.witness()
    }

    async fn create_link(&self, to: &FileId, name: LinkName) -> Result<Committed, WriteError> {
        let content = self.entry(to).ok_or(WriteError::NotFound)?.content;
        let kind = match name.master {
            Some((master, prefix)) => UploadKind::Slave { master, prefix },
            None => UploadKind::Normal,
        };
        self.check_slave(&kind, name.ext)?;
        let made = self.keep(&kind, name.ext, content);
        self.0.stored.lock().unwrap().get_mut(&made.id.to_string()).unwrap().is_link = true;
        self.has_no_version(&made.id.to_string());
        Ok(made)
    }

    async fn metadata(&self, id: &FileId) -> Result<Metadata, LookError> {
        if self.entry(id).is_none() {
            self.find(id).await.map_err(|error| match error {
                FindError::NotFound => LookError::NotFound,
                FindError::Unreachable => LookError::Unreachable,
            })?;
        }
        Ok(self.0.metadata.lock().unwrap().get(&id.to_string()).cloned().unwrap_or_default())
    }

    async fn info(&self, id: &FileId, checksum: Checksum) -> Result<FileInfo, LookError> {
        let entry = match self.entry(id) {
            Some(entry) => entry,
            None => match self.find(id).await {
                Ok(remote) => remote.entry,
                Err(FindError::NotFound) => return Err(LookError::NotFound),
                Err(FindError::Unreachable) => return Err(LookError::Unreachable),
            },
        };
        let is_known = !entry.mutable || checksum == Checksum::Computed;
        Ok(FileInfo {
            len: entry.content.len() as u64,
            modified: entry.modified(),
            mutable: entry.mutable || entry.is_link,
            crc32: (is_known && !entry.is_link).then(|| crc32fast::hash(&entry.content)),
            is_link: entry.is_link,
            source: Some(Ipv4Addr::new(127, 0, 17, 1).into()),
        })
    }

    async fn holders(&self, id: &FileId) -> Vec<Holder> {
        let holds = match self.entry(id) {
            Some(entry) => Holds::Yes(entry.content.len() as u64),
            None => Holds::No,
        };
        let status = StorageStatus::ACTIVE;
        let member = |id: &str, url: Option<&str>, holds| {
            let address = format!("{id}:23000").parse().unwrap();
            Holder { id: id.to_owned(), address, status, url: url.map(str::to_owned), holds }
        };
        vec![member("127.0.17.1", Some(MEMBER_URL), holds), member("127.0.17.2", None, Holds::Unknown)]
    }

    async fn carrier(&self, errand: Errand<'_>) -> Result<Carrier, NoCarrier> {
        let group = match errand {
            Errand::Upload(group) => group,
            Errand::Change(id) | Errand::Any(id) => id.group,
        };
        if group.to_string() == "nowhere" {
            return Err(NoCarrier::Nobody);
        }
        let is_foreign = group != self.group();
        let is_away = match errand {
            Errand::Change(id) | Errand::Any(id) => self.entry(id).is_none(),
            Errand::Upload(_) => false,
        };
        if !is_foreign && !is_away {
            return Ok(Carrier::Here);
        }
        self.0.carrier.lock().unwrap().clone().ok_or(NoCarrier::NoTracker)
    }

    fn member(&self, _: SocketAddr, _: GroupName) -> Option<Self> {
        self.0.member.lock().unwrap().clone()
    }

    fn partials(&self) -> &Self {
        self
    }

    fn ready(&self) -> Result<(), NotReady> {
        Ok(())
    }
}
