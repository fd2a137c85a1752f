//! Lists of groups and storages: commands 90, 91 and 92.

use bytes::BytesMut;

use super::{GROUP_RECORD_LEN, GroupRecord, StorageRecord};
use crate::wire::{DecodeError, Reader, Request, Response, plain_request};
use crate::{AddressWidth, Command, GroupName, StorageId};

plain_request!(
    /// One group. Answered with a [`GroupList`] of one.
    ListOneGroup(group),
    Command::LIST_ONE_GROUP
);
plain_request!(
    /// All groups, by name. Answered with [`GroupList`].
    ListAllGroups,
    Command::LIST_ALL_GROUPS
);

/// Groups, 113 bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupList(pub Vec<GroupRecord>);

impl Response for GroupList {
    fn encode_body(&self, out: &mut BytesMut) {
        self.0.iter().for_each(|group| group.encode(out));
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        if !body.len().is_multiple_of(GROUP_RECORD_LEN) {
            return Err(DecodeError::BadLength { message: "group list", len: body.len() });
        }
        let mut reader = Reader::new(body);
        let mut groups = Vec::with_capacity(body.len() / GROUP_RECORD_LEN);
        while reader.remaining() > 0 {
            groups.push(GroupRecord::decode(&mut reader)?);
        }
        Ok(Self(groups))
    }
}

/// Storages of a group, or one of them. Answered with [`StorageList`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListStorages {
    /// The group.
    pub group: GroupName,
    /// One storage, or all.
    pub id: Option<StorageId>,
}

impl Request for ListStorages {
    const COMMAND: Command = Command::LIST_STORAGES;

    fn encode_body(&self, out: &mut BytesMut) {
        self.group.encode(out);
        if let Some(id) = &self.id {
            out.extend_from_slice(id.as_str().as_bytes());
        }
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let group = GroupName::decode(&mut reader)?;
        Ok(Self { group, id: decode_tail_id(&mut reader)? })
    }
}

/// An id that ends a body without padding; none if nothing is left.
pub(super) fn decode_tail_id(reader: &mut Reader<'_>) -> Result<Option<StorageId>, DecodeError> {
    let bad = DecodeError::BadText { field: "storage id" };
    match crate::wire::until_nul(reader.rest()) {
        [] => Ok(None),
        id => {
            let id = std::str::from_utf8(id).map_err(|_| bad.clone())?;
            StorageId::parse(id).map(Some).map_err(|_| bad)
        }
    }
}

/// Storages, by id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageList {
    /// The storages.
    pub storages: Vec<StorageRecord>,
    /// Width of their addresses.
    pub width: AddressWidth,
}

impl Response for StorageList {
    fn encode_body(&self, out: &mut BytesMut) {
        self.storages.iter().for_each(|storage| storage.encode(self.width, out));
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let width = [AddressWidth::V4, AddressWidth::V6]
            .into_iter()
            .find(|width| body.len().is_multiple_of(StorageRecord::len(*width)))
            .ok_or(DecodeError::BadLength { message: "storage list", len: body.len() })?;
        let mut reader = Reader::new(body);
        let mut storages = Vec::with_capacity(body.len() / StorageRecord::len(width));
        while reader.remaining() > 0 {
            storages.push(StorageRecord::decode(&mut reader, width)?);
        }
        Ok(Self { storages, width })
    }
}
