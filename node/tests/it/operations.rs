//! Every operation of a client, once: what it answers, what is on the disk after it, and its line in the binlog.

use std::fs;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::FileId;
use protocol::client::StorageClient;
use protocol::file_id::{FileExt, SlavePrefix};
use protocol::storage::{
    Append, CreateLink, FileCreated, FileInfoFlags, MetadataMode, Modify, UploadAppender, UploadHead,
    UploadSlave,
};
use protocol::wire::Empty;

use crate::address::fresh;
use crate::running::{Running, plain_cluster};

fn ext(text: &str) -> FileExt {
    FileExt::parse(text).expect("the test's own extension")
}

fn prefix(text: &str) -> SlavePrefix {
    SlavePrefix::parse(text).expect("the test's own prefix")
}

/// A client at work, and how much of the binlog was compared.
struct Session<'a> {
    node: &'a Running,
    client: StorageClient,
    at: SocketAddr,
    seen: usize,
}

impl<'a> Session<'a> {
    fn new(node: &'a Running) -> Self {
        Self { node, client: node.client(), at: node.address, seen: node.binlog().len() }
    }

    /// The binlog's new lines are these, with the time of now.
    fn logged(&mut self, expected: &[String]) {
        let binlog = self.node.binlog();
        let new = binlog[self.seen..].lines().map(|line| line.split_once(' ').expect("a time first"));
        let (times, lines): (Vec<_>, Vec<_>) = new.unzip();
        assert_eq!(lines, expected);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        for time in times {
            let time: u64 = time.parse().expect("a number of seconds");
            assert!((now - 60..=now).contains(&time), "{time} is not now, {now}");
        }
        self.seen = binlog.len();
    }

    fn content(&self, id: &FileId) -> Vec<u8> {
        fs::read(self.node.path(id)).expect("the file is there")
    }

    async fn appender(&self, mut content: &[u8]) -> FileId {
        let head = UploadHead { store_path: None, size: content.len() as u64, ext: ext("log") };
        let sent = self.client.send(self.at, &UploadAppender(head), &mut content, |_| {}).await;
        sent.map(|FileCreated(id)| id).expect("appenders are taken")
    }

