//! Records of one store path, command 26: a member that lost a disk asks for them. Group 16, store path index 1.
//!
//! Nobody knows the answer's length before its end, so the header announces [`STREAMED`] bytes. Binlog lines follow, then
//! the number of their bytes as a 64-bit integer, and the connection ends. That number tells a whole answer from one that
//! broke off.

use bytes::{BufMut, BytesMut};

use crate::file_id::StorePathIndex;
use crate::wire::{DecodeError, Reader, Request};
use crate::{Command, GroupName};

/// The body length that stands for "until the connection ends".
pub const STREAMED: u64 = 1 << 58;

/// Bytes of the number at the end.
pub const COUNT_LEN: usize = 8;

/// The request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchPathBinlog {
    /// Group of both.
    pub group: GroupName,
    /// The store path.
    pub path: StorePathIndex,
}

impl Request for FetchPathBinlog {
    const COMMAND: Command = Command::FETCH_ONE_PATH_BINLOG;

    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        out.put_u8(self.path.0);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        let path = StorePathIndex(reader.u8("store path index")?);
        reader.finish()?;
        Ok(Self { group, path })
    }
}

/// Splits the lines of an answer that comes in pieces from the number at its end.
#[derive(Debug, Default)]
pub struct PathBinlogBody {
    /// The last bytes so far, which may be the number.
    tail: Vec<u8>,
    passed: u64,
}

impl PathBinlogBody {
    /// Takes the next piece of the answer; appends to `out` what is certainly text.
    pub fn take(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.tail.extend_from_slice(piece);
        let text = self.tail.len().saturating_sub(COUNT_LEN);
        out.extend(self.tail.drain(..text));
        self.passed += text as u64;
    }

    /// At the end of the connection: the number of bytes of text, if that is what the server says it is.
    pub fn finish(self) -> Option<u64> {
        let count = u64::from_be_bytes(*self.tail.first_chunk::<COUNT_LEN>()?);
        (count == self.passed).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_17_bytes() {
        let request = FetchPathBinlog { group: GroupName::parse("group1").unwrap(), path: StorePathIndex(3) };
        let frame = request.to_frame();
        assert_eq!((frame.len(), frame[8], frame[26]), (27, 26, 3));
        assert_eq!(FetchPathBinlog::decode_body(&frame[10..]), Ok(request));
        for end in 0..17 {
            assert!(FetchPathBinlog::decode_body(&frame[10..10 + end]).is_err(), "{end}");
        }
    }

    fn split(answer: &[u8], step: usize) -> (Vec<u8>, Option<u64>) {
        let (mut body, mut out) = (PathBinlogBody::default(), Vec::new());
        answer.chunks(step).for_each(|piece| body.take(piece, &mut out));
        (out, body.finish())
    }

    #[test]
    fn text_and_count_are_told_apart_wherever_the_pieces_end() {
        let text = b"1 C a\n2 c b\n";
        let whole = [&text[..], &12_u64.to_be_bytes()].concat();
        for step in 1..=whole.len() {
            assert_eq!(split(&whole, step), (text.to_vec(), Some(12)), "{step}");
        }
        assert_eq!(split(&0_u64.to_be_bytes(), 3), (vec![], Some(0)));
        for end in 0..whole.len() {
            assert_eq!(split(&whole[..end], 5).1, None, "{end} of {}", whole.len());
        }
    }
}
