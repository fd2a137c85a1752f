//! The commit of an upload: its records, its metadata, its name, in that order, so that no crash leaves a visible file
//! without the metadata that came with it.
//!
//! Both records are written as one and become readable as one: the file's first, as members of FastDFS expect it. A crash
//! before the file has its name leaves at most a metadata file of nothing, which the next start removes (`orphans`).

use std::fs::File;
use std::io::{self, Write};
use std::time::SystemTime;

use gateway::files::{Committed, WriteError};
use protocol::LogicName;
use protocol::file_id::{NameCode, SizeField, SubDir};
use protocol::metadata::Metadata;

use super::alter::is_there;
use super::binlog::{Announced, Op, Record, Side};
use super::layout::unix_seconds;
use super::name_maker::{self, NameSpec};
use super::temporary::Temporary;
use super::trunk::Draft;
use super::upload::{Body, Naming, Open, Place, TOO_LONG};
use super::{io_failed, marks, sync_content, sync_name};

/// Tries at a name that nothing has; the random bits differ each time.
const NAME_TRIES: u32 = 10;

impl Place {
    /// Blocking. Of a slave the caller holds the lock.
    pub(super) fn commit(self, open: Open) -> Result<Committed, WriteError> {
        let Open { body, crc, len } = open;
        let crc32 = crc.finalize();
        let mut temporary = match body {
            Body::File(temporary) => temporary,
            Body::Slot(draft) => return self.commit_in_slot(draft, crc32),
        };
        sync_content(self.durability, temporary.file())?;
        let stat = rustix::fs::fstat(temporary.file())
            .map_err(|error| io_failed("reading a file's time", error.into()))?;
        let time = stat.st_mtime;
        let timestamp = u32::try_from(time).unwrap_or(0);
        let name = self.name(&mut temporary, time, len, crc32)?;
        sync_name(self.durability, &self.path.dir, &name)?;
        Ok(self.committed(name, len, crc32, timestamp))
    }

    /// The same of content in a slot, whose header makes it visible.
    fn commit_in_slot(self, mut draft: Draft, crc32: u32) -> Result<Committed, WriteError> {
        let Naming::Own { source, tail, .. } = &self.naming else {
            return Err(WriteError::Invalid("a slave lies beside its master"));
        };
        let time = unix_seconds(SystemTime::now());
        let (slot, len, timestamp) = (*draft.slot(), draft.len(), u32::try_from(time).unwrap_or(0));
        let size = SizeField::trunk(len, fastrand::u32(..));
        let code = NameCode { source: *source, timestamp, size, crc32 };
        let name = LogicName::make(self.index, slot.dir, &code, Some(&slot.at), tail);
        draft.sync(self.durability)?;
        match &self.metadata {
            none if none.is_empty() => {
                let record = Record { time, side: Side::Source, op: Op::Create, name: name.as_str() };
                let _announced = self.store.announce(&record)?;
                self.store.sync_records(self.durability)?;
                draft.publish(&name)?;
            }
            text => {
                let of = name.metadata_name().map_err(|_| WriteError::Invalid(TOO_LONG))?;
                let mut metadata = self.metadata_file(slot.dir, &name, text)?;
                let _announced = self.publish_metadata(&mut metadata, time, &name, &of)?;
                if let Err(error) = draft.publish(&name) {
                    self.remove_metadata(&of)?;
                    return Err(error);
                }
            }
        }
        draft.sync(self.durability)?;
        Ok(self.committed(name, len.into(), crc32, timestamp))
    }

    fn committed(&self, name: LogicName, len: u64, crc32: u32, timestamp: u32) -> Committed {
        let counters = &self.store.counters;
        counters.uploads.done(1);
        counters.upload_bytes.asked(len);
        counters.upload_bytes.done(len);
        let id = protocol::FileId { group: self.store.group, name };
        Committed { id, len, crc32, timestamp }
    }

