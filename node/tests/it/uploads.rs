//! What a commit promises: metadata that is there before its file, and what a crash between the two leaves.

use std::fs;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use gateway::files::{Committed, UploadKind, UploadSpec, WriteError};
use node::store::{Identity, IncomingFile, IncomingMode, Outcome, Store};
use protocol::config::storage_conf::Durability;
use protocol::config::{LocalFacts, StorageConf};
use protocol::file_id::{FileExt, SlavePrefix, Source};
use protocol::metadata::Metadata;
use protocol::storage::{CreateLink, MetadataMode};
use protocol::{FileId, LogicName};
use tempfile::TempDir;

use crate::address::fresh;
use crate::running::{Running, conf_text, plain_cluster};

/// A store without a node around it.
struct Alone {
    directory: TempDir,
    store: Store,
}

impl Alone {
    fn open(more: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let store = open(directory.path(), more);
        Self { directory, store }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn path(&self, name: &LogicName) -> PathBuf {
        self.data().join(name.true_name())
    }

    fn lines(&self) -> Vec<String> {
        let binlog = fs::read_to_string(self.data().join("sync/binlog.000")).expect("a store has a binlog");
        binlog.lines().map(|line| line.split_once(' ').expect("a time first").1.to_owned()).collect()
    }
}

fn open(base: &Path, more: &str) -> Store {
    let ip: IpAddr = [127, 0, 0, 1].into();
    let text = conf_text(base, ip, "127.0.0.1:22122".parse().expect("an address"), more);
    let facts = LocalFacts::none();
    let (conf, _) =
        StorageConf::parse(&text, Path::new("storage.conf"), &facts).expect("the test's own text");
    let store = Store::open(&conf, SystemTime::now()).expect("a new store opens");
    let source = Source::Ip([127, 0, 0, 1].into());
    store.set_identity(Identity { source, addresses: vec![ip] }).expect("writable");
    store
}

fn metadata(items: &[(&str, &str)]) -> Metadata {
    let mut metadata = Metadata::default();
    items.iter().for_each(|(name, value)| metadata.insert(name, value).expect("the test's own items"));
    metadata
}

fn spec(kind: UploadKind, items: &[(&str, &str)]) -> UploadSpec {
    let ext = FileExt::parse("txt").expect("the test's own extension");
    UploadSpec { metadata: metadata(items), ..UploadSpec::new(kind, ext) }
}

async fn put(store: &Store, spec: UploadSpec) -> Result<Committed, WriteError> {
    store.put(spec, vec![Bytes::from_static(b"content")]).await
}

#[tokio::test]
async fn metadata_is_recorded_after_its_file_and_is_there_with_it() {
    let alone = Alone::open("");
    let made = put(&alone.store, spec(UploadKind::Normal, &[("b", "2"), ("a", "1")])).await.unwrap();
    let name = made.id.name;
    assert_eq!(alone.lines(), [format!("C {name}"), format!("C {name}-m")]);
    assert_eq!(alone.store.metadata(&name).await.unwrap(), "a\x021\x01b\x022");

    let mut upload = alone.store.begin(spec(UploadKind::Appender, &[("dropped", "")])).await.unwrap();
    upload.write(Bytes::from_static(b"x")).await.unwrap();
    gateway::files::Upload::set_metadata(&mut upload, metadata(&[("late", "yes")]));
    let appender = upload.commit().await.unwrap().id.name;
    assert_eq!(alone.store.metadata(&appender).await.unwrap(), "late\x02yes");

    let plain = put(&alone.store, spec(UploadKind::Normal, &[])).await.unwrap().id.name;
    assert_eq!(alone.lines()[4..], [format!("C {plain}")]);
    let names = fs::read_dir(alone.data()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with(".up")));
}

