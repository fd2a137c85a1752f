//! What the gateway asks of files, answered by a reader of store paths and by the members that may have the rest.

use std::io;

use gateway::files::{Checksum, FileInfo, FindError, Holder, Holds, Located, LookError, SmallRead as Read};
use protocol::file_id::FileKind;
use protocol::metadata::Metadata;
use protocol::storage::FileInfoFlags;
use protocol::{FileId, LogicName};

use crate::remote::{self, Miss, NO_CHECKSUM, Remote, RemoteFile};
use crate::store::{CrcWanted, ReadError, Reader, SmallRead, StoredInfo};

/// Opens a file.
pub(crate) async fn locate(reader: &Reader, name: &LogicName) -> io::Result<Located> {
    found(reader.open_file(name).await)
}

/// Reads a small file, or opens a larger one.
pub(crate) async fn read_small(reader: &Reader, name: &LogicName, max: usize) -> io::Result<Located<Read>> {
    let read = reader.read_small(name, 0, 0, max).await.map(|read| match read {
        SmallRead::Content { modified, mutable, version, content, .. } => {
            reader.counters().downloaded(content.len() as u64);
            Read::Content { content, modified, mutable, version }
        }
        SmallRead::Large(file) => {
            reader.counters().downloaded(file.len);
            Read::Large(file)
        }
    });
    found(read)
}

/// Asks the members that may have a file.
pub(crate) async fn find(remote: &Remote, id: &FileId) -> Result<RemoteFile, FindError> {
    remote.find(id).await.map_err(|miss| match miss {
        Miss::Nowhere => FindError::NotFound,
        Miss::Unreachable | Miss::Refused(_) => FindError::Unreachable,
    })
}

/// What is known of a file, here or elsewhere.
pub(crate) async fn info(
    reader: Option<&Reader>,
    remote: Option<&Remote>,
    id: &FileId,
    checksum: Checksum,
) -> Result<FileInfo, LookError> {
    let here = match reader {
        Some(reader) => {
            let crc = if checksum == Checksum::Computed { CrcWanted::Yes } else { CrcWanted::No };
            looked(reader.info(&id.name, crc).await)?
        }
        None => None,
    };
    let is_known = named_crc(id).is_some();
    let source = remote.and_then(|remote| remote.source_ip(id));
    if let Some(StoredInfo { size: len, crc32, is_link, modified, mutable, .. }) = here {
        let crc32 = (is_known && !is_link || checksum == Checksum::Computed).then_some(crc32);
        // Of a link neither name nor reader knows the content's checksum.
        let crc32 = crc32.filter(|_| !is_link);
        return Ok(FileInfo { len, modified, mutable, crc32, is_link, source });
    }
    let Some(remote) = remote else { return Err(LookError::NotFound) };
    let flags = if checksum == Checksum::Computed { FileInfoFlags::QUIET } else { NO_CHECKSUM };
    let info = remote.info(id, flags).await.map_err(missed)?;
    let crc32 = named_crc(id).or((checksum == Checksum::Computed).then_some(info.crc32));
    let (modified, mutable) = remote::times(id, &info);
    Ok(FileInfo { len: info.size, modified, mutable, crc32, is_link: false, source })
}

/// The checksum that a name holds.
fn named_crc(id: &FileId) -> Option<u32> {
    match id.name.kind() {
        Ok(FileKind::Normal | FileKind::Trunk(_)) => id.name.code().ok().map(|code| code.crc32),
        _ => None,
    }
}

/// A file's metadata, from here or elsewhere. A file without any has none of it.
pub(crate) async fn metadata(
    reader: Option<&Reader>,
    remote: Option<&Remote>,
    id: &FileId,
) -> Result<Metadata, LookError> {
    let text = match reader {
        Some(reader) => looked(reader.metadata(&id.name).await)?,
        None => None,
    };
    if let Some(text) = text {
        return Ok(Metadata::parse(&text));
    }
    let is_here = match reader {
        Some(reader) => looked(reader.open_file(&id.name).await)?.is_some(),
        None => false,
    };
    if is_here {
        return Ok(Metadata::default());
    }
    let Some(remote) = remote else { return Err(LookError::NotFound) };
    match remote.metadata(id).await {
        Ok(text) => Ok(Metadata::parse(&text)),
        // Members answer alike whether the file or only its metadata is missing.
        Err(Miss::Nowhere) => remote.find(id).await.map(|_| Metadata::default()).map_err(missed),
        Err(miss) => Err(missed(miss)),
    }
}

fn missed(miss: Miss) -> LookError {
    match miss {
        Miss::Nowhere => LookError::NotFound,
        Miss::Unreachable | Miss::Refused(_) => LookError::Unreachable,
    }
}

/// `None` if it may be elsewhere.
fn looked<T>(read: Result<T, ReadError>) -> Result<Option<T>, LookError> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(ReadError::NotFound) => Ok(None),
        Err(ReadError::NotRegular | ReadError::Invalid(_)) => Err(LookError::NotFound),
        Err(ReadError::Io(error)) => Err(LookError::Io(error)),
    }
}

/// Who has a file: the member whose disk is read here first.
pub(crate) async fn holders(reader: Option<&Reader>, remote: Option<&Remote>, id: &FileId) -> Vec<Holder> {
    let Some(remote) = remote else { return Vec::new() };
    let mut holders = Vec::new();
    if let Some(reader) = reader {
        let holds = match reader.open_file(&id.name).await {
            Ok(file) => Holds::Yes(file.len),
            Err(ReadError::Io(_)) => Holds::Unknown,
            Err(_) => Holds::No,
        };
        holders.extend(remote.own_holder(id.group, holds));
    }
    holders.extend(remote.holders(id).await);
    holders
}

/// What a failed read means for a visitor: names that cannot be are simply not found.
fn found<T>(read: Result<T, ReadError>) -> io::Result<Located<T>> {
    match read {
        Ok(found) => Ok(Located::Here(found)),
        Err(ReadError::NotFound) => Ok(Located::Missing),
        Err(ReadError::NotRegular | ReadError::Invalid(_)) => Ok(Located::NotFound),
        Err(ReadError::Io(error)) => Err(error),
    }
}
