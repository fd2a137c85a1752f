//! Counters of a storage, 348 bytes: three 32-bit numbers, then 42 of 64 bits, in the order of the fields.

use bytes::{BufMut, BytesMut};

use crate::wire::{DecodeError, Reader};

/// Bytes of the block.
pub const STATS_LEN: usize = 348;

macro_rules! stats {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// Counters since the storage's first start, and times in unix seconds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct StorageStats {
            /// Connections allocated.
            pub connections_alloc: i32,
            /// Connections open.
            pub connections_current: i32,
            /// Most connections open at once.
            pub connections_max: i32,
            $($(#[$doc])* pub $field: i64,)*
        }

        impl StorageStats {
            /// Names of the 64-bit fields, in wire order.
            pub const NAMES: &[&str] = &[$(stringify!($field),)*];

            /// Sets the 64-bit counter of this name; false if there is none.
            pub fn set(&mut self, name: &str, value: i64) -> bool {
                match name {
                    $(stringify!($field) => self.$field = value,)*
                    _ => return false,
                }
                true
            }

            /// The 64-bit fields, in wire order.
            pub fn numbers(&self) -> impl Iterator<Item = i64> {
                [$(self.$field,)*].into_iter()
            }

            /// Appends the block.
            pub fn encode(&self, out: &mut BytesMut) {
                out.put_i32(self.connections_alloc);
                out.put_i32(self.connections_current);
                out.put_i32(self.connections_max);
                self.numbers().for_each(|number| out.put_i64(number));
            }

            /// Reads the block.
            pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self {
                    connections_alloc: reader.i32("connections_alloc")?,
                    connections_current: reader.i32("connections_current")?,
                    connections_max: reader.i32("connections_max")?,
                    $($field: reader.i64(stringify!($field))?,)*
                })
            }
        }
    };
}

stats! {
    /// Uploads asked for.
    total_upload_count,
    /// Uploads done.
    success_upload_count,
    /// Appends asked for.
    total_append_count,
    /// Appends done.
    success_append_count,
    /// Modifies asked for.
    total_modify_count,
    /// Modifies done.
    success_modify_count,
    /// Truncates asked for.
    total_truncate_count,
    /// Truncates done.
    success_truncate_count,
    /// Metadata writes asked for.
    total_set_meta_count,
    /// Metadata writes done.
    success_set_meta_count,
    /// Deletes asked for.
    total_delete_count,
    /// Deletes done.
    success_delete_count,
    /// Downloads asked for.
    total_download_count,
    /// Downloads done.
    success_download_count,
    /// Metadata reads asked for.
    total_get_meta_count,
    /// Metadata reads done.
    success_get_meta_count,
    /// Links asked for.
    total_create_link_count,
    /// Links made.
    success_create_link_count,
    /// Deletes of links asked for.
    total_delete_link_count,
    /// Deletes of links done.
    success_delete_link_count,
    /// Bytes of uploads asked for.
    total_upload_bytes,
    /// Bytes of uploads done.
    success_upload_bytes,
    /// Bytes of appends asked for.
    total_append_bytes,
    /// Bytes of appends done.
    success_append_bytes,
    /// Bytes of modifies asked for.
    total_modify_bytes,
    /// Bytes of modifies done.
    success_modify_bytes,
    /// Bytes of downloads asked for.
    total_download_bytes,
    /// Bytes of downloads done.
    success_download_bytes,
    /// Bytes received from peers.
    total_sync_in_bytes,
    /// Bytes received from peers and stored.
    success_sync_in_bytes,
    /// Bytes sent to peers.
    total_sync_out_bytes,
    /// Bytes sent to peers and stored there.
    success_sync_out_bytes,
    /// Opens tried.
    total_file_open_count,
    /// Opens done.
    success_file_open_count,
    /// Reads tried.
    total_file_read_count,
    /// Reads done.
    success_file_read_count,
    /// Writes tried.
    total_file_write_count,
    /// Writes done.
    success_file_write_count,
    /// Last write for a client.
    last_source_update,
    /// Last write for a peer.
    last_sync_update,
    /// How far peers' writes have arrived; the tracker computes it.
    last_synced_timestamp,
    /// Last heart beat; the tracker sets it.
    last_heart_beat_time,
}
