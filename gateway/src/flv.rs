//! Parts of FLV files by URL, as players seek: `?start=S` begins at a byte behind a new FLV header, `end=E` ends before one.
//!
//! Such an answer is a whole representation of its URL, so it has no ranges of its own and a `Range` is not looked at; the
//! nginx module, asked for both, gave a range of the file.

use std::ops::Range;

use bytes::Bytes;
use http::StatusCode;

use crate::file_body::Segment;
use crate::problem::Problem;
use crate::query::QueryString;

/// What players expect before the first tag: signature, version 1, video only, the header's length, and no tag before.
const HEADER: [u8; 13] = *b"FLV\x01\x01\0\0\0\x09\0\0\0\x09";

/// Which files are cut.
#[derive(Debug, Clone)]
pub(crate) struct Flv {
    ext: String,
}

impl Flv {
    pub(crate) fn new(ext: &str) -> Self {
        Self { ext: ext.to_owned() }
    }

    /// The part that a query asks for of a file with this extension; `None` for the file as it is.
    pub(crate) fn cut(
        &self,
        ext: &str,
        query: QueryString<'_>,
        len: u64,
    ) -> Result<Option<Vec<Segment>>, Problem> {
        if ext != self.ext {
            return Ok(None);
        }
        let number = |key| query.get(key).and_then(|text| text.parse::<i64>().ok());
        let (start, end) = (number("start"), number("end"));
        if start.is_none() && end.is_none() {
            return Ok(None);
        }
        let Some(part) = part(start.unwrap_or(0), end.unwrap_or(0), len) else {
            let detail = format!("start and end are no part of the file, which has {len} bytes");
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_part", detail));
        };
        let is_whole = part == (0..len);
        // From the file's beginning, or when its last bytes are asked for, no header is missing.
        let has_header = start.is_some_and(|start| start > 0);
        Ok((!is_whole).then(|| {
            let header = has_header.then(|| Segment::Bytes(Bytes::from_static(&HEADER)));
            header.into_iter().chain([Segment::File(part)]).collect()
        }))
    }
}

/// The bytes from `start` (the last ones if it is negative) to before `end`; 0 and 1 mean the file's end, as players that
/// know none send them.
fn part(start: i64, end: i64, len: u64) -> Option<Range<u64>> {
    let first = match u64::try_from(start) {
        Ok(start) => start,
        Err(_) => len.checked_sub(start.unsigned_abs())?,
    };
    let end = match end {
        0 | 1 => len,
        _ => u64::try_from(end).ok()?.min(len),
    };
    (first < end || first == 0 && len == 0).then_some(first..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_file_of_1000_bytes() {
        for (start, end, expected) in [
            (0, 0, Some(0..1000)),
            (1, 0, Some(1..1000)),
            (999, 1, Some(999..1000)),
            (10, 20, Some(10..20)),
            (10, 5000, Some(10..1000)),
            (-10, 0, Some(990..1000)),
            (-1000, 0, Some(0..1000)),
            (-1001, 0, None),
            (1000, 0, None),
            (20, 20, None),
            (20, 10, None),
            (0, -1, None),
            (i64::MIN, 0, None),
            (i64::MAX, i64::MAX, None),
        ] {
            assert_eq!(part(start, end, 1000), expected, "{start} {end}");
        }
        assert_eq!(part(0, 0, 0), Some(0..0));
    }
}
