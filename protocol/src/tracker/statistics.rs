//! Statistics for operators: trackers (96), storages (97) and groups (98). Unlike the reference, unused bytes of
//! text fields are zero.

use bytes::{BufMut, BytesMut};

use crate::cluster::StorageStatus;
use crate::wire::{DecodeError, Reader, Request, Response, put_padded};
use crate::{Command, GroupName, StorageId};

const HOST_LEN: usize = 52;
const VERSION_LEN: usize = 8;
const GROUP_LEN: usize = 17;

/// Connections of a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connections {
    /// Allocated.
    pub alloc: i32,
    /// Open.
    pub current: i32,
    /// Most open at once.
    pub max: i32,
}

impl Connections {
    fn encode(self, out: &mut BytesMut) {
        [self.alloc, self.current, self.max].into_iter().for_each(|number| out.put_i32(number));
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let alloc = reader.i32("connections allocated")?;
        Ok(Self { alloc, current: reader.i32("connections")?, max: reader.i32("connections at most")? })
    }
}

macro_rules! filter {
    ($(#[$doc:meta])* $name:ident, $command:expr, $($(#[$field_doc:meta])* $field:ident),*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name { $($(#[$field_doc])* pub $field: u8,)* }

        impl Request for $name {
            const COMMAND: Command = $command;

            fn encode_body(&self, out: &mut BytesMut) {
                $(out.put_u8(self.$field);)*
            }

            fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
                let mut reader = Reader::new(body);
                let filter = Self { $($field: reader.u8(stringify!($field))?,)* };
                reader.finish()?;
                Ok(filter)
            }
        }
    };
}

filter!(
    /// Which trackers. Answered with [`TrackerStatisticsAnswer`], by the leader only.
    QueryTrackerStatistics, Command::TRACKER_STAT,
    /// Bit 0: by `is_active`; bit 1: by `is_leader`.
    filter_by,
    /// Wanted value.
    is_active,
    /// Wanted value.
    is_leader
);
filter!(
    /// Which storages. Answered with [`StorageStatisticsAnswer`].
    QueryStorageStatistics, Command::STORAGE_STAT,
    /// Bit 0: by `is_trunk_server`; bit 1: by `status`.
    filter_by,
    /// `=` or `!`, for the status.
    operator,
    /// Wanted or unwanted status.
    status,
    /// Wanted value.
    is_trunk_server
);
filter!(
    /// Which groups. Answered with [`GroupStatisticsAnswer`].
    QueryGroupStatistics, Command::GROUP_STAT,
    /// 1 disk, 2 trunk, 4 space.
    filter_by,
    /// Wanted value.
    disk_available,
    /// Wanted value.
    trunk_available,
    /// Wanted value.
    space_available
);

/// One tracker, 90 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerStatistics {
    /// `host:port`.
    pub host: String,
    /// Whether it leads.
    pub is_leader: u8,
    /// Whether it answers.
    pub is_active: u8,
    /// Its connections.
    pub connections: Connections,
    /// Version text.
    pub version: String,
    /// Start, unix seconds.
    pub up_time: i64,
    /// Last heart beat, unix seconds.
    pub last_heart_beat: i64,
}

/// Count 1, then records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackerStatisticsAnswer(pub Vec<TrackerStatistics>);

impl Response for TrackerStatisticsAnswer {
    fn encode_body(&self, out: &mut BytesMut) {
        out.put_u8(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        for tracker in &self.0 {
            put_padded(out, tracker.host.as_bytes(), HOST_LEN);
            out.put_u8(tracker.is_leader);
            out.put_u8(tracker.is_active);
            tracker.connections.encode(out);
            put_padded(out, tracker.version.as_bytes(), VERSION_LEN);
            out.put_i64(tracker.up_time);
            out.put_i64(tracker.last_heart_beat);
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let count = reader.u8("count")?;
        let mut trackers = Vec::new();
        for _ in 0..count {
            trackers.push(TrackerStatistics {
                host: reader.padded_str(HOST_LEN, "host")?.to_owned(),
                is_leader: reader.u8("is_leader")?,
                is_active: reader.u8("is_active")?,
                connections: Connections::decode(&mut reader)?,
                version: reader.padded_str(VERSION_LEN, "version")?.to_owned(),
                up_time: reader.i64("up_time")?,
                last_heart_beat: reader.i64("last_heart_beat")?,
            });
        }
        reader.finish()?;
        Ok(Self(trackers))
    }
}

/// One storage, 106 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageStatistics {
    /// Its id.
    pub id: StorageId,
    /// `host:port`.
    pub host: String,
    /// Whether it is its group's trunk server.
    pub is_trunk_server: u8,
    /// Where it stands.
    pub status: StorageStatus,
    /// Its connections.
    pub connections: Connections,
    /// Version text.
    pub version: String,
    /// Start, unix seconds.
    pub up_time: i64,
    /// Last heart beat, unix seconds.
    pub last_heart_beat: i64,
}

/// Use of ids 1, use of trunk files 1, count 4, then records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageStatisticsAnswer {
    /// Whether the cluster uses storage ids.
    pub use_storage_id: u8,
    /// Whether it uses trunk files.
    pub use_trunk_file: u8,
    /// The storages.
    pub storages: Vec<StorageStatistics>,
}

