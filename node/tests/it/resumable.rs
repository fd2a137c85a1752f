//! Uploads that are continued, on the disk: what is left of them by kills at any point, and what a commit makes of them.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gateway::files::{Committed, UploadKind, UploadSpec, WriteError};
use gateway::partials::{Completion, Held, Partial as _, PartialId, PartialSpec, Partials as _, Role};
use node::store::{Identity, Partial, Store};
use protocol::config::params::ClusterParams;
use protocol::config::{LocalFacts, StorageConf};
use protocol::file_id::{FileExt, FileKind, Source};
use protocol::metadata::Metadata;
use tempfile::TempDir;

use crate::running::conf_text;

/// A store without a node around it, which may be killed.
struct Alone {
    directory: TempDir,
    store: Store,
    more: String,
}

impl Alone {
    fn open(more: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let store = open(directory.path(), more);
        Self { directory, store, more: more.to_owned() }
    }

    /// What a killed process leaves is what is on the disk.
    fn reopen(&mut self) {
        self.store = open(self.directory.path(), &self.more);
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn part(&self, id: PartialId) -> PathBuf {
        self.data().join(format!(".uploads/{id}.part"))
    }

    fn state(&self, id: PartialId) -> PathBuf {
        self.data().join(format!(".uploads/{id}.state"))
    }

    fn records(&self) -> Vec<String> {
        let binlog = fs::read_to_string(self.data().join("sync/binlog.000")).expect("a store has a binlog");
        binlog.lines().map(|line| line.split_once(' ').expect("a time first").1.to_owned()).collect()
    }

    fn content(&self, made: &Committed) -> Vec<u8> {
        fs::read(self.data().join(made.id.name.true_name())).expect("the file is there")
    }

    async fn create(&self, spec: PartialSpec) -> Partial {
        self.store.create(spec, later()).await.expect("an upload can be made")
    }

    /// An upload with this content, closed.
    async fn begun(&self, spec: PartialSpec, content: &'static [u8]) -> PartialId {
        let mut partial = self.create(spec).await;
        partial.write(Bytes::from_static(content)).await.expect("the disk has room");
        partial.id()
    }
}

fn open(base: &Path, more: &str) -> Store {
    let ip: IpAddr = [127, 0, 0, 1].into();
    let text = conf_text(base, ip, "127.0.0.1:22122".parse().expect("an address"), more);
    let (conf, _) = StorageConf::parse(&text, Path::new("storage.conf"), &LocalFacts::none())
        .expect("the test's own text");
    let store = Store::open(&conf, SystemTime::now()).expect("the store opens");
    let source = Source::Ip([127, 0, 0, 1].into());
    store.set_identity(Identity { source, addresses: vec![ip] }).expect("writable");
    let params = ClusterParams::parse("reserved_storage_space=0\n").expect("the test's own text");
    store.set_params(&params);
    store
}

/// How long uploads are remembered that nobody goes on with.
const EXPIRATION: Duration = Duration::from_secs(3600);

fn later() -> i64 {
    now() + 3600
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("later than 1970");
    i64::try_from(since.as_secs()).expect("not that late")
}

fn whole(len: u64) -> PartialSpec {
    spec(len, Role::Whole)
}

fn spec(len: u64, role: Role) -> PartialSpec {
    let ext = FileExt::parse("txt").expect("the test's own extension");
    let mut metadata = Metadata::default();
    metadata.insert("fdfs.filename", "a.txt").expect("short");
    PartialSpec {
        upload: UploadSpec { len: Some(len), metadata, ..UploadSpec::new(UploadKind::Normal, ext) },
        role,
        completion: Completion::AtLength,
        replicas: 0,
        told: Some("filename YS50eHQ=".to_owned()),
        owner: "anonymous".to_owned(),
    }
}

#[tokio::test]
async fn what_was_written_is_there_after_a_kill() {
    for more in ["", "durability = fsync"] {
        let mut alone = Alone::open(more);
        let id = alone.begun(whole(11), b"hello").await;
        assert_eq!(alone.records(), [""; 0], "nobody hears of it");
        alone.reopen();
        assert_eq!(alone.store.look(id).await.unwrap().offset, 5);
        let mut partial = alone.store.open(id).await.unwrap();
        assert_eq!(partial.state().offset, 5);
        assert_eq!(partial.state().spec, whole(11));
        partial.write(Bytes::from_static(b" world")).await.unwrap();
        partial.save(None, later()).await.unwrap();
        let made = partial.commit(later()).await.unwrap();
        assert_eq!(alone.content(&made), b"hello world");
        assert_eq!((made.len, made.crc32), (11, crc32fast::hash(b"hello world")));
        assert_eq!(made.id.name.code().unwrap().crc32, made.crc32);
        let name = &made.id.name;
        assert_eq!(alone.records(), [format!("C {name}"), format!("C {name}-m")]);
        assert_eq!(alone.store.metadata(name).await.unwrap(), "fdfs.filename\x02a.txt");
        assert!(!alone.part(id).exists());
        drop(partial);
        alone.reopen();
        let partial = alone.store.open(id).await.unwrap();
        assert_eq!(partial.state().stored.as_ref(), Some(&made));
        partial.remove().await.unwrap();
        assert!(matches!(alone.store.open(id).await, Err(WriteError::NotFound)));
        assert_eq!(alone.content(&made), b"hello world");
    }
}

#[tokio::test]
async fn content_that_is_held_does_not_survive_a_kill() {
    let mut alone = Alone::open("");
    let mut partial = alone.create(whole(11)).await;
    let id = partial.id();
    partial.write(Bytes::from_static(b"hello")).await.unwrap();
    partial.hold().await.unwrap();
    partial.write(Bytes::from_static(b" wor")).await.unwrap();
    assert_eq!((partial.state().offset, alone.store.look(id).await.unwrap().offset), (5, 5));
    drop(partial);
    alone.reopen();
    let mut partial = alone.store.open(id).await.unwrap();
    assert_eq!(partial.state().offset, 5);
    partial.hold().await.unwrap();
    partial.write(Bytes::from_static(b" xxx")).await.unwrap();
    partial.settle(Held::Dropped).await.unwrap();
    partial.hold().await.unwrap();
    partial.write(Bytes::from_static(b" world")).await.unwrap();
    partial.settle(Held::Kept).await.unwrap();
    assert_eq!(partial.state().offset, 11);
    let made = partial.commit(later()).await.unwrap();
    assert_eq!(
        (alone.content(&made), made.crc32),
        (b"hello world".to_vec(), crc32fast::hash(b"hello world"))
    );
}

#[tokio::test]
async fn a_kill_between_name_and_state_loses_no_file() {
    let mut alone = Alone::open("");
    let id = alone.begun(whole(5), b"hello").await;
    let made = alone.store.open(id).await.unwrap().commit(later()).await.unwrap();
    let text = fs::read_to_string(alone.state(id)).unwrap();
    // As it was written before the name was given.
    let lines = text.lines().filter(|line| !line.starts_with("file_")).map(|line| format!("{line}\n"));
    let before = format!("{}naming={}\n", lines.collect::<String>(), made.id.name);
    assert_ne!(before, text);
    fs::write(alone.state(id), before).unwrap();
    alone.reopen();
    assert_eq!(alone.store.look(id).await.unwrap().stored.as_ref(), Some(&made));
    assert_eq!(alone.store.open(id).await.unwrap().state().stored.as_ref(), Some(&made));
    assert!(fs::read_to_string(alone.state(id)).unwrap().contains("file_id="), "and is noted again");
    assert_eq!(alone.records().len(), 2);
}

#[tokio::test]
async fn a_kill_between_state_and_name_is_no_harm() {
    let mut alone = Alone::open("");
    let id = alone.begun(whole(5), b"hello").await;
    let text = fs::read_to_string(alone.state(id)).unwrap();
    fs::write(alone.state(id), format!("{text}naming=M00/00/00/fwAAAWsGeN6AL8azAAAABjY6MCA571.txt\n"))
        .unwrap();
    alone.reopen();
    let mut partial = alone.store.open(id).await.unwrap();
    assert_eq!((partial.state().offset, partial.state().stored.as_ref()), (5, None));
    let made = partial.commit(later()).await.unwrap();
    assert_eq!(alone.content(&made), b"hello");
}

#[tokio::test]
async fn a_state_that_knows_more_than_the_disk_has_is_not_believed() {
    let mut alone = Alone::open("");
    let mut partial = alone.create(whole(8)).await;
    let id = partial.id();
    partial.write(Bytes::from_static(b"helloabc")).await.unwrap();
    partial.save(None, later()).await.unwrap();
    drop(partial);
    // As a crash of the machine may leave it.
    fs::OpenOptions::new().write(true).open(alone.part(id)).unwrap().set_len(5).unwrap();
    alone.reopen();
    let mut partial = alone.store.open(id).await.unwrap();
    assert_eq!(partial.state().offset, 5);
    partial.write(Bytes::from_static(b"xyz")).await.unwrap();
    let made = partial.commit(later()).await.unwrap();
    assert_eq!((alone.content(&made), made.crc32), (b"helloxyz".to_vec(), crc32fast::hash(b"helloxyz")));
}

#[tokio::test]
async fn parts_become_one_file_by_their_checksums() {
    let alone = Alone::open("");
    let hello = alone.begun(spec(5, Role::Part), b"hello").await;
    let world = alone.begun(spec(6, Role::Part), b" world").await;
    let mut joined = alone.create(spec(16, Role::Joined("final;a b a".to_owned()))).await;
    for id in [hello, world, hello] {
        let mut part = alone.store.open(id).await.unwrap();
        joined.append(&mut part).await.unwrap();
    }
    let made = joined.commit(later()).await.unwrap();
    let expected = b"hello worldhello";
    assert_eq!((alone.content(&made), made.crc32), (expected.to_vec(), crc32fast::hash(expected)));
    assert!(alone.part(hello).exists(), "parts stay");
}

#[tokio::test]
async fn an_upload_may_become_an_appender() {
    let alone = Alone::open("");
    let mut wanted = whole(5);
    wanted.upload.kind = UploadKind::Appender;
    let id = alone.begun(wanted, b"hello").await;
    let made = alone.store.open(id).await.unwrap().commit(later()).await.unwrap();
    assert!(matches!(made.id.name.kind(), Ok(FileKind::Appender)));
    assert_eq!(alone.content(&made), b"hello");
}

#[tokio::test]
async fn what_expired_is_removed_and_what_is_in_use_is_not() {
    let alone = Alone::open("");
    let old = alone.begun(whole(9), b"hello").await;
    let used = alone.begun(whole(9), b"hello").await;
    let young = alone.begun(whole(9), b"hello").await;
    for id in [old, used] {
        alone.store.open(id).await.unwrap().save(None, now() - 1).await.unwrap();
        assert!(matches!(alone.store.open(id).await, Err(WriteError::NotFound)), "at once for clients");
        assert!(matches!(alone.store.look(id).await, Err(WriteError::NotFound)));
    }
    // Somebody opened it before its time was over.
    let text = fs::read_to_string(alone.state(used)).unwrap();
    fs::write(
        alone.state(used),
        text.replace(&format!("expires={}", now() - 1), &format!("expires={}", later())),
    )
    .unwrap();
    let held = alone.store.open(used).await;
    fs::write(alone.state(used), text).unwrap();
    alone.store.sweep_partials(EXPIRATION).await;
    assert!(!alone.part(old).exists() && !alone.state(old).exists());
    assert!(alone.part(used).exists() && alone.part(young).exists());
    drop(held);
    alone.store.sweep_partials(EXPIRATION).await;
    assert!(!alone.part(used).exists() && alone.part(young).exists());
}

#[tokio::test]
async fn what_a_kill_left_without_a_state_is_removed_after_a_while() {
    let alone = Alone::open("");
    let id = alone.begun(whole(9), b"hello").await;
    fs::remove_file(alone.state(id)).unwrap();
    alone.store.sweep_partials(EXPIRATION).await;
    assert!(alone.part(id).exists(), "it may be just being made");
    let file = fs::OpenOptions::new().write(true).open(alone.part(id)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(7200)).unwrap();
    alone.store.sweep_partials(EXPIRATION).await;
    assert!(!alone.part(id).exists());
}

/// Nobody can tell when its time is over, and it would lie there for ever.
#[tokio::test]
async fn what_has_a_state_that_cannot_be_read_is_removed_when_nothing_was_done_to_it_for_long() {
    let alone = Alone::open("");
    let uploads = [alone.begun(whole(9), b"hello").await, alone.begun(whole(9), b"hello").await];
    let age = |path: std::path::PathBuf| {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - 2 * EXPIRATION).unwrap();
    };
    fs::write(alone.state(uploads[0]), b"version=99\n").unwrap();
    fs::write(alone.state(uploads[1]), b"\xff").unwrap();
    for id in uploads {
        assert!(alone.store.open(id).await.is_err());
        age(alone.state(id));
        alone.store.sweep_partials(EXPIRATION).await;
        assert!(alone.part(id).exists(), "content came lately");
        age(alone.part(id));
        fs::write(alone.state(id), b"version=98\n").unwrap();
        alone.store.sweep_partials(EXPIRATION).await;
        assert!(alone.state(id).exists(), "its state was written lately");
        age(alone.state(id));
        alone.store.sweep_partials(EXPIRATION).await;
        assert!(!alone.part(id).exists() && !alone.state(id).exists());
    }
}

