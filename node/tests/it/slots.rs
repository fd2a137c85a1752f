//! Small files in trunk files: names, bytes on the disk, the log, and what crashes leave of them.

mod crash;
mod member;

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use gateway::files::{Committed, OpenFile, UploadKind, UploadSpec, WriteError};
use node::store::{Identity, IncomingFile, IncomingMode, Outcome, ReadError, Store};
use protocol::config::params::ClusterParams;
use protocol::config::{LocalFacts, StorageConf};
use protocol::file_id::{FileExt, FileKind, Source, TrunkSlot};
use protocol::metadata::Metadata;
use protocol::{LogicName, Status};
use tempfile::TempDir;

use crate::running::conf_text;

/// Smallest trunk file.
const CONTAINER: u64 = 4 << 20;

fn params(more: &str) -> ClusterParams {
    let text = format!(
        "use_trunk_file=1\nslot_min_size=256\nslot_max_size=1048576\ntrunk_file_size={CONTAINER}\n\
         trunk_alloc_alignment_size=256\n{more}"
    );
    ClusterParams::parse(&text).expect("the test's own parameters")
}

/// Opens a store that has no role yet.
fn open(base: &Path, more_conf: &str, more_params: &str) -> Store {
    let ip: IpAddr = [127, 0, 0, 1].into();
    let text = conf_text(base, ip, "127.0.0.1:22122".parse().expect("an address"), more_conf);
    let (conf, _) = StorageConf::parse(&text, Path::new("storage.conf"), &LocalFacts::none())
        .expect("the test's own text");
    let store = Store::open(&conf, SystemTime::now()).expect("a store opens");
    store.set_params(&params(more_params));
    store.set_identity(Identity { source: Source::Id(100_001), addresses: vec![ip] }).expect("writable");
    store
}

/// A store without a node around it, which is the trunk server.
struct Server {
    directory: TempDir,
    store: Store,
}

impl Server {
    fn open(more_conf: &str, more_params: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let store = open(directory.path(), more_conf, more_params);
        store.trunk().serve().expect("a new log is read");
        Self { directory, store }
    }

