//! The trunk server's part: gives out slots, makes trunk files, takes back what is deleted, and logs all of it.
//!
//! Every change is in the log in the order in which it was made. What is given out is logged as free until its file is
//! there, so after a crash it is free again, unless the file came to be there: its record in the binlog says so (`start`).

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use protocol::Status;
use protocol::config::storage_conf::Durability;
use protocol::file_id::{StorePathIndex, TrunkSlot};
use tracing::{error, info, warn};

use super::super::layout::unix_seconds;
use super::super::{Inner, StorePath};
use super::container::Container;
use super::free::{Content, FreeList, Freed, Refused, Taken};
use super::record::Turn;
use super::slot::{Slot, SlotRules};

/// Tries at a trunk file whose name nothing has.
const NAME_TRIES: u32 = 1000;
/// Slots that are looked at for one file before it becomes a file of its own.
const SLOT_TRIES: u32 = 16;
/// How long a slot is left alone in which another file was found: its deletion is on its way from another member.
const PAUSE: Duration = Duration::from_secs(10);

/// Such slots that are looked at again in one go, while uploads wait.
const LOOKS: usize = 64;

/// Pause after a trunk file could not be made in advance.
const AGAIN: Duration = Duration::from_secs(1);

/// The next trunk file of a store path.
#[derive(Debug, Clone, Copy)]
enum Next {
    /// It is being made.
    UnderWay,
    /// It cannot be made, as was found then.
    Failed(Instant),
}

/// The state of the role.
pub(super) struct Server {
    pub(super) free: FreeList,
    pub(super) rules: SlotRules,
    /// Held slots that are not free yet on this disk, and when they were found so.
    set_aside: VecDeque<(Slot, Instant)>,
    /// Trunk files that are made in advance, by store path.
    next: BTreeMap<u8, Next>,
}

/// A slot that is held for a file, and what is known of its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) slot: Slot,
    content: Content,
}

fn now() -> i64 {
    unix_seconds(SystemTime::now())
}

impl Server {
    pub(super) fn new(free: FreeList, rules: SlotRules) -> Self {
        Self { free, rules, set_aside: VecDeque::new(), next: BTreeMap::new() }
    }

    /// Holds a slot. Blocking, since a trunk file may have to be made.
    pub(super) fn allocate(
        &mut self,
        inner: &Arc<Inner>,
        path: StorePathIndex,
        need: u32,
    ) -> Result<Given, Status> {
        let size = self.rules.slot_size(need).ok_or(Status::EINVAL)?;
        inner.trunk.check_lease()?;
        inner.trunk.log.check()?;
        let rules = self.rules;
        let keeps = |left| rules.is_worth_keeping(left);
        let taken = match self.free.take(path, size, keeps) {
            Some(taken) => taken,
            None => {
                let whole = make_container(inner, path, rules.file_size)?;
                self.take_in(inner, &whole)?;
                self.free.take(path, size, keeps).ok_or(Status::ENOSPC)?
            }
        };
        log_taken(inner, &taken);
        self.make_ahead(inner, path);
        Ok(Given { slot: taken.piece, content: taken.content })
    }

    /// All of a new trunk file is free.
    fn take_in(&mut self, inner: &Inner, whole: &Slot) -> Result<(), Status> {
        self.free.insert(whole, Content::Zeros).map_err(|_| Status::EIO)?;
        inner.trunk.log.add(now(), &[(Turn::Free, *whole)]);
        // A crash may lose what follows, but not a whole trunk file.
        inner.trunk.log.write_waiting();
        Ok(())
    }

