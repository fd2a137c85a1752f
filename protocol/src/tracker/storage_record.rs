//! A storage as command 92 describes it: 487 bytes, or 517 with wide addresses, since FastDFS 6.15.
//!
//! Status 1, rw mode 1, id 16, address 16 or 46, sync source 16, version 8, ten 64-bit numbers, the 348 bytes of
//! [`StorageStats`], and 1 byte that tells the trunk server.

use std::net::IpAddr;

use bytes::{BufMut, BytesMut};

use crate::address::{decode_address, put_address};
use crate::cluster::{Brief, StorageStats, StorageStatus};
use crate::wire::{DecodeError, Reader, put_padded};
use crate::{AddressWidth, StorageId};

const VERSION_LEN: usize = 8;
/// All but the address.
const FIXED_LEN: usize = 471;

/// One storage. Times are unix seconds, spaces MB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageRecord {
    /// Where it stands.
    pub status: StorageStatus,
    /// 0 none, 2 write only, 4 read only, 6 both.
    pub rw_mode: u8,
    /// Its id.
    pub id: StorageId,
    /// The address that fits the asking client.
    pub ip: Option<IpAddr>,
    /// Storage that feeds it old files.
    pub source: Option<StorageId>,
    /// Version text.
    pub version: String,
    /// When it first joined.
    pub join_time: i64,
    /// When it started.
    pub up_time: i64,
    /// Space of all its store paths.
    pub total_mb: i64,
    /// Free space.
    pub free_mb: i64,
    /// Space kept free.
    pub reserved_mb: i64,
    /// Lower is preferred.
    pub upload_priority: i64,
    /// Store paths.
    pub store_path_count: i64,
    /// Directories per level.
    pub subdir_count: i64,
    /// Store path for the next upload.
    pub current_write_path: i64,
    /// Native port.
    pub port: i64,
    /// Counters, with the tracker's own times at the end.
    pub stats: StorageStats,
    /// Whether it is the group's trunk server.
    pub is_trunk_server: u8,
}

impl StorageRecord {
    /// Bytes of a record.
    pub const fn len(width: AddressWidth) -> usize {
        FIXED_LEN + width.field()
    }

    /// What lists of members say of it; none if its address or port cannot be one.
    pub fn brief(&self) -> Option<Brief> {
        let port = u16::try_from(self.port).ok()?;
        Some(Brief { status: self.status, port, id: Some(self.id), ip: Some(self.ip?) })
    }

    /// Appends a record.
    pub fn encode(&self, width: AddressWidth, out: &mut BytesMut) {
        out.put_u8(self.status.0);
        out.put_u8(self.rw_mode);
        self.id.encode(out);
        put_address(out, self.ip, width.field());
        StorageId::encode_optional(self.source.as_ref(), out);
        put_padded(out, self.version.as_bytes(), VERSION_LEN);
        for number in [
            self.join_time,
            self.up_time,
            self.total_mb,
            self.free_mb,
            self.reserved_mb,
            self.upload_priority,
            self.store_path_count,
            self.subdir_count,
            self.current_write_path,
            self.port,
        ] {
            out.put_i64(number);
        }
        self.stats.encode(out);
        out.put_u8(self.is_trunk_server);
    }

    /// Reads a record.
    pub fn decode(reader: &mut Reader<'_>, width: AddressWidth) -> Result<Self, DecodeError> {
        Ok(Self {
            status: StorageStatus(reader.u8("status")?),
            rw_mode: reader.u8("rw mode")?,
            id: StorageId::decode(reader)?,
            ip: decode_address(reader, width.field())?,
            source: StorageId::decode_optional(reader)?,
            version: reader.padded_str(VERSION_LEN, "version")?.to_owned(),
            join_time: reader.i64("join time")?,
            up_time: reader.i64("up time")?,
            total_mb: reader.i64("total_mb")?,
            free_mb: reader.i64("free_mb")?,
            reserved_mb: reader.i64("reserved_mb")?,
            upload_priority: reader.i64("upload priority")?,
            store_path_count: reader.i64("store path count")?,
            subdir_count: reader.i64("subdir count")?,
            current_write_path: reader.i64("current write path")?,
            port: reader.i64("port")?,
            stats: StorageStats::decode(reader)?,
            is_trunk_server: reader.u8("trunk server")?,
        })
    }
}
