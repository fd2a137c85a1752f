//! A file of every kind, made through a storage by the native protocol.

use std::net::SocketAddr;

use bytes::Bytes;

use protocol::client::Client;
use protocol::file_id::{FileExt, FileKind, SlavePrefix};
use protocol::storage::{Append, CreateLink, FileCreated, MetadataMode, Upload, UploadAppender, UploadSlave};
use protocol::wire::Empty;
use protocol::{FileId, Status};

use crate::content::content;
use crate::group::{JOIN, head, size};
use crate::wait::until;

/// What a file is to the storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// In a trunk file, where the cluster has those.
    Trunk,
    /// The same, without content.
    Empty,
    Plain,
    /// With the longest extension.
    LongExtension,
    Appender,
    Slave,
    /// Another name of a plain file.
    Link,
}

impl Kind {
    pub(super) const ALL: [Self; 7] =
        [Self::Plain, Self::Trunk, Self::Empty, Self::LongExtension, Self::Appender, Self::Slave, Self::Link];
    pub(super) const WITHOUT_TRUNK: [Self; 5] =
        [Self::Plain, Self::Empty, Self::LongExtension, Self::Appender, Self::Slave];
}

pub(super) struct File {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) content: Vec<u8>,
}

/// Files of several kinds, the plain one first.
pub(super) struct Files(pub(super) Vec<File>);

/// Longer than any slot of the tests' trunk files.
const LONG: usize = 200_000;

impl Files {
    pub(super) async fn make(client: &Client, at: SocketAddr, kinds: &[Kind]) -> Self {
        let plain = upload(client, at, &content(LONG, 1), "jpg").await;
        // Beside it lies what nobody is to see.
        let told =
            client.storages.set_metadata(at, &plain, MetadataMode::Overwrite, Bytes::from_static(b"k\x02v"));
        told.await.expect("metadata");
        let mut files = Vec::new();
        for (number, kind) in kinds.iter().enumerate() {
            let seed = u32::try_from(number + 10).expect("few");
            let (id, content) = match kind {
                Kind::Plain => (plain.clone(), content(LONG, 1)),
                Kind::Trunk => {
                    let id = upload(client, at, &content(4_000, seed), "png").await;
                    assert!(matches!(id.name.kind(), Ok(FileKind::Trunk(_))), "{id} is in no trunk file");
                    (id, content(4_000, seed))
                }
                Kind::Empty => (upload(client, at, b"", "txt").await, Vec::new()),
                Kind::LongExtension => {
                    (upload(client, at, &content(LONG + 1, seed), "tar_gz").await, content(LONG + 1, seed))
                }
                Kind::Appender => appender(client, at, seed).await,
                Kind::Slave => (slave(client, at, &plain, &content(5_000, seed)).await, content(5_000, seed)),
                Kind::Link => (link(client, at, &plain).await, content(LONG, 1)),
            };
            files.push(File { kind: *kind, id: id.to_string(), content });
        }
        Self(files)
    }
}

/// A storage with trunk files is busy until one of the group is chosen to give out their slots.
async fn upload(client: &Client, at: SocketAddr, content: &[u8], ext: &str) -> FileId {
    let request = Upload(head(content.len(), ext));
    until("an upload", JOIN, async || {
        let sent = client.storages.send(at, &request, &mut &*content, |_| {}).await;
        match sent {
            Ok(FileCreated(id)) => Ok(id),
            Err(error) if error.status() == Some(Status::EAGAIN) => Err(error.to_string()),
            Err(error) => panic!("an upload: {error:?}"),
        }
    })
    .await
}

async fn appender(client: &Client, at: SocketAddr, seed: u32) -> (FileId, Vec<u8>) {
    let (first, second) = (content(70_000, seed), content(30_000, seed + 100));
    let request = UploadAppender(head(first.len(), "log"));
    let FileCreated(id) =
        client.storages.send(at, &request, &mut first.as_slice(), |_| {}).await.expect("an appender");
    let append = Append { name: id.name.clone(), size: size(second.len()) };
    client.storages.send::<_, Empty>(at, &append, &mut second.as_slice(), |_| {}).await.expect("appended");
    (id, [first, second].concat())
}

async fn slave(client: &Client, at: SocketAddr, master: &FileId, mut content: &[u8]) -> FileId {
    let request = UploadSlave {
        master: master.name.clone(),
        size: size(content.len()),
        prefix: SlavePrefix::parse("_150x150").expect("a good prefix"),
        ext: FileExt::parse("jpg").expect("a good extension"),
    };
    let FileCreated(id) = client.storages.send(at, &request, &mut content, |_| {}).await.expect("a slave");
    id
}

async fn link(client: &Client, at: SocketAddr, target: &FileId) -> FileId {
    let request = CreateLink {
        group: target.group,
        master: None,
        ext: FileExt::parse("jpg").expect("a good extension"),
        source: target.name.clone(),
        signature: Bytes::from_static(b"some signature"),
    };
    client.storages.create_link(at, &request).await.expect("a link")
}
