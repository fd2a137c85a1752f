//! Files that other members have: a read never fails because this one lags.
//!
//! Who is asked is the [`plan`]'s business, how the [`ask`]ing goes that module's. Members are asked natively, C ones and
//! ours alike; the hello on each connection makes the other side answer from its own disk, so a question makes one hop.

mod ask;
mod content;
mod members;
mod memory;
mod plan;
mod standpoint;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use protocol::client::{ClientError, ClientLimits, Connection, Pool};
use protocol::config::web_conf::is_base_url;
use protocol::file_id::FileKind;
use protocol::storage::{Download, FileInfo, FileInfoFlags, GetMetadata, QueryFileInfo};
use protocol::wire::{DecodeError, Request, Response};
use protocol::{Command, FileId, LogicName, Status};

use crate::trackers::Trackers;
use crate::view::View;
use ask::Round;
use memory::{Nowhere, Silent};
use plan::{Knowledge, Plan};

pub(crate) use content::{RemoteContent, RemoteFile, times};
pub(crate) use standpoint::{Member, Standpoint};

/// Longest wait for a connection to a member: they are near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for a member's answer, connecting included.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for what a file's name was, which nobody misses much: the content is on its way.
const DESCRIPTION_PATIENCE: Duration = Duration::from_secs(1);
/// Longest answer that is no content: metadata.
const MAX_ANSWER: u64 = 1 << 20;

/// Flags of a question about a file whose content matters, not its checksum.
pub(crate) const NO_CHECKSUM: FileInfoFlags =
    FileInfoFlags(FileInfoFlags::NO_CRC32.0 | FileInfoFlags::QUIET.0);

/// Why there is nothing from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    /// All who could have it were asked, or it is known to be gone.
    Nowhere,
    /// Some who may have it do not answer.
    Unreachable,
    /// A member refuses the question.
    Refused(Status),
}

/// What the asking needs.
pub(crate) struct Setup<S> {
    pub(crate) standpoint: S,
    pub(crate) view: View,
    pub(crate) trackers: Trackers,
    /// Of connections to members.
    pub(crate) limits: ClientLimits,
    /// Own HTTP port, which members that do not say theirs are taken to have too.
    pub(crate) http_port: u16,
}

struct Shared {
    standpoint: Box<dyn Standpoint>,
    view: View,
    trackers: Trackers,
    pool: Pool,
    http_port: u16,
    nowhere: Nowhere,
    silent: Silent,
}

/// The other members as holders of files. Clones share connections and memory.
#[derive(Clone)]
pub(crate) struct Remote(Arc<Shared>);

impl Remote {
    pub(crate) fn new(setup: Setup<impl Standpoint>) -> Self {
        let Setup { standpoint, view, trackers, limits, http_port } = setup;
        let connect_timeout = limits.connect_timeout.min(CONNECT_TIMEOUT);
        let pool = Pool::new(ClientLimits { connect_timeout, connect_retries: 0, ..limits });
        let (nowhere, silent) = (Nowhere::new(), Silent::default());
        let standpoint = Box::new(standpoint);
        Self(Arc::new(Shared { standpoint, view, trackers, pool, http_port, nowhere, silent }))
    }

    /// Size and time of a file, and who has it.
    pub(crate) async fn find(&self, id: &FileId) -> Result<RemoteFile, Miss> {
        let (at, info) = self.ask_info(id, NO_CHECKSUM).await?;
        Ok(RemoteFile::new(self.clone(), id.clone(), at, &info))
    }

    /// Address of the member that made a file, if it is known.
    pub(crate) fn source_ip(&self, id: &FileId) -> Option<IpAddr> {
        self.0.view.source_ip(id)
    }

    /// What a member knows of a file.
    pub(crate) async fn info(&self, id: &FileId, flags: FileInfoFlags) -> Result<FileInfo, Miss> {
        self.ask_info(id, flags).await.map(|(_, info)| info)
    }

