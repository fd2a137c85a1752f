//! `<base_path>/data/sync/binlog.NNN`: one line for every change, in the order in which they became visible.
//!
//! `<unix seconds> <op> <name>[ <extra>]\n`. A record is in the file (one `write` for all that wait) before its change is
//! made, so SIGKILL leaves no change without a record. A record without its change is harmless: readers look at the file
//! itself. They see a record only when its change is made or has failed ([`Announced`]). Files end at 1 GiB; `binlog_index.dat` holds the number of the current one. A line
//! that a crash tore is cut off at the next start, since the reference would glue the next record to it.

mod read;
mod record;

pub(crate) use read::{BinlogReader, Entry};
pub(crate) use record::{Op, Record, Side};

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::config::storage_conf::Durability;
use protocol::daemon::replace_file;
use tokio::sync::watch;
use tracing::warn;

use super::StoreError;
use super::state_text::{StateText, put};

const INDEX_NAME: &str = "binlog_index.dat";
/// Before `binlog_index.dat` there was this file with the plain number.
const OLD_INDEX_NAME: &str = "binlog.index";
/// A file that reaches this size is the last of its number.
const MAX_SIZE: u64 = 1 << 30;

/// End of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct BinlogPosition {
    /// Number of the file.
    pub index: u32,
    /// Bytes in it.
    pub offset: u64,
}

/// Lines that wait for the next write, and how far the numbering of records is.
#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Number of the newest record in `lines`, counted from 1.
    newest: u64,
    /// End of what is written.
    written: BinlogPosition,
    /// Where the records begin whose changes are under way, by number.
    under_way: BTreeMap<u64, Start>,
}

#[derive(Debug, Clone, Copy)]
enum Start {
    /// In `lines`.
    Waiting(usize),
    /// In a file.
    Written(BinlogPosition),
}

/// A record that is in the file while its change is being made. Readers stop before it until this is dropped.
#[must_use]
pub(super) struct Announced<'a> {
    binlog: &'a Binlog,
    number: u64,
}

impl Drop for Announced<'_> {
    fn drop(&mut self) {
        self.binlog.lock_waiting().under_way.remove(&self.number);
        self.binlog.show();
    }
}

struct Writer {
    file: File,
    position: BinlogPosition,
    /// Newest record that was dealt with.
    done: u64,
    /// Records that could not be written: first, last, errno.
    failed: Vec<(u64, u64, i32)>,
    /// Emptied lines of the last write, to be filled again.
    spare: Vec<u8>,
    end: End,
}

/// What stands behind the last whole line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Clean,
    /// Part of a line that could not be cut off yet.
    Torn,
}

/// Failures that are remembered for callers that still wait: more than threads can be waiting.
const MAX_FAILED: usize = 16 * 1024;

/// The open binlog.
pub(super) struct Binlog {
    directory: PathBuf,
    durability: Durability,
    waiting: Mutex<Waiting>,
    writer: Mutex<Writer>,
    /// All before is on the disk, as far as [`Binlog::sync_written`] knows.
    synced: Mutex<BinlogPosition>,
    watch: watch::Sender<BinlogPosition>,
}

impl Binlog {
    /// Opens the current file and repairs its end.
    pub(super) fn open(directory: &Path, durability: Durability) -> Result<Self, StoreError> {
        fs::create_dir_all(directory).map_err(StoreError::io("create", directory))?;
        let index = read_index(directory)?;
        let path = file_path(directory, index);
        let (file, offset) = open_at_end(&path).map_err(StoreError::io("open", &path))?;
        let position = BinlogPosition { index, offset };
        Ok(Self {
            directory: directory.to_owned(),
            durability,
            waiting: Mutex::new(Waiting { written: position, ..Waiting::default() }),
            writer: Mutex::new(Writer {
                file,
                position,
                done: 0,
                failed: Vec::new(),
                spare: Vec::new(),
                end: End::Clean,
            }),
            synced: Mutex::default(),
            watch: watch::Sender::new(position),
        })
    }

    /// Reads from a position on, as far as `watch` says. Blocking.
    pub(super) fn reader(&self, from: BinlogPosition) -> io::Result<BinlogReader> {
        BinlogReader::open(&self.directory, from)
    }

