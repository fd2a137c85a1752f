//! Reading the binlog forward from a position: for senders, and for members that recover a disk.
//!
//! A file that the reference compressed (`binlog.NNN.gz`) is read as well. A line that cannot be a record (the reference
//! writes links without names, and glues lines after a crash) is handed out as such and passed over by its readers; it
//! never stops them.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use protocol::LogicName;

use super::super::lines;
use super::{BinlogPosition, Op, Record, Side, file_path};

/// Longest line that is looked at as a whole; readers of the reference refuse more than 255 bytes.
const MAX_LINE: usize = 4096;
/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    /// Unix seconds.
    pub(crate) time: i64,
    pub(crate) side: Side,
    pub(crate) op: Op<LogicName>,
    pub(crate) name: LogicName,
}

impl Entry {
    /// Reads a line without its end; `None` if it is no record.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let (time, rest) = line.split_once(' ')?;
        let (letter, names) = rest.split_once(' ')?;
        let mut words = names.split(' ');
        let name = LogicName::parse(words.next()?).ok()?;
        let mut number = || words.next()?.parse().ok();
        let op = match letter.to_ascii_uppercase().as_str() {
            "C" => Op::Create,
            "D" => Op::Delete,
            "U" => Op::Update,
            "A" => Op::Append(number()?, number()?),
            "M" => Op::Modify(number()?, number()?),
            "T" => Op::Truncate(number()?, number()?),
            "L" => Op::Link(LogicName::parse(words.next()?).ok()?),
            "R" => Op::Rename(LogicName::parse(words.next()?).ok()?),
            _ => return None,
        };
        if words.next().is_some() {
            return None;
        }
        let side = if letter.as_bytes().first()?.is_ascii_lowercase() { Side::Replica } else { Side::Source };
        Some(Self { time: time.parse().ok()?, side, op, name })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.op.map_names(LogicName::as_str);
        f.write_str(&Record { time: self.time, side: self.side, op: record, name: self.name.as_str() }.line())
    }
}

/// A line, and where the next one begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// The record, or what stands there instead.
    pub(crate) entry: Result<Entry, String>,
    /// Position after the line.
    pub(crate) end: BinlogPosition,
}

enum Source {
    Plain(File),
    Unpacked(Box<MultiGzDecoder<BufReader<File>>>),
}

/// Reads lines from a position on.
pub(crate) struct BinlogReader {
    directory: PathBuf,
    position: BinlogPosition,
    source: Option<Source>,
    /// Bytes read and not handed out; those before `taken` are.
    buffer: Vec<u8>,
    taken: usize,
}

impl BinlogReader {
    /// Starts at `position`, which is moved back to the beginning of a line and into the file. Blocking.
    pub(super) fn open(directory: &Path, position: BinlogPosition) -> io::Result<Self> {
        let mut reader =
            Self { directory: directory.to_owned(), position, source: None, buffer: Vec::new(), taken: 0 };
        reader.open_source()?;
        if let Some(Source::Plain(file)) = &reader.source {
            let whole = position.offset.min(file.metadata()?.len());
            reader.position.offset = lines::start(file, whole)?;
        }
        Ok(reader)
    }

    /// Where the next line begins.
    pub(crate) fn position(&self) -> BinlogPosition {
        self.position
    }

    fn open_source(&mut self) -> io::Result<()> {
        let path = file_path(&self.directory, self.position.index);
        self.source = match File::open(&path) {
            Ok(file) => Some(Source::Plain(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut packed = path.into_os_string();
                packed.push(".gz");
                match File::open(&packed) {
                    Ok(file) => {
                        let mut unpacked = MultiGzDecoder::new(BufReader::new(file));
                        let mut before = Read::by_ref(&mut unpacked).take(self.position.offset);
                        io::copy(&mut before, &mut io::sink())?;
                        Some(Source::Unpacked(Box::new(unpacked)))
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                    Err(error) => return Err(error),
                }
            }
            Err(error) => return Err(error),
        };
        Ok(())
    }

    /// The next line before `end`, which is the writer's position; `None` if all are read. Blocking.
    pub(crate) fn next(&mut self, end: BinlogPosition) -> io::Result<Option<Item>> {
        loop {
            if (self.position.index, self.position.offset) >= (end.index, end.offset) {
                return Ok(None);
            }
            let unread = self.buffer.get(self.taken..).unwrap_or_default();
            if let Some(len) = unread.iter().position(|byte| *byte == b'\n') {
                let line = unread.get(..len).unwrap_or_default();
                let entry = Entry::parse(line).ok_or_else(|| excerpt(line));
                self.taken += len + 1;
                self.position.offset += len as u64 + 1;
                return Ok(Some(Item { entry, end: self.position }));
            }
            if unread.len() > MAX_LINE {
                // No record is so long: what follows may still be lines.
                let entry = Err(excerpt(unread));
                self.position.offset += unread.len() as u64;
                self.taken = self.buffer.len();
                return Ok(Some(Item { entry, end: self.position }));
            }
            if self.fill()? == 0 {
                if self.position.index >= end.index {
                    return Ok(None);
                }
                let torn = self.buffer.get(self.taken..).unwrap_or_default();
                let entry = (!torn.is_empty()).then(|| Err(excerpt(torn)));
                self.next_file()?;
                if let Some(entry) = entry {
                    return Ok(Some(Item { entry, end: self.position }));
                }
            }
        }
    }

    fn next_file(&mut self) -> io::Result<()> {
        self.position = BinlogPosition { index: self.position.index + 1, offset: 0 };
        self.buffer.clear();
        self.taken = 0;
        self.open_source()
    }

    /// Reads on; gives the number of bytes.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        if self.source.is_none() {
            self.open_source()?;
        }
        let have = self.buffer.len();
        self.buffer.resize(have + PIECE, 0);
        let room = self.buffer.get_mut(have..).unwrap_or_default();
        let read = match &mut self.source {
            Some(Source::Plain(file)) => file.read_at(room, self.position.offset + have as u64),
            Some(Source::Unpacked(unpacked)) => unpacked.read(room),
            None => Ok(0),
        };
        self.buffer.truncate(have + *read.as_ref().unwrap_or(&0));
        read
    }
}

