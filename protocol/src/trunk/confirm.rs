//! What became of a slot, command 28: group 16, slot 15; the header's status says it. `ENOENT` if nobody holds that slot.

use bytes::BytesMut;

use super::TrunkSpace;
use super::space::{decode_of_group, encode_of_group};
use crate::wire::{DecodeError, Request, frame};
use crate::{Command, GroupName, Status};

/// How a slot was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpaceUse {
    /// A file is in it.
    Used,
    /// Something was in it already: it is to be given to nobody.
    Occupied,
    /// Nothing is in it: it is free again.
    Unused,
}

impl SpaceUse {
    /// As the header of a request says it.
    pub fn of(status: Status) -> Self {
        match status {
            Status::OK => Self::Used,
            Status::EEXIST => Self::Occupied,
            _ => Self::Unused,
        }
    }

    /// For the header of a request.
    pub fn status(self) -> Status {
        match self {
            Self::Used => Status::OK,
            Self::Occupied => Status::EEXIST,
            Self::Unused => Status::EIO,
        }
    }
}

/// The request, without what its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConfirmSpace {
    /// Group of both.
    pub group: GroupName,
    /// The slot as it was given.
    pub space: TrunkSpace,
}

impl ConfirmSpace {
    /// The whole request that says how the slot was used.
    pub fn to_frame_with(&self, used: SpaceUse) -> BytesMut {
        frame(Self::COMMAND, used.status(), |out| self.encode_body(out))
    }
}

impl Request for ConfirmSpace {
    const COMMAND: Command = Command::TRUNK_ALLOC_CONFIRM;

    fn encode_body(&self, out: &mut BytesMut) {
        encode_of_group(self.group, self.space, out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let (group, space) = decode_of_group(body)?;
        Ok(Self { group, space })
    }
}
