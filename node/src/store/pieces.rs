//! Content that lies in pieces, written with as few calls as the system takes them by.

use std::io::{self, ErrorKind, IoSlice};

use bytes::Bytes;

/// Hands all pieces to `write`, which says how many bytes of them it wrote. Blocking.
pub(super) fn write_all(
    content: &[Bytes],
    mut write: impl FnMut(&[IoSlice<'_>]) -> io::Result<usize>,
) -> io::Result<()> {
    let pieces = content.iter().filter(|piece| !piece.is_empty());
    let mut slices: Vec<IoSlice<'_>> = pieces.map(|piece| IoSlice::new(piece)).collect();
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        match write(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_writes_go_on_where_they_stopped() {
        let content: Vec<Bytes> = ["", "abc", "", "d", "efghi", ""].map(Bytes::from).into();
        for most in 1..12 {
            let (mut written, mut interrupted) = (Vec::new(), false);
            let outcome = write_all(&content, |slices| {
                interrupted = !interrupted;
                if interrupted {
                    return Err(ErrorKind::Interrupted.into());
                }
                let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
                let before = written.len();
                written.extend(bytes.take(most));
                Ok(written.len() - before)
            });
            assert!(outcome.is_ok() && written == b"abcdefghi", "{most}: {written:?}");
        }
        let full = write_all(&content, |_| Ok(0));
        assert_eq!(full.unwrap_err().kind(), ErrorKind::WriteZero);
        assert!(write_all(&[], |_| Ok(0)).is_ok(), "nothing to write");
    }
}
