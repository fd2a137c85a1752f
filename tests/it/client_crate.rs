//! Conformance client: the crate `fastdfs` 0.1.1, which reads both address forms and keeps its connections in pools.
//!
//! Owns the operations of that library against a running cluster, each with its content compared byte by byte. Starts no
//! daemon: the caller names a tracker whose storages are active. Like the other conformance clients it runs every
//! operation to its end and names all that failed.
//!
//! Left out: slave upload (the library has no such call); `delete_storage` (the library takes only `ip:port` for what is
//! a storage ID); appends and modifies of nothing and truncation to the present size (FastDFS 6.16.1 answers those with a
//! body, which the library leaves in its pooled connection).

use std::error::Error;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use fastdfs::types::{FDFS_QUERY_FINFO_FLAGS_NOT_CALC_CRC32, Metadata, MetadataFlag, StorageStatus};
use fastdfs::{ClientOptions, FastDFSError, FdfsClient, FileId, StorageClient, TrackerClient};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use crate::content::content;

/// No operation moves more than a few MB over loopback.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(20);
/// How far a server's idea of a file's time may lie from ours.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// What one operation gives; the text of an error is what the report shows.
type Checked<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Runs every operation against the cluster behind `tracker`. The error names each operation that failed and why, one a
/// line.
pub(crate) async fn run(tracker: SocketAddr) -> Result<(), String> {
    let failed = run_all(tracker, Expectations::True).await.failed;
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n")) }
}

/// Runs every operation with its expectation made wrong. The error names each one that passed all the same: such an
/// operation cannot fail, so its success in [`run`] says nothing.
pub(crate) async fn run_spoilt(tracker: SocketAddr) -> Result<(), String> {
    let passed = run_all(tracker, Expectations::Spoilt).await.passed;
    if passed.is_empty() { Ok(()) } else { Err(format!("passed with a wrong expectation: {passed:?}")) }
}

async fn run_all(tracker: SocketAddr, expectations: Expectations) -> Report {
    let mut report = Report { tracker, expectations, passed: Vec::new(), failed: Vec::new() };
    report.run("upload buffer", upload_buffer).await;
    report.run("upload file", upload_file).await;
    report.run("upload stream", upload_stream).await;
    report.run("upload empty buffer", upload_empty_buffer).await;
    report.run("upload with metadata", upload_with_metadata).await;
    report.run("uploads at the same time", uploads_at_the_same_time).await;
    report.run("upload appender", upload_appender).await;
    report.run("append", append).await;
    report.run("modify", modify).await;
    report.run("truncate", truncate).await;
    report.run("regenerate", regenerate).await;
    report.run("download to buffer", download_to_buffer).await;
    report.run("download to file", download_to_file).await;
    report.run("download to stream", download_to_stream).await;
    report.run("download range", download_range).await;
    report.run("metadata overwrite", metadata_overwrite).await;
    report.run("metadata merge", metadata_merge).await;
    report.run("metadata get without any", metadata_get_without_any).await;
    report.run("file info", file_info).await;
    report.run("file info of an appender", file_info_of_an_appender).await;
    report.run("delete", delete).await;
    report.run("list groups", list_groups).await;
    report.run("list storages", list_storages).await;
    report.run("every place to store and fetch", every_place).await;
    report
}

async fn upload_buffer(probe: &Probe) -> Checked {
    for content in [content(1, 4), content(1_000, 1), large()] {
        let id = probe.client.upload_file_buf(&content, "txt", None, false).await?;
        probe.is_true("extension", id.remote_filename.ends_with(".txt"))?;
        probe.holds(&id, &content).await?;
    }
    Ok(())
}

async fn upload_file(probe: &Probe) -> Checked {
    let path = probe.local_file("picture.jpg", &large())?;
    let id = probe.client.upload_file_local(&path, None, false).await?;
    probe.is_true("extension", id.remote_filename.ends_with(".jpg"))?;
    probe.holds(&id, &large()).await
}

async fn upload_stream(probe: &Probe) -> Checked {
    let content = large();
    let (head, tail) = content.split_at(123_457);
    let mut stream = head.chain(tail);
    let id = probe.client.upload_file(&mut stream, length(&content), "bin", None, false).await?;
    probe.holds(&id, &content).await
}

