//! What a group must hold: every operation done through a chosen storage, noted, and compared with every member.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use protocol::client::Client;
use protocol::file_id::{FileExt, SlavePrefix};
use protocol::storage::{
    Append, CreateLink, FileCreated, MetadataMode, Modify, Upload, UploadAppender, UploadSlave,
};
use protocol::wire::Empty;
use protocol::{FileId, Status};
use reqwest::StatusCode;

use crate::address::STORAGE_HTTP_PORT;
use crate::content::content;
use crate::group::disk::{self, Print};
use crate::group::server::Make;
use crate::group::{Group, disk_name, head, size, slots};
use crate::one_store::get;
use crate::wait::until;

/// Replication is a matter of milliseconds with ours and of a second or two with FastDFS; its errors cost it 5 s each.
const IN_STEP: std::time::Duration = std::time::Duration::from_secs(60);

/// Tries at an upload that FastDFS refuses for the moment.
const TRIES: usize = 200;
/// Pause between them.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Files that must be on every member, and those that must be on none.
#[derive(Default)]
pub(crate) struct Book {
    pub(crate) files: BTreeMap<String, File>,
    deleted: Vec<String>,
    seed: u32,
    /// Whether small files that are uploaded have to come into trunk files.
    in_trunk: bool,
    /// Those that did, and those that became files of their own, as where the file before is not deleted yet.
    uploads: (usize, usize),
    /// Whether any lies in one. What is between slots, and what a slot holds behind its file, is nobody's business.
    has_slots: bool,
}

/// What a file must be.
pub(crate) struct File {
    pub(crate) content: Vec<u8>,
    metadata: Option<BTreeMap<String, String>>,
}

impl Book {
    /// Of a group with trunk files that has a trunk server.
    pub(crate) fn in_trunk() -> Self {
        Self { in_trunk: true, has_slots: true, ..Self::default() }
    }

    /// Does every operation there is through the storage at `at`, with each file's operations one after another. Links are
    /// made by ours only.
    pub(crate) async fn fill(&mut self, client: &Client, at: SocketAddr, make: Make) {
        for length in [0, 1, 4_096, 700_001] {
            self.upload(client, at, length).await;
        }
        let described = self.upload(client, at, 100).await;
        self.describe(
            client,
            at,
            &described,
            MetadataMode::Overwrite,
            &[("width", "160"), ("author", "some one")],
        )
        .await;
        self.describe(client, at, &described, MetadataMode::Merge, &[("width", "161"), ("empty", "")]).await;
        let bare = self.upload(client, at, 101).await;
        self.describe(client, at, &bare, MetadataMode::Overwrite, &[("gone", "soon")]).await;
        self.describe(client, at, &bare, MetadataMode::Overwrite, &[]).await;
        self.slave(client, at, &described, 5_000).await;

        let log = self.appender(client, at).await;
        self.describe(client, at, &log, MetadataMode::Overwrite, &[("kind", "log")]).await;
        let renamed = self.appender(client, at).await;
        self.regenerate(client, at, &renamed).await;

        for _ in 0..2 {
            let doomed = self.upload(client, at, 200).await;
            self.describe(client, at, &doomed, MetadataMode::Overwrite, &[("doomed", "yes")]).await;
            self.delete(client, at, &doomed).await;
        }
        let doomed = self.appender(client, at).await;
        self.delete(client, at, &doomed).await;

        // No links to what lies in trunk files are made.
        if make == Make::Ours && !self.in_trunk {
            let target = self.upload(client, at, 3_000).await;
            self.link(client, at, &target).await;
            let doomed = self.link(client, at, &target).await;
            self.delete(client, at, &doomed).await;
        }
    }

    /// Deletes through `at` some files that another member took: one of each length that `fill` makes once.
    pub(crate) async fn delete_some(&mut self, client: &Client, at: SocketAddr) {
        for length in [1, 4_096] {
            let found =
                self.files.iter().find(|(_, file)| file.content.len() == length && file.metadata.is_none());
            if let Some((id, _)) = found {
                let id = FileId::parse(id).expect("noted before");
                self.delete(client, at, &id).await;
            }
        }
    }

    /// Waits until every member's disk holds the same, all of it and nothing deleted, and reads every file and its metadata
    /// from every member.
    pub(crate) async fn check(&self, group: &Group) {
        let (in_slots, apart) = self.uploads;
        assert!(in_slots >= apart, "{in_slots} files in slots, {apart} apart");
        self.wait_in_step(group).await;
        let client = group.client();
        for index in 0..group.nodes.len() {
            self.check_member(group, &client, index).await;
        }
    }

