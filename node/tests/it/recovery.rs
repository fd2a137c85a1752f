//! A store path whose disk was replaced: what a member tells of its own, and how the files come back.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use protocol::cluster::{Brief, GetStorageStatus, ReportStatus, StorageStats, StorageStatus};
use protocol::file_id::{FileExt, SlavePrefix};
use protocol::storage::{
    Append, CreateLink, FileCreated, MetadataMode, UploadAppender, UploadHead, UploadSlave,
};
use protocol::sync::{FetchPathBinlog, STREAMED};
use protocol::tracker::{GroupList, GroupRecord, StorageList, StorageRecord};
use protocol::wire::{Empty, Request, Response};
use protocol::{AddressWidth, Command, FileId, GroupName, Status, StorageId};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::address::fresh;
use crate::fake_tracker::FakeTracker;
use crate::running::{Running, plain_cluster};

const PATIENCE: Duration = Duration::from_secs(30);

fn group() -> GroupName {
    GroupName::parse("group1").expect("the test's own group")
}

fn id_of(ip: IpAddr) -> StorageId {
    StorageId::parse(&ip.to_string()).expect("a short address")
}

/// Everything below `data` but state files: path to content, or to a link's target, with the time.
fn tree(data: &Path) -> BTreeMap<String, (Vec<u8>, i64)> {
    let mut tree = BTreeMap::new();
    for high in fs::read_dir(data)
        .expect("a test's own step works")
        .map(|entry| entry.expect("a test's own step works"))
    {
        let name = high.file_name().into_string().expect("a test's own step works");
        if name.len() != 2 {
            continue;
        }
        for low in fs::read_dir(high.path())
            .expect("a test's own step works")
            .map(|entry| entry.expect("a test's own step works"))
        {
            for file in fs::read_dir(low.path())
                .expect("a test's own step works")
                .map(|entry| entry.expect("a test's own step works"))
            {
                let path = file.path();
                let key = path.strip_prefix(data).expect("a test's own step works").display().to_string();
                let metadata = fs::symlink_metadata(&path).expect("a test's own step works");
                let value = if metadata.is_symlink() {
                    let target = fs::read_link(&path).expect("a test's own step works");
                    (
                        target
                            .strip_prefix(data)
                            .expect("a test's own step works")
                            .display()
                            .to_string()
                            .into_bytes(),
                        0,
                    )
                } else {
                    (fs::read(&path).expect("a test's own step works"), metadata.mtime())
                };
                tree.insert(key, value);
            }
        }
    }
    tree
}

/// One of everything that a store can hold; what is gone again is gone.
async fn fill(node: &Running) -> Vec<FileId> {
    let (client, at) = (node.client(), node.address);
    let ext = |text| FileExt::parse(text).expect("a test's own step works");
    let mut ids = Vec::new();
    for size in [0, 1, 5000, 300_000, 3_000_000] {
        let content: Vec<u8> =
            (0..size).map(|at: u32| u8::try_from(at % 251).expect("a test's own step works")).collect();
        ids.push(node.upload(&content, "bin").await);
    }
    let gone = node.upload(b"gone", "txt").await;
    client.delete(at, &gone).await.expect("a test's own step works");
    let master = node.upload(b"the master", "txt").await;
    client
        .set_metadata(at, &master, MetadataMode::Overwrite, "k\x02v".into())
        .await
        .expect("a test's own step works");
    let slave = UploadSlave {
        master: master.name.clone(),
        size: 5,
        prefix: SlavePrefix::parse("_small").expect("a test's own step works"),
        ext: ext("jpg"),
    };
    let FileCreated(slave) =
        client.send(at, &slave, &mut &b"slave"[..], |_| {}).await.expect("a test's own step works");
    let link = CreateLink {
        group: group(),
        master: None,
        ext: ext("lnk"),
        source: master.name.clone(),
        signature: "s".into(),
    };
    let link = client.create_link(at, &link).await.expect("a test's own step works");
    let mut appenders = Vec::new();
    for _ in 0..2 {
        let head = UploadHead { store_path: None, size: 4, ext: ext("log") };
        let sent = client.send(at, &UploadAppender(head), &mut &b"0123"[..], |_| {}).await;
        let FileCreated(appender) = sent.expect("a test's own step works");
        let append = Append { name: appender.name.clone(), size: 4 };
        let Empty =
            client.send(at, &append, &mut &b"4567"[..], |_| {}).await.expect("a test's own step works");
        appenders.push(appender);
    }
    let fixed = client.regenerate(at, &appenders[1].name).await.expect("a test's own step works");
    ids.extend([master, slave, link, appenders[0].clone(), fixed]);
    ids
}