async fn upload_empty_buffer(probe: &Probe) -> Checked {
    let id = probe.client.upload_file_buf(&[], "txt", None, false).await?;
    let info = probe.client.get_file_info(&id).await?;
    probe.same_number("size", info.file_size, 0)?;
    probe.same_number("crc32", info.crc32, 0)
}

async fn upload_with_metadata(probe: &Probe) -> Checked {
    let stored = pairs(&[("width", "160"), ("author", "some one")]);
    let id = probe.client.upload_file_buf(&small(), "txt", Some(&stored), false).await?;
    probe.has_metadata(&id, &stored).await?;
    probe.holds(&id, &small()).await
}

async fn uploads_at_the_same_time(probe: &Probe) -> Checked {
    let mut uploads = tokio::task::JoinSet::new();
    for seed in 20..28 {
        let client = probe.client.clone();
        let upload = async move { client.upload_file_buf(&content(300_000, seed), "bin", None, false).await };
        uploads.spawn(async move { (seed, upload.await) });
    }
    while let Some(done) = uploads.join_next().await {
        let (seed, id) = done?;
        probe.holds(&id?, &content(300_000, seed)).await?;
    }
    Ok(())
}

async fn upload_appender(probe: &Probe) -> Checked {
    let path = probe.local_file("appender.log", &small())?;
    let mut stream: &[u8] = &small();
    let ids = [
        probe.client.upload_file_buf(&small(), "log", None, true).await?,
        probe.client.upload_file_local(&path, None, true).await?,
        probe.client.upload_file(&mut stream, 1_000, "log", None, true).await?,
    ];
    for id in ids {
        probe.holds(&id, &small()).await?;
        probe.client.append_file_buf(&id, &patch()).await?;
        probe.holds(&id, &[small(), patch()].concat()).await?;
    }
    Ok(())
}

async fn append(probe: &Probe) -> Checked {
    let id = probe.appender(&small()).await?;
    let path = probe.local_file("more", &large())?;
    let mut stream: &[u8] = &content(77, 9);
    probe.client.append_file_buf(&id, &patch()).await?;
    probe.holds(&id, &[small(), patch()].concat()).await?;
    probe.client.append_file_local(&id, &path).await?;
    probe.holds(&id, &[small(), patch(), large()].concat()).await?;
    probe.client.append_file(&id, &mut stream, 77).await?;
    probe.holds(&id, &[small(), patch(), large(), content(77, 9)].concat()).await
}

async fn modify(probe: &Probe) -> Checked {
    let id = probe.appender(&small()).await?;
    let path = probe.local_file("patch", &patch())?;
    let mut stream: &[u8] = &content(500, 10);

    let mut expected = small();
    probe.client.modify_file_buf(&id, 0, &content(10, 11)).await?;
    expected[..10].copy_from_slice(&content(10, 11));
    probe.holds(&id, &expected).await?;

    probe.client.modify_file_local(&id, 450, &path).await?;
    expected[450..750].copy_from_slice(&patch());
    probe.holds(&id, &expected).await?;

    probe.client.modify_file(&id, 900, &mut stream, 500).await?;
    expected.truncate(900);
    expected.extend(content(500, 10));
    probe.holds(&id, &expected).await
}

async fn truncate(probe: &Probe) -> Checked {
    let id = probe.appender(&large()).await?;
    probe.client.truncate_file(&id, 1_234).await?;
    probe.holds(&id, &large()[..1_234]).await?;
    probe.client.truncate_file(&id, 1_300).await?;
    probe.holds(&id, &[&large()[..1_234], &[0; 66]].concat()).await?;
    probe.client.truncate_file0(&id).await?;
    probe.same_number("size", probe.client.get_file_info(&id).await?.file_size, 0)?;
    probe.client.append_file_buf(&id, &patch()).await?;
    probe.holds(&id, &patch()).await
}

