//! Taking the role of the trunk server: what is free is what the log says, less what has files in it.
//!
//! The log's last lines may be missing after a crash, since it is written once a second. The binlog then has the names of
//! files whose slots the log gives as free, and a slot whose header is that of such a name is in use.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use protocol::LogicName;
use protocol::file_id::{FileKind, TrunkSlot};
use tracing::{info, warn};

use super::super::binlog::{Entry, Op};
use super::super::layout::unix_seconds;
use super::super::{Inner, StoreError, orphans};
use super::free::{Content, FreeList};
use super::record::{self, Turn};
use super::server::{Server, merging, open};
use super::slot::{HEADER_LEN, Slot, SlotRules};
use super::{member, snapshot};

/// What is read of each of the last two files of the binlog: more than a node writes in the seconds before the log is.
const TAIL: u64 = 16 << 20;

/// Reads all that is known. Blocking.
pub(super) fn start(inner: &Inner, rules: SlotRules) -> Result<Server, StoreError> {
    let log = &inner.trunk.log;
    let failed = StoreError::io("read", log.path());
    let end = log.open().map_err(StoreError::io("open", log.path()))?;
    let (mut free, offset) = from_snapshot(inner, rules, end)?;
    let newest = replay(inner, &mut free, offset).map_err(failed)?;
    inner.change_init_flag(|flag| {
        flag.current_trunk_file_id = flag.current_trunk_file_id.max(newest.into());
    })?;
    let mut records = Vec::new();
    if rules.merges {
        records.extend(free.merge().iter().flat_map(merging));
    }
    let mut look = Look { inner, rules, free, records, never_came: Vec::new() };
    look.at_binlog()?;
    if rules.checks_at_start {
        look.at_all();
    }
    let Look { free, records, .. } = look;
    log.add(unix_seconds(SystemTime::now()), &records);
    log.flush().map_err(StoreError::io("write", log.path()))?;
    info!(bytes = free.bytes(), stretches = free.free().count(), "free space in trunk files");
    Ok(Server::new(free, rules))
}

/// The free space of the snapshot, and where in the log it goes on.
fn from_snapshot(inner: &Inner, rules: SlotRules, end: u64) -> Result<(FreeList, u64), StoreError> {
    let path = snapshot::path(&inner.base_data);
    if rules.reloads {
        return Ok((FreeList::default(), 0));
    }
    let found = match snapshot::load(&inner.base_data) {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            warn!(path = %path.display(), "not whole; the trunk binlog is read from its beginning");
            None
        }
        outcome => outcome.map_err(StoreError::io("read", &path))?,
    };
    let Some(found) = found else { return Ok((FreeList::default(), 0)) };
    let mut free = FreeList::default();
    for slot in &found.free {
        insert(inner, &mut free, slot);
    }
    if found.offset > end {
        warn!(path = %path.display(), "it is newer than the trunk binlog, which is not read");
    }
    Ok((free, found.offset.min(end)))
}

fn insert(inner: &Inner, free: &mut FreeList, slot: &Slot) {
    if inner.path(slot.path).is_none() {
        warn!(?slot, "free space on a store path that is not there");
    } else if let Err(why) = free.insert(slot, Content::Unknown) {
        warn!(?slot, ?why, "the trunk binlog says twice that something is free");
    }
}

/// Follows the log from an offset on; the number of the newest trunk file that it names.
fn replay(inner: &Inner, free: &mut FreeList, offset: u64) -> io::Result<u32> {
    let mut file = File::open(inner.trunk.log.path())?;
    file.seek(SeekFrom::Start(offset))?;
    let (mut lines, mut line) = (BufReader::new(file), Vec::new());
    let mut newest = free.free().map(|slot| slot.at.file_id).max().unwrap_or(0);
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(newest);
        }
        let Some((turn, slot)) = record::parse(line.trim_ascii_end()) else {
            warn!(line = %String::from_utf8_lossy(&line).trim_end(), "a line of the trunk binlog says nothing");
            continue;
        };
        newest = newest.max(slot.at.file_id);
        match turn {
            Turn::Free => insert(inner, free, &slot),
            Turn::Taken => {
                if free.remove(slot.path, slot.at.file_id, slot.at.offset).is_none() {
                    warn!(?slot, "the trunk binlog takes what is not free");
                }
            }
        }
    }
}