    /// As after a SIGKILL: what waited in memory is lost.
    fn killed(self, more_params: &str) -> Self {
        let Self { directory, store } = self;
        drop(store);
        let store = open(directory.path(), "", more_params);
        store.trunk().serve().expect("the log is read");
        Self { directory, store }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Lines of the trunk binlog without their time.
    fn log(&self) -> Vec<String> {
        self.store.trunk().tend().expect("the log can be written");
        let log = fs::read_to_string(self.data().join("trunk/binlog")).expect("there is a log");
        log.lines().map(|line| line.split_once(' ').expect("a time first").1.to_owned()).collect()
    }

    /// Lines of the binlog without their time.
    fn lines(&self) -> Vec<String> {
        let binlog = fs::read_to_string(self.data().join("sync/binlog.000")).expect("a store has a binlog");
        binlog.lines().map(|line| line.split_once(' ').expect("a time first").1.to_owned()).collect()
    }
}

fn spec() -> UploadSpec {
    UploadSpec::new(UploadKind::Normal, FileExt::parse("txt").expect("an extension"))
}

async fn put(store: &Store, content: impl Into<Bytes>) -> LogicName {
    put_with(store, spec(), content).await.expect("an upload").id.name
}

async fn put_with(
    store: &Store,
    spec: UploadSpec,
    content: impl Into<Bytes>,
) -> Result<Committed, WriteError> {
    store.put(spec, vec![content.into()]).await
}

fn slot(name: &LogicName) -> TrunkSlot {
    match name.kind() {
        Ok(FileKind::Trunk(slot)) => slot,
        kind => panic!("{name} is {kind:?}"),
    }
}

fn is_own(name: &LogicName) -> bool {
    matches!(name.kind(), Ok(FileKind::Normal))
}

async fn read(store: &Store, name: &LogicName) -> Result<Vec<u8>, ReadError> {
    let OpenFile { file, offset, len, .. } = store.reader().open_file(name).await?;
    let mut content = vec![0; usize::try_from(len).expect("small")];
    file.read_exact_at(&mut content, offset).expect("the content is there");
    Ok(content)
}

fn container_of(data: &Path, name: &LogicName) -> PathBuf {
    data.join(&name.true_name()[..5]).join(format!("{:06}", slot(name).file_id))
}

/// Reads a member as disk.md 5.4 has it, with nothing of the store's.
fn member(data: &Path, name: &LogicName) -> Option<Vec<u8>> {
    let (code, slot) = (name.code().expect("a code"), slot(name));
    let file = fs::read(container_of(data, name)).ok()?;
    let at = usize::try_from(slot.offset).expect("small");
    let size = code.size.0 & 0xFFFF_FFFF;
    let mut header = vec![b'F'];
    header.extend(slot.size.to_be_bytes());
    header.extend(u32::try_from(size).expect("small").to_be_bytes());
    header.extend(code.crc32.to_be_bytes());
    header.extend(code.timestamp.to_be_bytes());
    header.extend(&name.as_str().as_bytes()[53..]);
    assert_eq!(header.len(), 24);
    let content = file.get(at..at + 24)? == header;
    content.then(|| file[at + 24..at + 24 + usize::try_from(size).expect("small")].to_vec())
}

/// Content of its own for every number.
fn content(number: u32, len: usize) -> Bytes {
    let mut rng = fastrand::Rng::with_seed(number.into());
    std::iter::repeat_with(|| rng.u8(1..)).take(len).collect::<Vec<u8>>().into()
}

#[tokio::test]
async fn the_first_upload_makes_the_reference_s_bytes_and_records() {
    let server = Server::open("", "");
    let made = put_with(&server.store, spec(), "hello trunk\n").await.unwrap();
    assert_eq!((made.len, made.crc32), (12, 0xa827_eaa8));
    let name = made.id.name;
    assert_eq!(name.as_str().len(), 60);
    assert_eq!(slot(&name), TrunkSlot { file_id: 1, offset: 0, size: 256 });
    let size = name.code().unwrap().size.0;
    assert_eq!((size >> 56, size & 0xFFFF_FFFF), (0x88, 12));
    let file = container_of(&server.data(), &name);
    assert_eq!(fs::metadata(&file).unwrap().len(), CONTAINER);
    assert_eq!(member(&server.data(), &name).unwrap(), b"hello trunk\n");
    assert_eq!(read(&server.store, &name).await.unwrap(), b"hello trunk\n");
    assert_eq!(
        server.log(),
        [
            "A 0 0 0 1 0 4194304",
            "D 0 0 0 1 0 4194304",
            "A 0 0 0 1 256 4194048",
            "A 0 0 0 1 0 256",
            "D 0 0 0 1 0 256"
        ]
    );
    assert_eq!(server.lines(), [format!("C {name}")]);
    let flag = fs::read_to_string(server.data().join(".data_init_flag")).unwrap();
    assert!(flag.contains("current_trunk_file_id=1\n"), "{flag}");
}

#[tokio::test]
async fn only_small_files_that_never_change_go_into_trunk_files() {
    let server = Server::open("", "");
    let (small, large) = (content(1, (1 << 20) - 24), content(2, (1 << 20) - 23));
    assert_eq!(slot(&put(&server.store, small.clone()).await).size, 1 << 20);
    let own = put(&server.store, large.clone()).await;
    assert!(is_own(&own));
    assert_eq!(read(&server.store, &own).await.unwrap(), large);
    let appender = UploadSpec { kind: UploadKind::Appender, ..spec() };
    let appender = put_with(&server.store, appender, "x").await.unwrap().id.name;
    assert_eq!(appender.kind(), Ok(FileKind::Appender));
    let empty = put(&server.store, "").await;
    assert_eq!((slot(&empty).size, read(&server.store, &empty).await.unwrap().len()), (256, 0));
    let several = server.store.put(spec(), vec!["ab".into(), "".into(), "cd".into()]).await.unwrap();
    assert_eq!(read(&server.store, &several.id.name).await.unwrap(), b"abcd");
}

#[tokio::test]
async fn without_a_trunk_server_all_files_are_files_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), "", "");
    assert!(is_own(&put(&store, "x").await));
    store.trunk().serve().unwrap();
    slot(&put(&store, "x").await);
    store.set_params(&ClusterParams::default());
    assert!(is_own(&put(&store, "x").await));
    store.set_params(&params(""));
    store.trunk().follow(None);
    assert!(is_own(&put(&store, "x").await));
    assert_eq!(store.trunk().allocate(protocol::file_id::StorePathIndex(0), 36), Err(Status::EINVAL));
}

