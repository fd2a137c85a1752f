//! Why the store does not open, and why a read gives nothing.

use std::io;

use thiserror::Error;

use super::pool::PoolGone;

/// Why the store cannot open, or cannot keep its state.
#[derive(Debug, Error)]
pub enum StoreError {
    /// A file or directory could not be made, read or written.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was being done, such as `create`.
        doing: &'static str,
        /// To what.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A file of an earlier run does not say what it has to.
    #[error("{path}: {reason}")]
    State {
        /// The file.
        path: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The configuration lacks what only trackers could tell.
    #[error("group_name is missing in storage.conf; write the group that this node belongs to")]
    NoGroup,
    /// The store's threads are gone.
    #[error("the store's threads have ended")]
    Threads(#[source] PoolGone),
}

impl StoreError {
    pub(crate) fn io(
        doing: &'static str,
        path: impl AsRef<std::path::Path>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().display().to_string();
        move |source| Self::Io { doing, path, source }
    }
}

/// Why a read gives nothing.
#[derive(Debug, Error)]
pub enum ReadError {
    /// No such file.
    #[error("no such file")]
    NotFound,
    /// Something else than a file has this name.
    #[error("not a regular file")]
    NotRegular,
    /// No file can be meant.
    #[error("{0}")]
    Invalid(&'static str),
    /// The disk said no.
    #[error("reading failed")]
    Io(#[source] io::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::IsADirectory => Self::NotRegular,
            _ => Self::Io(error),
        }
    }
}

impl From<PoolGone> for ReadError {
    fn from(_: PoolGone) -> Self {
        Self::Io(io::Error::other("the store's threads have ended"))
    }
}