    /// Has the next trunk file made before it is needed, since that takes a disk's time: it waits for two syncs.
    fn make_ahead(&mut self, inner: &Arc<Inner>, index: StorePathIndex) {
        if self.free.largest(index) >= self.rules.file_size / 2 {
            return;
        }
        match self.next.get(&index.0) {
            Some(Next::UnderWay) => return,
            Some(Next::Failed(since)) if since.elapsed() < AGAIN => return,
            _ => {}
        }
        let Some(path) = inner.path(index) else { return };
        self.next.insert(index.0, Next::UnderWay);
        let (inner, size) = (Arc::clone(inner), self.rules.file_size);
        path.pool.run_detached(move || {
            let made = make_container(&inner, index, size);
            // Without the role it stays as it is: empty, and nobody's.
            let mut server = inner.trunk.server();
            let Some(server) = server.as_mut() else { return };
            let taken = made.and_then(|whole| server.take_in(&inner, &whole));
            match taken {
                Ok(()) => server.next.remove(&index.0),
                Err(_) => server.next.insert(index.0, Next::Failed(Instant::now())),
            };
        });
    }

    /// What is held is a file's (0), or not to be given for a while (17), or free again.
    pub(super) fn confirm(&mut self, inner: &Inner, slot: &Slot, outcome: Status) -> Result<(), Status> {
        match outcome {
            Status::OK => {
                if !self.free.confirm(slot) {
                    return Err(Status::ENOENT);
                }
                inner.trunk.log.add(now(), &[(Turn::Taken, *slot)]);
                Ok(())
            }
            // As a rule the member has not heard yet that the file before was deleted. FastDFS gives such a slot up for good.
            Status::EEXIST => {
                if !self.free.is_held(slot) || self.set_aside.iter().any(|(other, _)| other == slot) {
                    return Err(Status::ENOENT);
                }
                self.set_aside.push_back((*slot, Instant::now()));
                Ok(())
            }
            _ => {
                let is_held = self.free.give_back(slot, Content::Unknown);
                if is_held { Ok(()) } else { Err(Status::ENOENT) }
            }
        }
    }

    /// What was held for a file that never came is free again.
    pub(super) fn give_back(&mut self, slot: &Slot, content: Content) {
        self.free.give_back(slot, content);
    }

    /// What a file had is free.
    pub(super) fn free(&mut self, inner: &Inner, slot: &Slot, content: Content) -> Result<(), Status> {
        if !self.rules.is_worth_keeping(slot.at.size) {
            return Ok(());
        }
        inner.trunk.log.check()?;
        let refused = |refused| match refused {
            Refused::Overlaps => Status::EEXIST,
            Refused::Malformed => Status::EINVAL,
        };
        if !self.rules.merges {
            self.free.insert(slot, content).map_err(refused)?;
            inner.trunk.log.add(now(), &[(Turn::Free, *slot)]);
            return Ok(());
        }
        let freed = self.free.insert_merged(slot, content).map_err(refused)?;
        inner.trunk.log.add(now(), &merging(&freed));
        Ok(())
    }

    /// Held pieces become their uploads' own, since this node no longer has the role.
    pub(super) fn retire(&mut self, inner: &Inner) {
        for (slot, _) in self.set_aside.drain(..) {
            self.free.give_back(&slot, Content::Unknown);
        }
        let held: Vec<(Turn, Slot)> = self.free.held().map(|slot| (Turn::Taken, slot)).collect();
        inner.trunk.log.add(now(), &held);
    }

    /// Looks again at slots that were not free yet. Blocking.
    pub(super) fn look_again(&mut self, inner: &Inner) {
        let now = Instant::now();
        for _ in 0..LOOKS {
            let due = |(_, since): &mut (Slot, Instant)| now.duration_since(*since) >= PAUSE;
            let Some((slot, _)) = self.set_aside.pop_front_if(due) else { return };
            match open(inner, &slot).and_then(|container| container.is_zero(slot.at)) {
                Ok(true) => {
                    self.free.give_back(&slot, Content::Unknown);
                }
                Ok(false) | Err(_) => self.set_aside.push_back((slot, now)),
            }
        }
    }
}