#[tokio::test]
async fn a_slave_gets_its_own_metadata_whatever_a_crash_left() {
    let alone = Alone::open("");
    let master = put(&alone.store, spec(UploadKind::Normal, &[])).await.unwrap().id.name;
    let slave = |items: &[(&str, &str)]| {
        let prefix = SlavePrefix::parse("_s").unwrap();
        spec(UploadKind::Slave { master: master.clone(), prefix }, items)
    };
    let stem = master.true_name().strip_suffix(".txt").unwrap();
    fs::write(alone.data().join(format!("{stem}_s.txt-m")), "a\x02of a crash").unwrap();
    let made = put(&alone.store, slave(&[("a", "1")])).await.unwrap().id.name;
    assert_eq!(alone.store.metadata(&made).await.unwrap(), "a\x021");
    let again = put(&alone.store, slave(&[("a", "2")])).await;
    assert!(matches!(again, Err(WriteError::Exists)), "{again:?}");
    assert_eq!(alone.store.metadata(&made).await.unwrap(), "a\x021", "the file that exists keeps its own");

    // Begun while there is no such slave, committed when there is one.
    alone.store.delete(&made).await.unwrap();
    let late = alone.store.begin(slave(&[("a", "late")])).await.unwrap();
    put(&alone.store, slave(&[("a", "3")])).await.unwrap();
    assert!(matches!(late.commit().await, Err(WriteError::Exists)));
    assert_eq!(alone.store.metadata(&made).await.unwrap(), "a\x023");
}

/// What a SIGKILL leaves between the two names: the records and the metadata.
#[tokio::test]
async fn metadata_of_nothing_is_removed_at_start_and_told_to_the_members() {
    let alone = Alone::open("");
    let items = [("a", "1")];
    let kept = put(&alone.store, spec(UploadKind::Normal, &items)).await.unwrap().id.name;
    let lost = put(&alone.store, spec(UploadKind::Normal, &items)).await.unwrap().id.name;
    fs::remove_file(alone.path(&lost)).unwrap();
    let Alone { directory, store } = alone;
    drop(store);
    let store = open(directory.path(), "");
    let alone = Alone { directory, store };
    let metadata_path = |name: &LogicName| alone.path(&name.metadata_name().unwrap());
    assert!(!metadata_path(&lost).exists());
    assert_eq!(fs::read_to_string(metadata_path(&kept)).unwrap(), "a\x021");
    assert_eq!(alone.lines()[4..], [format!("D {lost}-m")]);
}

#[tokio::test]
async fn an_upload_can_ask_for_more_than_the_configuration_promises() {
    for (configured, asked) in [
        ("write", None),
        ("write", Some(Durability::Fsync)),
        ("fsync", Some(Durability::Write)),
        ("fsync", None),
    ] {
        let alone = Alone::open(&format!("durability = {configured}"));
        let wanted = UploadSpec { durability: asked, ..spec(UploadKind::Normal, &[("a", "1")]) };
        let name = put(&alone.store, wanted).await.unwrap().id.name;
        assert_eq!(alone.store.metadata(&name).await.unwrap(), "a\x021", "{configured} {asked:?}");
        assert_eq!(alone.lines().len(), 2);
    }
}

/// A raw upload by HTTP, as an ID.
async fn post(node: &Running, target: &str, headers: &str) -> FileId {
    let request = format!("POST {target} HTTP/1.0\r\nContent-Length: 7\r\n{headers}\r\ncontent");
    let answer = node.http(&request).await;
    assert!(answer.starts_with("HTTP/1.0 201 "), "{answer}");
    let id = answer.lines().find_map(|line| line.strip_prefix("location: /")).expect("a location");
    FileId::parse(id).expect("an ID")
}

