//! `Range` (RFC 9110, 14.2): parsing, and what of it a file of a given length can satisfy.

use std::ops::Range;

/// Ranges nearer to each other than this are sent as one: a part's head would be longer (RFC 9110, 15.3.7.2).
const NEAR: u64 = 80;

/// One range as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// From the first to the second byte, both included.
    Closed(u64, u64),
    /// From a byte to the end.
    From(u64),
    /// The last bytes.
    Last(u64),
}

/// What to send for a request's `Range`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The whole file: no range, or none that means anything.
    All,
    /// These bytes.
    One(Range<u64>),
    /// These parts, in this order.
    Several(Vec<Range<u64>>),
    /// None of the ranges lies in the file.
    Nothing,
}

/// What `header` asks of a file of `len` bytes. Malformed headers and other units are ignored, and so are more ranges than
/// `max`: those are not a download but a nuisance (14.2).
pub(crate) fn wanted(header: &str, len: u64, max: usize) -> Wanted {
    let Some(specs) = parse(header, max) else { return Wanted::All };
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for spec in specs {
        let Some(range) = resolve(spec, len) else { continue };
        match ranges.iter_mut().find(|other| near(other, &range)) {
            Some(other) => *other = other.start.min(range.start)..other.end.max(range.end),
            None => ranges.push(range),
        }
    }
    join_all(&mut ranges);
    match ranges.len() {
        0 => Wanted::Nothing,
        1 => ranges.pop().map_or(Wanted::Nothing, Wanted::One),
        _ => Wanted::Several(ranges),
    }
}

/// The ranges that lie in the file, as they were asked for; `None` if the header is ignored.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn asked(header: &str, len: u64, max: usize) -> Option<Vec<Range<u64>>> {
    Some(parse(header, max)?.into_iter().filter_map(|spec| resolve(spec, len)).collect())
}

/// Joining may bring others near; repeat until none is.
fn join_all(ranges: &mut Vec<Range<u64>>) {
    let mut at = 0;
    while at < ranges.len() {
        let here = ranges[at].clone();
        match (at + 1..ranges.len()).find(|other| near(&here, &ranges[*other])) {
            Some(other) => {
                let other = ranges.remove(other);
                ranges[at] = here.start.min(other.start)..here.end.max(other.end);
                at = 0;
            }
            None => at += 1,
        }
    }
}

fn near(a: &Range<u64>, b: &Range<u64>) -> bool {
    a.start <= b.end.saturating_add(NEAR) && b.start <= a.end.saturating_add(NEAR)
}

fn resolve(spec: Spec, len: u64) -> Option<Range<u64>> {
    match spec {
        Spec::Closed(first, last) if first < len => Some(first..last.saturating_add(1).min(len)),
        Spec::From(first) if first < len => Some(first..len),
        Spec::Last(count) if count > 0 && len > 0 => Some(len.saturating_sub(count)..len),
        _ => None,
    }
}

fn parse(header: &str, max: usize) -> Option<Vec<Spec>> {
    let (unit, set) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut specs = Vec::new();
    for part in set.split(',') {
        let part = part.trim_matches([' ', '\t']);
        // A list may have empty elements (5.6.1).
        if part.is_empty() {
            continue;
        }
        if specs.len() == max {
            return None;
        }
        specs.push(parse_one(part)?);
    }
    (!specs.is_empty()).then_some(specs)
}

fn parse_one(part: &str) -> Option<Spec> {
    let (first, last) = part.split_once('-')?;
    match (first, last) {
        ("", last) => Some(Spec::Last(number(last)?)),
        (first, "") => Some(Spec::From(number(first)?)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::Closed(first, last))
        }
    }
}

/// Digits only; numbers past 64 bits lie behind every file.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 64;

    #[test]
    fn ranges_of_a_file_of_1000_bytes() {
        let check =
            |header: &str, expected: Wanted| assert_eq!(wanted(header, 1000, MAX), expected, "{header}");
        check("bytes=0-0", Wanted::One(0..1));
        check("bytes=0-499", Wanted::One(0..500));
        check("bytes=500-", Wanted::One(500..1000));
        check("bytes=-1", Wanted::One(999..1000));
        check("bytes=-5000", Wanted::One(0..1000));
        check("bytes=990-5000", Wanted::One(990..1000));
        check("bytes=990-99999999999999999999999", Wanted::One(990..1000));
        check("BYTES = 1-2", Wanted::One(1..3));
        check("bytes=1000-", Wanted::Nothing);
        check("bytes=1000-2000", Wanted::Nothing);
        check("bytes=-0", Wanted::Nothing);
        check("bytes=99999999999999999999999-", Wanted::Nothing);
        for ignored in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=a-b",
            "bytes=5-4",
            "bytes=-",
            "bytes=1",
            "items=0-1",
            "bytes=1-2x",
            "bytes=+1-2",
            "bytes=0-1,x",
        ] {
            check(ignored, Wanted::All);
        }
        check("bytes=0-9, 500-509", Wanted::Several(vec![0..10, 500..510]));
        check("bytes=500-509,0-9", Wanted::Several(vec![500..510, 0..10]));
        check("bytes=0-9,,5-20", Wanted::One(0..21));
        check("bytes=0-9,20-29", Wanted::One(0..30));
        check("bytes=0-9,2000-", Wanted::One(0..10));
        check("bytes=0-9,800-809,10-799", Wanted::One(0..810));
        let many = vec!["0-0"; MAX + 1].join(",");
        check(&format!("bytes={many}"), Wanted::All);
    }

    #[test]
    fn several_can_be_switched_off_and_an_empty_file_has_no_range() {
        assert_eq!(wanted("bytes=0-9,500-509", 1000, 1), Wanted::All);
        assert_eq!(wanted("bytes=0-9", 1000, 1), Wanted::One(0..10));
        assert_eq!(wanted("bytes=0-9", 1000, 0), Wanted::All);
        for header in ["bytes=0-0", "bytes=0-", "bytes=-1"] {
            assert_eq!(wanted(header, 0, MAX), Wanted::Nothing, "{header}");
        }
    }

    proptest! {
        /// Every byte that was asked for is sent, at most once, and little else.
        #[test]
        fn parts_cover_what_was_asked(pairs in prop::collection::vec((0u64..3000, 0u64..3000), 1..12), len in 0u64..2500) {
            let text: Vec<String> = pairs.iter().map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))).collect();
            let parts = match wanted(&format!("bytes={}", text.join(",")), len, MAX) {
                Wanted::All => panic!("well-formed"),
                Wanted::Nothing => vec![],
                Wanted::One(part) => vec![part],
                Wanted::Several(parts) => parts,
            };
            let asked = |byte: u64| pairs.iter().any(|(a, b)| (*a.min(b)..=*a.max(b)).contains(&byte));
            for byte in 0..len {
                let sent = parts.iter().filter(|part| part.contains(&byte)).count();
                prop_assert!(sent <= 1);
                prop_assert!(sent == 1 || !asked(byte));
            }
            prop_assert!(parts.iter().all(|part| part.start < part.end && part.end <= len));
        }

        #[test]
        fn no_header_panics(header in ".{0,40}", len in any::<u64>()) {
            wanted(&header, len, MAX);
        }
    }
}