/// What a member says about a store path, and whether it closed in the end.
async fn told(at: SocketAddr, group: GroupName, path: u8) -> Vec<u8> {
    let mut stream = TcpStream::connect(at).await.expect("a test's own step works");
    let path = protocol::file_id::StorePathIndex(path);
    stream.write_all(&FetchPathBinlog { group, path }.to_frame()).await.expect("a test's own step works");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
    read.await.expect("it closes").expect("a test's own step works");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_tells_what_is_there_whatever_its_binlog_holds() {
    let mut node = Running::start(fresh(), plain_cluster(), "").await;
    let kept = node.upload(b"kept", "txt").await;
    let gone = node.upload(b"gone", "txt").await;
    node.client().delete(node.address, &gone).await.unwrap();
    node.stop().await;

    // The first file compressed, as FastDFS's own daemon does it; then its defects, a trunk member, and another path's.
    let sync = node.data().join("sync");
    let first = fs::read_to_string(sync.join("binlog.000")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(first.as_bytes()).unwrap();
    fs::write(sync.join("binlog.000.gz"), packed.finish().unwrap()).unwrap();
    fs::remove_file(sync.join("binlog.000")).unwrap();
    let trunk = "M00/00/00/Ck0AKWsDZU-IejbtAAAAC_u0YdsAAAAAQAAAQAAAAEA083.txt";
    let lines = format!(
        "5 l \n6 C M01{rest}\n7 c {kept}\n8 R {kept} {gone}\n9 C {trunk}\n10 l {trunk} {trunk}\n11 A {kept} 0 4\n\
         12 U {kept}\n13 L {gone} {kept}\ntorn 14 C {kept}\n",
        rest = &kept.name.as_str()[3..],
        kept = kept.name,
        gone = gone.name,
    );
    fs::write(sync.join("binlog.001"), &lines).unwrap();
    fs::write(sync.join("binlog_index.dat"), "current_write=1\ncurrent_compress=1\n").unwrap();
    node.start_again().await;

    let time = first.split(' ').next().unwrap();
    let name = &kept.name;
    let text = format!("{time} C {name}\n7 c {name}\n8 C {name}\n9 C {trunk}\n10 c {trunk}\n12 C {name}\n");
    let answer = told(node.address, group(), 0).await;
    assert_eq!(answer[..8], STREAMED.to_be_bytes());
    assert_eq!(answer[8..10], [100, 0]);
    let body = &answer[10..];
    assert_eq!(String::from_utf8_lossy(&body[..body.len() - 8]), text);
    assert_eq!(body[body.len() - 8..], (text.len() as u64).to_be_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_is_a_file_for_those_only_who_recover_a_disk() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let id = node.upload(b"with metadata", "txt").await;
    let client = node.client();
    client.set_metadata(node.address, &id, MetadataMode::Overwrite, "k\x02v".into()).await.unwrap();
    let name = id.name.metadata_name().unwrap();
    let metadata = FileId { group: id.group, name };
    let refused = client.download_bytes(node.address, &metadata, 100).await.unwrap_err();
    assert_eq!(refused.status(), Some(Status::ENOENT));
    told(node.address, group(), 0).await;
    assert_eq!(client.download_bytes(node.address, &metadata, 100).await.unwrap(), "k\x02v");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_refuses_to_tell_of_what_it_does_not_have() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    for (group, path) in [(group(), 1), (GroupName::parse("group2").unwrap(), 0)] {
        let mut stream = TcpStream::connect(node.address).await.unwrap();
        let path = protocol::file_id::StorePathIndex(path);
        stream.write_all(&FetchPathBinlog { group, path }.to_frame()).await.unwrap();
        let mut header = [0; 10];
        stream.read_exact(&mut header).await.unwrap();
        assert_eq!(header, [0, 0, 0, 0, 0, 0, 0, 0, 100, Status::EINVAL.0]);
    }
}

fn record(ip: IpAddr, status: StorageStatus) -> StorageRecord {
    StorageRecord {
        status,
        rw_mode: 6,
        id: id_of(ip),
        ip: Some(ip),
        source: None,
        version: "6.16.1".to_owned(),
        join_time: 1,
        up_time: 1,
        total_mb: 1,
        free_mb: 1,
        reserved_mb: 0,
        upload_priority: 10,
        store_path_count: 1,
        subdir_count: 4,
        current_write_path: 0,
        port: 23000,
        stats: StorageStats::default(),
        is_trunk_server: 0,
    }
}

fn group_record(count: usize) -> GroupRecord {
    GroupRecord {
        name: group(),
        total_mb: 1,
        free_mb: 1,
        reserved_mb: 0,
        trunk_free_mb: 0,
        storage_count: i64::try_from(count).expect("a test's own step works"),
        storage_port: 23000,
        readable_count: 1,
        writable_count: 1,
        current_write_server: 0,
        store_path_count: 1,
        subdir_count: 4,
        trunk_file_id: -1,
    }
}

/// A tracker that knows this node as a member, and others; it notes the statuses that it is told.
struct Group {
    tracker: FakeTracker,
    told: Arc<Mutex<Vec<StorageStatus>>>,
    others: Arc<Mutex<Vec<(IpAddr, StorageStatus)>>>,
}

impl Group {
    async fn of(own: IpAddr, others: &[(IpAddr, StorageStatus)]) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let others = Arc::new(Mutex::new(others.to_vec()));
        let (notes, members) = (Arc::clone(&told), Arc::clone(&others));
        let habit = move |command, body: &[u8]| match command {
            Command::GET_STORAGE_STATUS => {
                let asked = GetStorageStatus::decode_body(body).expect("a test's own step works");
                assert_eq!(asked.address.to_string(), format!("{own}:23000"));
                let status = StorageStatus::OFFLINE;
                let brief = Brief { status, port: 23000, id: Some(id_of(own)), ip: Some(own) };
                let mut bytes = BytesMut::new();
                brief.encode(&mut bytes);
                Some(Ok(bytes.freeze().to_frame()))
            }
            Command::LIST_ONE_GROUP => {
                let count = members.lock().expect("a test's own step works").len() + 1;
                Some(Ok(GroupList(vec![group_record(count)]).to_frame()))
            }
            Command::LIST_STORAGES => {
                let mut storages = vec![record(own, StorageStatus::OFFLINE)];
                storages.extend(
                    members
                        .lock()
                        .expect("a test's own step works")
                        .iter()
                        .map(|(ip, status)| record(*ip, *status)),
                );
                Some(Ok(StorageList { storages, width: AddressWidth::V4 }.to_frame()))
            }
            Command::REPORT_STATUS => {
                let ReportStatus { storage, .. } =
                    ReportStatus::decode_body(body).expect("a test's own step works");
                assert_eq!(storage.id, Some(id_of(own)));
                notes.lock().expect("a test's own step works").push(storage.status);
                Some(Ok(Empty.to_frame()))
            }
            _ => None,
        };
        let address = SocketAddr::new(fresh(), 22122);
        let tracker = FakeTracker::start_with(address, plain_cluster(), Arc::new(habit)).await;
        Self { tracker, told, others }
    }
}

/// A node whose store path is a disk of its own.
struct Lost {
    node: Running,
    group: Group,
    disk: TempDir,
}

impl Lost {
    /// It was a member, holds nothing, and is stopped.
    async fn with(others: &[(IpAddr, StorageStatus)]) -> Self {
        let ip = fresh();
        let group = Group::of(ip, others).await;
        let disk = tempfile::tempdir().expect("a test's own step works");
        let more = format!("store_path0 = {}\ndisk_recovery_threads = 3", disk.path().display());
        let mut node = Running::start_with(ip, group.tracker.address, &more).await;
        wait_for(&node, " 200 ", "").await;
        node.stop().await;
        Self { node, group, disk }
    }

    fn data(&self) -> std::path::PathBuf {
        self.disk.path().join("data")
    }

    /// The disk is a new one.
    fn replace_disk(&self) {
        fs::remove_dir_all(self.data()).expect("a test's own step works");
    }

    fn state_files(&self) -> Vec<String> {
        let names = fs::read_dir(self.data())
            .expect("a test's own step works")
            .map(|entry| entry.expect("a test's own step works").file_name());
        names
            .map(|name| name.into_string().expect("a test's own step works"))
            .filter(|name| name.contains("recovery"))
            .collect()
    }
}

async fn wait_for(node: &Running, status: &str, says: &str) {
    let start = Instant::now();
    loop {
        let answer = node.http("GET /readyz HTTP/1.0\r\n\r\n").await;
        if answer.lines().next().unwrap_or_default().contains(status) && answer.contains(says) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_disk_gets_its_files_back() {
    let source = Running::start(fresh(), plain_cluster(), "").await;
    let ids = fill(&source).await;
    let mut lost = Lost::with(&[(source.ip, StorageStatus::ACTIVE)]).await;
    assert!(lost.group.told.lock().unwrap().is_empty(), "a node with its disk does not recover");
    lost.replace_disk();
    lost.node.start_again().await;
    wait_for(&lost.node, " 200 ", "").await;

    assert_eq!(tree(&lost.data()), tree(&source.data()));
    for id in &ids {
        let wanted = source.client().download_bytes(source.address, id, 4 << 20).await.unwrap();
        let got = lost.node.client().download_bytes(lost.node.address, id, 4 << 20).await.unwrap();
        assert_eq!(got, wanted, "{id}");
    }
    assert_eq!(*lost.group.told.lock().unwrap(), [StorageStatus::RECOVERY, StorageStatus::OFFLINE]);
    let text = |answer: &[u8]| String::from_utf8_lossy(&answer[10..answer.len() - 8]).into_owned();
    let list = text(&told(source.address, group(), 0).await);
    assert_eq!(
        lost.node.binlog(),
        once(&list.replace(" C ", " c ").replace(" L ", " l ")),
        "a replica's records"
    );
    assert_eq!(lost.state_files(), [""; 0]);
    assert!(lost.data().join(".fastdfs_vars").exists());

    // With its disk, it just starts.
    lost.node.stop().await;
    lost.node.start_again().await;
    wait_for(&lost.node, " 200 ", "").await;
    assert_eq!(lost.group.told.lock().unwrap().len(), 2);

    // Who recovers from it hears of all, though it took none of them itself.
    let list = text(&told(lost.node.address, group(), 0).await);
    assert_eq!(list, lost.node.binlog());
    let names = tree(&lost.data());
    assert_eq!(list.lines().count(), names.len());
    assert!(names.keys().all(|name| list.contains(name)), "{list}");

    // When it happens again, the records are there.
    lost.node.stop().await;
    lost.replace_disk();
    lost.node.start_again().await;
    wait_for(&lost.node, " 200 ", "").await;
    assert_eq!(tree(&lost.data()), tree(&source.data()));
    assert_eq!(lost.node.binlog(), list);
}

/// Lines without those whose name an earlier one has.
fn once(lines: &str) -> String {
    let mut seen = std::collections::HashSet::new();
    lines.lines().filter(|line| seen.insert(line.split(' ').nth(2))).map(|line| format!("{line}\n")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_goes_on_where_either_program_left_it() {
    let source = Running::start(fresh(), plain_cluster(), "").await;
    let mut ids = Vec::new();
    for text in ["done before", "to do", "to do, too"] {
        ids.push(source.upload(text.as_bytes(), "txt").await);
    }
    let mut lost = Lost::with(&[(source.ip, StorageStatus::ACTIVE)]).await;
    let data = lost.data();
    let line = |id: &FileId| format!("1700000000 C {}\n", id.name);
    let first = format!("{}{}", line(&ids[0]), line(&ids[1]));
    fs::write(data.join(".binlog.recovery.0"), &first).unwrap();
    fs::write(data.join(".recovery.mark.0"), format!("binlog_offset={}\n", first.len() / 2)).unwrap();
    fs::write(data.join(".binlog.recovery.1"), line(&ids[2])).unwrap();
    let flag = "saved_storage_status=7\nfetch_binlog_done=1\nrecovery_threads=2\n";
    fs::write(data.join(".recovery.flag"), flag).unwrap();
    lost.node.start_again().await;
    wait_for(&lost.node, " 200 ", "").await;

    let tree = tree(&data);
    let of = |id: &FileId| tree.get(id.name.true_name());
    // What the mark says is done is not done again; that it is missing all the same shows in the member's list.
    let (content, time) = of(&ids[0]).unwrap();
    assert_eq!(content, b"done before");
    assert_ne!(*time, 1_700_000_000);
    assert_eq!(of(&ids[1]), Some(&(b"to do".to_vec(), 1_700_000_000)));
    assert_eq!(of(&ids[2]), Some(&(b"to do, too".to_vec(), 1_700_000_000)));
    // FastDFS's own lists have left no records.
    let records = ids.iter().map(|id| format!("1700000000 c {}\n", id.name));
    assert_eq!(lost.node.binlog(), records.collect::<String>());
    assert_eq!(*lost.group.told.lock().unwrap(), [StorageStatus::RECOVERY, StorageStatus::ACTIVE]);
    assert_eq!(lost.state_files(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_copy_is_taken_from_nobody_while_another_member_has_the_true_one() {
    let [first, second] = [
        Running::start(fresh(), plain_cluster(), "").await,
        Running::start(fresh(), plain_cluster(), "").await,
    ];
    let id = first.upload(b"as it was uploaded", "txt").await;
    let rotten = first.upload(b"rotten everywhere", "txt").await;
    fs::copy(first.path(&id), second.path(&id)).unwrap();
    fs::write(first.path(&id), b"as it has become: ").unwrap();
    fs::write(first.path(&rotten), b"otherwise the same").unwrap();
    let members = [(first.ip, StorageStatus::ACTIVE), (second.ip, StorageStatus::ACTIVE)];
    let mut lost = Lost::with(&members).await;
    // A file of its own with a length that its name belies is replaced, any other stays.
    fs::write(lost.data().join(id.name.true_name()), b"torn").unwrap();
    fs::remove_dir(lost.data().join("03/03")).unwrap();
    lost.node.start_again().await;
    wait_for(&lost.node, " 200 ", "").await;
    let tree = tree(&lost.data());
    assert_eq!(tree[id.name.true_name()].0, b"as it was uploaded");
    // All that have it agree about it: better than nothing.
    assert_eq!(tree[rotten.name.true_name()].0, b"otherwise the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_member_lacks_another_gives_and_what_was_deleted_here_stays_deleted() {
    let [lagging, other] = [
        Running::start(fresh(), plain_cluster(), "").await,
        Running::start(fresh(), plain_cluster(), "").await,
    ];
    let common = lagging.upload(b"at both", "txt").await;
    let deleted = lagging.upload(b"deleted, but not there yet", "txt").await;
    let only = other.upload(b"at the other only", "txt").await;
    fs::copy(lagging.path(&common), other.path(&common)).unwrap();
    let members = [(lagging.ip, StorageStatus::ACTIVE), (other.ip, StorageStatus::ACTIVE)];
    let mut lost = Lost::with(&members).await;
    lost.replace_disk();
    let binlog = lost.node.data().join("sync/binlog.000");
    // Its member does not tell of this one, as FastDFS's do not of what came to them as an update.
    let untold = common.name.metadata_name().unwrap();
    fs::write(lagging.data().join(untold.true_name()), "k\x02v").unwrap();
    let gone = only.name.metadata_name().unwrap();
    let lines = format!("1700000000 d {}\n1700000000 c {untold}\n1700000000 u {gone}\n", deleted.name);
    fs::write(binlog, lines).unwrap();
    lost.node.start_again().await;
    wait_for(&lost.node, " 200 ", "").await;
    let tree = tree(&lost.data());
    let names: Vec<&str> = tree.keys().map(String::as_str).collect();
    let mut expected = [common.name.true_name(), only.name.true_name(), untold.true_name()];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!(lost.state_files(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_breaks_off_is_asked_of_another_member() {
    let source = Running::start(fresh(), plain_cluster(), "").await;
    let id = source.upload(b"in the whole list only", "txt").await;
    let torn = fresh();
    let listener = TcpListener::bind((torn, 23000)).await.unwrap();
    let serving = tokio::spawn(async move {
        let mut served = 0;
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 27];
            if stream.read_exact(&mut request).await.is_ok() && request[8] == 26 {
                let head = [&STREAMED.to_be_bytes()[..], &[100, 0], b"1 C M00/00/00/some-file\n"].concat();
                stream.write_all(&head).await.unwrap();
                served += 1;
            }
            assert!(served < 3, "the same member is asked again and again");
        }
    });
    let mut lost = Lost::with(&[(torn, StorageStatus::ACTIVE), (source.ip, StorageStatus::ACTIVE)]).await;
    lost.replace_disk();
    lost.node.start_again().await;
    wait_for(&lost.node, " 200 ", "").await;
    assert_eq!(tree(&lost.data())[id.name.true_name()].0, b"in the whole list only");
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_served_while_nobody_can_give_the_files_back() {
    let source = Running::start(fresh(), plain_cluster(), "").await;
    let id = source.upload(b"to come", "txt").await;
    let mut lost = Lost::with(&[(source.ip, StorageStatus::OFFLINE)]).await;
    lost.replace_disk();
    lost.node.start_unready().await;
    wait_for(&lost.node, " 503 ", "recovering store path 0: no member that has the files serves now").await;
    let at = lost.node.address;
    // Out of service, the member answers other members all the same.
    assert_eq!(lost.node.client().download_bytes(at, &id, 100).await.unwrap(), Bytes::from("to come"));
    assert!(tree(&lost.data()).is_empty());
    assert!(lost.data().join(".recovery.flag").exists());
    // A stop and a start do not forget it, though all directories are there now.
    lost.node.stop().await;
    lost.node.start_unready().await;
    wait_for(&lost.node, " 503 ", "recovering store path 0").await;

    lost.group.others.lock().unwrap()[0].1 = StorageStatus::ACTIVE;
    wait_for(&lost.node, " 200 ", "").await;
    assert_eq!(tree(&lost.data())[id.name.true_name()].0, b"to come");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_other_members_goes_on_without_its_files() {
    let mut lost = Lost::with(&[(fresh(), StorageStatus::DELETED)]).await;
    lost.replace_disk();
    lost.node.start_again().await;
    wait_for(&lost.node, " 200 ", "").await;
    assert_eq!(lost.state_files(), [""; 0]);
    lost.node.upload(b"new", "txt").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_trunk_files_come_back_wherever_they_lie() {
    let mut source = Running::start(fresh(), plain_cluster(), "").await;
    source.stop().await;
    // One in a trunk file, as the reference made it; one beside it, and one of a trunk file that is not there.
    let inside = "M00/00/00/oYYBAGsDX0mIDKn9AAAADKgn6qgAAAAAQAAAAAAAAEA619.txt";
    let beside = "M00/00/00/Ck0AKWsDZU-IejbtAAAAC_u0YdsAAAAAQAAAQAAAAEA083.txt";
    let alone = beside.replace("AAAAAQAAAQAAAAEA", "AAAAAgAAAQAAAAEA");
    let gone = beside.replace("083", "084");
    let mut slot = b"\x46\0\0\x01\0\0\0\0\x0c\xa8\x27\xea\xa8\x6b\x03\x5f\x49619.txthello trunk\n".to_vec();
    slot.resize(4096, 0);
    fs::write(source.data().join("00/00/000001"), &slot).unwrap();
    for own in [beside, &alone] {
        fs::write(source.data().join(own.strip_prefix("M00/").unwrap()), "hello fdfs\n").unwrap();
    }
    let mut binlog = source.binlog();
    for name in [inside, beside, &alone, &gone] {
        binlog.push_str(&format!("9 C {name}\n"));
    }
    fs::write(source.data().join("sync/binlog.000"), binlog).unwrap();
    source.start_again().await;

    let mut lost = Lost::with(&[(source.ip, StorageStatus::ACTIVE)]).await;
    lost.replace_disk();
    lost.node.start_again().await;
    wait_for(&lost.node, " 200 ", "").await;
    let client = lost.node.client();
    for (name, expected) in [(inside, "hello trunk\n"), (beside, "hello fdfs\n"), (&alone, "hello fdfs\n")] {
        let id = FileId::parse(&format!("group1/{name}")).unwrap();
        let got = client.download_bytes(lost.node.address, &id, 100).await.unwrap();
        assert_eq!(got, expected, "{name}");
        let path = lost.data().join(id.name.true_name());
        assert!(!path.exists(), "all of them are in trunk files here");
    }
    assert_eq!(fs::read(lost.data().join("00/00/000001")).unwrap()[..256], slot[..256]);
    assert_eq!(lost.state_files(), [""; 0]);
}
