//! Download a file or a part of it, command 14. Answered with the bytes.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | offset |
//! | 8 | 8 | bytes wanted, 0 = to the end |
//! | 16 | 16 | group |
//! | 32 | n | logic name |

use bytes::BytesMut;

use super::{decode_file, encode_file};
use crate::wire::{DecodeError, Reader, Request, put_size};
use crate::{Command, FileId};

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// First byte wanted.
    pub offset: u64,
    /// Bytes wanted, 0 for all to the end; more than there are is cut to the end.
    pub len: u64,
    /// The file.
    pub file: FileId,
}

impl Request for Download {
    const COMMAND: Command = Command::DOWNLOAD_FILE;

    fn encode_body(&self, out: &mut BytesMut) {
        put_size(out, self.offset);
        put_size(out, self.len);
        encode_file(&self.file, out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let offset = reader.size("offset")?;
        let len = reader.size("length")?;
        Ok(Self { offset, len, file: decode_file(&mut reader)? })
    }
}