#[tokio::test]
async fn content_that_comes_in_pieces_fills_a_slot_if_its_length_is_known() {
    let server = Server::open("", "");
    let whole = content(1, 600_000);
    for (len, is_member) in [(Some(600_000), true), (None, false)] {
        let mut upload = server.store.begin(UploadSpec { len, ..spec() }).await.unwrap();
        for piece in whole.chunks(256 * 1024) {
            upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        let name = upload.commit().await.unwrap().id.name;
        assert_eq!(!is_own(&name), is_member);
        assert_eq!(read(&server.store, &name).await.unwrap(), whole);
    }
}

#[tokio::test]
async fn an_upload_that_is_broken_off_gives_its_slot_back_clean() {
    let server = Server::open("", "");
    let mut upload = server.store.begin(UploadSpec { len: Some(600_000), ..spec() }).await.unwrap();
    upload.write(content(1, 300_000)).await.unwrap();
    let error = upload.write(content(1, 400_000)).await.unwrap_err();
    assert!(matches!(error, WriteError::Invalid(_)), "{error}");
    assert!(upload.commit().await.is_err());
    // Cleaned by one of the store path's threads.
    while server.store.trunk().free_bytes() < CONTAINER
        || fs::read(server.data().join("00/00/000001")).unwrap().iter().any(|byte| *byte != 0)
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.lines(), [""; 0]);
    let name = put(&server.store, content(2, 600_000)).await;
    assert_eq!(slot(&name).offset, 0);
}

