//! The bytes of one exchange: a frame's head, with the content of a small file behind it, or a file to stream.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use gateway::files::OpenFile;
use protocol::frame::HEADER_LEN;
use protocol::storage::{FileInfoFlags, QueryFileInfo};
use protocol::sync::{
    HAS_CONTENT_ALREADY, SyncAppend, SyncCreate, SyncDelete, SyncFile, SyncLink, SyncModify, SyncPair,
    SyncRange, SyncRename, SyncTruncate, SyncUpdate,
};
use protocol::wire::{Request, StreamRequest};
use protocol::{FileId, GroupName, LogicName};

use super::step::Form;
use crate::store::{Entry, Op, Outgoing, Store};

/// Content up to this size is read at once and leaves with its head.
const SMALL: u64 = 256 * 1024;
/// Pieces of larger content.
const PIECE: usize = 256 * 1024;

/// What the peer is: FastDFS breaks on links (19).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Fdfs,
    FastDfs,
}

/// One exchange, ready to be sent.
#[derive(Debug)]
pub(super) struct Message {
    /// What it is in the end: a part of a file that has changed since becomes a whole copy.
    pub(super) form: Form,
    /// Size of the file here.
    pub(super) size: u64,
    /// The frame, or its beginning.
    pub(super) head: BytesMut,
    /// Content that is to follow.
    pub(super) rest: Option<Part>,
}

/// A part of an open file.
#[derive(Debug)]
pub(super) struct Part {
    name: LogicName,
    file: OpenFile,
    offset: u64,
    left: u64,
}

impl Part {
    /// The next piece; `None` at the end. A file that became shorter is an error: its length was announced.
    pub(super) async fn next(&mut self, store: &Store) -> io::Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let len = usize::try_from(self.left).unwrap_or(PIECE).min(PIECE);
        let piece = store.reader().read_at(&self.name, &self.file, self.offset, len).await?;
        if piece.len() < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += len as u64;
        self.left -= len as u64;
        Ok(Some(piece))
    }
}

/// What a record comes to now.
#[derive(Debug)]
pub(super) enum Prepared {
    /// This is sent.
    Send(Box<Message>),
    /// There is nothing to send: the file is gone, and a later record says so. `in_doubt`: the peer's file of this record
    /// may be older than it should be.
    Nothing { in_doubt: bool },
}

const NOTHING: Prepared = Prepared::Nothing { in_doubt: false };

/// Builds messages to one peer.
pub(super) struct Writer<'a> {
    pub(super) store: &'a Store,
    pub(super) group: GroupName,
    pub(super) kind: Kind,
}

