//! A storage joins, command 81: 145 bytes, then one line per tracker it knows.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 17 | group |
//! | 17 | 8 each | port, store path count, directories per level, upload priority, join time, up time |
//! | 65 | 8 | version |
//! | 73 | 1 | 1 while old files are not arranged |
//! | 74 | 1 | own status, signed, -1 = unknown |
//! | 75 | 16 | id, empty without storage ids |
//! | 91 | 46 | address of the tracker that was dialled |
//! | 137 | 8 | number of trackers |
//! | 145 | | `ip[,ip]:port\n`, IPv6 as `[ip[,ip]]:port\n` |

use std::fmt::Write;
use std::net::IpAddr;

use bytes::{BufMut, BytesMut};

use super::StorageStatus;
use crate::address::{decode_address, put_address};
use crate::wire::{DecodeError, Reader, Request, Response, put_padded};
use crate::{AddressWidth, Command, GroupName, StorageId};

const GROUP_LEN: usize = 17;
const VERSION_LEN: usize = 8;
const MAX_TRACKERS: usize = 16;
const MAX_PATHS: i64 = 256;

/// A tracker as storages name it: one or two addresses, one port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrackerAddress {
    /// Its addresses, never empty.
    pub ips: Vec<IpAddr>,
    /// Its native port.
    pub port: u16,
}

impl TrackerAddress {
    fn parse(line: &str) -> Option<Self> {
        let (hosts, port) = line.rsplit_once(':')?;
        let hosts = hosts.strip_prefix('[').and_then(|hosts| hosts.strip_suffix(']')).unwrap_or(hosts);
        let ips: Vec<IpAddr> = hosts.split(',').map(|ip| ip.parse().ok()).collect::<Option<_>>()?;
        (ips.len() <= 2).then_some(Self { ips, port: port.parse().ok()? })
    }

    fn line(&self) -> String {
        let hosts = self.ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let mut line = String::new();
        let written = if self.ips.iter().any(IpAddr::is_ipv6) {
            write!(line, "[{hosts}]:{}", self.port)
        } else {
            write!(line, "{hosts}:{}", self.port)
        };
        written.expect("writing to a string cannot fail");
        line
    }
}

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// The storage's group.
    pub group: GroupName,
    /// Its native port.
    pub port: u16,
    /// Its store paths, 1 to 256.
    pub store_path_count: i64,
    /// Its directories per level, 1 to 256.
    pub subdir_count: i64,
    /// Lower is preferred.
    pub upload_priority: i64,
    /// First start, unix seconds.
    pub join_time: i64,
    /// This start, unix seconds.
    pub up_time: i64,
    /// Version text.
    pub version: String,
    /// Whether the arrangement of old files is still to be made.
    pub is_new: u8,
    /// Own status as far as known.
    pub status: Option<StorageStatus>,
    /// Own id, with storage ids only.
    pub id: Option<StorageId>,
    /// Address of the tracker that was dialled.
    pub tracker_ip: Option<IpAddr>,
    /// All trackers that the storage knows.
    pub trackers: Vec<TrackerAddress>,
}

impl Request for Join {
    const COMMAND: Command = Command::STORAGE_JOIN;

    fn encode_body(&self, out: &mut BytesMut) {
        const UNKNOWN: u8 = 0xFF;
        self.group.encode_field(out, GROUP_LEN);
        for number in [
            i64::from(self.port),
            self.store_path_count,
            self.subdir_count,
            self.upload_priority,
            self.join_time,
            self.up_time,
        ] {
            out.put_i64(number);
        }
        put_padded(out, self.version.as_bytes(), VERSION_LEN);
        out.put_u8(self.is_new);
        out.put_u8(self.status.map_or(UNKNOWN, |status| status.0));
        StorageId::encode_optional(self.id.as_ref(), out);
        put_address(out, self.tracker_ip, AddressWidth::V6.field());
        out.put_u64(self.trackers.len() as u64);
        for tracker in &self.trackers {
            out.put_slice(tracker.line().as_bytes());
            out.put_u8(b'\n');
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode_field(&mut reader, GROUP_LEN)?;
        let port = in_range(&mut reader, "port", 65_535)?;
        let store_path_count = in_range(&mut reader, "store path count", MAX_PATHS)?;
        let subdir_count = in_range(&mut reader, "subdir count", MAX_PATHS)?;
        let upload_priority = reader.i64("upload priority")?;
        let join_time = reader.i64("join time")?;
        let up_time = reader.i64("up time")?;
        let version = reader.padded_str(VERSION_LEN, "version")?.to_owned();
        let is_new = reader.u8("init flag")?;
        let status = match reader.u8("status")? {
            status @ 0..=127 => Some(StorageStatus(status)),
            _ => None,
        };
        let id = StorageId::decode_optional(&mut reader)?;
        let tracker_ip = decode_address(&mut reader, AddressWidth::V6.field())?;
        let count = reader.len("tracker count", 1, MAX_TRACKERS)?;
        let bad = DecodeError::BadText { field: "tracker list" };
        let trackers: Vec<_> = reader
            .rest_str("tracker list")?
            .lines()
            .map(TrackerAddress::parse)
            .collect::<Option<_>>()
            .ok_or_else(|| bad.clone())?;
        if trackers.len() != count {
            return Err(bad);
        }
        let port = u16::try_from(port).map_err(|_| DecodeError::BadText { field: "port" })?;
        Ok(Self {
            group,
            port,
            store_path_count,
            subdir_count,
            upload_priority,
            join_time,
            up_time,
            version,
            is_new,
            status,
            id,
            tracker_ip,
            trackers,
        })
    }
}

/// A 64-bit number from 1 to `max`.
fn in_range(reader: &mut Reader<'_>, field: &'static str, max: i64) -> Result<i64, DecodeError> {
    let value = reader.i64(field)?;
    if (1..=max).contains(&value) {
        Ok(value)
    } else {
        Err(DecodeError::OutOfRange { field, value, min: 1, max })
    }
}

/// The answer: status 1, source of old files 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinAnswer {
    /// Status of the storage at this tracker, after the join.
    pub status: StorageStatus,
    /// Storage that feeds it old files.
    pub source: Option<StorageId>,
}

impl Response for JoinAnswer {
    fn encode_body(&self, out: &mut BytesMut) {
        out.put_u8(self.status.0);
        StorageId::encode_optional(self.source.as_ref(), out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let status = StorageStatus(reader.u8("status")?);
        let source = StorageId::decode_optional(&mut reader)?;
        reader.finish()?;
        Ok(Self { status, source })
    }
}