    async fn ask_info(&self, id: &FileId, flags: FileInfoFlags) -> Result<(SocketAddr, FileInfo), Miss> {
        let (pool, frame) = (self.0.pool.clone(), QueryFileInfo(id.clone()).to_frame_with(flags).freeze());
        // For a checksum, a member may have to read all of the file.
        let quick = flags.has(FileInfoFlags::NO_CRC32);
        let patience = if quick { self.patience() } else { self.0.pool.limits().network_timeout };
        let deleted = self.0.deleted_at(id)?;
        let asked = self.first_of(self.0.plan(id), patience, id, &[], move |connection| {
            let asked = call::<FileInfo>(pool.clone(), connection, Command::QUERY_FILE_INFO, frame.clone());
            async move {
                match asked.await? {
                    (at, info) if deleted.is_some_and(|deleted| info.time < deleted) => Err(no_such_file(at)),
                    (_, info) => Ok(info),
                }
            }
        });
        asked.await
    }

    /// A file's metadata.
    pub(crate) async fn metadata(&self, id: &FileId) -> Result<Bytes, Miss> {
        let (pool, frame) = (self.0.pool.clone(), GetMetadata(id.clone()).to_frame().freeze());
        let asked = self.first(id, &[], move |connection| {
            call::<Bytes>(pool.clone(), connection, Command::GET_METADATA, frame.clone())
        });
        asked.await.map(|(_, (_, text))| text)
    }

    /// The same from a given member, if it tells soon.
    async fn metadata_of(&self, at: SocketAddr, id: &FileId) -> Result<Bytes, ClientError> {
        let (pool, frame) = (self.0.pool.clone(), GetMetadata(id.clone()).to_frame().freeze());
        let ask = |connection| call::<Bytes>(pool.clone(), connection, Command::GET_METADATA, frame.clone());
        let patience = self.patience().min(DESCRIPTION_PATIENCE);
        self.0.ask_member(at, patience, ask).await.map(|(_, text)| text)
    }

    /// A part of a file; `len` 0 means to the end. It begins to flow once this returns.
    pub(crate) async fn download(&self, id: &FileId, offset: u64, len: u64) -> Result<RemoteContent, Miss> {
        self.download_but(id, offset, len, None, &[]).await
    }

    /// The same, of `expected` bytes, from others than those that failed.
    async fn download_but(
        &self,
        id: &FileId,
        offset: u64,
        len: u64,
        expected: Option<u64>,
        failed: &[SocketAddr],
    ) -> Result<RemoteContent, Miss> {
        let pool = self.0.pool.clone();
        let frame = Download { offset, len, file: id.clone() }.to_frame().freeze();
        let asked = self.first(id, failed, move |connection| {
            content::open(pool.clone(), connection, frame.clone(), expected)
        });
        asked.await.map(|(_, content)| content)
    }

    /// A part from a given member.
    async fn download_from(
        &self,
        at: SocketAddr,
        id: &FileId,
        offset: u64,
        len: u64,
    ) -> Result<RemoteContent, ClientError> {
        let pool = self.0.pool.clone();
        let frame = Download { offset, len, file: id.clone() }.to_frame().freeze();
        let ask = |connection| content::open(pool.clone(), connection, frame.clone(), Some(len));
        self.0.ask_member(at, self.patience(), ask).await
    }

    /// Where browsers reach a member.
    fn base_url(&self, at: SocketAddr) -> String {
        let shared = &*self.0;
        let told = shared.standpoint.member_at(at).and_then(|peer| shared.view.http_url(&peer.id));
        let told = told.filter(|url| is_base_url(url));
        told.unwrap_or_else(|| format!("http://{}", SocketAddr::new(at.ip(), shared.http_port)))
    }

    fn patience(&self) -> Duration {
        PATIENCE.min(self.0.pool.limits().network_timeout)
    }

