//! A slot for a file, command 27: group 16, bytes 4 (header and content), store path 1. Answered with a
//! [`TrunkSpace`](super::TrunkSpace) that may be larger.

use bytes::{BufMut, BytesMut};

use super::space::number;
use crate::file_id::StorePathIndex;
use crate::wire::{DecodeError, Reader, Request};
use crate::{Command, GroupName};

/// The request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocateSpace {
    /// Group of both.
    pub group: GroupName,
    /// Bytes needed: 24, and the content.
    pub size: u32,
    /// Store path of the file.
    pub path: StorePathIndex,
}

impl Request for AllocateSpace {
    const COMMAND: Command = Command::TRUNK_ALLOC_SPACE;

    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        out.put_u32(self.size);
        out.put_u8(self.path.0);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        let size = number(&mut reader, "size")?;
        let path = StorePathIndex(reader.u8("store path index")?);
        reader.finish()?;
        Ok(Self { group, size, path })
    }
}
