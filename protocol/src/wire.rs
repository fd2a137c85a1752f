//! The vocabulary every message is written in: a checked reader over a body, and padded fields for writers.
//!
//! All integers are big-endian two's complement. Fixed-width text is NUL-padded on the right, and whatever follows
//! the first NUL is undefined: C peers leave stack bytes there.

mod plain_request;

pub(crate) use plain_request::plain_request;

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use crate::frame::{HEADER_LEN, Header};
use crate::{Command, Status};

/// Why bytes from a peer are not the message they claim to be. Daemons answer all of these with `EINVAL`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The body ended inside a field.
    #[error("body too short: {field} needs {need} bytes, {have} are left")]
    Short {
        /// Field being read.
        field: &'static str,
        /// Bytes the field takes.
        need: usize,
        /// Bytes that were left.
        have: usize,
    },
    /// Bytes were left after the last field.
    #[error("{0} bytes left after the last field")]
    Trailing(usize),
    /// A length or count outside what the protocol allows.
    #[error("{field} is {value}, outside {min}..={max}")]
    OutOfRange {
        /// Field that was read.
        field: &'static str,
        /// Value as sent.
        value: i64,
        /// Least value allowed.
        min: i64,
        /// Greatest value allowed.
        max: i64,
    },
    /// Text with characters the field does not allow.
    #[error("{field} has characters that are not allowed")]
    BadText {
        /// Field that was read.
        field: &'static str,
    },
    /// The whole body has a length that no form of this message has.
    #[error("no {message} is {len} bytes long")]
    BadLength {
        /// Message being decoded.
        message: &'static str,
        /// Length of the body.
        len: usize,
    },
}

/// A request whose whole body is held in memory. One implementation per command, one file each.
pub trait Request: Sized {
    /// Command byte of the request.
    const COMMAND: Command;

    /// Appends the body.
    fn encode_body(&self, out: &mut BytesMut);

    /// Reads a whole body; bytes left over are an error.
    fn decode_body(body: &[u8]) -> Result<Self, DecodeError>;

    /// Header and body in one buffer, so that they leave in one segment.
    fn to_frame(&self) -> BytesMut {
        frame(Self::COMMAND, Status::OK, |out| self.encode_body(out))
    }
}

/// A successful answer whose whole body is held in memory.
pub trait Response: Sized {
    /// Appends the body.
    fn encode_body(&self, out: &mut BytesMut);

    /// Reads a whole body; bytes left over are an error.
    fn decode_body(body: &[u8]) -> Result<Self, DecodeError>;

    /// Header (status 0) and body in one buffer.
    fn to_frame(&self) -> BytesMut {
        frame(Command::RESPONSE, Status::OK, |out| self.encode_body(out))
    }
}

/// The head of a request whose tail is file content: the content streams past the codec.
pub trait StreamRequest: Sized {
    /// Command byte of the request.
    const COMMAND: Command;

    /// Appends everything that comes before the content.
    fn encode_head(&self, out: &mut BytesMut);

    /// Bytes of content that follow the head.
    fn content_len(&self) -> u64;

    /// Reads the head from the first bytes of a body that is `body_len` bytes long in all.
    ///
    /// `Ok(None)` means that more bytes are needed; otherwise the head and the bytes it took.
    fn decode_head(have: &[u8], body_len: u64) -> Result<Option<(Self, usize)>, DecodeError>;

    /// Header and head in one buffer; the caller sends `content_len()` bytes after it.
    fn to_frame_head(&self) -> BytesMut {
        let mut out = BytesMut::with_capacity(HEADER_LEN + 128);
        Header { body_len: 0, command: Self::COMMAND, status: Status::OK }.encode(&mut out);
        self.encode_head(&mut out);
        let body_len = (out.len() - HEADER_LEN) as u64 + self.content_len();
        out[..8].copy_from_slice(&body_len.to_be_bytes());
        out
    }
}

/// Header and body in one buffer; `body` appends the body.
pub fn frame(command: Command, status: Status, body: impl FnOnce(&mut BytesMut)) -> BytesMut {
    let mut out = BytesMut::with_capacity(HEADER_LEN + 128);
    Header { body_len: 0, command, status }.encode(&mut out);
    body(&mut out);
    let body_len = (out.len() - HEADER_LEN) as u64;
    out[..8].copy_from_slice(&body_len.to_be_bytes());
    out
}

/// An empty body: most requests for lists, and most successful answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Empty;