    pub(crate) async fn wait_in_step(&self, group: &Group) {
        until("group in step", IN_STEP, async || {
            let disks: Vec<_> = group.nodes.iter().map(|node| disk::files(&node.base)).collect();
            for (disk, node) in disks.iter().zip(&group.nodes) {
                let differences = disk::differences(&disks[0], disk);
                if !self.has_slots && !differences.is_empty() {
                    return Err(format!("{} and {} differ: {differences:#?}", group.nodes[0].ip, node.ip));
                }
                self.compare(&node.base, disk).map_err(|problem| format!("{}: {problem}", node.ip))?;
            }
            Ok(())
        })
        .await;
    }

    /// One disk against the book. A file of nobody is an error too, so that nothing comes back under its old or a new name.
    fn compare(&self, base: &Path, disk: &BTreeMap<String, Option<Print>>) -> Result<(), String> {
        let mut in_slots = 0;
        for (id, file) in &self.files {
            let name = disk_name(id);
            let found = match slots::slot_of(id) {
                Some(slot) => match (slots::print(base, id, slot), disk.get(&name)) {
                    (Ok(print), _) if print == Print::of(&file.content) => {
                        in_slots += 1;
                        Some(print)
                    }
                    // Where a member of ours had not heard yet of the delete of the file before.
                    (_, Some(print)) => *print,
                    (Ok(print), None) => Some(print),
                    (Err(problem), None) => return Err(problem),
                },
                None => disk.get(&name).copied().flatten(),
            };
            if found != Some(Print::of(&file.content)) {
                return Err(format!("{id} of {} bytes is {found:?}", file.content.len()));
            }
            if file.metadata.is_some() != disk.contains_key(&format!("{name}-m")) {
                return Err(format!("metadata of {id}: expected {:?}", file.metadata));
            }
        }
        let described = self.files.values().filter(|file| file.metadata.is_some()).count();
        let used = slots::count(base, disk)?;
        if used != in_slots {
            return Err(format!("{used} slots are in use, not {in_slots}"));
        }
        let containers = disk.keys().filter(|name| slots::is_container(name)).count();
        if disk.len() == self.files.len() - in_slots + containers + described {
            return Ok(());
        }
        let known = |name: &&String| self.files.keys().any(|id| disk_name(id) == name.trim_end_matches("-m"));
        Err(format!("files of nobody: {:?}", disk.keys().filter(|name| !known(name)).collect::<Vec<_>>()))
    }

    async fn check_member(&self, group: &Group, client: &Client, index: usize) {
        let (at, node) = (group.native(index), &group.nodes[index]);
        for (text, file) in &self.files {
            let id = FileId::parse(text).expect("noted before");
            // FastDFS takes no read of an empty file.
            if !file.content.is_empty() {
                let read = client.storages.download_bytes(at, &id, 1 << 20).await;
                let read = read.unwrap_or_else(|error| panic!("{text} at {at}: {error:?}"));
                assert!(read == file.content, "{text} at {at} has other content");
            }
            if let Some(metadata) = &file.metadata {
                let read = client.storages.metadata(at, &id).await;
                let read = read.unwrap_or_else(|error| panic!("metadata of {text} at {at}: {error:?}"));
                assert_eq!(&rows(&read), metadata, "{text} at {at}");
            }
            if node.make == Make::Ours {
                let (status, body) = get(&format!("http://{}:{STORAGE_HTTP_PORT}/{text}", node.ip)).await;
                assert_eq!(status, StatusCode::OK, "{text} at {}", node.ip);
                assert!(body == file.content, "{text} by HTTP at {} has other content", node.ip);
            }
        }
        for text in &self.deleted {
            let id = FileId::parse(text).expect("noted before");
            assert!(
                client.storages.download_bytes(at, &id, 1 << 20).await.is_err(),
                "{text} at {at} is back"
            );
            if node.make == Make::Ours {
                let (status, _) = get(&format!("http://{}:{STORAGE_HTTP_PORT}/{text}", node.ip)).await;
                assert_eq!(status, StatusCode::NOT_FOUND, "{text} at {} is back", node.ip);
            }
        }
    }

    fn next(&mut self, length: usize) -> Vec<u8> {
        self.seed += 1;
        content(length, self.seed)
    }

    /// Whether small files may be files of their own, as while there is no trunk server.
    pub(crate) fn anywhere(&mut self, may: bool) {
        self.in_trunk = !may;
    }

    /// Makes contents that no other book makes.
    pub(crate) fn begin_at(&mut self, seed: u32) {
        self.seed = seed;
    }

