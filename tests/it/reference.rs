//! Together with FastDFS itself, where `fdfs_trackerd` and `fdfs_storaged` of FastDFS 6.16 are on the PATH: each of our
//! daemons with the other one of theirs, each storage on a directory that the other made, and their tools against our servers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Output};

use fastdfs::FdfsClient;
use fastdfs::types::{Metadata, MetadataFlag};
use reqwest::StatusCode;
use rustix::process::Signal;

use crate::cluster::{Cluster, Config, Daemon, FEW_DIRECTORIES, made, wait_for_a_place};
use crate::content::content;
use crate::one_store::{self, native};
use crate::process::Process;
use crate::theirs::{is_here, program};
use crate::{address, client_crate};

/// Runs one of FastDFS's tools to its end.
fn tool(name: &str, arguments: &[&str]) -> Output {
    Command::new(program(name).expect("looked for before")).args(arguments).output().expect("it runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// FastDFS's tracker at `ip`, in `dir`.
fn their_tracker(dir: &Path, ip: IpAddr) -> Process {
    let base = made(dir.join("their-tracker"));
    let conf = dir.join("their-tracker.conf");
    let settings = format!(
        "bind_addr = {ip}\nport = 22122\nbase_path = {}\nthread_stack_size = 512KB\nreserved_storage_space = 1%\n",
        base.display(),
    );
    std::fs::write(&conf, settings).expect("the scratch directory can be written");
    let mut command = Command::new(program("fdfs_trackerd").expect("looked for before"));
    Process::start(command.arg("--no-daemon").arg(conf).arg("start"))
}

/// FastDFS's storage at `ip`, with its data in `base`.
fn their_storage(dir: &Path, ip: IpAddr, base: &Path, tracker: IpAddr) -> Process {
    let conf = dir.join("their-storage.conf");
    let settings = format!(
        "group_name = group1\nbind_addr = {ip}\nport = 23000\nbase_path = {base}\nstore_path0 = {base}\n\
         tracker_server = {tracker}:22122\nthread_stack_size = 512KB\nheart_beat_interval = 1\n\
         stat_report_interval = 1\nsync_binlog_buff_interval = 1\n{FEW_DIRECTORIES}\n",
        base = base.display(),
    );
    std::fs::write(&conf, settings).expect("the scratch directory can be written");
    let mut command = Command::new(program("fdfs_storaged").expect("looked for before"));
    Process::start(command.arg("--no-daemon").arg(conf).arg("start"))
}

fn few_directories(conf: Config) -> Config {
    conf.add(FEW_DIRECTORIES)
}

/// A client.conf for FastDFS's tools.
fn their_client(dir: &Path, tracker: IpAddr) -> String {
    let conf = dir.join("their-client.conf");
    std::fs::write(&conf, format!("tracker_server = {tracker}:22122\n")).expect("writable");
    conf.into_os_string().into_string().expect("text")
}

/// The control: what the tests here expect is what FastDFS does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fastdfs_itself_passes() {
    if !is_here("fastdfs_itself_passes") {
        return;
    }
    let dir = tempfile::tempdir().expect("a scratch directory");
    let tracker = address::fresh();
    let _tracker = their_tracker(dir.path(), tracker);
    let _storage = their_storage(dir.path(), address::fresh(), &made(dir.path().join("storage")), tracker);
    wait_for_a_place(tracker).await;
    client_crate::run(address::tracker(tracker)).await.unwrap_or_else(|failed| panic!("{failed}"));
    Kept::store(dir.path(), tracker).await.check(&native(tracker)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_node_serves_under_their_tracker() {
    if !is_here("our_node_serves_under_their_tracker") {
        return;
    }
    let dir = tempfile::tempdir().expect("a scratch directory");
    let tracker = address::fresh();
    let _tracker = their_tracker(dir.path(), tracker);
    let node = Daemon::node(dir.path(), address::fresh(), tracker, few_directories).await;
    wait_for_a_place(tracker).await;

    client_crate::run(address::tracker(tracker)).await.unwrap_or_else(|failed| panic!("{failed}"));
    let shown = text(&tool("fdfs_monitor", &[&their_client(dir.path(), tracker)]));
    assert!(shown.contains(&format!("{}:23000  ACTIVE", node.ip)), "{shown}");
    let stored = one_store::upload(&node.url("/v1/files"), "a.txt", b"by HTTP".to_vec()).await;
    let read = native(tracker).download_file_buf(&one_store::id(&stored.file_id), 0, 0).await;
    assert_eq!(read.expect("their tracker leads to our node"), b"by HTTP".as_slice());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_storage_serves_under_our_tracker() {
    if !is_here("their_storage_serves_under_our_tracker") {
        return;
    }
    let dir = tempfile::tempdir().expect("a scratch directory");
    let tracker = Daemon::tracker(dir.path(), address::fresh(), |conf| conf).await;
    let ip = address::fresh();
    let _storage = their_storage(dir.path(), ip, &made(dir.path().join("theirs")), tracker.ip);
    wait_for_a_place(tracker.ip).await;

    client_crate::run(address::tracker(tracker.ip)).await.unwrap_or_else(|failed| panic!("{failed}"));
    let shown = text(&tool("fdfs_monitor", &[&their_client(dir.path(), tracker.ip)]));
    assert!(shown.contains(&format!("{ip}:23000  ACTIVE")), "{shown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_storage_starts_on_a_directory_of_ours() {
    if !is_here("their_storage_starts_on_a_directory_of_ours") {
        return;
    }
    let mut cluster = Cluster::start().await;
    let (ip, tracker) = (cluster.node.ip, cluster.tracker.ip);
    let kept = Kept::store(cluster.dir.path(), tracker).await;
    assert!(cluster.node.process.stop().await.status.success());

    let mut storage = their_storage(cluster.dir.path(), ip, &cluster.node.base, tracker);
    wait_for_a_place(tracker).await;
    kept.check(&native(tracker)).await;
    let more = Kept::store(cluster.dir.path(), tracker).await;
    storage.signal(Signal::TERM);
    storage.ended().await;

    // And back again: nothing that the guest did is lost on ours.
    cluster.node.restart().await;
    wait_for_a_place(tracker).await;
    for files in [&kept, &more] {
        files.check(&native(tracker)).await;
        files.check_by_http(&cluster.node).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_node_starts_on_a_directory_of_theirs() {
    if !is_here("our_node_starts_on_a_directory_of_theirs") {
        return;
    }
    let dir = tempfile::tempdir().expect("a scratch directory");
    let tracker = address::fresh();
    let _tracker = their_tracker(dir.path(), tracker);
    let ip = address::fresh();
    let base = made(dir.path().join("storage"));
    let mut storage = their_storage(dir.path(), ip, &base, tracker);
    wait_for_a_place(tracker).await;
    let kept = Kept::store(dir.path(), tracker).await;
    storage.signal(Signal::TERM);
    storage.ended().await;

    let node = Daemon::node(dir.path(), ip, tracker, few_directories).await;
    assert_eq!(node.base, base, "the same directory");
    wait_for_a_place(tracker).await;
    kept.check(&native(tracker)).await;
    kept.check_by_http(&node).await;
    Kept::store(dir.path(), tracker).await.check(&native(tracker)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn their_tools_work_against_our_servers() {
    if !is_here("their_tools_work_against_our_servers") {
        return;
    }
    let cluster = Cluster::start().await;
    let dir = cluster.dir.path();
    let conf = their_client(dir, cluster.tracker.ip);
    let local = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.join(name), bytes).expect("writable");
        dir.join(name).into_os_string().into_string().expect("text")
    };
    let bytes = content(300_000, 1);
    let source = local("source.jpg", &bytes);
    let target = dir.join("target").into_os_string().into_string().expect("text");

    let uploaded = text(&tool("fdfs_upload_file", &[&conf, &source]));
    let id = uploaded.trim();
    assert!(id.starts_with("group1/M00/") && id.ends_with(".jpg"), "{uploaded}");
    tool("fdfs_download_file", &[&conf, id, &target]);
    assert!(std::fs::read(&target).expect("downloaded") == bytes);
    assert_eq!(one_store::get(&cluster.node.url(&format!("/{id}"))).await, (StatusCode::OK, bytes));
    let info = text(&tool("fdfs_file_info", &[&conf, id]));
    assert!(info.contains("file size: 300000"), "{info}");

    let appender = text(&tool("fdfs_upload_appender", &[&conf, &local("first.log", b"first ")]));
    assert!(
        tool("fdfs_append_file", &[&conf, appender.trim(), &local("second.log", b"second")]).status.success()
    );
    let url = cluster.node.url(&format!("/{}", appender.trim()));
    assert_eq!(one_store::get(&url).await, (StatusCode::OK, b"first second".to_vec()));
    let renamed = text(&tool("fdfs_regenerate_filename", &[&conf, appender.trim()]));
    let url = cluster.node.url(&format!("/{}", renamed.trim()));
    assert_eq!(one_store::get(&url).await, (StatusCode::OK, b"first second".to_vec()));

    assert!(tool("fdfs_delete_file", &[&conf, id]).status.success());
    assert_eq!(one_store::get(&cluster.node.url(&format!("/{id}"))).await.0, StatusCode::NOT_FOUND);
    let tested = tool("fdfs_appender_test", &[&conf, &source]);
    assert!(tested.status.success(), "{}{}", text(&tested), String::from_utf8_lossy(&tested.stderr));
    assert!(!String::from_utf8_lossy(&tested.stderr).contains("!!!"), "sizes agree: {tested:?}");
}

/// Files of every kind that a storage can hold without trunk files, with what they must contain.
struct Kept {
    files: BTreeMap<String, File>,
    deleted: String,
}

struct File {
    content: Vec<u8>,
    metadata: Option<Metadata>,
}

impl Kept {
    /// Stores them through the tracker at `tracker`: normal, empty, appender (changed and regenerated), slave, with metadata.
    async fn store(dir: &Path, tracker: IpAddr) -> Self {
        let client = native(tracker);
        let mut files = BTreeMap::new();
        let mut keep = |id: String, content: Vec<u8>, metadata: Option<Metadata>| {
            files.insert(id, File { content, metadata });
        };
        for length in [1, 4_096, 700_001] {
            let id = client.upload_file_buf(&content(length, 1), "bin", None, false).await.expect("stored");
            keep(id.to_string(), content(length, 1), None);
        }
        let pairs = [("width", "160"), ("author", "some one"), ("empty", "")];
        let metadata: Metadata =
            pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        let id =
            client.upload_file_buf(&content(10, 2), "png", Some(&metadata), false).await.expect("stored");
        keep(id.to_string(), content(10, 2), Some(metadata.clone()));

        for renamed in [false, true] {
            let mut id = client.upload_file_buf(&content(100, 3), "log", None, true).await.expect("stored");
            client.append_file_buf(&id, &content(50, 4)).await.expect("appended");
            client.modify_file_buf(&id, 10, &content(20, 5)).await.expect("modified");
            client.truncate_file(&id, 120).await.expect("truncated");
            client.set_metadata(&id, &metadata, MetadataFlag::Overwrite).await.expect("metadata set");
            let mut expected = [content(100, 3), content(20, 4)].concat();
            expected[10..30].copy_from_slice(&content(20, 5));
            expected[100..].copy_from_slice(&content(50, 4)[..20]);
            if renamed {
                id = client.regenerate_appender_filename(&id).await.expect("regenerated");
            }
            keep(id.to_string(), expected, (!renamed).then(|| metadata.clone()));
        }

        let picture = dir.join("picture.jpg");
        std::fs::write(&picture, content(5_000, 6)).expect("writable");
        let picture = picture.into_os_string().into_string().expect("text");
        let shown = text(&tool("fdfs_test", &[&their_client(dir, tracker), "upload", &picture, "FILE"]));
        let names: Vec<_> = shown
            .lines()
            .filter_map(|line| line.strip_prefix("group_name=group1, remote_filename="))
            .collect();
        assert_eq!(names.len(), 2, "a master and its slave: {shown}");
        for name in names {
            let id = format!("group1/{name}");
            let metadata = client.get_metadata(&one_store::id(&id)).await.expect("fdfs_test sets metadata");
            keep(id, content(5_000, 6), Some(metadata));
        }

        let deleted = client.upload_file_buf(b"to be deleted", "txt", None, false).await.expect("stored");
        client.delete_file(&deleted).await.expect("deleted");
        Self { files, deleted: deleted.to_string() }
    }

    /// Everything is still there, byte by byte, and what was deleted is not.
    async fn check(&self, client: &FdfsClient) {
        for (name, file) in &self.files {
            let id = one_store::id(name);
            let read =
                client.download_file_buf(&id, 0, 0).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(read == file.content, "{name} has other content");
            let info = client.get_file_info(&id).await.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(info.file_size, u64::try_from(file.content.len()).expect("fits"), "{name}");
            if let Some(metadata) = &file.metadata {
                assert_eq!(&client.get_metadata(&id).await.expect("metadata"), metadata, "{name}");
            }
        }
        assert!(client.get_file_info(&one_store::id(&self.deleted)).await.is_err(), "deleted stays deleted");
    }

    async fn check_by_http(&self, node: &Daemon) {
        for (name, file) in &self.files {
            let (status, body) = one_store::get(&node.url(&format!("/{name}"))).await;
            assert_eq!(status, StatusCode::OK, "{name}");
            assert!(body == file.content, "{name} has other content by HTTP");
        }
    }
}
