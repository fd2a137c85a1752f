//! What clients send to a storage, one file a message.

mod append;
mod create_link;
mod delete;
mod download;
mod file_info;
mod metadata;
mod modify;
mod regenerate;
mod report_server_id;
mod truncate;
mod upload;
mod upload_slave;

pub use append::Append;
pub use create_link::CreateLink;
pub use delete::Delete;
pub use download::Download;
pub use file_info::{FileInfo, FileInfoFlags, QueryFileInfo};
pub use metadata::{GetMetadata, MetadataMode, SetMetadata};
pub use modify::Modify;
pub use regenerate::Regenerate;
pub use report_server_id::ReportServerId;
pub use truncate::Truncate;
pub use upload::{Upload, UploadAppender, UploadHead};
pub use upload_slave::UploadSlave;

use bytes::BytesMut;

use crate::GroupName;
use crate::file_id::{FileId, LogicName, MAX_NAME_LEN};
use crate::wire::{DecodeError, Reader, Response};

/// Shortest name that can be an appender's: store path, directories, code and tail. A shorter one is a mistake, not a file
/// that is missing.
const MIN_APPENDER_NAME: usize = 44;

/// The answer that names a file: group 16, logic name. Uploads, links and renames end in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCreated(pub FileId);

impl Response for FileCreated {
    fn encode_body(&self, out: &mut BytesMut) {
        encode_file(&self.0, out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        decode_file(&mut Reader::new(body)).map(Self)
    }
}

/// Group 16, then the logic name to the end of the body.
fn decode_file(reader: &mut Reader<'_>) -> Result<FileId, DecodeError> {
    let group = GroupName::decode(reader)?;
    Ok(FileId { group, name: name_of(reader.rest())? })
}

fn encode_file(id: &FileId, out: &mut BytesMut) {
    id.group.encode(out);
    out.extend_from_slice(id.name.as_str().as_bytes());
}

pub(crate) fn name_of(bytes: &[u8]) -> Result<LogicName, DecodeError> {
    LogicName::from_bytes(bytes).map_err(|_| DecodeError::BadText { field: "file name" })
}

/// Whole bodies of these requests: at most this long before their content.
const MAX_HEAD: usize = 64 + MAX_NAME_LEN;

/// Splits `size` bytes of content off a body: the announced size must be what is left after the head.
pub(crate) fn check_content(size: u64, body_len: u64, head_len: usize) -> Result<(), DecodeError> {
    let left = body_len.checked_sub(head_len as u64);
    if left == Some(size) {
        return Ok(());
    }
    let bound = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let left = left.map_or(-1, bound);
    Err(DecodeError::OutOfRange { field: "content size", value: bound(size), min: left, max: left })
}

/// Whether the head, `head_len` bytes of it, is there; an error if the body cannot hold it.
pub(crate) fn head_is_there(
    have: &[u8],
    head_len: usize,
    body_len: u64,
    field: &'static str,
) -> Result<bool, DecodeError> {
    if body_len < head_len as u64 {
        let have = usize::try_from(body_len).unwrap_or(MAX_HEAD);
        return Err(DecodeError::Short { field, need: head_len, have });
    }
    Ok(have.len() >= head_len)
}
