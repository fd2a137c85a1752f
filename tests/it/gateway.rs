//! `fdfs gateway` as a process: in front of a node of ours, in front of FastDFS's storages, and beside nginx with the module.

mod compare;
mod files;
mod nginx;

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use protocol::FileId;
use protocol::storage::MetadataMode;
use rustix::process::Signal;

use crate::address::{self, STORAGE_HTTP_PORT};
use crate::cluster::{self, Cluster, Config, START, made, ready};
use crate::group::Group;
use crate::group::server::Make::{Ours, Theirs};
use crate::one_store::get;
use crate::process::{Process, fdfs};
use crate::theirs::is_here;
use crate::wait::until;
use files::{Files, Kind};

/// What a tracker is told so that small files go into trunk files.
const TRUNK: &str = "use_trunk_file = true\nslot_min_size = 256\nslot_max_size = 64KB\ntrunk_file_size = 4MB";

/// A gateway of ours over the store path of one storage.
struct Gateway {
    process: Process,
    ip: IpAddr,
    own: PathBuf,
    conf: PathBuf,
}

impl Gateway {
    /// In front of the storage that has its files in `store`, ready when this returns.
    async fn start(dir: &Path, store: &Path, tracker: IpAddr, change: impl FnOnce(Config) -> Config) -> Self {
        let (ip, base, conf) = (address::fresh(), made(dir.join("gateway")), dir.join("mod_fastdfs.conf"));
        let config = Config::sample("mod_fastdfs.conf")
            .set("store_path0", store.display())
            .set("tracker_server", address::tracker(tracker))
            .set("base_path", base.display())
            .set("http.bind_addr", ip);
        change(config).write(&conf);
        let process = cluster::start("gateway", &conf);
        let mut gateway = Self { process, ip, own: base.join("fdfs-gateway"), conf };
        let url = gateway.url("/readyz");
        let process = &mut gateway.process;
        until("a gateway that is ready", START, async || {
            process.assert_running();
            ready(&url).await
        })
        .await;
        gateway
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}:{STORAGE_HTTP_PORT}{path}", self.ip)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_answers_as_the_node_whose_files_it_serves() {
    let mut group = Group::start(&[Ours], &[Ours]).await;
    let files = Files::make(&group.client(), group.native(0), &Kind::WITHOUT_TRUNK).await;
    let (node, tracker) = (group.nodes[0].ip, group.trackers[0].ip);
    let dir = tempfile::tempdir().expect("a scratch directory");
    let gateway = Gateway::start(dir.path(), &group.nodes[0].base, tracker, |conf| conf).await;
    for file in &files.0 {
        let of_node = compare::ask(&format!("http://{node}:{STORAGE_HTTP_PORT}/{}", file.id), &[]).await;
        let of_gateway = compare::ask(&gateway.url(&format!("/{}", file.id)), &[]).await;
        assert!(of_gateway.body == file.content, "{:?} {}", file.kind, file.id);
        assert_eq!(of_gateway.without("date"), of_node.without("date"), "{:?}", file.kind);
    }
    group.nodes[0].stop().await;
    for file in &files.0 {
        let (status, body) = get(&gateway.url(&format!("/{}", file.id))).await;
        assert!(status == 200 && body == file.content, "{:?} with the node down: {status}", file.kind);
    }
}

/// As scripts call it: in the background, with a pid file, a log, and the answers of FastDFS's daemons.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_lives_as_the_other_daemons() {
    let cluster = Cluster::start().await;
    let dir = tempfile::tempdir().expect("a scratch directory");
    let mut gateway = Gateway::start(dir.path(), &cluster.node.base, cluster.tracker.ip, |conf| conf).await;
    let pid = || std::fs::read_to_string(gateway.own.join("data/fdfs_gateway.pid"));
    assert_eq!(pid().expect("it has one"), gateway.process.id().to_string());
    let ended = gateway.process.stop().await;
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    assert!(pid().is_err(), "the pid file goes with a clean end");

    let act = |action: &str| {
        let output = fdfs().arg("gateway").arg(&gateway.conf).arg(action).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(act("status"), (Some(2), "NOT running\n".to_owned()));
    assert_eq!(act("start").0, Some(0));
    // From here on a process runs that nobody would end if a check failed.
    let status = act("status");
    let twice = act("start").0;
    let served = get(&gateway.url("/healthz")).await.0;
    // Before the reload, which begins a new log.
    let log = std::fs::read_to_string(gateway.own.join("logs/gateway.log")).unwrap_or_default();
    let reload = act("reload").0;
    let restarted = act("restart").0;
    let stopped = act("stop").0;
    assert_eq!(
        (twice, served.as_u16(), reload, restarted, stopped),
        (Some(17), 200, Some(0), Some(0), Some(0))
    );
    assert!(status.0 == Some(0) && status.1.starts_with("Running, pid: "), "{status:?}");
    assert!(log.contains("HTTP service is up"), "{log}");
    assert_eq!(act("status").0, Some(2));
}