async fn disposition(node: &Running, target: &str) -> String {
    let answer = node.http(&format!("GET {target} HTTP/1.0\r\n\r\n")).await;
    assert!(answer.ends_with("\r\n\r\ncontent"), "{answer}");
    let found = answer.lines().find_map(|line| line.strip_prefix("content-disposition: "));
    found.unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_name_that_a_file_had_comes_back_and_follows_its_metadata() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let (at, client) = (node.address, node.client());
    let id = post(&node, "/v1/files?filename=dir%2Fa%20b.txt", "").await;
    let url = format!("/{id}");
    for _ in 0..4 {
        assert_eq!(disposition(&node, &url).await, "inline; filename=\"a b.txt\"");
    }
    assert_eq!(disposition(&node, &format!("{url}?filename=x.txt")).await, "attachment; filename=\"x.txt\"");
    assert_eq!(disposition(&node, &format!("{url}?attname=")).await, "attachment; filename=\"a b.txt\"");

    for (mode, text, expected) in [
        (MetadataMode::Merge, "fdfs.filename\x02c.txt", "inline; filename=\"c.txt\""),
        (MetadataMode::Overwrite, "fdfs.filename\x02evil\r\nSet-Cookie: x", ""),
        (
            MetadataMode::Overwrite,
            "fdfs.filename\x02图.txt",
            "inline; filename=\"_.txt\"; filename*=UTF-8''%E5%9B%BE.txt",
        ),
        (MetadataMode::Overwrite, "other\x02d.txt", ""),
        (MetadataMode::Overwrite, "fdfs.filename\x02e.txt", "inline; filename=\"e.txt\""),
        (MetadataMode::Overwrite, "", ""),
    ] {
        client.set_metadata(at, &id, mode, text.into()).await.unwrap();
        for _ in 0..3 {
            assert_eq!(disposition(&node, &url).await, expected, "{text:?}");
        }
    }

    let named =
        post(&node, "/v1/files", "Content-Disposition: attachment; filename*=UTF-8''%E5%9B%BE.txt\r\n").await;
    assert_eq!(named.name.extension(), "txt");
    assert!(disposition(&node, &format!("/{named}")).await.ends_with("filename*=UTF-8''%E5%9B%BE.txt"));
    let plain = post(&node, "/v1/files", "").await;
    assert_eq!(disposition(&node, &format!("/{plain}")).await, "");
    assert!(!node.path(&plain).with_file_name(format!("{}-m", plain.name.base_name())).exists());

    let appender = post(&node, "/v1/files?kind=appender&filename=log.txt", "").await;
    let fixed = client.regenerate(at, &appender.name).await.unwrap();
    assert_eq!(disposition(&node, &format!("/{fixed}")).await, "inline; filename=\"log.txt\"");

    let request = CreateLink {
        group: fixed.group,
        master: None,
        ext: FileExt::parse("txt").unwrap(),
        source: fixed.name.clone(),
        signature: "x".into(),
    };
    let link = client.create_link(at, &request).await.unwrap();
    // A link has the name of what it leads to, until it has metadata of its own.
    for (text, expected) in [
        ("", "inline; filename=\"log.txt\""),
        ("fdfs.filename\x02own.txt", "inline; filename=\"own.txt\""),
        ("a\x02b", ""),
    ] {
        client.set_metadata(at, &link, MetadataMode::Overwrite, text.into()).await.unwrap();
        assert_eq!(disposition(&node, &format!("/{link}")).await, expected);
    }
}

/// Whether reads of a file look at its metadata.
fn is_marked(path: &Path) -> bool {
    fs::metadata(path).expect("the file is there").permissions().mode() & gateway::files::MARK != 0
}

#[tokio::test]
async fn files_of_other_members_are_marked_whichever_comes_first() {
    let alone = Alone::open("");
    let (named, other) = ("fdfs.filename\x02a.txt", "width\x02120");
    for (text, first, expected) in [(named, "file", true), (named, "metadata", true), (other, "file", false)]
    {
        let model = put(&alone.store, spec(UploadKind::Normal, &[])).await.unwrap().id.name;
        alone.store.delete(&model).await.unwrap();
        // Another name: what was deleted does not come back.
        let name = LogicName::parse(&model.as_str().replacen("M00/00/00", "M00/00/01", 1)).unwrap();
        let incoming = |name: &LogicName, content: &'static str| {
            let (time, mode) = (1_795_382_841, IncomingMode::Create);
            (IncomingFile { name: name.clone(), time, size: content.len() as u64, mode }, content.into())
        };
        let metadata = name.metadata_name().unwrap();
        let mut files = vec![incoming(&name, "content"), incoming(&metadata, text)];
        if first == "metadata" {
            files.reverse();
        }
        for file in files {
            let outcomes = alone.store.receive(vec![file]).await;
            assert!(matches!(outcomes[..], [Ok(Outcome::Applied)]), "{outcomes:?}");
        }
        assert_eq!(is_marked(&alone.path(&name)), expected, "{text} {first}");
        alone.store.receive_delete(metadata, 1_795_382_842).await.unwrap();
        assert!(!is_marked(&alone.path(&name)), "{text} {first}");
    }
}

fn unix_now() -> i64 {
    let now = SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(now).expect("a time of this age")
}

/// Names in the buckets.
fn waiting(alone: &Alone) -> usize {
    let buckets = fs::read_dir(alone.data().join("expiry")).expect("buckets");
    let names = |bucket: io::Result<fs::DirEntry>| {
        let text = fs::read(bucket.expect("a bucket").path()).expect("names");
        text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count()
    };
    buckets.map(names).sum()
}