/// Holds a slot for a file of this node; another one if the first turns out to have a file in it. None if this node is not
/// the trunk server. Blocking; others get their slots while this one is looked at.
pub(super) fn give(
    inner: &Arc<Inner>,
    path: StorePathIndex,
    need: u32,
) -> Option<Result<(Slot, Arc<Container>), Status>> {
    for _ in 0..SLOT_TRIES {
        let Given { slot, content } = match inner.trunk.server().as_mut()?.allocate(inner, path, need) {
            Ok(given) => given,
            Err(status) => return Some(Err(status)),
        };
        let is_zero = open(inner, &slot).and_then(|container| match content {
            Content::Zeros => Ok(Some(container)),
            Content::Unknown => Ok(container.is_zero(slot.at)?.then_some(container)),
        });
        let mut server = inner.trunk.server();
        match is_zero {
            Ok(Some(container)) => return Some(Ok((slot, container))),
            Ok(None) => server.as_mut()?.set_aside.push_back((slot, Instant::now())),
            Err(error) => {
                warn!(container = slot.container(), %error, "a slot of a trunk file cannot be read, and is lost");
                // Held by nobody, if the role was lost and came back meanwhile.
                let _ = server.as_mut()?.confirm(inner, &slot, Status::EEXIST);
            }
        }
    }
    Some(Err(Status::EEXIST))
}

fn log_taken(inner: &Inner, taken: &Taken) {
    let (from, piece) = ((Turn::Taken, taken.from), (Turn::Free, taken.piece));
    match taken.rest {
        Some(rest) => inner.trunk.log.add(now(), &[from, (Turn::Free, rest), piece]),
        None => inner.trunk.log.add(now(), &[from, piece]),
    }
}

/// The records of a merge.
pub(super) fn merging(freed: &Freed) -> Vec<(Turn, Slot)> {
    let gone = [freed.left, freed.right].into_iter().flatten();
    gone.map(|slot| (Turn::Taken, slot)).chain([(Turn::Free, freed.whole)]).collect()
}

/// The trunk file of a slot. Blocking.
pub(super) fn open(inner: &Inner, slot: &Slot) -> io::Result<Arc<Container>> {
    let path = inner.path(slot.path).ok_or(io::ErrorKind::NotFound)?;
    path.containers.open(&path.dir, slot.dir, slot.at.file_id)
}

/// Makes an empty trunk file. Its number is remembered before it is there, so that none is given twice. Blocking.
fn make_container(inner: &Inner, index: StorePathIndex, size: u32) -> Result<Slot, Status> {
    let path = inner.path(index).ok_or(Status::EINVAL)?;
    for _ in 0..NAME_TRIES {
        let file_id = next_file_id(inner)?;
        let dir = inner.names.next_dir();
        let slot = Slot { path: index, dir, at: TrunkSlot { file_id, offset: 0, size } };
        match create(inner, path, &slot, size) {
            Ok(()) => {
                info!(container = slot.container(), store_path = %index, "made a trunk file");
                return Ok(slot);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                error!(container = slot.container(), store_path = %index, %error, "a trunk file cannot be made");
                return Err(Status::from_io(&error));
            }
        }
    }
    Err(Status::EEXIST)
}

fn create(inner: &Inner, path: &StorePath, slot: &Slot, size: u32) -> io::Result<()> {
    let name = slot.container();
    let file: File = path.dir.create(&name)?;
    let filled = file.set_len(size.into()).and_then(|()| match inner.durability {
        Durability::Write => Ok(()),
        Durability::Fsync => file.sync_all().and_then(|()| path.dir.sync_parent(&name)),
    });
    if let Err(error) = filled {
        path.dir.unlink(&name)?;
        return Err(error);
    }
    path.containers.keep((slot.dir, slot.at.file_id), file).map(drop)
}

fn next_file_id(inner: &Inner) -> Result<u32, Status> {
    let mut next = 0;
    let noted = inner.change_init_flag(|flag| {
        next = flag.current_trunk_file_id + 1;
        flag.current_trunk_file_id = next;
    });
    if let Err(error) = noted {
        error!(error = %protocol::daemon::Chain(&error), "the number of a new trunk file cannot be noted");
        return Err(Status::EIO);
    }
    u32::try_from(next).ok().filter(|id| *id <= i32::MAX.unsigned_abs()).ok_or(Status::ENOSPC)
}