    /// Gives the file the first name that nothing has.
    fn name(
        &self,
        temporary: &mut Temporary,
        time: i64,
        len: u64,
        crc32: u32,
    ) -> Result<LogicName, WriteError> {
        let timestamp = u32::try_from(time).unwrap_or(0);
        let mut publish = |name: &LogicName| match &self.metadata {
            none if none.is_empty() => self.publish(temporary, time, name),
            text => self.publish_with(temporary, time, name, text),
        };
        let publishing = |error| io_failed("naming a file", error);
        let (size, source, mut tail) = match &self.naming {
            Naming::Slave(name) => {
                return match publish(name)? {
                    Ok(()) => Ok(name.clone()),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(WriteError::Exists),
                    Err(error) => Err(publishing(error)),
                };
            }
            Naming::Own { size, source, tail } => (size(len), *source, *tail),
        };
        for _ in 0..NAME_TRIES {
            let spec = NameSpec { path: self.index, dir: self.dir, source, timestamp, size, crc32, tail };
            let name = spec.make();
            match publish(&name)? {
                Ok(()) => return Ok(name),
                // From 4 GiB on only the digits of the tail differ.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    tail = name_maker::tail(self.ext)
                }
                Err(error) => return Err(publishing(error)),
            }
        }
        Err(WriteError::Exists)
    }

    /// Records the file and gives it its name.
    fn publish(
        &self,
        temporary: &mut Temporary,
        time: i64,
        name: &LogicName,
    ) -> Result<io::Result<()>, WriteError> {
        let record = Record { time, side: Side::Source, op: Op::Create, name: name.as_str() };
        let _announced = self.store.announce(&record)?;
        self.store.sync_records(self.durability)?;
        Ok(temporary.publish(name.true_name()))
    }

    /// The same with metadata, which is there first.
    fn publish_with(
        &self,
        temporary: &mut Temporary,
        time: i64,
        name: &LogicName,
        text: &[u8],
    ) -> Result<io::Result<()>, WriteError> {
        let of = name.metadata_name().map_err(|_| WriteError::Invalid(TOO_LONG))?;
        // What another file has must not be touched.
        if is_there(&self.path, name)? {
            return Ok(Err(io::ErrorKind::AlreadyExists.into()));
        }
        let mut metadata = self.metadata_file(self.dir, name, text)?;
        if marks::says_something(text) {
            marks::set(temporary.file()).map_err(|error| io_failed("marking a file", error))?;
        }
        let _announced = self.publish_metadata(&mut metadata, time, name, &of)?;
        let published = temporary.publish(name.true_name());
        if published.is_err() {
            self.remove_metadata(&of)?;
        }
        Ok(published)
    }

    /// A file with metadata, which has no name yet; when the file that it describes expires is noted.
    fn metadata_file(&self, dir: SubDir, name: &LogicName, text: &[u8]) -> Result<Temporary, WriteError> {
        let made = Temporary::create(&self.path, &dir.to_path());
        let metadata = made.map_err(|error| io_failed("making a metadata file", error))?;
        let write = |mut file: &File| file.write_all(text);
        write(metadata.file()).map_err(|error| io_failed("writing metadata", error))?;
        if marks::says_something(text) {
            self.store.note_expiry(&Metadata::parse(text), name, self.durability)?;
        }
        sync_content(self.durability, metadata.file())?;
        Ok(metadata)
    }

    /// Records a file and its metadata, and gives the metadata its name.
    fn publish_metadata(
        &self,
        metadata: &mut Temporary,
        time: i64,
        name: &LogicName,
        of: &LogicName,
    ) -> Result<Announced<'_>, WriteError> {
        let record = |name| Record { time, side: Side::Source, op: Op::Create, name };
        let announced = self.store.announce_all(&[record(name.as_str()), record(of.as_str())])?;
        self.store.sync_records(self.durability)?;
        // Metadata without a file is what a crash left; only a slave can meet it.
        metadata.replace(of.true_name()).map_err(|error| io_failed("naming metadata", error))?;
        Ok(announced)
    }

    fn remove_metadata(&self, of: &LogicName) -> Result<(), WriteError> {
        self.path.dir.unlink(of.true_name()).map_err(|error| io_failed("removing metadata", error))
    }
}
