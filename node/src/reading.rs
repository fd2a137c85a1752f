//! What the gateway asks of files, answered by a reader of store paths and by the members that may have the rest.

use std::io;

use gateway::files::{FindError, Located, SmallRead as Read};
use protocol::{FileId, LogicName};

use crate::remote::{Miss, Remote, RemoteFile};
use crate::store::{ReadError, Reader, SmallRead};

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

/// What a failed read means for a visitor: names that cannot be are simply not found.
fn found<T>(read: Result<T, ReadError>) -> io::Result<Located<T>> {
    match read {
        Ok(found) => Ok(Located::Here(found)),
        Err(ReadError::NotFound) => Ok(Located::Missing),
        Err(ReadError::NotRegular | ReadError::Invalid(_)) => Ok(Located::NotFound),
        Err(ReadError::Io(error)) => Err(error),
    }
}
