//! What a client gets for a file that only another member has: the same as from that one.

use bytes::Bytes;
use protocol::client::{ClientLimits, Pool, StorageClient};
use protocol::file_id::{FileExt, SlavePrefix};
use protocol::storage::{
    FileCreated, FileInfo, FileInfoFlags, MetadataMode, UploadAppender, UploadHead, UploadSlave,
};
use protocol::wire::Response;
use protocol::{AddressWidth, Command, FileId, LogicName, Status};

use super::{Lagging, body, header, holder, name_by, status};
use crate::address::fresh;
use crate::fake_member::{FakeMember, Reply};
use crate::running::Running;

const LONG: usize = 700_000;

fn long() -> String {
    (0..LONG).map(|at| char::from(b'a' + u8::try_from((at * 7 + at / 251) % 26).expect("a letter"))).collect()
}

async fn appender(node: &Running, mut content: &[u8]) -> FileId {
    let ext = FileExt::parse("log").expect("an extension");
    let request = UploadAppender(UploadHead { store_path: None, size: content.len() as u64, ext });
    let made = node.client().send(node.address, &request, &mut content, |_| {}).await;
    made.map(|FileCreated(id)| id).expect("the node takes uploads")
}

async fn slave(node: &Running, master: &LogicName, mut content: &[u8]) -> FileId {
    let request = UploadSlave {
        master: master.clone(),
        size: content.len() as u64,
        prefix: SlavePrefix::parse("_150x150").expect("a prefix"),
        ext: FileExt::parse("txt").expect("an extension"),
    };
    let made = node.client().send(node.address, &request, &mut content, |_| {}).await;
    made.map(|FileCreated(id)| id).expect("the node takes slaves")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_kind_of_file_is_read_through_a_member_that_lacks_it() {
    let source = holder().await;
    let lagging = Lagging::among(&[source.address]).await;
    let long = long();
    let normal = source.upload(b"a small file", "txt").await;
    let files = [
        (normal.clone(), "a small file"),
        (source.upload(b"", "txt").await, ""),
        (source.upload(long.as_bytes(), "txt").await, &*long),
        (appender(&source, b"it grows").await, "it grows"),
        (slave(&source, &normal.name, b"thumb").await, "thumb"),
    ];
    for (id, content) in &files {
        let answer = lagging.get(id).await;
        assert_eq!(status(&answer), 200, "{id}");
        assert!(body(&answer) == *content, "{id}");
        assert!(lagging.download(id).await.expect("it is there") == *content, "{id}");
        let flags = FileInfoFlags(FileInfoFlags::QUIET.0);
        let info = |node: &Running| {
            let (client, at, id) = (node.client(), node.address, id.clone());
            async move { client.file_info(at, &id, flags).await.expect("it is there") }
        };
        assert_eq!(info(&lagging.node).await, info(&source).await, "{id}");
    }
    // Only the seconds of a change travel, so only the tags of what never changes are equal.
    for id in [&files[0].0, &files[1].0, &files[2].0] {
        let there = source.http(&format!("GET /{id} HTTP/1.0\r\n\r\n")).await;
        let here = lagging.get(id).await;
        for name in ["etag", "last-modified", "content-type", "content-length", "cache-control"] {
            assert_eq!(header(&here, name), header(&there, name), "{name} of {id}");
            assert!(header(&here, name).is_some());
        }
    }
    assert!(!lagging.node.path(&normal).exists(), "a read leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_holder_tells_the_name_that_a_file_had() {
    let source = holder().await;
    let lagging = Lagging::among(&[source.address]).await;
    let id = source.upload(b"named", "txt").await;
    assert_eq!(header(&lagging.get(&id).await, "content-disposition"), None);
    let text = Bytes::from_static(b"fdfs.filename\x02a.txt");
    source
        .client()
        .set_metadata(source.address, &id, MetadataMode::Overwrite, text)
        .await
        .expect("it is there");
    let answer = lagging.get(&id).await;
    assert_eq!(header(&answer, "content-disposition"), Some("inline; filename=\"a.txt\""));
    assert_eq!(body(&answer), "named");
}

/// A name is not worth a long wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_tells_no_metadata_gives_the_content_all_the_same() {
    let ip = fresh();
    let replies = |command, _: &[u8]| match command {
        Command::QUERY_FILE_INFO => {
            let info = FileInfo { size: 5, time: 1, crc32: 0, source: None, width: AddressWidth::V4 };
            Reply::Frame(info.to_frame())
        }
        Command::DOWNLOAD_FILE => Reply::Frame(Bytes::from_static(b"named").to_frame()),
        _ => Reply::Silence,
    };
    let holder = FakeMember::start(ip, replies).await;
    let lagging = Lagging::among(&[holder.address]).await;
    let answer = lagging.get(&name_by(ip, "named")).await;
    assert_eq!((status(&answer), body(&answer)), (200, "named"));
    assert!(holder.asked().iter().any(|(command, ..)| *command == Command::GET_METADATA));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_conditions_and_parts() {
    let source = holder().await;
    let lagging = Lagging::among(&[source.address]).await;
    let long = long();
    let id = source.upload(long.as_bytes(), "txt").await;
    let ask = |method: &str, headers: &str| {
        let request = format!("{method} /{id} HTTP/1.0\r\n{headers}\r\n");
        let node = &lagging.node;
        async move { node.http(&request).await }
    };
    let part = ask("GET", "Range: bytes=300000-399999\r\n").await;
    assert_eq!(status(&part), 206);
    assert_eq!(header(&part, "content-range"), Some("bytes 300000-399999/700000"));
    assert!(body(&part) == &long[300_000..400_000]);
    let tail = ask("GET", "Range: bytes=-5\r\n").await;
    assert_eq!(body(&tail), &long[LONG - 5..]);
    let several = ask("GET", "Range: bytes=0-1,699998-\r\n").await;
    assert!(several.contains(&format!("\r\n\r\n{}\r\n", &long[..2])), "{several}");
    assert!(several.contains(&format!("\r\n\r\n{}\r\n", &long[LONG - 2..])), "{several}");
    assert_eq!(status(&ask("GET", "Range: bytes=700000-\r\n").await), 416);
    let etag = header(&tail, "etag").expect("a tag").to_owned();
    assert_eq!(status(&ask("GET", &format!("If-None-Match: {etag}\r\n")).await), 304);
    assert_eq!(status(&ask("GET", "If-Match: \"other\"\r\n").await), 412);
    let head = ask("HEAD", "").await;
    assert_eq!((status(&head), header(&head, "content-length"), body(&head)), (200, Some("700000"), ""));
    // Natively.
    let client = lagging.node.client();
    let mut got = Vec::new();
    let take = |piece: Bytes| {
        got.extend_from_slice(&piece);
        async { Ok(()) }
    };
    let len = client.download(lagging.node.address, &id, 650_000, 40_000, take).await.expect("it is there");
    assert_eq!(len, 40_000);
    assert!(got == long.as_bytes()[650_000..690_000]);
    let beyond = client.download(lagging.node.address, &id, 700_001, 1, |_| async { Ok(()) }).await;
    assert_eq!(beyond.expect_err("there is nothing").status(), Some(Status::EINVAL));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_comes_with_the_file_that_is_missing() {
    let source = holder().await;
    let lagging = Lagging::among(&[source.address]).await;
    let id = source.upload(b"with metadata", "txt").await;
    let text = Bytes::from_static(b"author\x02somebody\x01width\x02100");
    source
        .client()
        .set_metadata(source.address, &id, MetadataMode::Overwrite, text.clone())
        .await
        .expect("the file is there");
    assert_eq!(lagging.node.client().metadata(lagging.node.address, &id).await.expect("it is there"), text);
    let plain = source.upload(b"without", "txt").await;
    let none = |node: &Running| {
        let (client, at, id) = (node.client(), node.address, plain.clone());
        async move { client.metadata(at, &id).await.map_err(|error| error.status()) }
    };
    assert_eq!(none(&lagging.node).await, none(&source).await, "as the holder answers");
}

/// A reader that asks the replica right after the upload, over connections that are kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn right_after_each_upload_it_can_be_read_elsewhere() {
    let source = holder().await;
    let lagging = Lagging::among(&[source.address]).await;
    let (uploads, reads) = (source.client(), StorageClient::new(Pool::new(ClientLimits::default())));
    for number in 0..500 {
        let content = format!("upload {number}");
        let id = crate::running::try_upload(&uploads, source.address, content.as_bytes(), "txt").await;
        let id = id.expect("the node takes uploads");
        let read = reads.download_bytes(lagging.node.address, &id, 100).await.expect("no read fails");
        assert_eq!(read, content);
    }
}
