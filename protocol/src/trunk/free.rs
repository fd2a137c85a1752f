//! A slot whose file was deleted, command 29: group 16, slot 15. `EEXIST` if it is free already; a slot smaller than
//! `slot_min_size` is not taken, without a word.

use bytes::BytesMut;

use super::TrunkSpace;
use super::space::{decode_of_group, encode_of_group};
use crate::wire::{DecodeError, Request};
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
        encode_of_group(self.group, self.space, out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let (group, space) = decode_of_group(body)?;
        Ok(Self { group, space })
    }
}
