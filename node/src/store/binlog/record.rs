//! One line of the binlog: `<unix seconds> <op> <name>[ <extra>]`.

use std::io::Write;

/// Longest third column, extra included: readers of the reference refuse more.
const MAX_NAMES: usize = 127;

/// Whose record a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// A client asked this node for it: an upper-case letter; every peer is told.
    Source,
    /// A peer told this node: a lower-case letter; told on to a new member only.
    Replica,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Op<N> {
    /// A new file.
    Create,
    /// `offset`, `length`.
    Append(u64, u64),
    /// `offset`, `length`.
    Modify(u64, u64),
    /// Old size, new size.
    Truncate(u64, u64),
    /// The file is gone.
    Delete,
    /// Content replaced as a whole: metadata.
    Update,
    /// The file that the link leads to.
    Link(N),
    /// The name that the file had.
    Rename(N),
}

impl<N> Op<N> {
    /// The same operation with its other name in another form.
    pub(super) fn map_names<'a, M>(&'a self, change: impl FnOnce(&'a N) -> M) -> Op<M> {
        match self {
            Op::Create => Op::Create,
            Op::Append(offset, len) => Op::Append(*offset, *len),
            Op::Modify(offset, len) => Op::Modify(*offset, *len),
            Op::Truncate(old, new) => Op::Truncate(*old, *new),
            Op::Delete => Op::Delete,
            Op::Update => Op::Update,
            Op::Link(name) => Op::Link(change(name)),
            Op::Rename(name) => Op::Rename(change(name)),
        }
    }

    fn letter(&self) -> char {
        match self {
            Op::Create => 'C',
            Op::Append(..) => 'A',
            Op::Modify(..) => 'M',
            Op::Truncate(..) => 'T',
            Op::Delete => 'D',
            Op::Update => 'U',
            Op::Link(_) => 'L',
            Op::Rename(_) => 'R',
        }
    }
}

/// One line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// Unix seconds; of a replica's record the source's.
    pub(crate) time: i64,
    pub(crate) side: Side,
    pub(crate) op: Op<&'a str>,
    /// Logic name.
    pub(crate) name: &'a str,
}

impl Record<'_> {
    /// Whether readers take the line: its names and numbers have 127 bytes at most.
    pub(crate) fn fits(&self) -> bool {
        let mut line = Vec::new();
        self.write_to(&mut line);
        let names = line.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or_default();
        // The end of the line counts with the line, not with the column.
        names.len() <= MAX_NAMES + 1
    }

    /// The line without its end.
    pub(super) fn line(&self) -> String {
        let mut line = Vec::new();
        self.write_to(&mut line);
        String::from_utf8_lossy(&line).trim_end().to_owned()
    }

    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        let Self { time, side, op, name } = self;
        let letter = match side {
            Side::Source => op.letter(),
            Side::Replica => op.letter().to_ascii_lowercase(),
        };
        let written = match op {
            Op::Create | Op::Delete | Op::Update => write!(out, "{time} {letter} ").map(|()| {
                out.extend_from_slice(name.as_bytes());
                out.push(b'\n');
            }),
            Op::Append(a, b) | Op::Modify(a, b) | Op::Truncate(a, b) => {
                writeln!(out, "{time} {letter} {name} {a} {b}")
            }
            Op::Link(other) | Op::Rename(other) => writeln!(out, "{time} {letter} {name} {other}"),
        };
        written.expect("writing to a Vec cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0977.txt";

    #[test]
    fn lines_are_those_of_the_reference() {
        let check = |op, expected: &str| {
            let mut line = Vec::new();
            Record { time: 1_795_382_841, side: Side::Source, op, name: NAME }.write_to(&mut line);
            assert_eq!(String::from_utf8(line).unwrap(), format!("1795382841 {expected}\n"));
            let mut line = Vec::new();
            Record { time: 1_795_382_841, side: Side::Replica, op, name: NAME }.write_to(&mut line);
            let replica = format!("1795382841 {}{}\n", expected[..1].to_lowercase(), &expected[1..]);
            assert_eq!(String::from_utf8(line).unwrap(), replica);
        };
        check(Op::Create, &format!("C {NAME}"));
        check(Op::Append(4, 6), &format!("A {NAME} 4 6"));
        check(Op::Modify(2, 2), &format!("M {NAME} 2 2"));
        check(Op::Truncate(10, 7), &format!("T {NAME} 10 7"));
        check(Op::Delete, &format!("D {NAME}"));
        check(Op::Update, &format!("U {NAME}"));
        check(Op::Link("M00/00/00/x"), &format!("L {NAME} M00/00/00/x"));
        check(Op::Rename("M00/00/00/y"), &format!("R {NAME} M00/00/00/y"));
    }

    #[test]
    fn lines_that_readers_refuse_are_known_before() {
        let check = |op, len: usize, fits| {
            let name = "n".repeat(len);
            assert_eq!(Record { time: 1, side: Side::Source, op, name: &name }.fits(), fits, "{op:?} {len}");
        };
        check(Op::Create, 127, true);
        check(Op::Create, 128, false);
        check(Op::Link("12345"), 121, true);
        check(Op::Link("12345"), 122, false);
    }
}
