//! Create a link to a file, command 20. Answered with `FileCreated`.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 8 | length of the master's name, 0 = the link gets a name of its own |
//! | 8 | 8 | length of the source's name |
//! | 16 | 8 | length of the signature |
//! | 24 | 16 | group |
//! | 40 | 16 | prefix |
//! | 56 | 6 | extension |
//! | 62 | | master's name, source's name, signature |

use bytes::{Bytes, BytesMut};

use super::name_of;
use crate::file_id::{FileExt, LogicName, MAX_NAME_LEN, SlavePrefix};
use crate::wire::{DecodeError, Reader, Request, put_padded, put_size};
use crate::{Command, GroupName};

const MAX_SIGNATURE_LEN: usize = 63;
/// The three texts together.
const MAX_TEXTS_LEN: usize = 256;
const PREFIX_LEN: usize = 16;

/// The request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateLink {
    /// Group of all names.
    pub group: GroupName,
    /// File that the link is a slave of, with the slave's prefix.
    pub master: Option<(LogicName, SlavePrefix)>,
    /// Extension of the link.
    pub ext: FileExt,
    /// Regular file that the link leads to.
    pub source: LogicName,
    /// Content signature, opaque here.
    pub signature: Bytes,
}

impl Request for CreateLink {
    const COMMAND: Command = Command::CREATE_LINK;

    fn encode_body(&self, out: &mut BytesMut) {
        let master = self.master.as_ref().map_or("", |(master, _)| master.as_str());
        put_size(out, master.len() as u64);
        put_size(out, self.source.as_str().len() as u64);
        put_size(out, self.signature.len() as u64);
        self.group.encode(out);
        match &self.master {
            Some((_, prefix)) => prefix.encode(out),
            None => put_padded(out, b"", PREFIX_LEN),
        }
        self.ext.encode(out);
        out.extend_from_slice(master.as_bytes());
        out.extend_from_slice(self.source.as_str().as_bytes());
        out.extend_from_slice(&self.signature);
    }

    fn decode_body(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let master_len = reader.len("master name length", 0, MAX_NAME_LEN)?;
        let source_len = reader.len("source name length", 1, MAX_NAME_LEN)?;
        let signature_len = reader.len("signature length", 1, MAX_SIGNATURE_LEN)?;
        if master_len + source_len + signature_len > MAX_TEXTS_LEN {
            return Err(DecodeError::BadLength { message: "create link", len: body.len() });
        }
        let group = GroupName::decode(&mut reader)?;
        let mut prefix = Reader::new(reader.take(PREFIX_LEN, "prefix")?);
        let ext = FileExt::decode(&mut reader)?;
        let master = match reader.take(master_len, "master name")? {
            [] => None,
            name => Some((name_of(name)?, SlavePrefix::decode(&mut prefix)?)),
        };
        let source = name_of(reader.take(source_len, "source name")?)?;
        let signature = Bytes::copy_from_slice(reader.take(signature_len, "signature")?);
        reader.finish()?;
        Ok(Self { group, master, ext, source, signature })
    }
}