    /// The directory, which also holds the marks of senders.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file before the current one, and that one: paths, the older first. The older may be compressed or gone.
    pub(super) fn newest_files(&self) -> Vec<PathBuf> {
        let index = self.lock_writer().position.index;
        (index.saturating_sub(1)..=index).map(|index| file_path(&self.directory, index)).collect()
    }

    /// Hears of every write.
    pub(super) fn watch(&self) -> watch::Receiver<BinlogPosition> {
        self.watch.subscribe()
    }

    /// Appends the record of a change that is made, and waits until it is written.
    pub(super) fn append(&self, record: &Record<'_>) -> io::Result<()> {
        self.append_all(std::slice::from_ref(record))
    }

    /// The same for several. Whoever gets to write takes along all that wait.
    pub(super) fn append_all(&self, records: &[Record<'_>]) -> io::Result<()> {
        let number = {
            let mut waiting = self.lock_waiting();
            for record in records {
                record.write_to(&mut waiting.lines);
                waiting.newest += 1;
            }
            waiting.newest
        };
        let outcome = self.write_up_to(number);
        self.show();
        outcome
    }

    /// Appends the record of a change that is about to be made, and waits until it is written.
    pub(super) fn announce(&self, record: &Record<'_>) -> io::Result<Announced<'_>> {
        self.announce_all(std::slice::from_ref(record))
    }

    /// The same for changes that are made together: readers see all of their records or none.
    pub(super) fn announce_all(&self, records: &[Record<'_>]) -> io::Result<Announced<'_>> {
        let (first, last) = {
            let mut waiting = self.lock_waiting();
            let first = waiting.newest + 1;
            let start = Start::Waiting(waiting.lines.len());
            for record in records {
                record.write_to(&mut waiting.lines);
                waiting.newest += 1;
            }
            waiting.under_way.insert(first, start);
            (first, waiting.newest)
        };
        let announced = Announced { binlog: self, number: first };
        self.write_up_to(last).map(|()| announced)
    }

    /// Puts on the disk what is written by now. Of several who want that at once, one does it for all.
    pub(super) fn sync_written(&self) -> io::Result<()> {
        let wanted = self.lock_waiting().written;
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        if *synced >= wanted {
            return Ok(());
        }
        // A file that is full was synced when the next one began.
        let (file, position) = {
            let writer = self.lock_writer();
            (writer.file.try_clone()?, writer.position)
        };
        file.sync_data()?;
        *synced = position;
        Ok(())
    }

    /// Waits until the record of this number is written, with all before it.
    fn write_up_to(&self, number: u64) -> io::Result<()> {
        let mut writer = self.lock_writer();
        if writer.done < number {
            self.write_waiting(&mut writer);
        }
        let failure = writer.failed.iter().find(|(first, last, _)| (*first..=*last).contains(&number));
        failure.map_or(Ok(()), |(_, _, errno)| Err(io::Error::from_raw_os_error(*errno)))
    }

    /// Lets readers go as far as all changes are made.
    fn show(&self) {
        let shown = {
            let waiting = self.lock_waiting();
            match waiting.under_way.values().next() {
                Some(Start::Written(position)) => *position,
                Some(Start::Waiting(_)) | None => waiting.written,
            }
        };
        self.watch.send_if_modified(|known| {
            let is_further = shown > *known;
            *known = shown.max(*known);
            is_further
        });
    }

    fn write_waiting(&self, writer: &mut Writer) {
        let spare = std::mem::take(&mut writer.spare);
        let (mut lines, newest) = {
            let mut waiting = self.lock_waiting();
            (std::mem::replace(&mut waiting.lines, spare), waiting.newest)
        };
        let begin = writer.position;
        if let Err(error) = self.write_lines(writer, &lines) {
            tracing::error!(%error, records = newest - writer.done, "the binlog cannot be written");
            if writer.failed.len() == MAX_FAILED {
                writer.failed.remove(0);
            }
            let errno = error.raw_os_error().unwrap_or(rustix::io::Errno::IO.raw_os_error());
            writer.failed.push((writer.done + 1, newest, errno));
        }
        {
            let mut waiting = self.lock_waiting();
            for (_, start) in
                waiting.under_way.range_mut((Bound::Excluded(writer.done), Bound::Included(newest)))
            {
                if let Start::Waiting(at) = *start {
                    let offset = begin.offset + at as u64;
                    *start = Start::Written(BinlogPosition { offset, ..begin });
                }
            }
            waiting.written = writer.position;
        }
        writer.done = newest;
        lines.clear();
        writer.spare = lines;
    }

    /// Writes whole lines or, as far as a reader can tell, nothing.
    fn write_lines(&self, writer: &mut Writer, lines: &[u8]) -> io::Result<()> {
        if writer.end == End::Torn {
            writer.file.set_len(writer.position.offset)?;
            writer.end = End::Clean;
        }
        let outcome = writer.file.write_all(lines).and_then(|()| match self.durability {
            Durability::Write => Ok(()),
            Durability::Fsync => writer.file.sync_data(),
        });
        if let Err(error) = outcome {
            // What was written of them goes, so that no torn line stays.
            if let Err(cutting) = writer.file.set_len(writer.position.offset) {
                tracing::error!(error = %cutting, "a torn line cannot be cut off the binlog yet");
                writer.end = End::Torn;
            }
            return Err(error);
        }
        writer.position.offset += lines.len() as u64;
        if writer.position.offset >= MAX_SIZE
            && let Err(error) = self.rotate(writer)
        {
            // The full file goes on; the next write tries again.
            warn!(%error, "the binlog cannot begin its next file");
        }
        Ok(())
    }

    fn rotate(&self, writer: &mut Writer) -> io::Result<()> {
        let index = writer.position.index + 1;
        let path = file_path(&self.directory, index);
        writer.file.sync_data()?;
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        file.set_len(0)?;
        write_index(&self.directory, index)?;
        writer.file = file;
        writer.position = BinlogPosition { index, offset: 0 };
        Ok(())
    }

    /// Puts all on the disk.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let mut writer = self.lock_writer();
        self.write_waiting(&mut writer);
        writer.file.sync_all().map_err(StoreError::io("sync the binlog in", &self.directory))
    }

    fn lock_waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file_path(directory: &Path, index: u32) -> PathBuf {
    directory.join(format!("binlog.{index:03}"))
}

/// Number of the current file. A missing or empty index means the newest file that is there.
fn read_index(directory: &Path) -> Result<u32, StoreError> {
    let read = |name: &str| match fs::read_to_string(directory.join(name)) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", directory.join(name))(error)),
    };
    let known = match read(INDEX_NAME)? {
        Some(text) => StateText::parse(&text).text("current_write").and_then(|text| text.parse().ok()),
        None => read(OLD_INDEX_NAME)?.and_then(|text| text.trim().parse().ok()),
    };
    if let Some(index) = known {
        return Ok(index);
    }
    let mut index = 0;
    while file_path(directory, index + 1).exists() {
        index += 1;
    }
    write_index(directory, index).map_err(StoreError::io("write", directory.join(INDEX_NAME)))?;
    Ok(index)
}

fn write_index(directory: &Path, index: u32) -> io::Result<()> {
    let path = directory.join(INDEX_NAME);
    let compressed = fs::read_to_string(&path)
        .ok()
        .and_then(|text| StateText::parse(&text).number("current_compress"))
        .unwrap_or(0);
    let mut text = String::new();
    put(&mut text, "current_write", index);
    put(&mut text, "current_compress", compressed);
    replace_file(&path, text.as_bytes())
}

/// Opens for appending; a last line without its end is cut off.
fn open_at_end(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().append(true).read(true).create(true).open(path)?;
    let len = file.metadata()?.len();
    let whole = end_of_last_line(&mut file, len)?;
    if whole < len {
        warn!(path = %path.display(), bytes = len - whole, "the last line was torn by a crash and is cut off");
        file.set_len(whole)?;
    }
    Ok((file, whole))
}

fn end_of_last_line(file: &mut File, len: u64) -> io::Result<u64> {
    const STEP: u64 = 4096;
    let mut end = len;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        let mut piece = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        Read::by_ref(file).take(end - start).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn readers_stop_before_a_change_that_is_under_way() {
        let directory = tempfile::tempdir().unwrap();
        let binlog = Binlog::open(directory.path(), Durability::Write).unwrap();
        let watch = binlog.watch();
        let shown = || watch.borrow().offset;
        binlog.append(&record("a")).unwrap();
        let line = "1 C a\n".len() as u64;
        assert_eq!(shown(), line);
        let first = binlog.announce(&record("b")).unwrap();
        let second = binlog.announce(&record("c")).unwrap();
        binlog.append(&record("d")).unwrap();
        assert_eq!(shown(), line);
        assert_eq!(fs::read_to_string(file_path(directory.path(), 0)).unwrap().lines().count(), 4);
        drop(second);
        assert_eq!(shown(), line);
        let third = binlog.announce(&record("e")).unwrap();
        drop(first);
        assert_eq!(shown(), 4 * line);
        drop(third);
        assert_eq!(shown(), 5 * line);
    }

    fn record(name: &str) -> Record<'_> {
        Record { time: 1, side: Side::Source, op: Op::Create, name }
    }

    #[test]
    fn records_of_one_change_are_seen_together() {
        let directory = tempfile::tempdir().unwrap();
        let binlog = Binlog::open(directory.path(), Durability::Write).unwrap();
        let watch = binlog.watch();
        let line = "1 C a\n".len() as u64;
        let both = binlog.announce_all(&[record("a"), record("b")]).unwrap();
        let later = binlog.announce(&record("c")).unwrap();
        binlog.sync_written().unwrap();
        assert_eq!(binlog.synced.lock().unwrap().offset, 3 * line);
        drop(later);
        assert_eq!(watch.borrow().offset, 0);
        drop(both);
        assert_eq!(watch.borrow().offset, 3 * line);
        binlog.sync_written().unwrap();
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_only_that() {
        let check = |before: &str, after: &str| {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("binlog.000"), before).unwrap();
            let binlog = Binlog::open(directory.path(), Durability::Write).unwrap();
            binlog.append(&record("new")).unwrap();
            let now = fs::read_to_string(directory.path().join("binlog.000")).unwrap();
            assert_eq!(now, format!("{after}1 C new\n"), "{before:?}");
        };
        check("", "");
        check("1 C a\n", "1 C a\n");
        check("1 C a\n1 C b", "1 C a\n");
        check("no end at all", "");
        let long = format!("1 C a\n{}", "x".repeat(10_000));
        check(&long, "1 C a\n");
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing_and_hear_the_position() {
        let directory = tempfile::tempdir().unwrap();
        let binlog = Arc::new(Binlog::open(directory.path(), Durability::Write).unwrap());
        let watch = binlog.watch();
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let binlog = Arc::clone(&binlog);
                std::thread::spawn(move || {
                    for number in 0..500 {
                        let name = format!("{thread}-{number}");
                        binlog.append(&record(&name)).unwrap();
                        let written = fs::read_to_string(file_path(&binlog.directory, 0)).unwrap();
                        assert!(written.contains(&format!("1 C {name}\n")), "{name} was acknowledged");
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let text = fs::read_to_string(directory.path().join("binlog.000")).unwrap();
        assert_eq!(text.lines().count(), 2000);
        assert_eq!(watch.borrow().offset, text.len() as u64);
    }

    #[test]
    fn the_index_is_found_again() {
        let check = |files: &[(&str, &str)], expected: u32| {
            let directory = tempfile::tempdir().unwrap();
            for (name, text) in files {
                fs::write(directory.path().join(name), text).unwrap();
            }
            assert_eq!(read_index(directory.path()).unwrap(), expected, "{files:?}");
        };
        check(&[], 0);
        check(&[("binlog_index.dat", "current_write=3\ncurrent_compress=1\n")], 3);
        check(&[("binlog.index", "2\n")], 2);
        check(&[("binlog_index.dat", ""), ("binlog.000", "x"), ("binlog.001", "x")], 1);
        check(&[("binlog_index.dat", "current_write=x\n"), ("binlog.001", "x")], 1);
    }
}