async fn regenerate(probe: &Probe) -> Checked {
    let old = probe.appender(&small()).await?;
    probe.client.append_file_buf(&old, &patch()).await?;
    let new = probe.client.regenerate_appender_filename(&old).await?;
    let content = [small(), patch()].concat();
    probe.holds(&new, &content).await?;
    let info = probe.client.get_file_info(&new).await?;
    probe.same_number("size", info.file_size, length(&content))?;
    probe.same_number("crc32", info.crc32, crc32fast::hash(&content))?;
    probe.is_gone("the old name", probe.client.download_file_buf(&old, 0, 0).await)
}

async fn download_to_buffer(probe: &Probe) -> Checked {
    let id = probe.upload(&large()).await?;
    probe.same("content", probe.client.download_file_buf(&id, 0, 0).await?, large())
}

async fn download_to_file(probe: &Probe) -> Checked {
    let id = probe.upload(&large()).await?;
    let path = probe.local_path("downloaded")?;
    let copied = probe.client.download_file_local(&id, &path).await?;
    probe.same_number("bytes copied", copied, length(&large()))?;
    probe.same("local file", std::fs::read(path)?, large())
}

async fn download_to_stream(probe: &Probe) -> Checked {
    let id = probe.upload(&large()).await?;
    let mut stream = Vec::new();
    let copied = probe.client.download_file(&id, &mut stream, 3, 600_000).await?;
    probe.same_number("bytes copied", copied, 600_000)?;
    probe.same("streamed", stream, &large()[3..600_003])
}

async fn download_range(probe: &Probe) -> Checked {
    let content = large();
    let id = probe.upload(&content).await?;
    let ranges = [
        (5, 400_000, &content[5..400_005]),
        (0, 1, &content[..1]),
        (600_000, 0, &content[600_000..]),
        (700_000, 99, &content[700_000..]),
    ];
    for (offset, bytes, expected) in ranges {
        let part = probe.client.download_file_buf(&id, offset, bytes).await?;
        probe.same(&format!("{bytes} bytes from {offset}"), part, expected)?;
    }
    Ok(())
}

async fn metadata_overwrite(probe: &Probe) -> Checked {
    let id = probe.upload(&small()).await?;
    for stored in [pairs(&[("a", "1"), ("b", "2"), ("empty", "")]), pairs(&[("c", "3")])] {
        probe.client.set_metadata(&id, &stored, MetadataFlag::Overwrite).await?;
        probe.has_metadata(&id, &stored).await?;
    }
    Ok(())
}

async fn metadata_merge(probe: &Probe) -> Checked {
    let id = probe.upload(&small()).await?;
    probe.client.set_metadata(&id, &pairs(&[("a", "1"), ("b", "2")]), MetadataFlag::Overwrite).await?;
    probe.client.set_metadata(&id, &pairs(&[("b", "two"), ("c", "3")]), MetadataFlag::Merge).await?;
    probe.has_metadata(&id, &pairs(&[("a", "1"), ("b", "two"), ("c", "3")])).await
}

async fn metadata_get_without_any(probe: &Probe) -> Checked {
    let id = probe.upload(&small()).await?;
    probe.is_gone("metadata", probe.client.get_metadata(&id).await)
}

async fn file_info(probe: &Probe) -> Checked {
    // One content for each value of the CRC's highest bit: the field is a signed number extended to 64 bits.
    for sign in [0, 1] {
        let content = (5..)
            .map(|seed| content(100, seed))
            .find(|content| crc32fast::hash(content) >> 31 == sign)
            .ok_or("no content with that CRC")?;
        let id = probe.upload(&content).await?;
        let info = probe.client.get_file_info(&id).await?;
        probe.same_number("size", info.file_size, length(&content))?;
        probe.same_number("crc32", info.crc32, crc32fast::hash(&content))?;
        info.source_ip_addr.parse::<IpAddr>()?;
        let age = SystemTime::now().duration_since(info.create_time).unwrap_or_else(|ahead| ahead.duration());
        probe.same("time", if age < CLOCK_TOLERANCE { "now" } else { "another" }, "now")?;
    }
    Ok(())
}

async fn file_info_of_an_appender(probe: &Probe) -> Checked {
    let id = probe.appender(&small()).await?;
    probe.client.append_file_buf(&id, &patch()).await?;
    let content = [small(), patch()].concat();
    let info = probe.client.get_file_info(&id).await?;
    probe.same_number("size", info.file_size, length(&content))?;
    probe.same_number("crc32", info.crc32, crc32fast::hash(&content))?;
    let quick = probe.client.get_file_info_with_flag(&id, FDFS_QUERY_FINFO_FLAGS_NOT_CALC_CRC32).await?;
    probe.same_number("size without crc32", quick.file_size, length(&content))?;
    probe.same_number("crc32 left out", quick.crc32, 0)
}

