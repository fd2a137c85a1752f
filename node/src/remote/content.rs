//! A file that another member has: its facts, and its content as it comes.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use protocol::client::{ClientError, Connection, Pool};
use protocol::file_id::FileKind;
use protocol::metadata::Metadata;
use protocol::storage::FileInfo;
use protocol::wire::DecodeError;
use protocol::{Command, FileId, Status};

use super::{Miss, Remote};

const COMMAND: Command = Command::DOWNLOAD_FILE;

/// A file on another member.
pub(crate) struct RemoteFile {
    remote: Remote,
    id: FileId,
    /// Who has it.
    at: SocketAddr,
    len: u64,
    modified: SystemTime,
    mutable: bool,
}

impl RemoteFile {
    /// Validators are those that the holder would give, as far as seconds tell.
    pub(super) fn new(remote: Remote, id: FileId, at: SocketAddr, info: &FileInfo) -> Self {
        let (modified, mutable) = times(&id, info);
        Self { remote, id, at, len: info.size, modified, mutable }
    }
}

/// Time for `Last-Modified`, and whether the content can change under the name.
pub(crate) fn times(id: &FileId, info: &FileInfo) -> (SystemTime, bool) {
    let named = match id.name.kind() {
        Ok(FileKind::Normal | FileKind::Trunk(_)) => id.name.code().ok(),
        _ => None,
    };
    let seconds = named.map_or(u64::try_from(info.time).unwrap_or(0), |code| code.timestamp.into());
    (UNIX_EPOCH + Duration::from_secs(seconds), named.is_none())
}

impl gateway::files::RemoteFile for RemoteFile {
    type Content = RemoteContent;

    fn len(&self) -> u64 {
        self.len
    }

    fn modified(&self) -> SystemTime {
        self.modified
    }

    fn is_mutable(&self) -> bool {
        self.mutable
    }

    fn base_url(&self) -> String {
        self.remote.base_url(self.at)
    }

    async fn described(&self) -> Metadata {
        let told = self.remote.metadata_of(self.at, &self.id).await;
        told.map(|text| Metadata::parse(&text)).unwrap_or_else(|error| {
            // Members answer so where there is none.
            if error.status() != Some(Status::ENOENT) {
                tracing::debug!(id = %self.id, at = %self.at, %error, "the holder of a file does not tell its metadata");
            }
            Metadata::default()
        })
    }

    async fn open(&self, part: Range<u64>) -> io::Result<RemoteContent> {
        let len = part.end - part.start;
        if len == 0 {
            return Ok(RemoteContent::empty());
        }
        self.remote.0.standpoint.downloaded(len);
        // The holder first; whoever else has it if that one is gone meanwhile.
        let from_holder = self.remote.download_from(self.at, &self.id, part.start, len).await;
        let error = match from_holder {
            Ok(content) => return Ok(content),
            Err(error) => error,
        };
        tracing::debug!(id = %self.id, at = %self.at, %error, "the holder of a file is gone, looking for another");
        let asked = self.remote.download_but(&self.id, part.start, len, Some(len), &[self.at]).await;
        asked.map_err(|miss| {
            io::Error::other(match miss {
                Miss::Nowhere => "no member has the file any more",
                Miss::Unreachable | Miss::Refused(_) => "no member that has the file answers",
            })
        })
    }
}

/// Content on its way from another member.
pub(crate) struct RemoteContent {
    /// What has come already.
    first: Bytes,
    /// `None` once all has come.
    source: Option<(Connection, Pool)>,
    /// Bytes that are still to come.
    left: u64,
    buffer: BytesMut,
}

impl RemoteContent {
    fn empty() -> Self {
        Self { first: Bytes::new(), source: None, left: 0, buffer: BytesMut::new() }
    }

    /// Bytes that [`Self::next`] has not given yet.
    pub(crate) fn len(&self) -> u64 {
        self.first.len() as u64 + self.left
    }

    /// The next bytes; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ClientError> {
        if !self.first.is_empty() {
            return Ok(Some(std::mem::take(&mut self.first)));
        }
        self.receive().await
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, ClientError> {
        if self.left == 0 {
            return Ok(None);
        }
        let Some((connection, _)) = &mut self.source else { return Ok(None) };
        let piece = connection.next_piece(COMMAND, self.left, &mut self.buffer).await?;
        self.left -= piece.len() as u64;
        if self.left == 0
            && let Some((connection, pool)) = self.source.take()
        {
            pool.give_back(connection);
        }
        Ok(Some(piece))
    }
}

impl gateway::files::RemoteContent for RemoteContent {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.next().await.map_err(io::Error::other)
    }
}

/// Asks for content; done when its first bytes are here: until then another member can take over.
pub(super) async fn open(
    pool: Pool,
    mut connection: Connection,
    frame: Bytes,
    expected: Option<u64>,
) -> Result<RemoteContent, ClientError> {
    connection.send(COMMAND, &frame).await?;
    let header = match connection.answer_header(COMMAND, i64::MAX.unsigned_abs()).await {
        Ok(header) => header,
        Err(error) => {
            pool.give_back(connection);
            return Err(error);
        }
    };
    let left = header.body_len;
    if expected.is_some_and(|expected| expected != left) {
        let len = usize::try_from(left).unwrap_or(usize::MAX);
        let source = DecodeError::BadLength { message: "content", len };
        return Err(ClientError::Answer { address: connection.address(), command: COMMAND, source });
    }
    if left == 0 {
        pool.give_back(connection);
        return Ok(RemoteContent::empty());
    }
    let (first, buffer) = (Bytes::new(), BytesMut::new());
    let mut content = RemoteContent { first, source: Some((connection, pool)), left, buffer };
    content.first = content.receive().await?.unwrap_or_default();
    Ok(content)
}