    async fn slave(&self, master: &FileId, name: &str, mut content: &[u8]) -> FileId {
        let request = UploadSlave {
            master: master.name.clone(),
            size: content.len() as u64,
            prefix: prefix(name),
            ext: ext("jpg"),
        };
        let sent = self.client.send(self.at, &request, &mut content, |_| {}).await;
        sent.map(|FileCreated(id)| id).expect("slaves are taken")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_appender_s_life() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut session = Session::new(&node);
    let (at, client) = (session.at, session.client.clone());
    let id = session.appender(b"0123456789").await;
    let name = id.name.clone();
    session.logged(&[format!("C {name}")]);
    assert_eq!(session.content(&id), b"0123456789");

    let append = Append { name: name.clone(), size: 3 };
    let Empty = client.send(at, &append, &mut &b"ABC"[..], |_| {}).await.unwrap();
    session.logged(&[format!("A {name} 10 3")]);
    assert_eq!(session.content(&id), b"0123456789ABC");

    let modify = Modify { name: name.clone(), offset: 2, size: 4 };
    let Empty = client.send(at, &modify, &mut &b"wxyz"[..], |_| {}).await.unwrap();
    session.logged(&[format!("M {name} 2 4")]);
    assert_eq!(session.content(&id), b"01wxyz6789ABC");

    client.truncate(at, &name, 5).await.unwrap();
    client.truncate(at, &name, 7).await.unwrap();
    session.logged(&[format!("T {name} 13 5"), format!("T {name} 5 7")]);
    assert_eq!(session.content(&id), b"01wxy\0\0");

    let append = Append { name: name.clone(), size: 0 };
    let Empty = client.send(at, &append, &mut &b""[..], |_| {}).await.unwrap();
    client.truncate(at, &name, 7).await.unwrap();
    session.logged(&[]);

    client.set_metadata(at, &id, MetadataMode::Overwrite, "k\x02v".into()).await.unwrap();
    session.logged(&[format!("C {name}-m")]);
    let fixed = client.regenerate(at, &name).await.unwrap();
    let new = &fixed.name;
    session.logged(&[format!("R {new} {name}"), format!("C {new}-m"), format!("D {name}-m")]);
    assert!(!node.path(&id).exists());
    assert_eq!(session.content(&fixed), b"01wxy\0\0");
    assert_eq!(client.metadata(at, &fixed).await.unwrap(), "k\x02v");
    let info = client.file_info(at, &fixed, FileInfoFlags::default()).await.unwrap();
    assert_eq!((info.size, info.source), (7, Some(node.ip)));
    assert_eq!(info.crc32, crc32fast::hash(b"01wxy\0\0"));

    client.delete(at, &fixed).await.unwrap();
    session.logged(&[format!("D {new}"), format!("D {new}-m")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_metadata_a_slave_and_a_link() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut session = Session::new(&node);
    let (at, client) = (session.at, session.client.clone());
    let id = node.upload(b"the master", "txt").await;
    let name = id.name.clone();
    session.logged(&[format!("C {name}")]);

    let metadata_path = node.data().join(format!("{}-m", name.true_name()));
    client.set_metadata(at, &id, MetadataMode::Overwrite, "b\x022\x01a\x021".into()).await.unwrap();
    assert_eq!(fs::read(&metadata_path).unwrap(), b"a\x021\x01b\x022");
    client.set_metadata(at, &id, MetadataMode::Merge, "b\x023".into()).await.unwrap();
    assert_eq!(client.metadata(at, &id).await.unwrap(), "a\x021\x01b\x023");
    session.logged(&[format!("C {name}-m"), format!("U {name}-m")]);
    client.set_metadata(at, &id, MetadataMode::Overwrite, "".into()).await.unwrap();
    assert!(!metadata_path.exists());
    session.logged(&[format!("D {name}-m")]);

    let slave = session.slave(&id, "_small", b"the slave").await;
    let stem = name.as_str().trim_end_matches(".txt");
    assert_eq!(slave.name.as_str(), format!("{stem}_small.jpg"));
    session.logged(&[format!("C {}", slave.name)]);

    let source = name.clone();
    let request =
        CreateLink { group: id.group, master: None, ext: ext("lnk"), source, signature: "s".into() };
    let link = client.create_link(at, &request).await.unwrap();
    session.logged(&[format!("L {} {name}", link.name)]);
    assert_eq!(fs::read_link(node.path(&link)).unwrap(), node.path(&id));
    assert_eq!(client.download_bytes(at, &link, 100).await.unwrap(), "the master");
    let master = Some((slave.name.clone(), prefix("-l")));
    let request = CreateLink { master, ..request };
    let named = client.create_link(at, &request).await.unwrap();
    session.logged(&[format!("L {} {name}", named.name)]);

    for gone in [&link, &named] {
        client.delete(at, gone).await.unwrap();
        session.logged(&[format!("D {}", gone.name)]);
    }
    assert_eq!(session.content(&id), b"the master", "a link's end leaves its file");
    client.delete(at, &id).await.unwrap();
    session.logged(&[format!("D {name}")]);
    assert_eq!(session.content(&slave), b"the slave", "a master's end leaves its slaves");
}

/// Longer than what is stored in one job, and not a whole number of pieces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_content_streams_through() {
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let mut session = Session::new(&node);
    let (at, client) = (session.at, session.client.clone());
    let mut content = vec![0; (5 << 20) + 4321];
    fastrand::Rng::with_seed(1).fill(&mut content);
    let id = node.upload(&content, "bin").await;
    session.logged(&[format!("C {}", id.name)]);
    assert!(session.content(&id) == content);
    assert_eq!(id.name.code().unwrap().crc32, crc32fast::hash(&content));
    assert!(client.download_bytes(at, &id, 16 << 20).await.unwrap() == content);
    let (offset, len) = (1_234_567, 2_345_678);
    let mut part = Vec::new();
    let take = |bytes: bytes::Bytes| {
        part.extend_from_slice(&bytes);
        async { Ok(()) }
    };
    let got = client.download(at, &id, offset, len, take).await.unwrap();
    assert_eq!(got, len);
    let range = usize::try_from(offset).unwrap()..usize::try_from(offset + len).unwrap();
    assert!(part == content[range]);

    let appender = session.appender(&content).await;
    let append = Append { name: appender.name.clone(), size: content.len() as u64 };
    let Empty = client.send(at, &append, &mut content.as_slice(), |_| {}).await.unwrap();
    let size = content.len();
    session.logged(&[format!("C {}", appender.name), format!("A {} {size} {size}", appender.name)]);
    assert!(session.content(&appender) == [content.as_slice(), &content].concat());
}

/// Each file has one change at a time, so that appends at once come one after another, whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_at_once_do_not_mix() {
    const WRITERS: u8 = 8;
    const LEN: usize = 300 << 10;
    let node = Running::start(fresh(), plain_cluster(), "").await;
    let session = Session::new(&node);
    let id = session.appender(b"").await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (client, at, name) = (node.client(), session.at, id.name.clone());
        writers.spawn(async move {
            let append = Append { name, size: LEN as u64 };
            let sent = client.send(at, &append, &mut vec![writer; LEN].as_slice(), |_| {}).await;
            sent.map(|Empty| ()).unwrap();
        });
    }
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    let content = session.content(&id);
    let mut pieces: Vec<&[u8]> = content.chunks(LEN).collect();
    pieces.sort_unstable();
    let expected: Vec<Vec<u8>> = (0..WRITERS).map(|writer| vec![writer; LEN]).collect();
    assert!(pieces == expected, "appends are mixed");
}
