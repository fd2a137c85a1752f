//! Who gives out slots: this node, another member, or nobody. The trackers decide, and may decide otherwise at any time.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use futures_util::future::BoxFuture;
use protocol::Status;
use protocol::config::trunk_conf::TrunkConf;
use protocol::file_id::StorePathIndex;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::super::layout::unix_seconds;
use super::super::{Inner, Store, StoreError};
use super::claims::Claims;
use super::free::Content;
use super::log::TrunkLog;
use super::server::Server;
use super::slot::{Slot, SlotRules};
use super::{snapshot, start};

/// The trunk server of the group, when it is another member: commands 27, 28 and 29 to it.
pub trait TrunkClient: Send + Sync + 'static {
    /// Holds a slot for `need` bytes, header included.
    fn allocate(&self, path: StorePathIndex, need: u32) -> BoxFuture<'_, Result<Slot, Status>>;

    /// Says what became of a slot: `OK` used, `EEXIST` another file is in it, anything else gives it back.
    fn confirm(&self, slot: Slot, outcome: Status) -> BoxFuture<'_, Result<(), Status>>;

    /// Says that the file of a slot was deleted here.
    fn free(&self, slot: Slot) -> BoxFuture<'_, Result<(), Status>>;
}

/// Who gives out slots.
#[derive(Clone, Default)]
pub(in super::super) enum Space {
    /// Nobody who is known: all files are files of their own.
    #[default]
    Nobody,
    /// This node.
    Own,
    /// Another member.
    Member(Arc<dyn TrunkClient>),
}

/// What a slot is given back for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Return {
    /// It was held and not used.
    Unused,
    /// There is a file in it that nobody knows of.
    Occupied,
    /// It was a file's, which is deleted.
    Free,
}

/// A slot on its way back to the member that gave it.
type Returned = (Arc<dyn TrunkClient>, Slot, Return);

/// Slots that are on their way back at most; more are lost, as when the trunk server is down for long.
const MAX_RETURNED: usize = 64 * 1024;

/// What a store keeps of trunk files.
pub(in super::super) struct TrunkState {
    /// Slots that are written or erased now.
    pub(super) claims: Claims,
    pub(super) log: TrunkLog,
    rules: RwLock<SlotRules>,
    space: RwLock<Space>,
    /// As long as this node has the role.
    server: Mutex<Option<Server>>,
    /// Until when it gives out slots, if that is limited.
    lease: Mutex<Option<Instant>>,
    returned: mpsc::Sender<Returned>,
    /// Away while somebody tells the trunk server of them.
    returning: Mutex<Option<mpsc::Receiver<Returned>>>,
}

impl TrunkState {
    /// Of `<base_path>/data`. Without a role, and without trunk files until the trackers say so.
    pub(in super::super) fn new(base_data: &Path) -> Self {
        let (returned, returning) = mpsc::channel(MAX_RETURNED);
        Self {
            claims: Claims::default(),
            returned,
            returning: Mutex::new(Some(returning)),
            log: TrunkLog::new(base_data.join("trunk")),
            rules: RwLock::new(SlotRules::of(&TrunkConf::assumed())),
            space: RwLock::default(),
            server: Mutex::default(),
            lease: Mutex::default(),
        }
    }

    /// What the trackers say.
    pub(in super::super) fn set_rules(&self, rules: SlotRules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        if let Some(server) = self.server().as_mut() {
            server.rules = rules;
        }
    }