    async fn first<T, F, Fut>(
        &self,
        id: &FileId,
        skip: &[SocketAddr],
        ask: F,
    ) -> Result<(SocketAddr, T), Miss>
    where
        T: Send,
        F: Fn(Connection) -> Fut + Clone + Send + Sync,
        Fut: Future<Output = Result<T, ClientError>> + Send,
    {
        let plan = match self.0.deleted_at(id)? {
            None => self.0.plan(id),
            Some(_) => Plan::only(self.ask_info(id, NO_CHECKSUM).await?.0),
        };
        self.first_of(plan, self.patience(), id, skip, ask).await
    }

    /// Asks the members of a plan in turn.
    async fn first_of<T, F, Fut>(
        &self,
        plan: Plan,
        patience: Duration,
        id: &FileId,
        skip: &[SocketAddr],
        ask: F,
    ) -> Result<(SocketAddr, T), Miss>
    where
        T: Send,
        F: Fn(Connection) -> Fut + Clone + Send + Sync,
        Fut: Future<Output = Result<T, ClientError>> + Send,
    {
        let shared = &*self.0;
        if !may_be_elsewhere(&id.name) || shared.nowhere.contains(id) {
            return Err(Miss::Nowhere);
        }
        if shared.standpoint.id().is_none() {
            return Err(Miss::Unreachable);
        }
        let outcome = Round::new(shared, id, patience, plan, skip).first(ask).await;
        // A slave's name is known before the slave is there.
        if matches!(outcome, Err(Miss::Nowhere)) && id.name.is_made_once() {
            shared.nowhere.note(id);
        }
        outcome
    }
}

impl Shared {
    fn plan(&self, id: &FileId) -> Plan {
        let Some(peers) = self.standpoint.peers(id.group) else { return Plan::foreign() };
        let own = self.standpoint.addresses(id.group);
        let knowledge = Knowledge { peers: &peers, own: &own, source_ip: self.view.source_ip(id) };
        Plan::own_group(id, &knowledge, |at| self.silent.contains(at))
    }

    /// When the file was deleted, if it was and its name can come again: then only what was made later is the file. Other
    /// names are gone with their file.
    fn deleted_at(&self, id: &FileId) -> Result<Option<i64>, Miss> {
        match self.standpoint.deleted_at(id) {
            Some(_) if id.name.is_made_once() => Err(Miss::Nowhere),
            deleted => Ok(deleted),
        }
    }

    /// Whether the file is older than the longest time that the cluster takes to bring a file to all members.
    fn is_old(&self, id: &FileId) -> bool {
        let Ok(code) = id.name.code() else { return true };
        let made = UNIX_EPOCH + Duration::from_secs(code.timestamp.into());
        SystemTime::now().duration_since(made).is_ok_and(|age| age > self.view.max_delay())
    }
}

/// Whether others can have a file of this name. Names that hold no code are made by nobody; metadata is asked for by a
/// command of its own, and as a file nobody is to see it.
fn may_be_elsewhere(name: &LogicName) -> bool {
    name.code().is_ok()
        && name.kind().is_ok()
        && !(name.as_str().ends_with("-m") && name.kind() != Ok(FileKind::Normal))
}

/// One question whose answer fits in memory; gives also who answered.
async fn call<A: Response>(
    pool: Pool,
    mut connection: Connection,
    command: Command,
    frame: Bytes,
) -> Result<(SocketAddr, A), ClientError> {
    connection.send(command, &frame).await?;
    let body = connection.answer(command, MAX_ANSWER).await;
    let address = connection.address();
    pool.give_back(connection);
    let answer = A::decode_body(&body?);
    let nonsense = |source: DecodeError| ClientError::Answer { address, command, source };
    answer.map(|answer| (address, answer)).map_err(nonsense)
}

/// What a member's answer means that has only what was deleted.
fn no_such_file(address: SocketAddr) -> ClientError {
    ClientError::Refused { address, command: Command::QUERY_FILE_INFO, status: Status::ENOENT }
}
