//! What is read of the store, and asked about its files.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use gateway::files::{
    Carrier, Checksum, Committed, Errand, FileInfo, Files, FindError, Holder, Holds, LinkName, Located,
    LookError, NoCarrier, NotReady, OpenFile, SmallRead, UploadKind, Version, Witness, WriteError,
};
use gateway::idempotency::Keys;
use protocol::cluster::StorageStatus;
use protocol::metadata::Metadata;
use protocol::{FileId, GroupName};

use super::remote::FakeRemote;
use super::{Entry, Fake, MEMBER_URL, Others, TIME};

/// What comes before the content of a large file.
const PADDING: [u8; 24] = [b'#'; 24];

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