#[tokio::test]
async fn files_that_expire_are_deleted_when_their_time_has_come_unless_it_was_changed() {
    let alone = Alone::open("");
    let now = unix_now();
    let upload = async |expires: i64| {
        let text = expires.to_string();
        let items = [("fdfs.expires", text.as_str()), ("a", "1")];
        put(&alone.store, spec(UploadKind::Normal, &items)).await.unwrap().id.name
    };
    let set = async |name: &LogicName, text: &str| {
        alone.store.set_metadata(name, MetadataMode::Overwrite, Bytes::from(text.to_owned())).await.unwrap();
    };
    let soon = upload(now + 60).await;
    let kept = upload(now + 60).await;
    let later = upload(now + 60).await;
    let much_later = upload(now + 5 * 3600).await;
    let plain = put(&alone.store, spec(UploadKind::Normal, &[])).await.unwrap().id.name;
    set(&kept, "a\x021").await;
    set(&later, &format!("fdfs.expires\x02{}", now + 1000)).await;
    let expire = async |at: i64| alone.store.expire(at, || true).await.unwrap();
    let are_there = |expected: [bool; 5]| {
        let names = [&soon, &kept, &later, &much_later, &plain];
        assert_eq!(names.map(|name| alone.path(name).exists()), expected);
    };
    expire(now + 59).await;
    are_there([true, true, true, true, true]);
    // Twice, since an hour may begin in between.
    expire(now + 180).await;
    expire(now + 300).await;
    are_there([false, true, true, true, true]);
    assert!(alone.lines().ends_with(&[format!("D {soon}"), format!("D {soon}-m")]));
    assert!(!alone.path(&soon.metadata_name().unwrap()).exists());

    // What waits survives a restart.
    let waited = waiting(&alone);
    let Alone { directory, store } = alone;
    drop(store);
    let store = open(directory.path(), "");
    let alone = Alone { directory, store };
    assert_eq!(waiting(&alone), waited);
    for at in (now + 400..now + 6 * 3600).step_by(300) {
        alone.store.expire(at, || true).await.unwrap();
        let is_there = |name: &LogicName| alone.path(name).exists();
        assert!(is_there(&later) || at >= now + 1000, "too early");
        assert!(!is_there(&later) || at < now + 2000, "too late");
        assert!(is_there(&kept) && is_there(&plain));
    }
    assert!(!alone.path(&much_later).exists());
    assert_eq!(waiting(&alone), 0, "nothing is looked at for ever");
}

#[tokio::test]
async fn what_a_stop_or_a_crash_left_of_the_buckets_is_carried_out() {
    let alone = Alone::open("");
    let now = unix_now();
    let mut names = Vec::new();
    for text in [(now + 100).to_string(), (now + 100).to_string(), "-5".to_owned(), "soon".to_owned()] {
        let items = [("fdfs.expires", text.as_str())];
        names.push(put(&alone.store, spec(UploadKind::Normal, &items)).await.unwrap().id.name);
        // Torn, and no text.
        for bucket in fs::read_dir(alone.data().join("expiry")).unwrap() {
            let mut file = fs::OpenOptions::new().append(true).open(bucket.unwrap().path()).unwrap();
            file.write_all(b"17953828\xff M00/0").unwrap();
        }
    }
    let are_there = |alone: &Alone| names.iter().map(|name| alone.path(name).exists()).collect::<Vec<_>>();
    alone.store.expire(now + 400, || false).await.unwrap();
    // Asked for the bucket, for its names, for what was found in it; then the node stops.
    let asked = AtomicUsize::new(0);
    alone.store.expire(now + 400, || asked.fetch_add(1, Ordering::Relaxed) < 2).await.unwrap();
    let Alone { directory, store } = alone;
    drop(store);
    let store = open(directory.path(), "");
    let alone = Alone { directory, store };
    assert!(waiting(&alone) > 0, "no bucket goes before all of it is done");
    for at in [400, 800, 1200] {
        alone.store.expire(now + at, || true).await.unwrap();
    }
    assert_eq!(are_there(&alone), [false, false, true, true], "what is no time is none");
    assert_eq!(waiting(&alone), 0);
}

