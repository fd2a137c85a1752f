//! What can be known about a file: from its ID alone where that says all, else from a storage.

use std::net::IpAddr;

use protocol::FileId;
use protocol::client::ClientError;
use protocol::config::StorageIds;
use protocol::file_id::{BadName, FileKind, Source};
use protocol::storage::FileInfoFlags;

use crate::session::Session;

/// Shorter names are not decoded: FastDFS's client refuses them too.
const MIN_DECODED_LEN: usize = 44;

/// A file as the tools describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileFacts {
    /// Whether a storage was asked, or the ID alone.
    pub(crate) from_server: bool,
    /// What kind of file its name says it is.
    pub(crate) kind: &'static str,
    /// Number of the storage that made it, 0 if the ID holds an address.
    pub(crate) source_id: u32,
    pub(crate) source_ip: Option<IpAddr>,
    /// Unix seconds.
    pub(crate) time: i64,
    pub(crate) size: u64,
    pub(crate) crc32: u32,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InfoError {
    #[error("this is no file ID")]
    Name(#[from] BadName),
    #[error("the cluster has no answer")]
    Client(#[from] ClientError),
}

/// Facts that the ID itself holds; `None` if a storage has to be asked.
fn from_id(
    id: &FileId,
    ids: impl FnOnce() -> Result<StorageIds, ClientError>,
) -> Result<Option<FileFacts>, InfoError> {
    if id.name.as_str().len() < MIN_DECODED_LEN {
        return Err(BadName::Code.into());
    }
    let code = id.name.code()?;
    let (FileKind::Normal | FileKind::Trunk(_), Some(size)) = (id.name.kind()?, code.size.size()) else {
        return Ok(None);
    };
    let (source_id, source_ip) = match code.source {
        Source::Ip(ip) => (0, Some(IpAddr::V4(ip))),
        Source::Id(number) => match ids()?.by_number(number) {
            Some(entry) => (number, Some(entry.ip)),
            None => return Ok(None),
        },
    };
    Ok(Some(FileFacts {
        from_server: false,
        kind: "normal",
        source_id,
        source_ip,
        time: code.timestamp.into(),
        size,
        crc32: code.crc32,
    }))
}

/// Facts about `id`. With `always_ask`, a storage is asked even where the ID says all: it knows whether the file exists.
pub(crate) fn file_facts(
    session: &Session,
    id: &FileId,
    flags: FileInfoFlags,
    asking: Asking,
) -> Result<FileFacts, InfoError> {
    if asking == Asking::IfNeeded
        && let Some(facts) = from_id(id, || session.storage_ids())?
    {
        return Ok(facts);
    }
    let info = session.wait(session.client.file_info(id, flags))?;
    let (kind, source_id) = match id.name.code() {
        Ok(code) => {
            let kind = match id.name.kind()? {
                FileKind::Normal | FileKind::Trunk(_) => "normal",
                FileKind::Appender => "appender",
                FileKind::Slave => "slave",
            };
            (kind, if let Source::Id(number) = code.source { number } else { 0 })
        }
        Err(_) => ("unknown", 0),
    };
    Ok(FileFacts {
        from_server: true,
        kind,
        source_id,
        source_ip: info.source,
        time: info.time,
        size: info.size,
        crc32: info.crc32,
    })
}

/// When a storage is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Only where the ID does not say all, as FastDFS's tool does: a file that does not exist looks fine.
    IfNeeded,
    /// Always.
    Always,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_normal_id_says_all() {
        let id = FileId::parse("group1/M00/00/02/wAACAmsDYWyADTFLAAAABTYQpoY219.txt").unwrap();
        let facts = from_id(&id, || panic!("no table is needed")).unwrap().unwrap();
        assert_eq!((facts.size, facts.crc32, facts.time), (5, 0x3610_a686, 0x6b03_616c));
        assert_eq!(facts.source_ip, Some("192.0.2.2".parse().unwrap()));
        assert_eq!((facts.kind, facts.source_id, facts.from_server), ("normal", 0, false));
    }

    #[test]
    fn other_ids_need_a_storage() {
        let ask = |name: &str| {
            let id = FileId::parse(name).unwrap();
            from_id(&id, || Ok(StorageIds::default())).map(|facts| facts.is_some())
        };
        assert!(!ask("group1/M00/00/00/wAACAmsDYWyEXE-yAAAAAJ6DSG0578.log").unwrap(), "an appender");
        assert!(!ask("group1/M00/00/00/wAACAmsDXnOAB2H8AAAABi0Jo9Y169_150x150.jpg").unwrap(), "a slave");
        assert!(!ask("group1/M00/00/00/CgECAGVT8QCAEjRWAAAAZBI0Vng001.iso").unwrap(), "an unknown storage");
        assert!(ask("group1/M00/00/00/foo.txt").is_err(), "a name without a code");
    }
}
