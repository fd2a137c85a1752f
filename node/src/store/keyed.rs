//! Uploads with an idempotency key: their files carry its token, so that they are found after a crash.

use std::io;
use std::sync::Arc;

use gateway::files::Committed;
use protocol::file_id::FileKind;
use protocol::metadata::{FILE_NAME, IDEMPOTENCY, Metadata};
use protocol::{FileId, LogicName};

use super::binlog::{Op, Side};
use super::{BinlogPosition, Inner, Store, marks, trunk};

/// A position as text.
pub(crate) fn print_position(position: BinlogPosition) -> String {
    format!("{}:{}", position.index, position.offset)
}

fn parse_position(text: &str) -> Option<BinlogPosition> {
    let (index, offset) = text.split_once(':')?;
    Some(BinlogPosition { index: index.parse().ok()?, offset: offset.parse().ok()? })
}

impl Store {
    /// The files that uploads with this token made since a position of the binlog, with the names that they had.
    pub(crate) async fn uploaded(
        &self,
        token: &str,
        since: &str,
    ) -> io::Result<Vec<(Committed, Option<String>)>> {
        let Some(since) = parse_position(since) else { return Ok(Vec::new()) };
        let (inner, token) = (Arc::clone(&self.0), token.to_owned());
        let end = *self.binlog_watch().borrow();
        let found = self.0.first_path().pool.run(move || inner.uploaded(&token, since, end)).await;
        found.map_err(io::Error::other)?
    }
}

impl Inner {
    /// Blocking.
    fn uploaded(
        &self,
        token: &str,
        since: BinlogPosition,
        end: BinlogPosition,
    ) -> io::Result<Vec<(Committed, Option<String>)>> {
        let mut reader = self.binlog.reader(since)?;
        let (mut found, mut before) = (Vec::new(), None);
        while let Some(item) = reader.next(end)? {
            let created =
                item.entry.ok().filter(|entry| entry.side == Side::Source && entry.op == Op::Create);
            let Some(entry) = created else { continue };
            if let Some(file) = before.take()
                && entry.name.metadata_owner().as_ref() == Some(&file)
            {
                found.extend(self.uploaded_as(token, file)?);
            }
            before = Some(entry.name);
        }
        Ok(found)
    }

    /// A file, if it is there and its upload had this token.
    fn uploaded_as(&self, token: &str, name: LogicName) -> io::Result<Option<(Committed, Option<String>)>> {
        let (Some(path), Ok(code)) = (self.path(name.store_path()), name.code()) else { return Ok(None) };
        let len = match path.dir.stat(name.true_name()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => match self.member_len(&name) {
                Some(len) => len,
                None => return Ok(None),
            },
            stat => u64::try_from(stat?.st_size).unwrap_or(0),
        };
        let metadata: Metadata = marks::described(path, &name)?;
        if metadata.get(IDEMPOTENCY) != Some(token) {
            return Ok(None);
        }
        let filename = metadata.get(FILE_NAME).map(str::to_owned);
        let id = FileId { group: self.group, name };
        let made = Committed { id, len, crc32: code.crc32, timestamp: code.timestamp };
        Ok(Some((made, filename)))
    }

    /// Bytes of a member of a trunk file, if it is there.
    fn member_len(&self, name: &LogicName) -> Option<u64> {
        let Ok(FileKind::Trunk(slot)) = name.kind() else { return None };
        match trunk::open(self, name, slot) {
            Ok(trunk::Member::File(file)) => Some(file.len),
            _ => None,
        }
    }
}
