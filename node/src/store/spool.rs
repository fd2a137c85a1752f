//! Content that waits on a store path until somebody takes it, and never gets a name.

use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use gateway::files::WriteError;
use protocol::file_id::SubDir;

use super::temporary::Temporary;
use super::upload::gone;
use super::{Store, StorePath, io_failed};

/// The content. Dropped, it is gone.
pub(crate) struct Spool {
    path: Arc<StorePath>,
    file: Arc<Temporary>,
    len: u64,
}

impl Store {
    /// An empty one, where there is room.
    pub(crate) async fn spool(&self) -> Result<Spool, WriteError> {
        let (_, path) = self.0.choose(None, 0)?;
        let for_it = Arc::clone(&path);
        let made = path.pool.run(move || Temporary::create(&for_it, &SubDir::default().to_path()));
        let file = made.await.map_err(gone)?.map_err(|error| io_failed("making a file", error))?;
        Ok(Spool { path, file: Arc::new(file), len: 0 })
    }
}

impl Spool {
    /// Bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Adds content.
    pub(crate) async fn write(&mut self, chunk: Bytes) -> Result<(), WriteError> {
        let (file, len) = (Arc::clone(&self.file), chunk.len() as u64);
        let written = self.path.pool.run(move || file.file().write_all(&chunk)).await.map_err(gone)?;
        written.map_err(|error| io_failed("writing a file", error))?;
        self.len += len;
        Ok(())
    }

    /// A part of it, shorter only at the end.
    pub(crate) async fn read(&self, offset: u64, max: usize) -> Result<Bytes, WriteError> {
        let file = Arc::clone(&self.file);
        let len = usize::try_from(self.len - offset).unwrap_or(max).min(max);
        let read = self.path.pool.run(move || {
            let mut piece = vec![0; len];
            file.file().read_exact_at(&mut piece, offset)?;
            io::Result::Ok(Bytes::from(piece))
        });
        read.await.map_err(gone)?.map_err(|error| io_failed("reading a file", error))
    }
}
