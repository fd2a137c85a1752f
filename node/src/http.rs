//! The store as the gateway sees it, and what a node's HTTP port has besides.

pub(crate) mod replication;

use std::io;

use bytes::Bytes;
use gateway::files::{
    Committed, Files, FindError, Located, NotReady, OpenFile, SmallRead, UploadSpec, Version, WriteError,
};
use protocol::{FileId, GroupName};

use crate::reading;
use crate::remote::{Remote, RemoteFile};
use crate::store::{self, Store, Upload};
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
        reading::locate(self.store.reader(), &id.name).await
    }

    async fn read_small(&self, id: &FileId, max: usize) -> io::Result<Located<SmallRead>> {
        if !self.is_own(id) {
            return Ok(Located::Missing);
        }
        reading::read_small(self.store.reader(), &id.name, max).await
    }

    fn version(&self, id: &FileId) -> Option<Version> {
        if self.is_own(id) { self.store.reader().version(&id.name) } else { None }
    }

    fn sent_again(&self, len: u64) {
        self.store.counters().downloaded(len);
    }

    async fn find(&self, id: &FileId) -> Result<RemoteFile, FindError> {
        reading::find(&self.remote, id).await
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
