//! What the tracker remembers about one connection.

use std::net::{IpAddr, SocketAddr};

use protocol::{GroupName, StorageId};

use super::Heard;

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The tracker's own address on this connection.
    pub local: SocketAddr,
    /// A number that no other connection has.
    pub connection: u64,
}

impl Peer {
    /// Its IP address.
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }
}

/// A connection: anonymous, or that of a storage that joined.
#[derive(Debug, Clone)]
pub struct Session {
    /// The other end.
    pub peer: Peer,
    /// The storage, once it joined.
    pub joined: Option<(GroupName, StorageId)>,
    /// The changes of its group that it has heard of.
    pub told_changes: u64,
    /// What it has heard of other members.
    pub heard: Heard,
    /// The changes of leader that it has heard of.
    pub told_leader: u64,
    /// The changes of its group's trunk server that it has heard of.
    pub told_trunk: Option<u64>,
}

impl Session {
    /// A new connection.
    pub fn new(peer: Peer) -> Self {
        Self {
            peer,
            joined: None,
            told_changes: 0,
            heard: Heard::default(),
            told_leader: 0,
            told_trunk: None,
        }
    }
}
