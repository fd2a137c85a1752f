//! One line of the trunk binlog: `<unix seconds> <A|D> <path> <high> <low> <trunk file> <offset> <size>`.

use protocol::file_id::{StorePathIndex, SubDir, TrunkSlot};

use super::slot::Slot;

/// What happened to a stretch of a trunk file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// `A`: it became free. Also of what is held, so that it is free again after a crash.
    Free,
    /// `D`: it is no longer free.
    Taken,
}

/// Longest line that is read; the reference has room for 127 bytes.
const MAX_LINE: usize = 127;

/// Appends a line.
pub(super) fn write(out: &mut Vec<u8>, time: i64, turn: Turn, slot: &Slot) {
    let Slot { path, dir, at } = slot;
    write_number(out, u64::try_from(time).unwrap_or(0));
    out.extend_from_slice(match turn {
        Turn::Free => b" A",
        Turn::Taken => b" D",
    });
    let numbers = [path.0.into(), dir.high.into(), dir.low.into(), at.file_id, at.offset, at.size];
    for number in numbers {
        out.push(b' ');
        write_number(out, number.into());
    }
    out.push(b'\n');
}

/// Appends a number. Every upload writes some thirty of them, and `write!` would cost as much as the rest of it.
fn write_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        at -= 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// A line without its end; none if it says nothing. Further columns are passed over.
pub(super) fn parse(line: &[u8]) -> Option<(Turn, Slot)> {
    let text = std::str::from_utf8(line).ok().filter(|text| text.len() <= MAX_LINE)?;
    let mut columns = text.split(' ');
    columns.next()?.parse::<i64>().ok()?;
    let turn = match columns.next()? {
        "A" => Turn::Free,
        "D" => Turn::Taken,
        _ => return None,
    };
    slot(&mut columns).map(|slot| (turn, slot))
}

/// A line of the first snapshots, which had neither time nor letter: all of them are free.
pub(super) fn parse_old(line: &[u8]) -> Option<Slot> {
    let mut columns = std::str::from_utf8(line).ok()?.split(' ');
    slot(&mut columns).filter(|_| columns.next().is_none())
}

fn slot<'a>(columns: &mut impl Iterator<Item = &'a str>) -> Option<Slot> {
    let mut number =
        || columns.next()?.parse::<u32>().ok().filter(|number| *number <= i32::MAX.unsigned_abs());
    let byte = |number: u32| u8::try_from(number).ok();
    let path = StorePathIndex(byte(number()?)?);
    let dir = SubDir { high: byte(number()?)?, low: byte(number()?)? };
    let at = TrunkSlot { file_id: number()?, offset: number()?, size: number()? };
    Some(Slot { path, dir, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_s_lines_are_read_and_written() {
        let lines = b"1795383113 A 0 0 0 1 0 4194304\n1795383168 D 1 255 16 1000000 256 512\n";
        let mut out = Vec::new();
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let (turn, slot) = parse(line.trim_ascii_end()).unwrap();
            let time = std::str::from_utf8(&line[..10]).unwrap().parse().unwrap();
            write(&mut out, time, turn, &slot);
        }
        assert_eq!(out, lines);
        assert_eq!(parse_old(b"0 0 0 1 0 4194304"), parse(b"1 A 0 0 0 1 0 4194304").map(|(_, slot)| slot));
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 255, 4_194_304, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }

    #[test]
    fn lines_that_say_nothing_are_passed_over() {
        for line in [
            "",
            "1795383113 A 0 0 0 1 0",
            "1795383113 B 0 0 0 1 0 256",
            "x A 0 0 0 1 0 256",
            "1795383113 A 0 0 0 1 0 -256",
            "1795383113 A 0 0 256 1 0 256",
            "1795383113 A 0 0 0 1 0 2147483648",
            "0 0 0 1 0 256",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
        assert_eq!(parse_old(b"1 A 0 0 0 1 0 256"), None);
    }
}
