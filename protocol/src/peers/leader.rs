//! Who leads: a tracker's claim (64), the proposal (66) and its confirmation (67), the call to choose again (68), and
//! what a follower tells its leader (58 once, 65 every second).

use bytes::{BufMut, BytesMut};

use crate::tracker::Connections;
use crate::wire::{DecodeError, Reader, Request, Response, plain_request, put_padded};
use crate::{Command, GroupName, HostPort, StorageId};

const VERSION_LEN: usize = 8;
/// Longest `ip:port` of a tracker.
const MAX_ADDRESS: usize = 52;
const MAX_GROUPS: usize = 512;

plain_request!(
    /// What is your claim? Answered with [`LeaderClaim`]; `ENOENT` while the tracker has no group.
    TrackerGetStatus,
    Command::TRACKER_GET_STATUS
);
plain_request!(
    /// Choose again: the leader steps down, others answer `EOPNOTSUPP`.
    ReselectLeader,
    Command::TRACKER_NOTIFY_RESELECT_LEADER
);

/// A tracker's claim to lead, 17 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderClaim {
    /// Whether it leads now.
    pub is_leader: u8,
    /// Seconds since its start.
    pub running_time: i64,
    /// Seconds it was down before that, 0 if unknown.
    pub restart_interval: i64,
}

impl Response for LeaderClaim {
    fn encode_body(&self, out: &mut BytesMut) {
        out.put_u8(self.is_leader);
        out.put_i64(self.running_time);
        out.put_i64(self.restart_interval);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let claim = Self {
            is_leader: reader.u8("leader flag")?,
            running_time: reader.i64("running time")?,
            restart_interval: reader.i64("restart interval")?,
        };
        reader.finish()?;
        Ok(claim)
    }
}

macro_rules! names_a_tracker {
    ($(#[$doc:meta])* $name:ident, $command:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub HostPort);

        impl Request for $name {
            const COMMAND: Command = $command;

            fn encode_body(&self, out: &mut BytesMut) {
                out.put_slice(self.0.to_string().as_bytes());
            }

            fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
                let len = body.len();
                if len > MAX_ADDRESS {
                    return Err(DecodeError::BadLength { message: "tracker address", len });
                }
                let mut reader = Reader::new(body);
                let text = reader.padded_str(len, "tracker address")?;
                // No default: a tracker's address always has its port.
                let bad = |_| DecodeError::BadText { field: "tracker address" };
                HostPort::parse(text, 0).map_err(bad).and_then(|address| match address.port {
                    0 => Err(DecodeError::BadText { field: "tracker address" }),
                    _ => Ok(Self(address)),
                })
            }
        }
    };
}

names_a_tracker!(
    /// This tracker shall lead. Answered with an empty body; a refusal stops the proposal.
    NotifyNextLeader,
    Command::TRACKER_NOTIFY_NEXT_LEADER
);
names_a_tracker!(
    /// This tracker, proposed before, leads now. Answered with an empty body.
    CommitNextLeader,
    Command::TRACKER_COMMIT_NEXT_LEADER
);

/// A follower introduces itself to the leader, once a connection. Answered with an empty body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinLeader {
    /// Its start, unix seconds.
    pub up_time: i64,
    /// Version text.
    pub version: String,
    /// Its native port.
    pub port: u16,
}

impl Request for JoinLeader {
    const COMMAND: Command = Command::TRACKER_JOIN_LEADER;

    fn encode_body(&self, out: &mut BytesMut) {
        out.put_i64(self.up_time);
        put_padded(out, self.version.as_bytes(), VERSION_LEN);
        out.put_i64(self.port.into());
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let up_time = reader.i64("up time")?;
        let version = reader.padded_str(VERSION_LEN, "version")?.to_owned();
        let value = reader.i64("port")?;
        reader.finish()?;
        match u16::try_from(value) {
            Ok(port @ 1..) => Ok(Self { up_time, version, port }),
            _ => Err(DecodeError::OutOfRange { field: "port", value, min: 1, max: 65_535 }),
        }
    }
}

/// A follower's heart beat, 12 bytes. Answered with [`TrunkServers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PingLeader(pub Connections);

impl Request for PingLeader {
    const COMMAND: Command = Command::TRACKER_PING_LEADER;

    fn encode_body(&self, out: &mut BytesMut) {
        for count in [self.0.alloc, self.0.current, self.0.max] {
            out.put_i32(count);
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let connections = Connections {
            alloc: reader.i32("connections")?,
            current: reader.i32("connections")?,
            max: reader.i32("connections")?,
        };
        reader.finish()?;
        Ok(Self(connections))
    }
}

/// Trunk server of every group, by name: 32 bytes each. Empty where nothing changed since the last ping.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrunkServers(pub Vec<(GroupName, Option<StorageId>)>);

impl Response for TrunkServers {
    fn encode_body(&self, out: &mut BytesMut) {
        for (group, server) in &self.0 {
            group.encode(out);
            StorageId::encode_optional(server.as_ref(), out);
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        const RECORD: usize = 32;
        let len = body.len();
        if !len.is_multiple_of(RECORD) || len / RECORD > MAX_GROUPS {
            return Err(DecodeError::BadLength { message: "list of trunk servers", len });
        }
        let mut reader = Reader::new(body);
        let mut servers = Vec::with_capacity(len / RECORD);
        while reader.remaining() > 0 {
            let group = GroupName::decode(&mut reader)?;
            servers.push((group, StorageId::decode_optional(&mut reader)?));
        }
        Ok(Self(servers))
    }
}