impl Response for Empty {
    fn encode_body(&self, _out: &mut BytesMut) {}

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        Reader::new(body).finish()?;
        Ok(Self)
    }
}

/// Reads fields off the front of a body. Every step is checked; nothing here can panic on peer bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte of `body`.
    pub fn new(body: &'a [u8]) -> Self {
        Self { left: body }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.left.len()
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        match self.left.split_at_checked(len) {
            Some((taken, left)) => {
                self.left = left;
                Ok(taken)
            }
            None => Err(DecodeError::Short { field, need: len, have: self.left.len() }),
        }
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        match self.left.split_first_chunk::<N>() {
            Some((taken, left)) => {
                self.left = left;
                Ok(*taken)
            }
            None => Err(DecodeError::Short { field, need: N, have: self.left.len() }),
        }
    }

    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    /// Big-endian 32-bit integer.
    pub fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        self.array(field).map(i32::from_be_bytes)
    }

    /// Big-endian 64-bit integer.
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// A 64-bit length of something held in memory, within `min..=max`.
    pub fn len(&mut self, field: &'static str, min: usize, max: usize) -> Result<usize, DecodeError> {
        let value = self.i64(field)?;
        let bound = |limit: usize| i64::try_from(limit).unwrap_or(i64::MAX);
        match usize::try_from(value) {
            Ok(len) if (min..=max).contains(&len) => Ok(len),
            _ => Err(DecodeError::OutOfRange { field, value, min: bound(min), max: bound(max) }),
        }
    }

    /// A 64-bit file size or offset: not negative.
    pub fn size(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let value = self.i64(field)?;
        u64::try_from(value).map_err(|_| DecodeError::OutOfRange { field, value, min: 0, max: i64::MAX })
    }

    /// A NUL-padded text field of `width` bytes: its bytes up to the first NUL.
    pub fn padded(&mut self, width: usize, field: &'static str) -> Result<&'a [u8], DecodeError> {
        Ok(until_nul(self.take(width, field)?))
    }

    /// A NUL-padded text field of `width` bytes as UTF-8 text.
    pub fn padded_str(&mut self, width: usize, field: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.padded(width, field)?).map_err(|_| DecodeError::BadText { field })
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.left)
    }

    /// All that is left, as UTF-8 text.
    pub fn rest_str(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.rest()).map_err(|_| DecodeError::BadText { field })
    }

    /// Ends the message: bytes left inside a frame are an error.
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.left.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.left.len())) }
    }
}

/// The bytes before the first NUL, or all of them.
pub fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// Appends `text` NUL-padded to `width` bytes; longer text is cut, as the reference does.
pub fn put_padded(out: &mut BytesMut, text: &[u8], width: usize) {
    let kept = text.len().min(width);
    out.put_slice(&text[..kept]);
    out.put_bytes(0, width - kept);
}

/// Appends a size or offset as a signed 64-bit integer. Sizes past `i64::MAX` cannot occur in a file system.
pub fn put_size(out: &mut BytesMut, size: u64) {
    out.put_u64(size);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reader_refuses_what_is_not_there() {
        let mut reader = Reader::new(&[0, 0, 0, 1, 2]);
        assert_eq!(reader.i32("a"), Ok(1));
        assert_eq!(reader.i64("b"), Err(DecodeError::Short { field: "b", need: 8, have: 1 }));
        assert_eq!(reader.clone().finish(), Err(DecodeError::Trailing(1)));
        assert_eq!(reader.u8("c"), Ok(2));
        assert_eq!(reader.finish(), Ok(()));
    }

    #[test]
    fn lengths_meet_their_maximum() {
        let check = |value: i64, ok: bool| {
            assert_eq!(Reader::new(&value.to_be_bytes()).len("n", 1, 127).is_ok(), ok, "{value}");
        };
        for (value, ok) in [
            (0, false),
            (1, true),
            (127, true),
            (128, false),
            (-1, false),
            (i64::MIN, false),
            (1 << 32 | 5, false),
        ] {
            check(value, ok);
        }
    }

    #[test]
    fn padded_text_ends_at_the_first_nul() {
        assert_eq!(Reader::new(b"ab\0junk").padded(7, "t"), Ok(&b"ab"[..]));
        assert_eq!(Reader::new(b"abcdefg").padded(7, "t"), Ok(&b"abcdefg"[..]));
        let mut out = BytesMut::new();
        put_padded(&mut out, b"ab", 4);
        put_padded(&mut out, b"abcdef", 4);
        assert_eq!(&out[..], b"ab\0\0abcd");
    }
}
