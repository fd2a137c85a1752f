//! Size, time, CRC32 and source of a file, command 22: group 16, logic name; flags in the header's status byte.
//!
//! | offset | size | field of the answer |
//! |---|---|---|
//! | 0 | 8 | size |
//! | 8 | 8 | time, unix seconds |
//! | 16 | 8 | CRC32, a signed 32-bit number extended to 64 bits |
//! | 24 | 16 or 46 | source address |

use std::net::IpAddr;

use bytes::{BufMut, BytesMut};

use super::{decode_file, encode_file};
use crate::address::{decode_address, put_address};
use crate::frame::Header;
use crate::wire::{DecodeError, Reader, Request, Response, frame, put_size};
use crate::{AddressWidth, Command, FileId, Status};

/// The request's flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileInfoFlags(pub u8);

impl FileInfoFlags {
    /// Do not read an appender or slave to compute its CRC32.
    pub const NO_CRC32: Self = Self(1);
    /// A missing file is not worth a line in the log.
    pub const QUIET: Self = Self(2);

    /// Whether all flags of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Flags of a received request.
    pub fn of(header: &Header) -> Self {
        Self(header.status.0)
    }
}

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFileInfo(pub FileId);

impl QueryFileInfo {
    /// The frame with flags in its header.
    pub fn to_frame_with(&self, flags: FileInfoFlags) -> BytesMut {
        frame(Self::COMMAND, Status(flags.0), |out| self.encode_body(out))
    }
}

impl Request for QueryFileInfo {
    const COMMAND: Command = Command::QUERY_FILE_INFO;

    fn encode_body(&self, out: &mut BytesMut) {
        encode_file(&self.0, out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        decode_file(&mut Reader::new(body)).map(Self)
    }
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// Bytes of content.
    pub size: u64,
    /// The file's mtime, unix seconds.
    pub time: i64,
    /// CRC32: from the name of a normal file, else computed or 0.
    pub crc32: u32,
    /// Storage that made the name, if known.
    pub source: Option<IpAddr>,
    /// Width of the address field.
    pub width: AddressWidth,
}

impl Response for FileInfo {
    fn encode_body(&self, out: &mut BytesMut) {
        put_size(out, self.size);
        out.put_i64(self.time);
        out.put_i64(i64::from(self.crc32.cast_signed()));
        put_address(out, self.source, self.width.field());
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let width = match body.len() {
            40 => AddressWidth::V4,
            70 => AddressWidth::V6,
            len => return Err(DecodeError::BadLength { message: "file info", len }),
        };
        let mut reader = Reader::new(body);
        let size = reader.size("file size")?;
        let time = reader.i64("time")?;
        let _sign = reader.i32("crc32 sign")?;
        let crc32 = reader.i32("crc32")?.cast_unsigned();
        let source = decode_address(&mut reader, width.field())?;
        Ok(Self { size, time, crc32, source, width })
    }
}