    /// What another book has, too.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.files.extend(other.files);
        self.deleted.extend(other.deleted);
    }

    /// Notes a file that the group has to have from now on.
    pub(crate) fn note(&mut self, id: &FileId, content: Vec<u8>) {
        let before = self.files.insert(id.to_string(), File { content, metadata: None });
        assert!(before.is_none(), "{id} was given twice");
    }

    /// Uploads a file that never changes.
    pub(crate) async fn upload(&mut self, client: &Client, at: SocketAddr, length: usize) -> FileId {
        let bytes = self.next(length);
        let mut tries = 0;
        let id = loop {
            let request = Upload(head(length, "bin"));
            match client.storages.send(at, &request, &mut bytes.as_slice(), |_| {}).await {
                Ok(FileCreated(id)) => break id,
                // FastDFS's trunk server gives slots of files whose delete the member has not heard of yet.
                Err(error) if self.has_slots && tries < TRIES && error.status() == Some(Status::EEXIST) => {
                    tokio::time::sleep(PAUSE).await;
                    tries += 1
                }
                Err(error) => panic!("upload to {at}: {error:?}"),
            }
        };
        if self.in_trunk {
            let is_there = slots::slot_of(&id.to_string()).is_some();
            *if is_there { &mut self.uploads.0 } else { &mut self.uploads.1 } += 1;
        }
        self.note(&id, bytes);
        id
    }

    /// Uploads a file of 100 bytes, appends, modifies and truncates it.
    async fn appender(&mut self, client: &Client, at: SocketAddr) -> FileId {
        let (first, second, third) = (self.next(100), self.next(50), self.next(20));
        let storages = &client.storages;
        let request = UploadAppender(head(first.len(), "log"));
        let FileCreated(id) =
            storages.send(at, &request, &mut first.as_slice(), |_| {}).await.expect("an appender");
        let append = Append { name: id.name.clone(), size: 50 };
        storages.send::<_, Empty>(at, &append, &mut second.as_slice(), |_| {}).await.expect("appended");
        let modify = Modify { name: id.name.clone(), offset: 10, size: 20 };
        storages.send::<_, Empty>(at, &modify, &mut third.as_slice(), |_| {}).await.expect("modified");
        storages.truncate(at, &id.name, 120).await.expect("truncated");
        let mut expected = [first, second].concat();
        expected[10..30].copy_from_slice(&third);
        expected.truncate(120);
        self.note(&id, expected);
        id
    }

    async fn regenerate(&mut self, client: &Client, at: SocketAddr, old: &FileId) {
        let new = client.storages.regenerate(at, &old.name).await.expect("regenerated");
        let file = self.files.remove(&old.to_string()).expect("noted before");
        self.deleted.push(old.to_string());
        self.note(&new, file.content);
    }

    async fn slave(&mut self, client: &Client, at: SocketAddr, master: &FileId, length: usize) {
        let bytes = self.next(length);
        let request = UploadSlave {
            master: master.name.clone(),
            size: size(length),
            prefix: SlavePrefix::parse("_small").expect("a good prefix"),
            ext: FileExt::parse("jpg").expect("a good extension"),
        };
        let FileCreated(id) =
            client.storages.send(at, &request, &mut bytes.as_slice(), |_| {}).await.expect("a slave");
        self.note(&id, bytes);
    }

    async fn link(&mut self, client: &Client, at: SocketAddr, target: &FileId) -> FileId {
        let request = CreateLink {
            group: target.group,
            master: None,
            ext: FileExt::parse("bin").expect("a good extension"),
            source: target.name.clone(),
            signature: Bytes::from_static(b"some signature"),
        };
        let id = client.storages.create_link(at, &request).await.expect("a link");
        let bytes = self.files[&target.to_string()].content.clone();
        self.note(&id, bytes);
        id
    }

    async fn describe(
        &mut self,
        client: &Client,
        at: SocketAddr,
        id: &FileId,
        mode: MetadataMode,
        pairs: &[(&str, &str)],
    ) {
        let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}\x02{value}")).collect();
        let outcome = client.storages.set_metadata(at, id, mode, text.join("\x01").into()).await;
        outcome.unwrap_or_else(|error| panic!("metadata of {id} at {at}: {error:?}"));
        let file = self.files.get_mut(&id.to_string()).expect("noted before");
        let mut all = match mode {
            MetadataMode::Merge => file.metadata.take().unwrap_or_default(),
            MetadataMode::Overwrite => BTreeMap::new(),
        };
        all.extend(pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())));
        file.metadata = (!all.is_empty()).then_some(all);
    }

    pub(crate) async fn delete(&mut self, client: &Client, at: SocketAddr, id: &FileId) {
        client.storages.delete(at, id).await.unwrap_or_else(|error| panic!("delete {id} at {at}: {error:?}"));
        self.files.remove(&id.to_string()).expect("noted before");
        self.deleted.push(id.to_string());
    }
}

fn rows(text: &[u8]) -> BTreeMap<String, String> {
    let text = std::str::from_utf8(text).expect("text");
    let row = |row: &str| row.split_once('\x02').map(|(name, value)| (name.to_owned(), value.to_owned()));
    text.split('\x01').map(|text| row(text).unwrap_or_else(|| panic!("not a row: {text:?}"))).collect()
}
