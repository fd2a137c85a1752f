//! Lines of files that are only appended to.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Where the line begins that an offset lies in, which is no further than the end of the file: there, the end of the last whole
/// line. Blocking.
pub(super) fn start(file: &File, offset: u64) -> io::Result<u64> {
    const STEP: u64 = 4096;
    let mut end = offset;
    while end > 0 {
        let start = end.saturating_sub(STEP);
        let mut piece = vec![0; usize::try_from(end - start).unwrap_or(0)];
        file.read_exact_at(&mut piece, start)?;
        if let Some(at) = piece.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}