async fn delete(probe: &Probe) -> Checked {
    for id in [probe.upload(&small()).await?, probe.appender(&small()).await?] {
        probe.is_true("before", probe.client.file_exists(&id).await?)?;
        probe.client.delete_file(&id).await?;
        probe.is_true("after", !probe.client.file_exists(&id).await?)?;
        probe.is_gone("download", probe.client.download_file_buf(&id, 0, 0).await)?;
        probe.is_gone("file info", probe.client.get_file_info(&id).await)?;
        probe.is_gone("second delete", probe.client.delete_file(&id).await)?;
    }
    Ok(())
}

async fn list_groups(probe: &Probe) -> Checked {
    let group = probe.upload(&small()).await?.group_name;
    let groups = probe.client.list_groups().await?;
    let found = groups.iter().find(|stat| stat.group_name == group).ok_or("the group is not listed")?;
    probe.is_true("has storages", found.storage_count > 0)?;
    probe.is_true("has writable storages", found.writable_server_count > 0)?;
    probe.is_true("knows its port", found.storage_port > 0)?;
    probe.is_true("has store paths", found.store_path_count > 0)?;
    probe.is_true("knows its space", found.total_mb >= found.free_mb && found.free_mb > 0)
}

async fn list_storages(probe: &Probe) -> Checked {
    let group = probe.upload(&small()).await?.group_name;
    let port = probe.client.list_groups().await?.into_iter().find(|stat| stat.group_name == group);
    let port = port.ok_or("the group is not listed")?.storage_port;
    let storages = probe.client.list_storages(&group, None::<&str>).await?;
    let active =
        storages.iter().find(|stat| stat.status() == StorageStatus::Active).ok_or("none is active")?;
    active.ip_addr.parse::<IpAddr>()?;
    probe.same_number("port", active.storage_port, port)?;
    probe.is_true("has a version", active.version.contains('.'))?;
    probe.is_true("has space", active.total_mb >= active.free_mb && active.free_mb > 0)?;
    let one = probe.client.list_storages(&group, Some(&active.id)).await?;
    probe.same_number("listed by ID", length(&one), 1)?;
    probe.same("the ID", &one[0].id, &active.id)
}

/// The lists of all places, and through them a named group, are out of reach of the pooled client.
async fn every_place(probe: &Probe) -> Checked {
    let group = probe.upload(&small()).await?.group_name;
    let mut tracker = TrackerClient::connect(probe.tracker).await?;
    let anywhere = tracker.get_store_storages(None::<&str>).await?;
    probe.is_true("places to store", !anywhere.is_empty())?;
    let in_group = tracker.get_store_storages(Some(&group)).await?;
    probe.is_true("places in the group", !in_group.is_empty())?;

    let place = tracker.get_store_storage(Some(&group)).await?;
    let mut storage = StorageClient::connect((place.ip_addr.as_str(), place.port)).await?;
    storage.store_path_index(place.store_path_index);
    let id = storage.upload_file_buf(&patch(), "bin", None, false).await?;
    probe.same("group", &id.group_name, &group)?;
    probe.holds(&id, &patch()).await?;

    let sources = tracker.get_fetch_storages(&id).await?;
    let found = sources.iter().any(|source| source.ip_addr == place.ip_addr && source.port == place.port);
    probe.is_true("the place is a source", found)?;
    storage.quit().await?;
    tracker.quit().await?;
    Ok(())
}

/// Which operations passed, and which failed with what error.
struct Report {
    tracker: SocketAddr,
    expectations: Expectations,
    passed: Vec<&'static str>,
    failed: Vec<String>,
}

