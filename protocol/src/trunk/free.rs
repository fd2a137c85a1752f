//! A slot whose file was deleted, command 29: group 16, slot 15. `EEXIST` if it is free already; a slot smaller than
//! `slot_min_size` is not taken, without a word.

use bytes::BytesMut;

use super::TrunkSpace;
use crate::wire::{DecodeError, Reader, Request};
use crate::{Command, GroupName};

/// The request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Group of both.
    pub group: GroupName,
    /// The slot, as the deleted name has it.
    pub space: TrunkSpace,
}

impl Request for FreeSpace {
    const COMMAND: Command = Command::TRUNK_FREE_SPACE;

    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        self.space.encode(out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        let space = TrunkSpace::decode(&mut reader)?;
        reader.finish()?;
        Ok(Self { group, space })
    }
}