impl Response for StorageStatisticsAnswer {
    fn encode_body(&self, out: &mut BytesMut) {
        out.put_u8(self.use_storage_id);
        out.put_u8(self.use_trunk_file);
        out.put_i32(i32::try_from(self.storages.len()).unwrap_or(i32::MAX));
        for storage in &self.storages {
            storage.id.encode(out);
            put_padded(out, storage.host.as_bytes(), HOST_LEN);
            out.put_u8(storage.is_trunk_server);
            out.put_u8(storage.status.0);
            storage.connections.encode(out);
            put_padded(out, storage.version.as_bytes(), VERSION_LEN);
            out.put_i64(storage.up_time);
            out.put_i64(storage.last_heart_beat);
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let use_storage_id = reader.u8("use_storage_id")?;
        let use_trunk_file = reader.u8("use_trunk_file")?;
        let count = reader.i32("count")?;
        let mut storages = Vec::new();
        for _ in 0..count {
            storages.push(StorageStatistics {
                id: StorageId::decode(&mut reader)?,
                host: reader.padded_str(HOST_LEN, "host")?.to_owned(),
                is_trunk_server: reader.u8("is_trunk_server")?,
                status: StorageStatus(reader.u8("status")?),
                connections: Connections::decode(&mut reader)?,
                version: reader.padded_str(VERSION_LEN, "version")?.to_owned(),
                up_time: reader.i64("up_time")?,
                last_heart_beat: reader.i64("last_heart_beat")?,
            });
        }
        reader.finish()?;
        Ok(Self { use_storage_id, use_trunk_file, storages })
    }
}

/// One group, 59 bytes; spaces in MB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupStatistics {
    /// Its name.
    pub name: GroupName,
    /// Space of the member with the least free space.
    pub total_mb: i64,
    /// Free space of that member.
    pub free_mb: i64,
    /// Space kept free.
    pub reserved_mb: i64,
    /// Free space above the reserve.
    pub available_mb: i64,
    /// Free space in trunk files.
    pub trunk_free_mb: i64,
    /// Whether uploads fit on disk.
    pub disk_available: u8,
    /// Whether small uploads fit in trunk files.
    pub trunk_available: u8,
}

/// Use of trunk files 1, count 4, then records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStatisticsAnswer {
    /// Whether the cluster uses trunk files.
    pub use_trunk_file: u8,
    /// The groups.
    pub groups: Vec<GroupStatistics>,
}

impl Response for GroupStatisticsAnswer {
    fn encode_body(&self, out: &mut BytesMut) {
        out.put_u8(self.use_trunk_file);
        out.put_i32(i32::try_from(self.groups.len()).unwrap_or(i32::MAX));
        for group in &self.groups {
            group.name.encode_field(out, GROUP_LEN);
            let spaces =
                [group.total_mb, group.free_mb, group.reserved_mb, group.available_mb, group.trunk_free_mb];
            spaces.into_iter().for_each(|space| out.put_i64(space));
            out.put_u8(group.disk_available);
            out.put_u8(group.trunk_available);
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let use_trunk_file = reader.u8("use_trunk_file")?;
        let count = reader.i32("count")?;
        let mut groups = Vec::new();
        for _ in 0..count {
            groups.push(GroupStatistics {
                name: GroupName::decode_field(&mut reader, GROUP_LEN)?,
                total_mb: reader.i64("total_mb")?,
                free_mb: reader.i64("free_mb")?,
                reserved_mb: reader.i64("reserved_mb")?,
                available_mb: reader.i64("available_mb")?,
                trunk_free_mb: reader.i64("trunk_free_mb")?,
                disk_available: reader.u8("disk_available")?,
                trunk_available: reader.u8("trunk_available")?,
            });
        }
        reader.finish()?;
        Ok(Self { use_trunk_file, groups })
    }
}
