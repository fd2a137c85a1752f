//! The store as the gateway sees it, and what a node's HTTP port has besides.

pub(crate) mod replication;

use std::io;

use bytes::Bytes;
use gateway::files::{
    Committed, Files, FindError, Located, NotReady, OpenFile, SmallRead as Read, UploadSpec, WriteError,
};
use protocol::{FileId, GroupName};

use crate::remote::{Miss, Remote, RemoteFile};
use crate::store::{self, ReadError, SmallRead, Store, Upload};
use crate::view::{Standing, View};

/// Files of this node.
#[derive(Clone)]
pub(crate) struct NodeFiles {
    pub(crate) store: Store,
    pub(crate) view: View,
    pub(crate) remote: Remote,
}

impl NodeFiles {
    fn is_own(&self, id: &FileId) -> bool {
        id.group == self.store.group()
    }

    /// What a failed read means for a visitor: names that cannot be are simply not found.
    fn found<T>(read: Result<T, ReadError>) -> io::Result<Located<T>> {
        match read {
            Ok(found) => Ok(Located::Here(found)),
            Err(ReadError::NotFound) => Ok(Located::Missing),
            Err(ReadError::NotRegular | ReadError::Invalid(_)) => Ok(Located::NotFound),
            Err(ReadError::Io(error)) => Err(error),
        }
    }
}

impl Files for NodeFiles {
    type Upload = Upload;
    type Remote = RemoteFile;

    fn group(&self) -> GroupName {
        self.store.group()
    }

    async fn locate(&self, id: &FileId) -> io::Result<Located> {
        if !self.is_own(id) {
            return Ok(Located::Missing);
        }
        Self::found(self.store.reader().open_file(&id.name).await)
    }

    async fn read_small(&self, id: &FileId, max: usize) -> io::Result<Located<Read>> {
        if !self.is_own(id) {
            return Ok(Located::Missing);
        }
        let read = self.store.reader().read_small(&id.name, 0, 0, max).await.map(|read| match read {
            SmallRead::Content { modified, mutable, content, .. } => {
                self.store.counters().downloaded(content.len() as u64);
                Read::Content { content, modified, mutable }
            }
            SmallRead::Large(file) => {
                self.store.counters().downloaded(file.len);
                Read::Large(file)
            }
        });
        Self::found(read)
    }

    async fn find(&self, id: &FileId) -> Result<RemoteFile, FindError> {
        self.remote.find(id).await.map_err(|miss| match miss {
            Miss::Nowhere => FindError::NotFound,
            Miss::Unreachable | Miss::Refused(_) => FindError::Unreachable,
        })
    }

    async fn read_at(&self, id: &FileId, file: &OpenFile, offset: u64, len: usize) -> io::Result<Bytes> {
        self.store.reader().read_at(&id.name, file, offset, len).await
    }

    async fn begin(&self, spec: UploadSpec) -> Result<store::Upload, WriteError> {
        self.store.begin(spec).await
    }

    async fn put(&self, spec: UploadSpec, content: Vec<Bytes>) -> Result<Committed, WriteError> {
        self.store.put(spec, content).await
    }

    async fn delete(&self, id: &FileId) -> Result<(), WriteError> {
        if !self.is_own(id) {
            return Err(WriteError::NotFound);
        }
        self.store.delete(&id.name).await
    }

    fn ready(&self) -> Result<(), NotReady> {
        match self.view.standing() {
            Standing::Active => Ok(()),
            Standing::Waiting(detail) => Err(NotReady { code: "not_active", detail }),
        }
    }
}