#[tokio::test]
async fn nothing_is_deleted_before_its_time_by_a_clock_that_goes_back() {
    let alone = Alone::open("");
    let now = unix_now();
    let text = (now + 7200).to_string();
    let items = [("fdfs.expires", text.as_str())];
    let name = put(&alone.store, spec(UploadKind::Normal, &items)).await.unwrap().id.name;
    // Two hours on, so that its bucket is split, then years back, then on again.
    for at in [now + 7150, now - 100_000_000, 0, -5, now, now + 7199] {
        alone.store.expire(at, || true).await.unwrap();
        assert!(alone.path(&name).exists(), "{at}");
        assert!(waiting(&alone) > 0, "{at}");
    }
    for at in [now + 7320, now + 7400] {
        alone.store.expire(at, || true).await.unwrap();
    }
    assert!(!alone.path(&name).exists());
}

#[tokio::test]
async fn a_member_deletes_what_its_source_left_for_an_hour() {
    let alone = Alone::open("");
    let now = unix_now();
    let name = LogicName::parse("M00/00/00/Ck0AC2sDXjmAORZMAAAABzEQul0977.txt").unwrap();
    let text = format!("fdfs.expires\x02{}", now + 60);
    let incoming = |name: LogicName, content: String| {
        let (time, mode) = (1_795_382_841, IncomingMode::Create);
        (IncomingFile { name, time, size: content.len() as u64, mode }, Bytes::from(content))
    };
    let files =
        vec![incoming(name.clone(), "content".to_owned()), incoming(name.metadata_name().unwrap(), text)];
    let outcomes = alone.store.receive(files).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    for after in [60, 1800, 3600] {
        alone.store.expire(now + after, || true).await.unwrap();
        assert!(alone.path(&name).exists(), "{after}");
    }
    for after in [3780, 3900] {
        alone.store.expire(now + after, || true).await.unwrap();
    }
    assert!(!alone.path(&name).exists());
    assert!(alone.lines().ends_with(&[format!("D {name}"), format!("D {name}-m")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_has_expired_is_not_answered_and_caches_do_not_keep_it() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let id = post(&node, "/v1/files?expires_in=1000", "").await;
    let get = format!("GET /{id} HTTP/1.0\r\n\r\n");
    for _ in 0..3 {
        let answer = node.http(&get).await;
        let age =
            answer.lines().find_map(|line| line.strip_prefix("cache-control: max-age=")).expect("an age");
        let age: u64 = age.split(',').next().unwrap().parse().unwrap();
        assert!((900..=1000).contains(&age), "{answer}");
    }
    let text = format!("fdfs.expires\x02{}", unix_now() - 1);
    node.client().set_metadata(node.address, &id, MetadataMode::Merge, text.into()).await.unwrap();
    let answer = node.http(&get).await;
    assert!(answer.starts_with("HTTP/1.0 404 "), "{answer}");
    node.client().set_metadata(node.address, &id, MetadataMode::Overwrite, "".into()).await.unwrap();
    let answer = node.http(&get).await;
    assert!(answer.contains("immutable") && answer.ends_with("content"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_was_stored_and_not_noted_is_found_in_the_log() {
    let mut node = Running::start(fresh(), plain_cluster(), "").await;
    post(&node, "/v1/files?filename=other.txt", "").await;
    let key = "Idempotency-Key: \"8e03978e\"\r\n";
    let id = post(&node, "/v1/files?filename=a.txt", key).await;
    assert_eq!(post(&node, "/v1/files?filename=a.txt", key).await, id);
    node.stop().await;
    let log = node.data().join("idempotency.log");
    let text = fs::read_to_string(&log).unwrap();
    let begun =
        text.lines().find(|line| line.starts_with("B ")).expect("it is noted before anything is stored");
    fs::write(&log, format!("{begun}\n")).unwrap();
    node.start_again().await;
    for _ in 0..2 {
        assert_eq!(post(&node, "/v1/files?filename=a.txt", key).await, id);
    }
    assert_eq!(node.binlog().matches(" C ").count(), 4, "two files with their metadata");
    // Had nothing been stored, it would be now.
    node.client().delete(node.address, &id).await.unwrap();
    node.stop().await;
    fs::write(&log, format!("{begun}\n")).unwrap();
    node.start_again().await;
    assert_ne!(post(&node, "/v1/files?filename=a.txt", key).await, id);
}