#[tokio::test]
async fn a_start_removes_what_has_no_state_and_states_half_written() {
    let mut alone = Alone::open("");
    let (kept, lost) = (alone.begun(whole(9), b"hello").await, alone.begun(whole(9), b"hello").await);
    fs::remove_file(alone.state(lost)).unwrap();
    let halves = [kept, lost].map(|id| alone.data().join(format!(".uploads/{id}.tmp")));
    let other = alone.data().join(".uploads/notes.tmp");
    for file in halves.iter().chain([&other]) {
        fs::write(file, "version=1").unwrap();
    }
    alone.reopen();
    assert!(!alone.part(lost).exists() && halves.iter().all(|half| !half.exists()));
    assert!(other.exists(), "what is nobody's upload is somebody else's");
    assert_eq!(alone.store.open(kept).await.unwrap().state().offset, 5);
}

#[tokio::test]
async fn one_at_a_time_has_an_upload() {
    let alone = Alone::open("");
    let id = alone.begun(whole(9), b"hello").await;
    let mut first = alone.store.open(id).await.unwrap();
    let store = alone.store.clone();
    let second = tokio::spawn(async move { store.open(id).await.unwrap().state().offset });
    first.write(Bytes::from_static(b"abc")).await.unwrap();
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.await.unwrap(), 8);
}

#[tokio::test]
async fn the_reserve_is_left_alone() {
    let alone = Alone::open("");
    let mut partial = alone.create(whole(9)).await;
    let params = ClusterParams::parse("reserved_storage_space=1000000G\n").unwrap();
    alone.store.set_params(&params);
    assert!(matches!(partial.write(Bytes::from_static(b"x")).await, Err(WriteError::NoSpace)));
    assert!(matches!(alone.store.create(whole(9), later()).await, Err(WriteError::NoSpace)));
}

#[tokio::test]
async fn other_names_are_no_uploads() {
    let alone = Alone::open("");
    alone.begun(whole(9), b"hello").await;
    for text in ["00000000000000000000000000000000", "ff000000000000000000000000000000"] {
        let id = PartialId::parse(text).unwrap();
        assert!(matches!(alone.store.open(id).await, Err(WriteError::NotFound)), "{text}");
        assert!(matches!(alone.store.look(id).await, Err(WriteError::NotFound)), "{text}");
    }
}
