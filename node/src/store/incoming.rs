//! Changes that other members of the group made and send on: this node is the replica.
//!
//! Members send a record again whenever its answer was lost, and several sources send at once. So each change first
//! looks whether it is done already, and says so; that is no error. What takes effect is recorded in lower case, with
//! the source's time, which becomes the file's.

mod names;
mod part;
mod whole;

pub use part::{IncomingPart, PartMode};
pub use whole::{IncomingFile, IncomingMode, Receive};

use std::fs::File;
use std::io;
use std::sync::Arc;

use gateway::files::WriteError;
use protocol::LogicName;
use rustix::fs::{Timespec, Timestamps, UTIME_OMIT, futimens};

use super::binlog::{Op, Record, Side};
use super::locks::FileLock;
use super::upload::gone;
use super::{Inner, Store, StorePath, io_failed};

/// What became of a record of another member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has taken effect.
    Applied,
    /// It has taken effect before, or something else is there that is not touched.
    Present,
    /// What it applies to is not here.
    Missing,
}

/// A change with content that is about to begin.
pub enum Begun<T> {
    /// The content is wanted.
    Wanted(T),
    /// It is not: the outcome stands.
    Over(Outcome),
}

impl Store {
    /// Runs a blocking job of few system calls on a file's store path, under the file's lock.
    async fn take_in<T: Send + 'static>(
        &self,
        name: &LogicName,
        job: impl FnOnce(&Inner, &Arc<StorePath>) -> Result<T, WriteError> + Send + 'static,
    ) -> Result<T, WriteError> {
        let path = Arc::clone(self.0.path(name.store_path()).ok_or(NO_PATH)?);
        let lock = self.0.lock_for(name).await;
        let (inner, own_path) = (Arc::clone(&self.0), Arc::clone(&path));
        let job = move || {
            let outcome = job(&inner, &own_path);
            drop(lock);
            outcome
        };
        path.pool.run_short(job).await.map_err(gone)?
    }
}

impl Inner {
    /// Whether what comes for this name comes too late: it was on its way when the file was deleted, or renamed, at
    /// another member. Nobody would delete it again, so it would stay for ever. Metadata goes with its file.
    fn is_gone_for_good(&self, name: &LogicName) -> bool {
        let is_gone = |name: &LogicName| name.is_made_once() && self.deletes.contains(name);
        is_gone(name) || name.metadata_owner().is_some_and(|owner| is_gone(&owner))
    }

    /// The lock under which a file changes: metadata changes under that of its file, as when a client sets it.
    async fn lock_for(&self, name: &LogicName) -> FileLock {
        match name.metadata_owner() {
            Some(owner) => self.locks.lock(&owner).await,
            None => self.locks.lock(name).await,
        }
    }
}

const NO_PATH: WriteError = WriteError::Invalid("no such store path");

/// Refuses names that together would make a line that no reader takes.
fn check_line(time: i32, op: Op<&str>, name: &LogicName) -> Result<(), WriteError> {
    let record = Record { time: time.into(), side: Side::Replica, op, name: name.as_str() };
    if record.fits() { Ok(()) } else { Err(WriteError::Invalid("the names are too long for the binlog")) }
}

/// Gives a file the time that it has at its source. Blocking.
pub(super) fn set_time(file: &File, time: i32) -> Result<(), WriteError> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: time.into(), tv_nsec: 0 },
    };
    futimens(file, &times).map_err(|error| io_failed("setting a file's time", error.into()))
}

/// Makes something called `name`. Members with more directories than this one send names in those too, so a directory
/// that is missing is made. Blocking.
fn in_dir<T>(path: &StorePath, name: &LogicName, mut make: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    match make() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            path.dir.make_sub_dir(&name.sub_dir())?;
            make()
        }
        outcome => outcome,
    }
}
