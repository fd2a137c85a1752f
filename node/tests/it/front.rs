//! A gateway in front of store paths that another program owns.

mod disk;
mod members;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use node::Front;
use protocol::config::{LocalFacts, ModuleConf};
use protocol::{FileId, LogicName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::address::fresh;
use crate::remote::named;

/// A store path as a C storage leaves it, and whatever a test puts there.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        let disk = Self(tempfile::tempdir().expect("a directory can be made"));
        std::fs::create_dir_all(disk.0.path().join("data/00/00")).expect("a directory can be made");
        disk
    }

    fn path(&self, name: &LogicName) -> PathBuf {
        self.0.path().join("data").join(name.true_name())
    }

    fn put(&self, id: &FileId, content: &[u8]) {
        std::fs::write(self.path(&id.name), content).expect("the directory is there");
    }
}

/// A running gateway; when dropped, it ends.
struct Fronted {
    ip: IpAddr,
    _own: TempDir,
    _stop: DropGuard,
}

impl Fronted {
    /// Over one store path of `group1`.
    async fn over(disk: &Disk, more: &str) -> Self {
        Self::start(&format!("group_name = group1\nstore_path0 = {}\n{more}", disk.0.path().display())).await
    }

    async fn start(text: &str) -> Self {
        let own = tempfile::tempdir().expect("a directory can be made");
        let ip = fresh();
        let text = format!("base_path = {}\nhttp.bind_addr = {ip}\n{text}", own.path().display());
        let facts = LocalFacts::none();
        let parsed = ModuleConf::parse(&text, Path::new("mod_fastdfs.conf"), &facts);
        let (conf, _) = parsed.unwrap_or_else(|error| panic!("{error}"));
        let front = Front::build(conf, &facts).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(front.http_addr(), Some(SocketAddr::new(ip, 8888)));
        let stop = CancellationToken::new();
        tokio::spawn(front.run(stop.clone()));
        Self { ip, _own: own, _stop: stop.drop_guard() }
    }

    /// Its answer to a request of HTTP/1.0, head and body.
    async fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect((self.ip, 8888)).await.expect("HTTP is served");
        let request = format!("{method} {path} HTTP/1.0\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("it listens");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("it answers");
        String::from_utf8(answer).expect("tests have files of text")
    }

    async fn get(&self, id: &FileId) -> String {
        self.ask("GET", &format!("/{id}")).await
    }

    /// Waits until the trackers have told what it needs.
    async fn wait_ready(&self) {
        let start = Instant::now();
        loop {
            let answer = self.ask("GET", "/readyz").await;
            if answer.starts_with("HTTP/1.0 200") {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{answer}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// A file that nobody had to upload, made long ago by a member that is not there.
fn file(content: &str) -> FileId {
    named(Ipv4Addr::new(10, 0, 0, 1), 1_700_000_000, content)
}