/// As much of a line as a log takes.
fn excerpt(line: &[u8]) -> String {
    let line = line.get(..160.min(line.len())).unwrap_or_default();
    String::from_utf8_lossy(line).into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    const A: &str = "M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0977.txt";
    const END: BinlogPosition = BinlogPosition { index: 9, offset: 0 };

    fn name() -> LogicName {
        LogicName::parse(A).unwrap()
    }

    #[test]
    fn lines_of_both_sides_are_read() {
        let check = |line: &str, side, op| {
            let entry = Entry { time: 1_795_382_841, side, op, name: name() };
            assert_eq!(Entry::parse(line.as_bytes()), Some(entry), "{line}");
        };
        check(&format!("1795382841 C {A}"), Side::Source, Op::Create);
        check(&format!("1795382841 c {A}"), Side::Replica, Op::Create);
        check(&format!("1795382841 A {A} 4 6"), Side::Source, Op::Append(4, 6));
        check(&format!("1795382841 m {A} 2 3"), Side::Replica, Op::Modify(2, 3));
        check(&format!("1795382841 T {A} 10 7"), Side::Source, Op::Truncate(10, 7));
        check(&format!("1795382841 L {A} {A}"), Side::Source, Op::Link(name()));
        check(&format!("1795382841 r {A} {A}"), Side::Replica, Op::Rename(name()));
    }

    #[test]
    fn lines_of_the_reference_s_defects_are_no_records() {
        for line in [
            "",
            "1795382841",
            "1795382841 l ",
            &format!("1795382841 L  {A}"),
            &format!("x C {A}"),
            &format!("1795382841 X {A}"),
            &format!("1795382841 A {A} 4"),
            &format!("1795382907 D M01/00/03/Ck0AC2sDXnaAN-d1795382967 C {A}"),
        ] {
            assert_eq!(Entry::parse(line.as_bytes()), None, "{line}");
        }
    }

    fn lines(reader: &mut BinlogReader, end: BinlogPosition) -> Vec<(bool, u32, u64)> {
        let mut all = Vec::new();
        while let Some(item) = reader.next(end).unwrap() {
            all.push((item.entry.is_ok(), item.end.index, item.end.offset));
        }
        all
    }

    #[test]
    fn files_follow_each_other_packed_ones_too_and_torn_ends_are_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let line = format!("1 C {A}\n");
        let len = line.len() as u64;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(line.repeat(2).as_bytes()).unwrap();
        fs::write(directory.path().join("binlog.000.gz"), packed.finish().unwrap()).unwrap();
        fs::write(directory.path().join("binlog.001"), format!("{line}1 l \n{line}1 C M0")).unwrap();
        fs::write(directory.path().join("binlog.002"), &line).unwrap();
        let end = BinlogPosition { index: 2, offset: len };
        let mut reader = BinlogReader::open(directory.path(), BinlogPosition::default()).unwrap();
        let expected = [
            (true, 0, len),
            (true, 0, 2 * len),
            (true, 1, len),
            (false, 1, len + 5),
            (true, 1, 2 * len + 5),
            (false, 2, 0),
            (true, 2, len),
        ];
        assert_eq!(lines(&mut reader, end), expected);
        for (at, (_, index, offset)) in expected.iter().enumerate() {
            let from = BinlogPosition { index: *index, offset: *offset };
            let mut reader = BinlogReader::open(directory.path(), from).unwrap();
            assert_eq!(lines(&mut reader, end), expected[at + 1..], "{from:?}");
        }
    }

    #[test]
    fn what_the_writer_has_not_finished_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let line = format!("1 C {A}\n");
        let len = line.len() as u64;
        let path = directory.path().join("binlog.000");
        fs::write(&path, format!("{line}{line}1 C")).unwrap();
        let mut reader = BinlogReader::open(directory.path(), BinlogPosition::default()).unwrap();
        assert_eq!(lines(&mut reader, BinlogPosition { index: 0, offset: len }).len(), 1);
        assert_eq!(lines(&mut reader, BinlogPosition { index: 0, offset: 2 * len }).len(), 1);
        assert!(lines(&mut reader, BinlogPosition { index: 0, offset: 2 * len }).is_empty());
        fs::write(&path, line.repeat(3)).unwrap();
        assert_eq!(lines(&mut reader, BinlogPosition { index: 0, offset: 3 * len }), [(true, 0, 3 * len)]);
    }

    #[test]
    fn a_position_inside_a_line_or_behind_the_end_moves_back() {
        let directory = tempfile::tempdir().unwrap();
        let line = format!("1 C {A}\n");
        let len = line.len() as u64;
        fs::write(directory.path().join("binlog.000"), line.repeat(2)).unwrap();
        let check = |offset, expected| {
            let from = BinlogPosition { index: 0, offset };
            assert_eq!(BinlogReader::open(directory.path(), from).unwrap().position().offset, expected);
        };
        check(0, 0);
        check(3, 0);
        check(len, len);
        check(len + 5, len);
        check(1_000_000, 2 * len);
        let reader = BinlogReader::open(directory.path(), END).unwrap();
        assert_eq!(reader.position(), END);
    }
}