/// Takes what has files in it from the free space.
struct Look<'a> {
    inner: &'a Inner,
    rules: SlotRules,
    free: FreeList,
    /// Slots of recorded files that are not in them.
    never_came: Vec<Slot>,
    /// What the log has to hear of it.
    records: Vec<(Turn, Slot)>,
}

impl Look<'_> {
    /// Looks at the slots of all files that were made lately.
    fn at_binlog(&mut self) -> Result<(), StoreError> {
        for path in self.inner.binlog.newest_files() {
            let tail = orphans::read_tail(&path, TAIL).map_err(StoreError::io("read", &path))?;
            for line in tail.split(|byte| *byte == b'\n') {
                let made = Entry::parse(line).filter(|entry| matches!(entry.op, Op::Create | Op::Link(_)));
                if let Some(entry) = made
                    && let Ok(FileKind::Trunk(at)) = entry.name.kind()
                {
                    self.at_file(&entry.name, at);
                }
            }
        }
        // When all that is in use is known: it may be a part of such a slot.
        for slot in std::mem::take(&mut self.never_came) {
            if let Err(error) = self.clean(&slot) {
                warn!(?slot, %error, "what a crash left of a file cannot be removed");
            }
        }
        Ok(())
    }

    fn at_file(&mut self, name: &LogicName, at: TrunkSlot) {
        let slot = Slot { path: name.store_path(), dir: name.sub_dir(), at };
        if self.is_in_use(&slot) {
            return;
        }
        if member::open(self.inner, name, at).is_ok() {
            self.carve(&slot);
        } else {
            self.never_came.push(slot);
        }
    }

    /// Whether the log knows of it.
    fn is_in_use(&self, slot: &Slot) -> bool {
        !self.free.touches(slot)
    }

    /// A file whose header is not there never was: what is there of its content must not be taken for another's.
    fn clean(&self, slot: &Slot) -> io::Result<()> {
        if !self.free.contains(slot) {
            return Ok(());
        }
        let container = match open(self.inner, slot) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            outcome => outcome?,
        };
        let mut header = [0; HEADER_LEN as usize];
        container.file.read_exact_at(&mut header, slot.at.offset.into())?;
        if header == [0; HEADER_LEN as usize] && !container.is_zero(slot.at)? {
            container.zero(slot.at)?;
        }
        Ok(())
    }

    /// Looks for files at the beginning of all that is free.
    fn at_all(&mut self) {
        let all: Vec<Slot> = self.free.free().collect();
        for slot in all {
            let mut at = u64::from(slot.at.offset);
            while let Some(used) = self.file_at(&slot, at) {
                self.carve(&used);
                at = used.end();
            }
        }
    }

    /// What a header at this offset says is in use.
    fn file_at(&self, within: &Slot, offset: u64) -> Option<Slot> {
        let offset = u32::try_from(offset).ok().filter(|_| offset < within.end())?;
        let container = open(self.inner, within).ok()?;
        let mut header = [0; HEADER_LEN as usize];
        container.file.read_exact_at(&mut header, offset.into()).ok()?;
        let size = member::looks_like_file(&header)?;
        Some(Slot { at: TrunkSlot { offset, size, ..within.at }, ..*within })
    }

    fn carve(&mut self, used: &Slot) {
        let rules = self.rules;
        for (gone, left) in self.free.carve(used, |size| rules.is_worth_keeping(size)) {
            self.records.push((Turn::Taken, gone));
            self.records.extend(left.into_iter().flatten().map(|slot| (Turn::Free, slot)));
        }
    }
}
