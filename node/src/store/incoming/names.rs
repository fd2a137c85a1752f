//! Changes without content: deletes, links, renames, truncates.

use std::io;
use std::sync::Arc;

use gateway::files::WriteError;
use protocol::LogicName;
use protocol::file_id::FileKind;
use rustix::fs::FileType;

use super::super::alter::is_there;
use super::super::binlog::Op;
use super::super::upload::gone;
use super::super::{Inner, Store, StorePath, io_failed, trunk};
use super::part::{Found, open_present};
use super::{NO_PATH, Outcome, check_line, in_dir, set_time};

impl Store {
    /// Deletes a file or link, not its metadata: that has a record of its own.
    pub async fn receive_delete(&self, name: LogicName, time: i32) -> Result<Outcome, WriteError> {
        let of = name.clone();
        self.take_in(&of, move |inner, path| inner.receive_delete(path, &name, time)).await
    }

    /// Makes the link `dest` to the file `source`, unless something is in the way or there is no such file.
    pub async fn receive_link(
        &self,
        dest: LogicName,
        source: LogicName,
        time: i32,
    ) -> Result<Outcome, WriteError> {
        let of = dest.clone();
        self.take_in(&of, move |inner, path| inner.receive_link(path, &dest, &source, time)).await
    }

    /// Calls the file `source` `dest`.
    pub async fn receive_rename(
        &self,
        dest: LogicName,
        source: LogicName,
        time: i32,
    ) -> Result<Outcome, WriteError> {
        if dest.store_path() != source.store_path() {
            return Err(WriteError::Invalid("a file keeps its store path when it is renamed"));
        }
        if dest == source {
            return Err(WriteError::Invalid("a rename needs two names"));
        }
        // Of two names the lower is locked first, so that two renames never wait for each other.
        let (first, second) =
            if dest < source { (dest.clone(), source.clone()) } else { (source.clone(), dest.clone()) };
        let outer = self.0.locks.lock(&first).await;
        let inner_lock = self.0.locks.lock(&second).await;
        let path = Arc::clone(self.0.path(dest.store_path()).ok_or(NO_PATH)?);
        let (inner, own_path) = (Arc::clone(&self.0), Arc::clone(&path));
        let job = move || {
            let outcome = inner.receive_rename(&own_path, &dest, &source, time);
            drop((inner_lock, outer));
            outcome
        };
        path.pool.run_short(job).await.map_err(gone)?
    }

    /// Cuts or extends a file that has its old size.
    pub async fn receive_truncate(
        &self,
        name: LogicName,
        old_size: u64,
        new_size: u64,
        time: i32,
    ) -> Result<Outcome, WriteError> {
        let of = name.clone();
        let sizes = (old_size, new_size);
        self.take_in(&of, move |inner, path| inner.receive_truncate(path, &name, sizes, time)).await
    }
}

/// All blocking; the caller holds the file's lock.
impl Inner {
    fn receive_delete(&self, path: &StorePath, name: &LogicName, time: i32) -> Result<Outcome, WriteError> {
        // Whoever still has it must not give it back, whether it was here or not.
        self.deletes.note(name, time.into());
        let deleted = match path.dir.unlink(name.true_name()) {
            Ok(()) => {
                self.mark_received(path, name);
                self.sync_name(&path.dir, name)?;
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(io_failed("deleting a file", error)),
        };
        let erased = match name.kind() {
            Ok(FileKind::Trunk(slot)) => trunk::erase(self, name, slot)?,
            _ => false,
        };
        if !deleted && !erased {
            return Ok(Outcome::Missing);
        }
        self.record_replica(time, Op::Delete, name)?;
        Ok(Outcome::Applied)
    }

    /// Without the file there is no link, and no record of one: fdfs senders then send the content, FastDFS's go on.
    fn receive_link(
        &self,
        path: &StorePath,
        dest: &LogicName,
        source: &LogicName,
        time: i32,
    ) -> Result<Outcome, WriteError> {
        check_line(time, Op::Link(source.as_str()), dest)?;
        if self.is_gone_for_good(dest) {
            // The only other answer that FastDFS's senders take.
            return Ok(Outcome::Missing);
        }
        let Some(target) = self.linkable(source)? else { return Ok(Outcome::Missing) };
        let target_path = self.path(target.store_path()).ok_or(NO_PATH)?;
        let target = target_path.dir.path().join(target.true_name());
        match in_dir(path, dest, || path.dir.symlink(&target, dest.true_name())) {
            Ok(()) => self.sync_name(&path.dir, dest)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_failed("making a link", error)),
        }
        self.record_replica(time, Op::Link(source.as_str()), dest)?;
        Ok(Outcome::Applied)
    }

    /// The file that a link to `source` leads to: never a link, and always one of this store.
    fn linkable(&self, source: &LogicName) -> Result<Option<LogicName>, WriteError> {
        let path = self.path(source.store_path()).ok_or(NO_PATH)?;
        match path.dir.stat(source.true_name()) {
            Ok(stat) => Ok(match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Some(source.clone()),
                FileType::Symlink => self.link_target(source).ok(),
                _ => None,
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let in_trunk = matches!(source.kind(), Ok(FileKind::Trunk(_))) && self.open(source).is_ok();
                Ok(in_trunk.then(|| source.clone()))
            }
            Err(error) => Err(io_failed("looking for a file", error)),
        }
    }

    fn receive_rename(
        &self,
        path: &StorePath,
        dest: &LogicName,
        source: &LogicName,
        time: i32,
    ) -> Result<Outcome, WriteError> {
        check_line(time, Op::Rename(source.as_str()), dest)?;
        if self.is_gone_for_good(dest) {
            // The delete was meant for the file, whatever it is called here.
            self.receive_delete(path, source, time)?;
            return Ok(Outcome::Present);
        }
        let renaming = |error| io_failed("renaming a file", error);
        if is_there(path, dest)? {
            return Ok(Outcome::Present);
        }
        if !is_there(path, source)? {
            return Ok(Outcome::Missing);
        }
        in_dir(path, dest, || path.dir.rename_new(source.true_name(), dest.true_name())).map_err(renaming)?;
        self.sync_name(&path.dir, dest)?;
        if dest.sub_dir() != source.sub_dir() {
            self.sync_name(&path.dir, source)?;
        }
        self.record_replica(time, Op::Rename(source.as_str()), dest)?;
        Ok(Outcome::Applied)
    }

    fn receive_truncate(
        &self,
        path: &StorePath,
        name: &LogicName,
        (old_size, new_size): (u64, u64),
        time: i32,
    ) -> Result<Outcome, WriteError> {
        let op = Op::Truncate(old_size, new_size);
        check_line(time, op, name)?;
        let (file, size) = match open_present(path, name)? {
            Found::File(file, size) => (file, size),
            Found::Other => return Ok(Outcome::Present),
            Found::Nothing => return Ok(Outcome::Missing),
        };
        if size != old_size {
            return Ok(Outcome::Present);
        }
        file.set_len(new_size).map_err(|error| io_failed("changing a file's size", error))?;
        set_time(&file, time)?;
        self.sync_content(&file)?;
        self.record_replica(time, op, name)?;
        Ok(Outcome::Applied)
    }
}