#[tokio::test]
async fn a_deleted_file_leaves_zeros_that_are_given_out_again() {
    let server = Server::open("", "");
    let first = put(&server.store, content(1, 100)).await;
    let second = put(&server.store, content(2, 300)).await;
    let third = put(&server.store, content(3, 100)).await;
    let before = server.log().len();
    server.store.delete(&second).await.unwrap();
    assert!(matches!(read(&server.store, &second).await, Err(ReadError::NotFound)));
    assert!(matches!(server.store.delete(&second).await, Err(WriteError::NotFound)));
    assert_eq!(server.log()[before..], ["A 0 0 0 1 256 512"]);
    assert_eq!(server.lines().last().unwrap(), &format!("D {second}"));
    let file = fs::read(container_of(&server.data(), &second)).unwrap();
    assert_eq!(file[256..768], [0; 512]);
    let again = put(&server.store, content(4, 400)).await;
    assert_eq!(slot(&again), slot(&second));
    for (name, expected) in [(&first, content(1, 100)), (&again, content(4, 400)), (&third, content(3, 100))]
    {
        assert_eq!(read(&server.store, name).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn neighbours_that_are_free_become_one_if_the_trackers_say_so() {
    let server = Server::open("", "trunk_free_space_merge=1\n");
    let mut names = Vec::new();
    for number in 0..4 {
        names.push(put(&server.store, content(number, 100)).await);
    }
    let before = server.log().len();
    for at in [0, 2, 1] {
        server.store.delete(&names[at]).await.unwrap();
    }
    assert_eq!(
        server.log()[before..],
        ["A 0 0 0 1 0 256", "A 0 0 0 1 512 256", "D 0 0 0 1 0 256", "D 0 0 0 1 512 256", "A 0 0 0 1 0 768"]
    );
    assert_eq!(
        slot(&put(&server.store, content(9, 700)).await),
        TrunkSlot { file_id: 1, offset: 0, size: 768 }
    );
}

#[tokio::test]
async fn metadata_comes_and_goes_with_a_member() {
    let server = Server::open("", "");
    let mut metadata = Metadata::default();
    metadata.insert("a", "1").unwrap();
    let name = put_with(&server.store, UploadSpec { metadata, ..spec() }, "x").await.unwrap().id.name;
    assert_eq!(slot(&name).offset, 0);
    assert_eq!(server.lines(), [format!("C {name}"), format!("C {name}-m")]);
    assert_eq!(server.store.metadata(&name).await.unwrap(), "a\x021");
    server.store.delete(&name).await.unwrap();
    assert_eq!(server.lines()[2..], [format!("D {name}"), format!("D {name}-m")]);
    assert!(server.store.metadata(&name).await.is_err());
}

#[tokio::test]
async fn metadata_of_a_member_that_never_came_goes_at_the_next_start() {
    let server = Server::open("", "");
    let mut metadata = Metadata::default();
    metadata.insert("a", "1").unwrap();
    let with = UploadSpec { metadata, ..spec() };
    let kept = put_with(&server.store, with.clone(), "kept").await.unwrap().id.name;
    let lost = put_with(&server.store, with, "lost").await.unwrap().id.name;
    // A crash before the header.
    let file = fs::OpenOptions::new().write(true).open(container_of(&server.data(), &lost)).unwrap();
    file.write_all_at(&[0; 24], slot(&lost).offset.into()).unwrap();
    let server = server.killed("");
    assert!(server.data().join(format!("{}-m", kept.true_name())).exists());
    assert!(!server.data().join(format!("{}-m", lost.true_name())).exists());
    assert_eq!(server.lines().last().unwrap(), &format!("D {lost}-m"));
    assert_eq!(slot(&put(&server.store, "x").await), slot(&lost), "its slot is free, and clean");
}

#[tokio::test]
async fn synced_uploads_are_whole() {
    let server = Server::open("durability = fsync\n", "");
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..32 {
        let store = server.store.clone();
        tasks.spawn(async move { (number, put(&store, content(number, 4096)).await) });
    }
    while let Some(made) = tasks.join_next().await {
        let (number, name) = made.unwrap();
        assert_eq!(member(&server.data(), &name).unwrap(), content(number, 4096));
    }
}

#[tokio::test]
async fn a_full_trunk_file_is_followed_by_the_next_one() {
    let server = Server::open("", "");
    fs::write(server.data().join("00/00/000002"), "in the way").unwrap();
    let mut names = BTreeMap::new();
    for number in 0..9 {
        names.insert(number, put(&server.store, content(number, 900_000)).await);
    }
    let ids: Vec<u32> = names.values().map(|name| slot(name).file_id).collect();
    assert_eq!(ids[..8], [1, 1, 1, 1, 3, 3, 3, 3]);
    assert!(ids[8] >= 4);
    for (number, name) in names {
        assert_eq!(member(&server.data(), &name).unwrap(), content(number, 900_000));
    }
    // The next one may have been made in advance.
    assert!((4..=5).contains(&server.store.trunk().file_id()));
    server.store.trunk().adopt_file_id(2).unwrap();
    assert!((4..=5).contains(&server.store.trunk().file_id()));
    server.store.trunk().adopt_file_id(9).unwrap();
    assert_eq!(server.store.trunk().file_id(), 9);
}

#[tokio::test]
async fn the_log_gives_the_same_free_space_again() {
    for merge in ["", "trunk_free_space_merge=1\n"] {
        let server = Server::open("", merge);
        let mut rng = fastrand::Rng::with_seed(7);
        let mut live: BTreeMap<u32, LogicName> = BTreeMap::new();
        for number in 0..600 {
            if rng.u8(..3) == 0 && !live.is_empty() {
                let at = rng.usize(..live.len());
                let key = *live.keys().nth(at).unwrap();
                server.store.delete(&live.remove(&key).unwrap()).await.unwrap();
            } else {
                let len = rng.usize(..12_000);
                live.insert(number, put(&server.store, content(number, len)).await);
            }
        }
        let before = server.store.trunk().free_bytes();
        server.store.close().await.unwrap();
        let server = server.killed(merge);
        // One may have been made in advance meanwhile.
        let free = server.store.trunk().free_bytes();
        assert!(free == before || free == before + CONTAINER, "{before} {free}");
        for number in 600..700 {
            live.insert(number, put(&server.store, content(number, 3000)).await);
        }
        check_all(&server, &live, content);
    }
}

/// All files are whole, and no two have a byte of a trunk file in common.
fn check_all(server: &Server, live: &BTreeMap<u32, LogicName>, content: impl Fn(u32, usize) -> Bytes) {
    let mut slots = Vec::new();
    for (number, name) in live {
        let found = member(&server.data(), name).unwrap_or_else(|| panic!("{name} is not there"));
        assert_eq!(found, content(*number, found.len()), "{name}");
        let slot = slot(name);
        slots.push((slot.file_id, slot.offset, slot.size));
    }
    slots.sort_unstable();
    for pair in slots.windows(2) {
        assert!(pair[0].0 < pair[1].0 || pair[0].1 + pair[0].2 <= pair[1].1, "{pair:?} overlap");
    }
}

#[tokio::test]
async fn replicas_write_into_the_slot_of_the_name() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), "", "");
    let data = directory.path().join("data");
    // Made by the reference.
    let name = LogicName::parse("M00/00/00/oYYBAGsDX0mIDKn9AAAADKgn6qgAAAAAQAAAAAAAAEA619.txt").unwrap();
    assert_eq!(receive(&store, &name, "hello trunk\n").await, Outcome::Applied);
    let file = fs::read(data.join("00/00/000001")).unwrap();
    let expected = b"\x46\0\0\x01\0\0\0\0\x0c\xa8\x27\xea\xa8\x6b\x03\x5f\x49\x36\x31\x39\x2e\x74\x78\x74hello trunk\n\0";
    assert_eq!(&file[..expected.len()], expected);
    assert_eq!(file.len() as u64, CONTAINER);
    assert!(!data.join(name.true_name()).exists());
    assert_eq!(read(&store, &name).await.unwrap(), b"hello trunk\n");
    assert_eq!(receive(&store, &name, "hello trunk\n").await, Outcome::Present);
    // Another file of the same slot, whose source knows that the first one is deleted: both are kept.
    let mut other = name.as_str().to_owned();
    other.replace_range(18..22, "X0sI");
    let other = LogicName::parse(&other.replace("619.txt", "620.txt")).unwrap();
    assert_eq!(slot(&other), slot(&name));
    assert_eq!(receive(&store, &other, "hello again\n").await, Outcome::Applied);
    assert!(data.join(other.true_name()).exists());
    assert_eq!(read(&store, &name).await.unwrap(), b"hello trunk\n");
    assert_eq!(read(&store, &other).await.unwrap(), b"hello again\n");
    assert_eq!(store.receive_delete(name.clone(), 2).await.unwrap(), Outcome::Applied);
    assert_eq!(store.receive_delete(name.clone(), 2).await.unwrap(), Outcome::Missing);
    assert_eq!(read(&store, &other).await.unwrap(), b"hello again\n");
    assert_eq!(receive(&store, &name, "hello trunk\n").await, Outcome::Present, "it is deleted");
    assert!(read(&store, &name).await.is_err());
}

