//! A group as commands 90 and 91 describe it: 113 bytes since FastDFS 6.13.1.
//!
//! Name 17, then twelve 64-bit numbers in the order of [`GroupRecord`]'s fields.

use bytes::{BufMut, BytesMut};

use crate::GroupName;
use crate::wire::{DecodeError, Reader};

/// Bytes of a record.
pub const GROUP_RECORD_LEN: usize = 113;

const NAME_LEN: usize = 17;

/// One group. Spaces are in MB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupRecord {
    /// Name of the group.
    pub name: GroupName,
    /// Space of the member with the least free space.
    pub total_mb: i64,
    /// Free space of that member.
    pub free_mb: i64,
    /// Space kept free.
    pub reserved_mb: i64,
    /// Free space in trunk files.
    pub trunk_free_mb: i64,
    /// Members of any status.
    pub storage_count: i64,
    /// Native port; -1 if members differ.
    pub storage_port: i64,
    /// Members that serve reads.
    pub readable_count: i64,
    /// Members that take writes.
    pub writable_count: i64,
    /// Index of the next member to take an upload.
    pub current_write_server: i64,
    /// Store paths of every member.
    pub store_path_count: i64,
    /// Directories per level.
    pub subdir_count: i64,
    /// Highest trunk file; -1 without trunk files.
    pub trunk_file_id: i64,
}

impl GroupRecord {
    /// Appends 113 bytes.
    pub fn encode(&self, out: &mut BytesMut) {
        self.name.encode_field(out, NAME_LEN);
        for number in [
            self.total_mb,
            self.free_mb,
            self.reserved_mb,
            self.trunk_free_mb,
            self.storage_count,
            self.storage_port,
            self.readable_count,
            self.writable_count,
            self.current_write_server,
            self.store_path_count,
            self.subdir_count,
            self.trunk_file_id,
        ] {
            out.put_i64(number);
        }
    }

    /// Reads 113 bytes.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: GroupName::decode_field(reader, NAME_LEN)?,
            total_mb: reader.i64("total_mb")?,
            free_mb: reader.i64("free_mb")?,
            reserved_mb: reader.i64("reserved_mb")?,
            trunk_free_mb: reader.i64("trunk_free_mb")?,
            storage_count: reader.i64("storage_count")?,
            storage_port: reader.i64("storage_port")?,
            readable_count: reader.i64("readable_server_count")?,
            writable_count: reader.i64("writable_server_count")?,
            current_write_server: reader.i64("current_write_server")?,
            store_path_count: reader.i64("store_path_count")?,
            subdir_count: reader.i64("subdir_count_per_path")?,
            trunk_file_id: reader.i64("current_trunk_file_id")?,
        })
    }
}
