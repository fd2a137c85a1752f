//! The 10-byte header before every message, in both directions.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | body length, signed big-endian, header excluded |
//! | 8 | 1 | command; every response carries [`Command::RESPONSE`] |
//! | 9 | 1 | status: response 0 or a Linux errno; request 0, or flags for a few commands |

use bytes::{BufMut, BytesMut};

use crate::wire::DecodeError;
use crate::{Command, Status};

/// Bytes of a header.
pub const HEADER_LEN: usize = 10;

/// A decoded header. `body_len` has been checked for sign, not yet against the receiver's maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes that follow the header.
    pub body_len: u64,
    /// What is asked, or [`Command::RESPONSE`].
    pub command: Command,
    /// Result of a response; flags of a request.
    pub status: Status,
}

impl Header {
    /// A response header without a body.
    pub fn response(status: Status) -> Self {
        Self { body_len: 0, command: Command::RESPONSE, status }
    }

    /// Appends the ten bytes.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_u64(self.body_len);
        out.put_u8(self.command.0);
        out.put_u8(self.status.0);
    }

    /// The ten bytes of a header-only answer.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(&self.body_len.to_be_bytes());
        bytes[8] = self.command.0;
        bytes[9] = self.status.0;
        bytes
    }

    /// Reads a header off the front of `have`; `Ok(None)` means that fewer than ten bytes are there.
    ///
    /// A negative length or one above `max_body` is an error: the connection has lost its framing.
    pub fn decode(have: &[u8], max_body: u64) -> Result<Option<Self>, DecodeError> {
        let Some(bytes) = have.first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let [l0, l1, l2, l3, l4, l5, l6, l7, command, status] = *bytes;
        let value = i64::from_be_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
        match u64::try_from(value) {
            Ok(body_len) if body_len <= max_body => {
                Ok(Some(Self { body_len, command: Command(command), status: Status(status) }))
            }
            _ => Err(DecodeError::OutOfRange {
                field: "body length",
                value,
                min: 0,
                max: i64::try_from(max_body).unwrap_or(i64::MAX),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trips_and_every_prefix_needs_more() {
        let header = Header { body_len: 0x28, command: Command::RESPONSE, status: Status::ENOENT };
        let mut out = BytesMut::new();
        header.encode(&mut out);
        assert_eq!(out[..], header.to_bytes());
        assert_eq!(Header::decode(&out, 1024), Ok(Some(header)));
        for end in 0..HEADER_LEN {
            assert_eq!(Header::decode(&out[..end], 1024), Ok(None));
        }
    }

    #[test]
    fn hostile_lengths_are_refused() {
        let check = |len: i64, max: u64, ok: bool| {
            let mut bytes = [0; HEADER_LEN];
            bytes[..8].copy_from_slice(&len.to_be_bytes());
            assert_eq!(Header::decode(&bytes, max).is_ok(), ok, "{len} of {max}");
        };
        for (len, max, ok) in [
            (0, 0, true),
            (-1, 10, false),
            (i64::MIN, u64::MAX, false),
            (11, 10, false),
            (1 << 32, 262_134, false),
            (i64::MAX, i64::MAX.unsigned_abs(), true),
        ] {
            check(len, max, ok);
        }
    }
}
