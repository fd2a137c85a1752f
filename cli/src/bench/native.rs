//! Requests in the native protocol, made once and sent as they are.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use protocol::client::{ClientLimits, Pool, TrackerClient};
use protocol::file_id::{FileExt, StorePathIndex};
use protocol::storage::{Delete, Download, FileCreated, Upload, UploadHead};
use protocol::tracker::{FileName, QueryFetch, QueryStore, QueryStoreInGroup};
use protocol::wire::{Request, Response, StreamRequest};
use protocol::{Command, FileId, GroupName, Header, HostPort, Status};

use super::engine::Head;
use super::work::{Dialect, Made};

/// Where uploads go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) storage: SocketAddr,
    store_path: Option<StorePathIndex>,
}

/// Asks a tracker for a storage; a storage itself, which does not know the question, is its own answer.
pub(super) fn find_storage(target: SocketAddr, group: Option<GroupName>) -> anyhow::Result<Place> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limits = ClientLimits { connect_retries: 0, ..ClientLimits::default() };
    let tracker = TrackerClient::new(vec![HostPort::from(target)], Pool::new(limits));
    match runtime.block_on(tracker.query_store(group)) {
        Ok(answer) => Ok(Place {
            storage: SocketAddr::new(answer.server.ip, answer.server.port),
            store_path: Some(answer.store_path),
        }),
        Err(error) if error.status() == Some(Status::EINVAL) => {
            Ok(Place { storage: target, store_path: None })
        }
        Err(error) if error.status() == Some(Status::ENOENT) => {
            bail!("tracker {target} has no storage that takes uploads")
        }
        Err(error) => Err(error).with_context(|| format!("asking {target} where to upload")),
    }
}

/// Frames of the native protocol.
#[derive(Debug, Clone, Copy)]
pub(super) struct Native {
    pub(super) place: Option<Place>,
}

impl Dialect for Native {
    fn upload(&self, content: &[u8]) -> Bytes {
        let store_path = self.place.and_then(|place| place.store_path);
        let ext = FileExt::parse("bin").unwrap_or(FileExt::NONE);
        let head = Upload(UploadHead { store_path, size: content.len() as u64, ext }).to_frame_head();
        let mut frame = BytesMut::with_capacity(head.len() + content.len());
        frame.extend_from_slice(&head);
        frame.extend_from_slice(content);
        frame.freeze()
    }

    fn uploaded(&self, body: &[u8]) -> Option<FileId> {
        FileCreated::decode_body(body).ok().map(|FileCreated(id)| id)
    }

    fn download(&self, made: &Made) -> Bytes {
        Download { offset: 0, len: 0, file: made.id.clone() }.to_frame().freeze()
    }

    fn delete(&self, made: &Made) -> Bytes {
        Delete(made.id.clone()).to_frame().freeze()
    }

    fn query(&self, group: Option<GroupName>, file: Option<&FileId>) -> anyhow::Result<Bytes> {
        Ok(match (file, group) {
            (Some(file), _) => {
                let name = FileName::new(file.name.as_str().as_bytes())?;
                QueryFetch { group: file.group, name }.to_frame().freeze()
            }
            (None, Some(group)) => QueryStoreInGroup(group).to_frame().freeze(),
            (None, None) => QueryStore.to_frame().freeze(),
        })
    }

    fn head(&self, have: &[u8]) -> Result<Option<Head>, &'static str> {
        let header = Header::decode(have, i64::MAX.unsigned_abs()).map_err(|_| "not a native answer")?;
        let Some(header) = header else { return Ok(None) };
        if header.command != Command::RESPONSE {
            return Err("not a native answer");
        }
        Ok(Some(Head {
            len: protocol::frame::HEADER_LEN,
            body: header.body_len,
            status: header.status.0.into(),
            ok: header.status.is_ok(),
            // The reference closes after EINVAL.
            keep: header.status != Status::EINVAL,
        }))
    }
}