impl Writer<'_> {
    /// Builds the message for a record, with the content that the file has now.
    pub(super) async fn prepare(&self, entry: &Entry, form: Form) -> io::Result<Prepared> {
        match form {
            Form::Delete(name) => self.delete(entry, name).await,
            form => self.about_file(entry, form).await,
        }
    }

    async fn delete(&self, entry: &Entry, name: LogicName) -> io::Result<Prepared> {
        if name == entry.name && !matches!(self.store.outgoing(&name).await?, Outgoing::Missing) {
            // The name is in use again; the peer may hold what was deleted.
            return self.about_file(entry, Form::Update).await;
        }
        let head = SyncDelete { time: self.time(entry), group: self.group, name: name.clone() }.to_frame();
        Ok(whole(Form::Delete(name), 0, head))
    }

    async fn about_file(&self, entry: &Entry, form: Form) -> io::Result<Prepared> {
        let renamed = match &entry.op {
            Op::Rename(old) => Some(old),
            _ => None,
        };
        let file = match (self.store.outgoing(&entry.name).await?, &form) {
            (Outgoing::Missing, _) if let Some(old) = renamed => {
                if !matches!(self.store.outgoing(old).await?, Outgoing::Missing) {
                    // The rename was broken off before it was made.
                    return Ok(NOTHING);
                }
                // It has gone on to another name, or was deleted; the old name is gone in either case.
                let gone = SyncDelete { time: self.time(entry), group: self.group, name: old.clone() };
                return Ok(whole(Form::Delete(old.clone()), 0, gone.to_frame()));
            }
            // In whatever form it was to go: after a failure, changes go as whole copies.
            (Outgoing::Missing, _) => return Ok(Prepared::Nothing { in_doubt: true }),
            (Outgoing::Link(target), form) => {
                if self.kind == Kind::Fdfs && *form != Form::Update {
                    let pair = self.pair(entry, target.clone());
                    return Ok(whole(Form::Link(target), 0, SyncLink(pair).to_frame()));
                }
                match self.store.outgoing(&target).await? {
                    Outgoing::File(file) => file,
                    Outgoing::Missing | Outgoing::Link(_) => return Ok(NOTHING),
                }
            }
            (Outgoing::File(file), _) => file,
        };
        let size = file.len;
        match form {
            Form::Create | Form::Update => self.copy(entry, form, file).await,
            // What was a link is a file now, or the peer cannot have links.
            Form::Link(_) => self.copy(entry, Form::Create, file).await,
            Form::CreateHad => {
                let mut head = BytesMut::zeroed(HEADER_LEN);
                SyncCreate(self.file(entry, size)).encode_head(&mut head);
                let body_len = (head.len() - HEADER_LEN) as u64;
                head[..8].copy_from_slice(&body_len.to_be_bytes());
                head[8] = SyncCreate::COMMAND.0;
                head[9] = HAS_CONTENT_ALREADY.0;
                Ok(whole(form, size, head))
            }
            Form::Append(offset, len) | Form::Modify(offset, len) => {
                if offset.checked_add(len).is_none_or(|end| end > size) {
                    // Cut since: what the record speaks of is not here any more.
                    return self.copy(entry, Form::Update, file).await;
                }
                let range = SyncRange {
                    name: entry.name.clone(),
                    offset,
                    len,
                    time: self.time(entry),
                    group: self.group,
                };
                let head = match form {
                    Form::Append(..) => SyncAppend(range).to_frame_head(),
                    _ => SyncModify(range).to_frame_head(),
                };
                self.with_content(entry, form, head, file, offset, len).await
            }
            Form::Truncate(old_size, new_size) => {
                let (name, time, group) = (entry.name.clone(), self.time(entry), self.group);
                Ok(whole(form, size, SyncTruncate { name, old_size, new_size, time, group }.to_frame()))
            }
            Form::Rename(old) => {
                let head = SyncRename(self.pair(entry, old.clone())).to_frame();
                Ok(whole(Form::Rename(old), size, head))
            }
            Form::Ask(purpose) => {
                let query = QueryFileInfo(FileId { group: self.group, name: entry.name.clone() });
                Ok(whole(Form::Ask(purpose), size, query.to_frame_with(FileInfoFlags::NO_CRC32)))
            }
            // Handled before.
            Form::Delete(_) => Ok(NOTHING),
        }
    }

    async fn copy(&self, entry: &Entry, form: Form, file: OpenFile) -> io::Result<Prepared> {
        let content = self.file(entry, file.len);
        let head = match form {
            Form::Update => SyncUpdate(content).to_frame_head(),
            _ => SyncCreate(content).to_frame_head(),
        };
        let len = file.len;
        self.with_content(entry, form, head, file, 0, len).await
    }

    async fn with_content(
        &self,
        entry: &Entry,
        form: Form,
        mut head: BytesMut,
        file: OpenFile,
        offset: u64,
        len: u64,
    ) -> io::Result<Prepared> {
        let size = file.len;
        let mut part = Part { name: entry.name.clone(), file, offset, left: len };
        let mut rest = None;
        if len > SMALL {
            rest = Some(part);
        } else if let Some(content) = part.next(self.store).await? {
            head.put_slice(&content);
        }
        Ok(Prepared::Send(Box::new(Message { form, size, head, rest })))
    }

    /// The wire has 32 bits for it.
    fn time(&self, entry: &Entry) -> i32 {
        i32::try_from(entry.time).unwrap_or(i32::MAX)
    }

    fn file(&self, entry: &Entry, size: u64) -> SyncFile {
        SyncFile { time: self.time(entry), group: self.group, name: entry.name.clone(), size }
    }

    fn pair(&self, entry: &Entry, source: LogicName) -> SyncPair {
        SyncPair { dest: entry.name.clone(), source, time: self.time(entry), group: self.group }
    }
}

fn whole(form: Form, size: u64, head: BytesMut) -> Prepared {
    Prepared::Send(Box::new(Message { form, size, head, rest: None }))
}

impl Form {
    /// Whether the answer has a body.
    pub(super) fn asks(&self) -> bool {
        matches!(self, Self::Ask(_))
    }
}