impl Report {
    /// Runs `operation` with a client of its own: the library's pool hands out a connection that the server closed after
    /// an error, and one failure would spread.
    async fn run(&mut self, name: &'static str, operation: impl AsyncFn(&Probe) -> Checked) {
        let limited = async {
            let probe = Probe::new(self.tracker, self.expectations)?;
            let outcome = tokio::time::timeout(OPERATION_TIMEOUT, operation(&probe)).await;
            probe.client.close().await;
            outcome?
        };
        match limited.await {
            Ok(()) => self.passed.push(name),
            Err(error) => self.failed.push(format!("{name}: {error}")),
        }
    }
}

/// Whether the comparisons expect what is right.
#[derive(Clone, Copy)]
enum Expectations {
    True,
    Spoilt,
}

/// The client under test with a place for local files; every comparison goes through it.
struct Probe {
    tracker: SocketAddr,
    client: FdfsClient,
    scratch: TempDir,
    expectations: Expectations,
}

impl Probe {
    fn new(tracker: SocketAddr, expectations: Expectations) -> Checked<Self> {
        let client = ClientOptions::new(vec![tracker.to_string()]).build()?;
        Ok(Self { tracker, client, scratch: tempfile::tempdir()?, expectations })
    }

    async fn upload(&self, content: &[u8]) -> Checked<FileId> {
        Ok(self.client.upload_file_buf(content, "bin", None, false).await?)
    }

    async fn appender(&self, content: &[u8]) -> Checked<FileId> {
        Ok(self.client.upload_file_buf(content, "log", None, true).await?)
    }

    async fn holds(&self, id: &FileId, expected: &[u8]) -> Checked {
        let content = self.client.download_file_buf(id, 0, 0).await?;
        self.same(&format!("content of {id}"), content, expected)
    }

    async fn has_metadata(&self, id: &FileId, expected: &Metadata) -> Checked {
        let sorted = |metadata: &Metadata| {
            let mut pairs: Vec<_> = metadata.iter().map(|(name, value)| format!("{name}={value}")).collect();
            pairs.sort();
            pairs.join(",")
        };
        self.same("metadata", sorted(&self.client.get_metadata(id).await?), sorted(expected))
    }

    /// `answer` must be the status for a missing file; success fails as much as any other error.
    fn is_gone<T>(&self, what: &str, answer: fastdfs::Result<T>) -> Checked {
        let actual = match answer {
            Ok(_) => "there".to_owned(),
            Err(FastDFSError::FileNotFound(_)) => "gone".to_owned(),
            Err(other) => other.to_string(),
        };
        self.same(what, actual, "gone")
    }

    fn same_number<N: Display>(&self, what: &str, actual: N, expected: N) -> Checked {
        self.same(what, actual.to_string(), expected.to_string())
    }

    fn is_true(&self, what: &str, fact: bool) -> Checked {
        self.same(what, fact.to_string(), "true")
    }

    fn same(&self, what: &str, actual: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) -> Checked {
        let mut expected = expected.as_ref().to_vec();
        if let (Expectations::Spoilt, Some(last)) = (self.expectations, expected.last_mut()) {
            *last ^= 1;
        }
        if actual.as_ref() == expected {
            return Ok(());
        }
        Err(format!("{what}: expected {}, got {}", show(&expected), show(actual.as_ref())).into())
    }

    fn local_path(&self, name: &str) -> Checked<String> {
        let path: PathBuf = self.scratch.path().join(name);
        Ok(path.into_os_string().into_string().map_err(|_| "the temporary directory's name is not UTF-8")?)
    }

    fn local_file(&self, name: &str, content: &[u8]) -> Checked<String> {
        let path = self.local_path(name)?;
        std::fs::write(&path, content)?;
        Ok(path)
    }
}

/// Short text as it is, anything longer by its length and CRC.
fn show(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.len() <= 60 => format!("{text:?}"),
        _ => format!("{} bytes, crc32 {:08x}", bytes.len(), crc32fast::hash(bytes)),
    }
}

fn length<T>(items: &[T]) -> u64 {
    u64::try_from(items.len()).expect("a length fits in 64 bits")
}

fn pairs(pairs: &[(&str, &str)]) -> Metadata {
    pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn small() -> Vec<u8> {
    content(1_000, 1)
}

/// More than two of the server's default buffers.
fn large() -> Vec<u8> {
    content(700_001, 2)
}

fn patch() -> Vec<u8> {
    content(300, 3)
}
