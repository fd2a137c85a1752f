//! The files of another program's store paths as the gateway sees them: to be read, not to be changed.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use gateway::files::{
    Carrier, Change, Checksum, Committed, Current, Errand, FileInfo, Files, FindError, Holder, LinkName,
    Located, LookError, NoCarrier, NotReady, OpenFile, SmallRead, Start, Upload, UploadSpec, Version,
    WriteError, Writes,
};
use gateway::partials::NoPartials;
use protocol::metadata::Metadata;
use protocol::{FileId, GroupName};

use super::cluster::Cluster;
use crate::reading;
use crate::remote::{Remote, RemoteFile};
use crate::store::Reader;

/// Files that are here, and those that the members of the cluster have.
pub(super) struct FrontFiles {
    /// Of URLs without a group.
    pub(super) first: GroupName,
    /// Store paths of the groups that are served from here.
    pub(super) groups: Vec<(GroupName, Reader)>,
    /// The members, where trackers are configured.
    pub(super) others: Option<(Remote, Cluster)>,
}

impl FrontFiles {
    fn reader(&self, group: GroupName) -> Option<&Reader> {
        self.groups.iter().find(|(served, _)| *served == group).map(|(_, reader)| reader)
    }

    fn remote(&self) -> Option<&Remote> {
        self.others.as_ref().map(|(remote, _)| remote)
    }
}

/// There is none.
pub(super) enum NoUpload {}

impl Upload for NoUpload {
    async fn write(&mut self, _chunk: Bytes) -> Result<(), WriteError> {
        match *self {}
    }

    fn set_metadata(&mut self, _: Metadata) {
        match *self {}
    }

    async fn commit(self) -> Result<Committed, WriteError> {
        match self {}
    }
}

impl Change for NoUpload {
    fn offset(&self) -> u64 {
        match *self {}
    }

    async fn write(&mut self, _chunk: Bytes) -> Result<(), WriteError> {
        match *self {}
    }

    async fn commit(self) -> Result<Current, WriteError> {
        match self {}
    }
}

const REFUSED: WriteError = WriteError::Invalid("this gateway changes no files");

impl Writes for FrontFiles {
    type Upload = NoUpload;
    type Change = NoUpload;

    async fn begin(&self, _spec: UploadSpec) -> Result<NoUpload, WriteError> {
        Err(REFUSED)
    }

    async fn put(&self, _spec: UploadSpec, _content: Vec<Bytes>) -> Result<Committed, WriteError> {
        Err(REFUSED)
    }

    async fn delete(&self, _id: &FileId) -> Result<(), WriteError> {
        Err(REFUSED)
    }

    async fn begin_change<N: Send + 'static>(
        &self,
        _id: &FileId,
        _len: Option<u64>,
        _decide: impl FnOnce(&Current) -> Result<Start, N> + Send + 'static,
    ) -> Result<Result<NoUpload, N>, WriteError> {
        Err(REFUSED)
    }

    async fn truncate<N: Send + 'static>(
        &self,
        _id: &FileId,
        _decide: impl FnOnce(&Current) -> Result<u64, N> + Send + 'static,
    ) -> Result<Result<Current, N>, WriteError> {
        Err(REFUSED)
    }

    async fn finish(&self, _id: &FileId) -> Result<Committed, WriteError> {
        Err(REFUSED)
    }

    async fn edit_metadata<N: Send + 'static>(
        &self,
        _id: &FileId,
        _edit: impl FnOnce(&Metadata) -> Result<Metadata, N> + Send + 'static,
    ) -> Result<Result<Metadata, N>, WriteError> {
        Err(REFUSED)
    }
}

impl Files for FrontFiles {
    const READ_ONLY: bool = true;

    type Member = Self;
    type Remote = RemoteFile;
    type Partials = NoPartials;

    fn group(&self) -> GroupName {
        self.first
    }

    async fn locate(&self, id: &FileId) -> io::Result<Located> {
        match self.reader(id.group) {
            Some(reader) => reading::locate(reader, &id.name).await,
            None => Ok(Located::Missing),
        }
    }

    async fn read_small(&self, id: &FileId, max: usize) -> io::Result<Located<SmallRead>> {
        match self.reader(id.group) {
            Some(reader) => reading::read_small(reader, &id.name, max).await,
            None => Ok(Located::Missing),
        }
    }

    fn version(&self, id: &FileId) -> Option<Version> {
        self.reader(id.group)?.version(&id.name)
    }

    async fn described(&self, id: &FileId) -> Metadata {
        match self.reader(id.group) {
            Some(reader) => reader.described(&id.name).await,
            None => Metadata::default(),
        }
    }

    async fn find(&self, id: &FileId) -> Result<RemoteFile, FindError> {
        match &self.others {
            Some((remote, _)) => reading::find(remote, id).await,
            None => Err(FindError::NotFound),
        }
    }

    async fn read_at(&self, id: &FileId, file: &OpenFile, offset: u64, len: usize) -> io::Result<Bytes> {
        let reader = self.reader(id.group).ok_or(io::ErrorKind::NotFound)?;
        reader.read_at(&id.name, file, offset, len).await
    }

    async fn create_link(&self, _to: &FileId, _name: LinkName) -> Result<Committed, WriteError> {
        Err(REFUSED)
    }

    async fn metadata(&self, id: &FileId) -> Result<Metadata, LookError> {
        reading::metadata(self.reader(id.group), self.remote(), id).await
    }

    async fn info(&self, id: &FileId, checksum: Checksum) -> Result<FileInfo, LookError> {
        reading::info(self.reader(id.group), self.remote(), id, checksum).await
    }

    async fn holders(&self, id: &FileId) -> Vec<Holder> {
        reading::holders(self.reader(id.group), self.remote(), id).await
    }

    async fn carrier(&self, _errand: Errand<'_>) -> Result<Carrier, NoCarrier> {
        Ok(Carrier::Here)
    }

    fn member(&self, _native: SocketAddr, _group: GroupName) -> Option<Self> {
        None
    }

    fn partials(&self) -> &NoPartials {
        &NoPartials
    }

    /// Files of this disk are served in any case; those of others not before their members are known.
    fn ready(&self) -> Result<(), NotReady> {
        match &self.others {
            Some((_, cluster)) if !cluster.is_known() => Err(NotReady {
                code: "no_tracker",
                detail: "no tracker has told yet who the members of every served group are, so only files of this disk \
                         are served; check tracker_server, group_name and the trackers"
                    .to_owned(),
            }),
            _ => Ok(()),
        }
    }
}
