//! The tracker's files in FastDFS's formats, below `<base_path>/data`: groups, storages, sync timestamps and the
//! changelog.
//!
//! The first three are one snapshot, written together. Reading puts right what FastDFS leaves behind, such as timestamps
//! that do not match the storages (its "columns 5 > 4" failure), and says so; it refuses nothing but a file that cannot
//! be read at all.

mod read;
mod timestamps;
mod write;

pub(crate) use read::load;
#[cfg(test)]
pub(crate) use read::restore;
pub(crate) use write::{Snapshot, save};

use std::io;

use thiserror::Error;

const GROUPS: &str = "storage_groups_new.dat";
const SERVERS: &str = "storage_servers_new.dat";
const TIMESTAMPS: &str = "storage_sync_timestamp.dat";
const CHANGELOG: &str = "storage_changelog.dat";
/// fdfs's own key in the file of storages: what an operator set clients to may ask of one. FastDFS leaves it out.
const RW_SET: &str = "rw_mode";
/// The files, by the numbers that trackers give them when they copy each other's.
pub(crate) const NAMES: [&str; 4] = [GROUPS, SERVERS, TIMESTAMPS, CHANGELOG];

/// A file that cannot be read or written.
#[derive(Debug, Error)]
#[error("cannot {doing} {path}")]
pub struct FileError {
    /// What was being done.
    pub doing: &'static str,
    /// To what.
    pub path: String,
    /// The system's answer.
    pub source: io::Error,
}

/// 64-bit counters of the storages file, in its order; modify and truncate are not saved, as in the reference.
const SAVED_COUNTERS: [&str; 16] = [
    "upload_count",
    "append_count",
    "set_meta_count",
    "delete_count",
    "download_count",
    "get_meta_count",
    "create_link_count",
    "delete_link_count",
    "upload_bytes",
    "append_bytes",
    "download_bytes",
    "sync_in_bytes",
    "sync_out_bytes",
    "file_open_count",
    "file_read_count",
    "file_write_count",
];
