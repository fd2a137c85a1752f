//! The list of what has to come back, beside the lost files: `.binlog.recovery.N` holds the records, `.recovery.mark.N`
//! how many bytes of them are done. The reference has the same files and can go on from ours, as we from its. Of files
//! inside trunk files `.binlog.recovery.members` tells, for this node's binlog only.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use protocol::LogicName;
use protocol::daemon::replace_file;
use protocol::file_id::StorePathIndex;

use super::source::container;
use crate::store::{BinlogPosition, Entry, Op, Store, StoreError};

const LIST: &str = ".binlog.recovery";
const MARK: &str = ".recovery.mark";
const FAILED: &str = ".recovery.failed";
const MARK_KEY: &str = "binlog_offset";
/// Longest line that can be a record.
pub(super) const MAX_LINE: u64 = 4096;

fn list_path(data: &Path, number: u32) -> PathBuf {
    data.join(format!("{LIST}.{number}"))
}

fn mark_path(data: &Path, number: u32) -> PathBuf {
    data.join(format!("{MARK}.{number}"))
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StoreError + 'a {
    StoreError::io(doing, path)
}

fn members_path(data: &Path) -> PathBuf {
    data.join(format!("{LIST}.members"))
}

/// Everything that members told: the lists, and what they leave out.
pub(super) fn texts(data: &Path, lists: u32) -> Vec<PathBuf> {
    let mut texts: Vec<_> = (0..lists).map(|number| list_path(data, number)).collect();
    texts.extend(Some(members_path(data)).filter(|path| path.is_file()));
    texts
}

/// Whether all lists are there.
pub(super) fn are_there(data: &Path, files: u32) -> bool {
    (0..files).all(|number| list_path(data, number).is_file())
}

