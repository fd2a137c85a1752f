//! What members of a group send each other so that all hold the same files, one file a message.
//!
//! Every request carries the unix second of its binlog record; every answer is an empty body. Text fields are read up
//! to their first NUL: C peers leave stack bytes behind it.

mod delete;
mod file;
mod pair;
mod path_binlog;
mod range;
mod truncate;

pub use delete::SyncDelete;
pub use file::{SyncCreate, SyncFile, SyncUpdate};
pub use pair::{SyncLink, SyncPair, SyncRename};
pub use path_binlog::{COUNT_LEN, FetchPathBinlog, PathBinlogBody, STREAMED};
pub use range::{SyncAppend, SyncModify, SyncRange};
pub use truncate::SyncTruncate;

use crate::Status;

/// Status of a create or update request without content: the receiver has the file already.
pub const HAS_CONTENT_ALREADY: Status = Status::EEXIST;

/// What an fdfs member answers to command 9 when the request's status is [`HELLO`]: name and version of the dialect.
/// FastDFS answers with an empty body.
pub const DIALECT: [u8; 8] = *b"fdfs\0\0\0\x01";

/// Status of a command 9 by which an fdfs member asks whether its peer is one, too.
pub const HELLO: Status = Status(1);

#[cfg(test)]
mod tests;
