//! Trunk files that are kept open, so that a small file costs no open of its own.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::config::storage_conf::Durability;
use protocol::file_id::{SubDir, TrunkSlot};

use super::super::data_dir::DataDir;
use super::slot::{HEADER_LEN, container};

/// Trunk files of a store path that are open at once.
const MOST: usize = 64;

/// An open trunk file.
#[derive(Debug)]
pub(in super::super) struct Container {
    pub(super) file: Arc<File>,
    len: AtomicU64,
    /// Writes that were made.
    writes: AtomicU64,
    /// Writes that are on the disk.
    synced: Mutex<u64>,
}

impl Container {
    fn new(file: File) -> io::Result<Self> {
        let len = AtomicU64::new(file.metadata()?.len());
        Ok(Self { file: Arc::new(file), len, writes: AtomicU64::new(0), synced: Mutex::default() })
    }

    pub(in super::super) fn file(&self) -> &File {
        &self.file
    }

    /// Makes the file at least so long. Blocking.
    pub(super) fn extend(&self, len: u64) -> io::Result<()> {
        if self.len.load(Ordering::Relaxed) < len {
            // Another process may have made it longer meanwhile, and it never gets shorter.
            if self.file.metadata()?.len() < len {
                self.file.set_len(len)?;
            }
            self.len.fetch_max(len, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Puts on the disk what was written, if that is wanted. Of several who want that at once, one does it for all. Blocking.
    pub(super) fn sync(&self, durability: Durability) -> io::Result<()> {
        if durability == Durability::Write {
            return Ok(());
        }
        let own = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced < own {
            let all = self.writes.load(Ordering::SeqCst);
            self.file.sync_data()?;
            *synced = all;
        }
        Ok(())
    }

    /// Whether a slot holds nothing. Where the file has not come to yet, there is nothing. Blocking.
    pub(super) fn is_zero(&self, slot: TrunkSlot) -> io::Result<bool> {
        let mut piece = [0; 4096];
        let mut done = 0;
        while done < slot.size {
            let want = usize::try_from(slot.size - done).unwrap_or(piece.len()).min(piece.len());
            let part = piece.get_mut(..want).unwrap_or_default();
            let read = match self.file.read_at(part, u64::from(slot.offset) + u64::from(done)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                outcome => outcome?,
            };
            if read == 0 {
                return Ok(true);
            }
            if part.iter().take(read).any(|byte| *byte != 0) {
                return Ok(false);
            }
            done += u32::try_from(read).unwrap_or(slot.size);
        }
        Ok(true)
    }

    /// Whether no file is in a slot; of one that is on its way there may be content. Blocking.
    pub(super) fn has_no_header(&self, slot: TrunkSlot) -> io::Result<bool> {
        self.is_zero(TrunkSlot { size: slot.size.min(HEADER_LEN), ..slot })
    }

    /// Fills a slot with zeros, from its header on: it is free as soon as that is gone. Blocking.
    pub(super) fn zero(&self, slot: TrunkSlot) -> io::Result<()> {
        let zeros = [0; 4096];
        let mut done = 0;
        while done < slot.size {
            let left = usize::try_from(slot.size - done).unwrap_or(zeros.len()).min(zeros.len());
            let piece = zeros.get(..left).unwrap_or_default();
            self.file.write_all_at(piece, u64::from(slot.offset) + u64::from(done))?;
            done += u32::try_from(left).unwrap_or(slot.size);
        }
        Ok(())
    }
}

type Key = (SubDir, u32);

/// The open ones of a store path, the last used first. They stay as long as their names: nothing here removes trunk files.
#[derive(Debug)]
pub(in super::super) struct Containers {
    open: Mutex<Vec<(Key, Arc<Container>)>>,
    owner: Owner,
}

/// Whose the trunk files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Owner {
    /// This process's.
    Own,
    /// Another program's, which may remove them, and which may not let this one write.
    Other,
}

impl Containers {
    pub(in super::super) fn new(owner: Owner) -> Self {
        Self { open: Mutex::default(), owner }
    }

    /// Opens a trunk file. Blocking.
    pub(super) fn open(&self, dir: &DataDir, sub_dir: SubDir, file_id: u32) -> io::Result<Arc<Container>> {
        let key = (sub_dir, file_id);
        if self.owner == Owner::Other {
            return Container::new(dir.open_read(&container(sub_dir, file_id))?).map(Arc::new);
        }
        match self.find(key) {
            Some(found) => Ok(found),
            None => self.keep(key, dir.open_write(&container(sub_dir, file_id))?),
        }
    }

    /// Keeps one that was made.
    pub(super) fn keep(&self, key: Key, file: File) -> io::Result<Arc<Container>> {
        let made = Arc::new(Container::new(file)?);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody else opened it meanwhile: all have to share the one, whose syncs count.
        if let Some((_, found)) = open.iter().find(|(other, _)| *other == key) {
            return Ok(Arc::clone(found));
        }
        open.truncate(MOST - 1);
        open.insert(0, (key, Arc::clone(&made)));
        Ok(made)
    }

    /// One that is open.
    pub(super) fn find(&self, key: Key) -> Option<Arc<Container>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().position(|(other, _)| *other == key)?;
        if let Some(front) = open.get_mut(..=at) {
            front.rotate_right(1);
        }
        open.first().map(|(_, found)| Arc::clone(found))
    }
}