async fn receive(store: &Store, name: &LogicName, content: &'static str) -> Outcome {
    let size = content.len() as u64;
    let file = IncomingFile { name: name.clone(), time: 1, size, mode: IncomingMode::Create };
    let received = store.receive(vec![(file, Bytes::from_static(content.as_bytes()))]).await;
    received.into_iter().next().expect("an outcome").expect("it is taken")
}

#[tokio::test]
async fn a_log_is_followed_torn_and_begun_anew() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), "", "trunk_binlog_max_backups=1\n");
    let trunk = store.trunk();
    assert_eq!(trunk.log_len().unwrap(), None);
    let lines =
        b"1795383113 A 0 0 0 1 0 4194304\n1795383113 D 0 0 0 1 0 4194304\n1795383113 A 0 0 0 1 256 4194048\n";
    trunk.append_log(lines).unwrap();
    assert_eq!(trunk.append_log(b"1795383113 A 0"), Err(Status::EINVAL));
    assert_eq!(trunk.log_len().unwrap(), Some(lines.len() as u64));
    assert_eq!(trunk.read_log(31, 40).unwrap(), b"1795383113 D 0 0 0 1 0 4194304\n");
    assert_eq!(trunk.read_log(lines.len() as u64, 40).unwrap(), b"");
    drop((trunk, store));
    let log = directory.path().join("data/trunk/binlog");
    let torn = [&lines[..], b"1795383114 A 0 0 0 1 0"].concat();
    fs::write(&log, torn).unwrap();
    fs::create_dir_all(directory.path().join("data/00/00")).unwrap();
    let store = open(directory.path(), "", "trunk_binlog_max_backups=1\n");
    let trunk = store.trunk();
    trunk.serve().unwrap();
    assert_eq!(trunk.free_bytes(), 4_194_048);
    assert_eq!(fs::read(&log).unwrap(), lines);
    assert_eq!(trunk.file_id(), 1);
    for refused in [trunk.append_log(lines), trunk.truncate_log(), trunk.forget_marks()] {
        assert_eq!(refused, Err(Status::EINVAL), "it has the role");
    }
    trunk.follow(None);
    fs::write(directory.path().join("data/trunk/100002.mark"), "binlog_offset=0\n").unwrap();
    fs::write(directory.path().join("data/storage_trunk.dat"), "0\n").unwrap();
    trunk.forget_marks().unwrap();
    assert!(!directory.path().join("data/trunk/100002.mark").exists());
    assert!(!directory.path().join("data/storage_trunk.dat").exists());
    trunk.truncate_log().unwrap();
    assert_eq!((trunk.log_len().unwrap(), fs::metadata(&log).unwrap().len()), (Some(0), 0));
    let backups = |store: &Path| {
        let names = fs::read_dir(store.join("data/trunk")).unwrap();
        names.filter(|name| name.as_ref().unwrap().file_name().len() > "binlog".len()).count()
    };
    assert_eq!(backups(directory.path()), 1);
}
