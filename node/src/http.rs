//! The store as the gateway sees it, and what a node's HTTP port has besides.

pub(crate) mod replication;

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use gateway::files::{
    Carrier, Checksum, Committed, Current, Errand, FileInfo, Files, FindError, Holder, LinkName, Located,
    LookError, NoCarrier, NotReady, OpenFile, SmallRead, Start, UploadSpec, Version, Witness, WriteError,
    Writes,
};
use gateway::idempotency::Keys;
use protocol::metadata::Metadata;
use protocol::{FileId, GroupName, LogicName};

use crate::confirm::Confirm;
use crate::courier::{Courier, Couriers};
use crate::reading;
use crate::remote::{Remote, RemoteFile};
use crate::store::{self, LinkSpec, Reader, Store, Upload, print_position};
use crate::view::{Standing, View};

/// Files of this node.
#[derive(Clone)]
pub(crate) struct NodeFiles {
    pub(crate) store: Store,
    pub(crate) view: View,
    pub(crate) remote: Remote,
    pub(crate) keys: Option<Keys>,
    pub(crate) couriers: Couriers,
    pub(crate) confirm: Confirm,
}

impl NodeFiles {
    fn is_own(&self, id: &FileId) -> bool {
        id.group == self.store.group()
    }

    /// The name of a file of this group.
    fn own_name<'a>(&self, id: &'a FileId) -> Result<&'a LogicName, WriteError> {
        if self.is_own(id) { Ok(&id.name) } else { Err(WriteError::NotFound) }
    }

    fn reader(&self, id: &FileId) -> Option<&Reader> {
        self.is_own(id).then(|| self.store.reader())
    }

    async fn has(&self, id: &FileId) -> bool {
        self.is_own(id) && self.store.reader().open_file(&id.name).await.is_ok()
    }

    /// Whether this node gave the file its name, so that changes of it belong here.
    fn made_here(&self, id: &FileId) -> bool {
        let source = id.name.code().ok().map(|code| code.source);
        self.is_own(id) && source.is_some() && self.store.identity().map(|own| own.source) == source
    }
}

impl Writes for NodeFiles {
    type Upload = Upload;
    type Change = store::Change;

    async fn begin(&self, spec: UploadSpec) -> Result<store::Upload, WriteError> {
        self.store.begin(spec).await
    }

    fn put(
        &self,
        spec: UploadSpec,
        content: Vec<Bytes>,
    ) -> impl Future<Output = Result<Committed, WriteError>> + Send {
        self.store.put(spec, content)
    }

    async fn delete(&self, id: &FileId) -> Result<(), WriteError> {
        self.store.delete(self.own_name(id)?).await
    }

    async fn begin_change<N: Send + 'static>(
        &self,
        id: &FileId,
        len: Option<u64>,
        decide: impl FnOnce(&Current) -> Result<Start, N> + Send + 'static,
    ) -> Result<Result<store::Change, N>, WriteError> {
        self.store.begin_change(self.own_name(id)?, len, decide).await
    }

    async fn truncate<N: Send + 'static>(
        &self,
        id: &FileId,
        decide: impl FnOnce(&Current) -> Result<u64, N> + Send + 'static,
    ) -> Result<Result<Current, N>, WriteError> {
        self.store.truncate_to(self.own_name(id)?, decide).await
    }

    async fn finish(&self, id: &FileId) -> Result<Committed, WriteError> {
        self.store.regenerate(self.own_name(id)?).await
    }

    async fn edit_metadata<N: Send + 'static>(
        &self,
        id: &FileId,
        edit: impl FnOnce(&Metadata) -> Result<Metadata, N> + Send + 'static,
    ) -> Result<Result<Metadata, N>, WriteError> {
        self.store.edit_metadata(self.own_name(id)?, edit).await
    }
}

impl Files for NodeFiles {
    type Member = Courier;
    type Remote = RemoteFile;
    type Partials = Store;

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

    fn names_taken(&self, id: &FileId) -> Option<u64> {
        if self.is_own(id) { self.store.reader().names_taken(&id.name) } else { None }
    }

    async fn described(&self, id: &FileId) -> Metadata {
        if self.is_own(id) { self.store.reader().described(&id.name).await } else { Metadata::default() }
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

    fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
    }

    fn log_position(&self) -> String {
        print_position(*self.store.binlog_watch().borrow())
    }

    async fn uploaded(&self, token: &str, since: &str) -> io::Result<Vec<(Committed, Option<String>)>> {
        self.store.uploaded(token, since).await
    }

    fn replicas(&self) -> u8 {
        self.confirm.replicas()
    }

    fn members_in_service(&self) -> u8 {
        self.confirm.members_in_service()
    }

    fn witness(&self) -> Box<dyn Witness> {
        Box::new(self.confirm.begin())
    }

    async fn witness_again(&self, files: &[FileId]) -> Box<dyn Witness> {
        Box::new(self.confirm.begin_again(&self.remote, files).await)
    }

    async fn create_link(&self, to: &FileId, name: LinkName) -> Result<Committed, WriteError> {
        let source = self.own_name(to)?.clone();
        self.store.create_link(LinkSpec { master: name.master, ext: name.ext, source }).await
    }

    async fn metadata(&self, id: &FileId) -> Result<Metadata, LookError> {
        let counter = &self.store.counters().get_metas;
        counter.asked(1);
        let metadata = reading::metadata(self.reader(id), Some(&self.remote), id).await?;
        counter.done(1);
        Ok(metadata)
    }

    async fn info(&self, id: &FileId, checksum: Checksum) -> Result<FileInfo, LookError> {
        reading::info(self.reader(id), Some(&self.remote), id, checksum).await
    }

    async fn holders(&self, id: &FileId) -> Vec<Holder> {
        reading::holders(self.reader(id), Some(&self.remote), id).await
    }

    async fn carrier(&self, errand: Errand<'_>) -> Result<Carrier, NoCarrier> {
        match errand {
            Errand::Upload(group) if group == self.store.group() => Ok(Carrier::Here),
            // Boxed, as is the other question to a tracker: it is rare, and every write has room for the longest way.
            Errand::Upload(group) => Box::pin(self.remote.carrier_of_upload(group)).await,
            Errand::Change(id) if self.made_here(id) => Ok(Carrier::Here),
            Errand::Any(id) if self.has(id).await => Ok(Carrier::Here),
            Errand::Change(id) | Errand::Any(id) => Box::pin(self.remote.carrier_of_change(id)).await,
        }
    }

    fn member(&self, native: SocketAddr, group: GroupName) -> Option<Courier> {
        Some(self.couriers.to(native, group))
    }

    fn partials(&self) -> &Store {
        &self.store
    }

    fn ready(&self) -> Result<(), NotReady> {
        match self.view.standing() {
            Standing::Active => Ok(()),
            Standing::Waiting(detail) => Err(NotReady { code: "not_active", detail }),
        }
    }
}