/// One of two storages lost a file, or never got it: whoever has it is asked, also when no tracker answers any more.
async fn missing_files_are_fetched(group: &mut Group) {
    let client = group.client();
    let files = Files::make(&client, group.native(1), &Kind::WITHOUT_TRUNK).await;
    let dir = tempfile::tempdir().expect("a scratch directory");
    let (base, tracker) = (group.nodes[0].base.clone(), group.trackers[0].ip);
    let gateway = Gateway::start(dir.path(), &base, tracker, |conf| conf).await;
    let disk = |id: &str| base.join("data").join(crate::group::disk_name(id));
    let check = async |what: &str| {
        for file in &files.0 {
            let (status, body) = get(&gateway.url(&format!("/{}", file.id))).await;
            assert!(status == 200 && body == file.content, "{what}: {:?} {}: {status}", file.kind, file.id);
        }
    };
    check("as replication goes").await;
    for file in &files.0 {
        until("a replicated file", START, async || {
            disk(&file.id).symlink_metadata().map(drop).map_err(|error| format!("{:?}: {error}", file.kind))
        })
        .await;
    }
    for file in &files.0 {
        std::fs::remove_file(disk(&file.id)).expect("it is there");
    }
    check("lost here").await;
    group.trackers[0].kill();
    check("without a tracker").await;

    let gone = &files.0[0];
    let id = protocol::FileId::parse(&gone.id).expect("an ID");
    client.storages.delete(group.native(1), &id).await.expect("it deletes");
    assert_eq!(get(&gateway.url(&format!("/{}", gone.id))).await.0, 404, "deleted at its source");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_missing_on_a_disk_of_theirs_come_from_the_other_member() {
    if is_here("files_missing_on_a_disk_of_theirs_come_from_the_other_member") {
        missing_files_are_fetched(&mut Group::start(&[Theirs], &[Theirs, Theirs]).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_missing_on_a_disk_of_ours_come_from_the_other_member() {
    missing_files_are_fetched(&mut Group::start(&[Ours], &[Ours, Ours]).await).await;
}

/// Trunk files have no mode of their own that could say that one in them had a name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_in_a_trunk_file_gives_the_name_that_it_had() {
    if !is_here("a_file_in_a_trunk_file_gives_the_name_that_it_had") {
        return;
    }
    let group = Group::start_told(&[Theirs], &[Theirs], TRUNK).await;
    let (client, at) = (group.client(), group.native(0));
    let files = Files::make(&client, at, &[Kind::Trunk]).await;
    let file = &files.0[0];
    let dir = tempfile::tempdir().expect("a scratch directory");
    let (store, tracker) = (&group.nodes[0].base, group.trackers[0].ip);
    let gateway = Gateway::start(dir.path(), store, tracker, |conf| conf).await;
    let id = FileId::parse(&file.id).expect("an ID");
    for (text, expected) in [("k\x02v", None), ("fdfs.filename\x02a.png", Some("inline; filename=\"a.png\""))]
    {
        client.storages.set_metadata(at, &id, MetadataMode::Overwrite, text.into()).await.expect("metadata");
        let answer = compare::ask(&gateway.url(&format!("/{id}")), &[]).await;
        let name = answer.headers.get("content-disposition").map(String::as_str);
        assert_eq!(name, expected);
        assert!(answer.body == file.content, "{id}");
    }
}

/// A site replaces nginx by the gateway: every kind of file, asked for in every way, gives the same bytes, and headers that
/// differ only where it is meant.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_theirs_gives_the_same_bytes_as_nginx_with_the_module() {
    let test = "a_directory_of_theirs_gives_the_same_bytes_as_nginx_with_the_module";
    if !is_here(test) {
        return;
    }
    let Some(program) = nginx::with_module(test) else { return };
    let group = Group::start_told(&[Theirs], &[Theirs], TRUNK).await;
    let files = Files::make(&group.client(), group.native(0), &Kind::ALL).await;
    let dir = tempfile::tempdir().expect("a scratch directory");
    let (store, tracker) = (&group.nodes[0].base, group.trackers[0].ip);
    let types = dir.path().join("mime.types");
    std::fs::write(&types, nginx::TYPES).expect("the scratch directory can be written");
    let gateway = Gateway::start(dir.path(), store, tracker, |conf| {
        conf.add(&format!("http.mime_types_filename = {}", types.display()))
    })
    .await;
    let mut nginx = nginx::Nginx::start(&program, dir.path(), store, tracker).await;
    compare::all(&files, &|path: &str| nginx.url(path), &|path: &str| gateway.url(path)).await;
    nginx.process.signal(Signal::TERM);
    nginx.process.ended().await;
}
