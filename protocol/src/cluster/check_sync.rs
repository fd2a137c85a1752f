//! The answer to heart beats and reports: what changed in the cluster. Flags 1, then 67-byte briefs.
//!
//! Bit 0: the leader changed, one brief. Bit 1: the trunk server changed, one brief. Bit 2: the members changed, all
//! of them. Only the leader tells; others answer a single zero.

use bytes::{BufMut, BytesMut};

use super::Brief;
use crate::wire::{DecodeError, Reader, Response};

const LEADER: u8 = 1;
const TRUNK_SERVER: u8 = 2;
const MEMBERS: u8 = 4;
const MAX_MEMBERS: usize = 64;

/// What changed since this connection heard last.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckSync {
    /// The leader, all empty if unknown.
    pub leader: Option<Brief>,
    /// The trunk server, all empty if there is none.
    pub trunk_server: Option<Brief>,
    /// All members of the group, by id, the receiver too.
    pub members: Option<Vec<Brief>>,
}

impl Response for CheckSync {
    fn encode_body(&self, out: &mut BytesMut) {
        let mut flags = 0;
        for (flag, changed) in [
            (LEADER, self.leader.is_some()),
            (TRUNK_SERVER, self.trunk_server.is_some()),
            (MEMBERS, self.members.is_some()),
        ] {
            if changed {
                flags |= flag;
            }
        }
        out.put_u8(flags);
        self.leader.iter().chain(&self.trunk_server).for_each(|brief| brief.encode(out));
        self.members.iter().flatten().for_each(|brief| brief.encode(out));
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        let mut reader = Reader::new(body);
        let flags = reader.u8("flags")?;
        let leader = (flags & LEADER != 0).then(|| Brief::decode(&mut reader)).transpose()?;
        let trunk_server = (flags & TRUNK_SERVER != 0).then(|| Brief::decode(&mut reader)).transpose()?;
        let members =
            (flags & MEMBERS != 0).then(|| Brief::decode_list(&mut reader, MAX_MEMBERS)).transpose()?;
        reader.finish()?;
        Ok(Self { leader, trunk_server, members })
    }
}