    pub(in super::super) fn rules(&self) -> SlotRules {
        *self.rules.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in super::super) fn space(&self) -> Space {
        self.space.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_space(&self, space: Space) {
        *self.space.write().unwrap_or_else(PoisonError::into_inner) = space;
    }

    /// Gives a slot back to the member that gave it, when that can be told.
    pub(super) fn give_back(&self, server: Arc<dyn TrunkClient>, slot: Slot, why: Return) {
        if self.returned.try_send((server, slot, why)).is_err() {
            warn!(?slot, "too much is to be given back to the trunk server, this space is lost");
        }
    }

    /// Whether slots may be given out now. This process may have stood still for so long that another member is the trunk
    /// server.
    pub(super) fn check_lease(&self) -> Result<(), Status> {
        let lease = *self.lease.lock().unwrap_or_else(PoisonError::into_inner);
        if lease.is_some_and(|until| Instant::now() >= until) { Err(Status::EAGAIN) } else { Ok(()) }
    }

    pub(super) fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store's part in the trunk files of its group. Clones share it. All of it may block, but for short times only:
/// [`Trunk::serve`] reads the whole log, and [`Trunk::allocate`] may make a file.
#[derive(Clone)]
pub struct Trunk(Store);

impl Store {
    /// The part of this node in the trunk files of its group.
    pub fn trunk(&self) -> Trunk {
        Trunk(self.clone())
    }
}

/// The role.
impl Trunk {
    /// What the trackers say of trunk files.
    pub fn rules(&self) -> SlotRules {
        self.inner().trunk.rules()
    }

    /// Takes the role of the group's trunk server: reads the log and what it says is free. Done already, it does nothing.
    /// The number of the newest trunk file, which trackers know, has to be told before by [`Trunk::adopt_file_id`].
    pub fn serve(&self) -> Result<(), StoreError> {
        let trunk = &self.inner().trunk;
        let mut server = trunk.server();
        if server.is_none() {
            *server = Some(start::start(self.inner(), trunk.rules())?);
            info!("this node is the trunk server of its group now");
        }
        trunk.set_space(Space::Own);
        Ok(())
    }

    /// Gives out slots until then, and not after it, as long as nothing else is said. Without a word of this there is no end.
    pub fn lease_until(&self, until: Instant) {
        *self.inner().trunk.lease.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// Has no role: another member is the trunk server, or nobody is.
    pub fn follow(&self, server: Option<Arc<dyn TrunkClient>>) {
        let trunk = &self.inner().trunk;
        trunk.set_space(server.map_or(Space::Nobody, Space::Member));
        let retired = trunk.server().take();
        if let Some(mut retired) = retired {
            retired.retire(self.inner());
            if let Err(error) = trunk.log.flush() {
                warn!(%error, "the trunk binlog is not on the disk; what it lacks is lost as free space");
            }
            info!("this node is no longer the trunk server of its group");
        }
    }

    /// Whether this node has the role.
    pub fn is_server(&self) -> bool {
        self.inner().trunk.server().is_some()
    }

    /// Number of the newest trunk file of the group, as far as this node knows.
    pub fn file_id(&self) -> u32 {
        u32::try_from(self.0.init_flag().current_trunk_file_id).unwrap_or(0)
    }

    /// Remembers that the group has trunk files up to this one.
    pub fn adopt_file_id(&self, file_id: u32) -> Result<(), StoreError> {
        self.0.update_init_flag(|flag| {
            flag.current_trunk_file_id = flag.current_trunk_file_id.max(file_id.into());
        })
    }
}

/// The trunk server's answers to other members: `EINVAL` from a node that is not it. What they are told outlives this
/// process.
impl Trunk {
    /// Command 27: holds a slot for `need` bytes, header included.
    pub fn allocate(&self, path: StorePathIndex, need: u32) -> Result<Slot, Status> {
        if !self.rules().admits(need) {
            return Err(Status::EINVAL);
        }
        self.ask(|server, inner| server.allocate(inner, path, need)).map(|given| given.slot)
    }

    /// Command 28: `OK` used, `EEXIST` another file is in it, anything else gives it back. `ENOENT` if nothing like that
    /// is held.
    pub fn confirm(&self, slot: &Slot, outcome: Status) -> Result<(), Status> {
        self.ask(|server, inner| server.confirm(inner, slot, outcome))
    }

    /// Command 29: the file of a slot was deleted. `EEXIST` if it is free or held.
    pub fn free(&self, slot: &Slot) -> Result<(), Status> {
        if self.inner().path(slot.path).is_none() {
            return Err(Status::EINVAL);
        }
        self.ask(|server, inner| server.free(inner, slot, Content::Unknown))
    }

    /// Bytes that are free in trunk files; of a node that is not the trunk server 0.
    pub fn free_bytes(&self) -> u64 {
        self.inner().trunk.server().as_ref().map_or(0, |server| server.free.bytes())
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(&mut Server, &Arc<Inner>) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let trunk = &self.inner().trunk;
        let answer = question(trunk.server().as_mut().ok_or(Status::EINVAL)?, self.inner());
        trunk.log.write_waiting();
        answer
    }
}

/// The log.
impl Trunk {
    /// Bytes of the log; none if there is none. Command 31.
    pub fn log_len(&self) -> io::Result<Option<u64>> {
        self.inner().trunk.log.len()
    }

    /// Hears how many bytes of the log can be read.
    pub fn log_watch(&self) -> watch::Receiver<u64> {
        self.inner().trunk.log.watch()
    }

    /// Whole lines from an offset on, `max` bytes at most; empty at the end.
    pub fn read_log(&self, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        self.inner().trunk.log.read(offset, max)
    }

    /// Command 30: appends lines of the trunk server. `EINVAL` from a node that is it itself, and for half a line.
    pub fn append_log(&self, lines: &[u8]) -> Result<(), Status> {
        let trunk = &self.inner().trunk;
        let server = trunk.server();
        if server.is_some() || !trunk.rules().is_on || !lines.ends_with(b"\n") {
            return Err(Status::EINVAL);
        }
        trunk.log.append(lines).map_err(|error| Status::from_io(&error))
    }

    /// Command 33: the trunk server is about to send all of its log.
    pub fn truncate_log(&self) -> Result<(), Status> {
        let trunk = &self.inner().trunk;
        let server = trunk.server();
        if server.is_some() || !trunk.rules().is_on {
            return Err(Status::EINVAL);
        }
        let now = unix_seconds(SystemTime::now());
        let begun = trunk.log.truncate(trunk.rules().max_backups, now);
        begun
            .and_then(|()| snapshot::remove(&self.inner().base_data))
            .map_err(|error| Status::from_io(&error))
    }

    /// Command 32, before this node becomes the trunk server: what other members have of its log is not known any more.
    pub fn forget_marks(&self) -> Result<(), Status> {
        let trunk = &self.inner().trunk;
        let server = trunk.server();
        if server.is_some() {
            return Err(Status::EINVAL);
        }
        let removed =
            snapshot::remove(&self.inner().base_data).and_then(|()| remove_marks(trunk.log.directory()));
        removed.map_err(|error| Status::from_io(&error))
    }

    /// `<base_path>/data/trunk`: the log, and the marks of who was sent how much of it.
    pub fn directory(&self) -> &Path {
        self.inner().trunk.log.directory()
    }

    /// Gives slots back to the member that gave them, until `stop` is cancelled.
    pub async fn give_back(self, stop: CancellationToken) {
        let taken = self.inner().trunk.returning.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut returning) = taken else { return };
        loop {
            let (server, slot, why) = tokio::select! {
                () = stop.cancelled() => return,
                returned = returning.recv() => match returned {
                    Some(returned) => returned,
                    None => return,
                },
            };
            let told = match why {
                Return::Unused => server.confirm(slot, Status::EIO).await,
                Return::Occupied => server.confirm(slot, Status::EEXIST).await,
                Return::Free => server.free(slot).await,
            };
            if let Err(status) = told {
                warn!(?slot, %status, "the trunk server does not take space back, which is lost");
            }
        }
    }

    /// Puts the log on the disk and looks again at slots that were not free; to be called every second.
    pub fn tend(&self) -> io::Result<()> {
        let trunk = &self.inner().trunk;
        if let Some(server) = trunk.server().as_mut() {
            server.look_again(self.inner());
        }
        trunk.log.flush()
    }

    fn inner(&self) -> &Arc<Inner> {
        &self.0.0
    }
}

fn remove_marks(directory: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        outcome => outcome?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "mark") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
