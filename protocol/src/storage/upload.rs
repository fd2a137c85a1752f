//! Upload, commands 11 (normal) and 23 (appender).
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | store path index, 0xFF = the storage chooses |
//! | 1 | 8 | content size |
//! | 9 | 6 | extension |
//! | 15 | size | content |

use bytes::{BufMut, BytesMut};

use super::{check_content, head_is_there};
use crate::Command;
use crate::file_id::{FileExt, StorePathIndex};
use crate::wire::{DecodeError, Reader, StreamRequest, put_size};

const HEAD_LEN: usize = 15;
const ANY_PATH: u8 = 0xFF;
/// The reference reads the index as a signed byte, so 128 and above name no path.
const MAX_PATH: u8 = 127;

/// The fields before the content, the same for both kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadHead {
    /// Store path to use; `None` lets the storage choose.
    pub store_path: Option<StorePathIndex>,
    /// Bytes of content.
    pub size: u64,
    /// Extension of the name.
    pub ext: FileExt,
}

impl UploadHead {
    fn encode(&self, out: &mut BytesMut) {
        out.put_u8(self.store_path.map_or(ANY_PATH, |path| path.0));
        put_size(out, self.size);
        self.ext.encode(out);
    }

    fn decode(have: &[u8], body_len: u64) -> Result<Option<(Self, usize)>, DecodeError> {
        if !head_is_there(have, HEAD_LEN, body_len, "upload head")? {
            return Ok(None);
        }
        let mut reader = Reader::new(have);
        let store_path = match reader.u8("store path")? {
            ANY_PATH => None,
            path @ 0..=MAX_PATH => Some(StorePathIndex(path)),
            path => {
                let (value, max) = (path.into(), MAX_PATH.into());
                return Err(DecodeError::OutOfRange { field: "store path", value, min: 0, max });
            }
        };
        let size = reader.size("content size")?;
        check_content(size, body_len, HEAD_LEN)?;
        let ext = FileExt::decode(&mut reader)?;
        Ok(Some((Self { store_path, size, ext }, HEAD_LEN)))
    }
}

/// Upload of a file that never changes. Answered with `FileCreated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload(pub UploadHead);

/// Upload of a file that may be appended to. Answered with `FileCreated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadAppender(pub UploadHead);

macro_rules! upload {
    ($name:ident, $command:expr) => {
        impl StreamRequest for $name {
            const COMMAND: Command = $command;

            fn encode_head(&self, out: &mut BytesMut) {
                self.0.encode(out);
            }

            fn content_len(&self) -> u64 {
                self.0.size
            }

            fn decode_head(have: &[u8], body_len: u64) -> Result<Option<(Self, usize)>, DecodeError> {
                Ok(UploadHead::decode(have, body_len)?.map(|(head, len)| (Self(head), len)))
            }
        }
    };
}

upload!(Upload, Command::UPLOAD_FILE);
upload!(UploadAppender, Command::UPLOAD_APPENDER_FILE);
