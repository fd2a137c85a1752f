//! What a peer is sent of a name: the content as it is now, of files of every kind, metadata included.

use std::io;
use std::sync::Arc;

use gateway::files::OpenFile;
use protocol::LogicName;
use protocol::file_id::FileKind;
use rustix::fs::FileType;

use super::read::opened;
use super::{Inner, ReadError, Store, trunk};

/// What a name leads to now.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// Nothing, or nothing that is a file.
    Missing,
    /// A symbolic link to this file of the same store.
    Link(LogicName),
    /// A file.
    File(OpenFile),
}

impl Store {
    /// Looks at a name as a peer has to have it. Links are not followed.
    pub(crate) async fn outgoing(&self, name: &LogicName) -> io::Result<Outgoing> {
        let Some(path) = self.0.path(name.store_path()) else { return Ok(Outgoing::Missing) };
        let kind = name.kind().ok();
        if let Some(FileKind::Trunk(slot)) = kind {
            if let Some(file) = trunk::open_cached(&self.0, name, slot) {
                return Ok(Outgoing::File(file));
            }
        } else {
            match path.dir.open_read_cached(name.true_name()) {
                Ok(file) => return found(opened(file, name, kind).map(Outgoing::File)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Outgoing::Missing),
                // A link, or something that the disk has to be asked for.
                Err(_) => {}
            }
        }
        let (inner, wanted) = (Arc::clone(&self.0), name.clone());
        let looked = path.pool.run(move || inner.outgoing(&wanted)).await;
        looked.unwrap_or_else(|gone| Err(io::Error::other(gone)))
    }
}

impl Inner {
    /// Blocking.
    fn outgoing(&self, name: &LogicName) -> io::Result<Outgoing> {
        let kind = name.kind().ok();
        if matches!(kind, Some(FileKind::Trunk(_))) {
            return found(self.open(name).map(Outgoing::File));
        }
        let path = self.read_path(name).map_err(|_| io::ErrorKind::NotFound)?;
        let stat = match path.dir.stat(name.true_name()) {
            Ok(stat) => stat,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Outgoing::Missing),
            Err(error) => return Err(error),
        };
        found(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => self.link_target(name).map(Outgoing::Link),
            FileType::RegularFile => {
                let file = path.dir.open_read(name.true_name());
                file.map_err(ReadError::from).and_then(|file| opened(file, name, kind)).map(Outgoing::File)
            }
            _ => Ok(Outgoing::Missing),
        })
    }
}

fn found(looked: Result<Outgoing, ReadError>) -> io::Result<Outgoing> {
    match looked {
        Ok(found) => Ok(found),
        Err(ReadError::Io(error)) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Err(_) => Ok(Outgoing::Missing),
    }
}
