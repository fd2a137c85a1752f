//! A slot of a trunk file in 15 bytes: store path 1, directories 1 and 1, trunk file 4, offset 4, size 4.

use bytes::{BufMut, BytesMut};

use crate::GroupName;
use crate::file_id::{StorePathIndex, SubDir, TrunkSlot};
use crate::wire::{DecodeError, Reader, Response};

/// Bytes of a slot's address.
pub const SPACE_LEN: usize = 15;

/// Where a slot is. The answer to a request for space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrunkSpace {
    /// Store path of the trunk file.
    pub path: StorePathIndex,
    /// Its directories.
    pub dir: SubDir,
    /// Its number, and the bytes in it.
    pub slot: TrunkSlot,
}

impl TrunkSpace {
    /// Appends 15 bytes.
    pub fn encode(&self, out: &mut BytesMut) {
        out.put_slice(&[self.path.0, self.dir.high, self.dir.low]);
        for number in [self.slot.file_id, self.slot.offset, self.slot.size] {
            out.put_u32(number);
        }
    }

    /// Reads 15 bytes; the numbers are not negative as the signed numbers they are.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let path = StorePathIndex(reader.u8("store path index")?);
        let dir = SubDir { high: reader.u8("directory")?, low: reader.u8("directory")? };
        let slot = TrunkSlot {
            file_id: number(reader, "trunk file id")?,
            offset: number(reader, "offset")?,
            size: number(reader, "slot size")?,
        };
        Ok(Self { path, dir, slot })
    }
}

/// Appends what says of which group a slot is: group 16, slot 15.
pub(super) fn encode_of_group(group: GroupName, space: TrunkSpace, out: &mut BytesMut) {
    group.encode(out);
    space.encode(out);
}

/// Reads a body of that.
pub(super) fn decode_of_group(body: &[u8]) -> Result<(GroupName, TrunkSpace), DecodeError> {
    let mut reader = Reader::new(body);
    let of = (GroupName::decode(&mut reader)?, TrunkSpace::decode(&mut reader)?);
    reader.finish()?;
    Ok(of)
}

impl Response for TrunkSpace {
    fn encode_body(&self, out: &mut BytesMut) {
        self.encode(out);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let space = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(space)
    }
}

/// A 32-bit number that is not negative.
pub(super) fn number(reader: &mut Reader<'_>, field: &'static str) -> Result<u32, DecodeError> {
    let value = reader.i32(field)?;
    let out_of_range =
        |_| DecodeError::OutOfRange { field, value: value.into(), min: 0, max: i32::MAX.into() };
    u32::try_from(value).map_err(out_of_range)
}