/// Removes lists and marks, of either program.
pub(super) fn remove(data: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(data).map_err(failed("list", data))? {
        let entry = entry.map_err(failed("list", data))?;
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(LIST) || name.starts_with(MARK));
        if is_ours {
            fs::remove_file(entry.path()).map_err(failed("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// Notes a record whose file did not come back, for the operator.
pub(super) fn note_failed(data: &Path, line: &str) -> Result<(), StoreError> {
    let path = data.join(FAILED);
    let noted = File::options()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    noted.map_err(failed("write", &path))
}

/// Where such records are noted.
pub(super) fn failed_path(data: &Path) -> PathBuf {
    data.join(FAILED)
}

/// What a list holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    AllFiles,
    MissingFiles,
}

/// A list being written: what a member sends, but only one record a trunk file.
pub(super) struct NewList {
    path: PathBuf,
    mark: PathBuf,
    file: io::BufWriter<File>,
    /// A line whose end has not come.
    torn: Vec<u8>,
    /// Where to look for what is here already, if that is to be left out.
    known: Option<PathBuf>,
    containers: HashSet<LogicName>,
    /// The records of files inside trunk files, all of them.
    members: Option<(PathBuf, io::BufWriter<File>)>,
    records: u64,
    /// Lines that are no records.
    skipped: u64,
}

impl NewList {
    /// Begins the first list, beside what may be left of it; with all files, or only with those that are not here.
    /// Blocking.
    pub(super) fn create(data: &Path, of: Of) -> Result<Self, StoreError> {
        remove(data)?;
        let path = list_path(data, 0);
        let file = File::create(temporary(&path)).map_err(failed("create", &path))?;
        Ok(Self {
            path,
            mark: mark_path(data, 0),
            file: io::BufWriter::new(file),
            torn: Vec::new(),
            known: (of == Of::MissingFiles).then(|| data.to_owned()),
            containers: HashSet::new(),
            members: None,
            records: 0,
            skipped: 0,
        })
    }

    /// Takes text as it comes. Blocking.
    pub(super) fn take(&mut self, text: &[u8]) -> io::Result<()> {
        self.torn.extend_from_slice(text);
        let text = std::mem::take(&mut self.torn);
        let mut rest = text.as_slice();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, next) = rest.split_at(end + 1);
            rest = next;
            self.take_line(line)?;
        }
        self.torn = rest.to_vec();
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) -> io::Result<()> {
        let Some(entry) = Entry::parse(line.strip_suffix(b"\n").unwrap_or(line)) else {
            self.skipped += 1;
            return Ok(());
        };
        let container = container(&entry.name);
        if container.is_some() {
            self.note_member(line)?;
        }
        let is_here = |data: &PathBuf| {
            let name = container.as_ref().unwrap_or(&entry.name);
            data.join(name.true_name()).symlink_metadata().is_ok()
        };
        if self.known.as_ref().is_some_and(is_here) {
            return Ok(());
        }
        if container.is_some_and(|container| !self.containers.insert(container)) {
            return Ok(());
        }
        self.add(line)
    }

    fn add(&mut self, line: &[u8]) -> io::Result<()> {
        self.records += 1;
        self.file.write_all(line)
    }

    fn note_member(&mut self, line: &[u8]) -> io::Result<()> {
        let (_, file) = match &mut self.members {
            Some(open) => open,
            none => {
                let path = self.path.parent().map_or_else(PathBuf::new, members_path);
                let file = File::create(&path)?;
                none.insert((path, io::BufWriter::new(file)))
            }
        };
        file.write_all(line)
    }

    /// Makes the list valid, on the disk. Blocking. The number of its records, and of lines that were none.
    ///
    /// Its mark comes with it: the reference takes a list without a mark for one that is done.
    pub(super) fn finish(mut self) -> Result<(u64, u64), StoreError> {
        if let Some((path, file)) = &mut self.members {
            file.flush().map_err(failed("write", path))?;
        }
        let path = &self.path;
        self.file.flush().map_err(failed("write", path))?;
        self.file.get_ref().sync_all().map_err(failed("write", path))?;
        fs::rename(temporary(path), path).map_err(failed("write", path))?;
        write_mark(&self.mark, 0)?;
        Ok((self.records, self.skipped))
    }
}

/// Makes a list of what the own binlog knows of a store path and is not here. Blocking. The number of its records.
///
/// Links stand there as files: whether one is still there, only asking for its content tells.
pub(super) fn of_own_binlog(store: &Store, index: StorePathIndex, data: &Path) -> Result<u64, StoreError> {
    let mut list = NewList::create(data, Of::MissingFiles)?;
    let end = *store.binlog_watch().borrow();
    let sync_dir = store.sync_dir().to_owned();
    let mut read = || -> std::io::Result<()> {
        let mut reader = store.binlog_reader(BinlogPosition::default())?;
        while let Some(item) = reader.next(end)? {
            let Ok(Entry { time, op, name, .. }) = item.entry else { continue };
            let may_have_made = matches!(op, Op::Create | Op::Update | Op::Link(_) | Op::Rename(_));
            if may_have_made && name.store_path() == index && !store.was_deleted(&name) {
                let line = format!("{time} C {name}\n");
                match container(&name) {
                    // The trunk file may be here without it, or nobody has it in a trunk file.
                    Some(_) if store.is_here(&name) => {}
                    Some(_) => list.add(line.as_bytes())?,
                    None => list.take_line(line.as_bytes())?,
                }
            }
        }
        Ok(())
    };
    read().map_err(failed("read the binlog in", &sync_dir))?;
    Ok(list.finish()?.0)
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// A list being worked off.
pub(super) struct List {
    mark: PathBuf,
    path: PathBuf,
    reader: BufReader<File>,
    /// End of the lines that were read.
    offset: u64,
}

/// Some records, and where the next ones begin.
pub(super) struct Batch {
    pub(super) records: Vec<Entry>,
    /// Bytes up to the end of the last of them.
    pub(super) end: u64,
    /// Lines behind it, records or not.
    pub(super) lines: u64,
}

impl List {
    /// Opens a list where its mark says, and counts the lines before that and in all. Blocking.
    pub(super) fn open(data: &Path, number: u32) -> Result<(Self, u64, u64), StoreError> {
        let (path, mark) = (list_path(data, number), mark_path(data, number));
        let offset = read_mark(&mark).map_err(failed("read", &mark))?;
        let counted = File::open(&path).and_then(|file| count_lines(BufReader::new(file), offset));
        let (done, all, offset) = counted.map_err(failed("read", &path))?;
        let opened = File::open(&path).and_then(|mut file| {
            file.seek(SeekFrom::Start(offset))?;
            Ok(BufReader::new(file))
        });
        let reader = opened.map_err(failed("read", &path))?;
        Ok((Self { mark, path, reader, offset }, done, all))
    }

    /// The next records, at most `max`; `None` at the end. Blocking.
    pub(super) fn next(&mut self, max: u64) -> Result<Option<Batch>, StoreError> {
        let mut batch = Batch { records: Vec::new(), end: self.offset, lines: 0 };
        while batch.lines < max {
            let mut line = Vec::new();
            let read = io::Read::take(&mut self.reader, MAX_LINE).read_until(b'\n', &mut line);
            if read.map_err(failed("read", &self.path))? == 0 {
                break;
            }
            batch.lines += 1;
            batch.end += line.len() as u64;
            batch.records.extend(Entry::parse(line.strip_suffix(b"\n").unwrap_or(&line)));
        }
        self.offset = batch.end;
        Ok((batch.lines > 0).then_some(batch))
    }

    /// Notes that all up to `end` is done. Blocking.
    pub(super) fn mark(&self, end: u64) -> Result<(), StoreError> {
        write_mark(&self.mark, end)
    }
}

fn write_mark(path: &Path, end: u64) -> Result<(), StoreError> {
    let text = format!("{MARK_KEY}={end}\n");
    replace_file(path, text.as_bytes()).map_err(failed("write", path))
}

fn read_mark(path: &Path) -> io::Result<u64> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let mut lines = text.lines().filter_map(|line| line.split_once('='));
    let offset = lines.find(|(key, _)| key.trim() == MARK_KEY).map(|(_, value)| value.trim().parse());
    Ok(offset.and_then(Result::ok).unwrap_or(0))
}

/// Lines that end at `offset` or before, all lines, and the end of the former.
fn count_lines(mut reader: impl BufRead, offset: u64) -> io::Result<(u64, u64, u64)> {
    let (mut done, mut all, mut at, mut start) = (0, 0, 0, 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = io::Read::take(&mut reader, MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok((done, all, start));
        }
        at += read as u64;
        all += 1;
        if at <= offset {
            (done, start) = (all, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0977.txt";
    const B: &str = "M00/00/01/Ck0AC2sDXjmAORZMAAAADg4Qul0978.txt";

    fn names(batch: &Batch) -> Vec<String> {
        batch.records.iter().map(|entry| entry.name.to_string()).collect()
    }

    #[test]
    fn a_list_is_worked_off_from_its_mark() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path();
        let mut list = NewList::create(data, Of::AllFiles).unwrap();
        let text = format!("1 C {A}\n2 l \n3 c {B}\n4 L {B} {A}\n");
        text.as_bytes().chunks(7).for_each(|piece| list.take(piece).unwrap());
        assert!(!are_there(data, 1), "half a list is none");
        assert_eq!(list.finish().unwrap(), (3, 1));
        assert!(are_there(data, 1) && !are_there(data, 2));
        assert_eq!(fs::read_to_string(mark_path(data, 0)).unwrap(), "binlog_offset=0\n");

        let (mut list, done, all) = List::open(data, 0).unwrap();
        assert_eq!((done, all), (0, 3));
        let first = list.next(2).unwrap().unwrap();
        assert_eq!(names(&first), [A, B]);
        list.mark(first.end).unwrap();
        assert_eq!(fs::read_to_string(mark_path(data, 0)).unwrap(), format!("binlog_offset={}\n", first.end));

        let (mut list, done, all) = List::open(data, 0).unwrap();
        assert_eq!((done, all), (2, 3));
        let last = list.next(2).unwrap().unwrap();
        assert_eq!(names(&last), [B]);
        assert!(list.next(2).unwrap().is_none());
        remove(data).unwrap();
        assert_eq!(fs::read_dir(data).unwrap().count(), 0);
    }

    #[test]
    fn a_second_member_s_list_holds_only_what_the_first_had_not() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path();
        let mut list = NewList::create(data, Of::MissingFiles).unwrap();
        fs::create_dir_all(data.join("00/00")).unwrap();
        fs::write(data.join(A.strip_prefix("M00/").unwrap()), "").unwrap();
        list.take(format!("1 C {A}\n3 c {B}\n").as_bytes()).unwrap();
        assert_eq!(list.finish().unwrap(), (1, 0));
        let (mut list, ..) = List::open(data, 0).unwrap();
        assert_eq!(names(&list.next(9).unwrap().unwrap()), [B]);
    }

    #[test]
    fn a_mark_inside_a_line_does_that_line_again() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path();
        fs::write(list_path(data, 0), format!("1 C {A}\n3 c {B}\n")).unwrap();
        fs::write(mark_path(data, 0), "binlog_offset=60\n").unwrap();
        let (mut list, done, all) = List::open(data, 0).unwrap();
        assert_eq!((done, all), (1, 2));
        assert_eq!(names(&list.next(9).unwrap().unwrap()), [B]);
    }

    #[test]
    fn a_trunk_file_comes_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut list = NewList::create(directory.path(), Of::AllFiles).unwrap();
        let members = [
            "M00/00/00/Ck0AKWsDZU-IejbtAAAAC_u0YdsAAAAAQAAAQAAAAEA083.txt",
            "M00/00/00/Ck0AKWsDZU-IfpJDAAAADE95MY4AAAAAQAAAgAAAAEA4666191",
        ];
        for member in members {
            let container = container(&LogicName::parse(member).unwrap()).unwrap();
            assert_eq!(container.as_str(), "M00/00/00/000001");
        }
        let slots = format!("1 C {}\n1 c {}\n", members[0], members[1]);
        list.take(format!("{slots}1 C {A}\n").as_bytes()).unwrap();
        assert_eq!(list.finish().unwrap(), (2, 0));
        let told = texts(directory.path(), 1);
        assert_eq!(told.len(), 2);
        assert_eq!(fs::read_to_string(&told[1]).unwrap(), slots, "each has a record of its own");
        remove(directory.path()).unwrap();
        assert!(!told[1].exists());
    }
}
