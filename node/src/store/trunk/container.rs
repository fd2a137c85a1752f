//! Trunk files that are kept open, so that a small file costs no open of its own.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::file_id::SubDir;

use super::super::data_dir::DataDir;
use super::slot::container;

/// Trunk files of a store path that are open at once.
const MOST: usize = 64;

type Key = (SubDir, u32);

/// The open ones of a store path, the last used first. They stay as long as their names: nothing here removes trunk files.
#[derive(Default)]
pub(in super::super) struct Containers(Mutex<Vec<(Key, Arc<File>)>>);

impl Containers {
    /// Opens a trunk file for reading and writing. Blocking.
    pub(super) fn open(&self, dir: &DataDir, sub_dir: SubDir, file_id: u32) -> io::Result<Arc<File>> {
        let key = (sub_dir, file_id);
        if let Some(file) = self.find(key) {
            return Ok(file);
        }
        let file = Arc::new(dir.open_write(&container(sub_dir, file_id))?);
        self.keep(key, &file);
        Ok(file)
    }

    /// Keeps one that was made.
    pub(super) fn keep(&self, key: Key, file: &Arc<File>) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(other, _)| *other != key);
        open.truncate(MOST - 1);
        open.insert(0, (key, Arc::clone(file)));
    }

    /// Forgets one whose name another file may have got.
    pub(in super::super) fn forget(&self, sub_dir: SubDir, file_id: u32) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(key, _)| *key != (sub_dir, file_id));
    }

    fn find(&self, key: Key) -> Option<Arc<File>> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().position(|(other, _)| *other == key)?;
        if let Some(front) = open.get_mut(..=at) {
            front.rotate_right(1);
        }
        open.first().map(|(_, file)| Arc::clone(file))
    }
}
