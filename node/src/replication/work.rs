//! What a sender has read and not sent, and what it remembers; survives lost connections.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use protocol::{LogicName, Status, StorageId};
use tokio::time::Instant;
use tracing::{error, warn};

use super::Shared;
use super::cursor::{Cursor, Turn};
use super::dead_letters::{self, DeadLetters};
use super::fill::Filling;
use super::mark::Mark;
use super::report::{Lag, Progress};
use super::sender::blocking;
use crate::store::{BinlogPosition, BinlogReader, Entry, Op, Store};

/// Lines that are read from the binlog at once.
const READ_AT_ONCE: usize = 512;

/// One peer's records.
pub(super) struct Work {
    peer: StorageId,
    mark_path: PathBuf,
    pub(super) mark: Mark,
    saved: Mark,
    pub(super) cursor: Cursor,
    /// Lines that the mark had passed at the start.
    scanned_before: i64,
    reader: Option<BinlogReader>,
    /// Everything before is read.
    read_to: BinlogPosition,
    pub(super) filling: Filling,
    pub(super) dead: DeadLetters,
    /// When dead letters are tried again.
    pub(super) dead_due: Instant,
    /// What the peer answered last to a record that waits for it.
    pub(super) trouble: Option<Status>,
    /// Files whose copy at the peer may be older than the records that were sent.
    pub(super) in_doubt: HashSet<LogicName>,
    /// End of the binlog at the start. A rename before it may follow a change that an earlier run found without its file
    /// and passed over, and that is on no list.
    began_at: BinlogPosition,
    /// Whether the peer had the last created file already.
    pub(super) had_last: bool,
    /// When the clock of the cursor began.
    pub(super) started: Instant,
}

impl Work {
    /// All before the mark has arrived; the binlog ends at `end`.
    pub(super) fn new(
        peer: StorageId,
        mark_path: PathBuf,
        mark: Mark,
        dead: DeadLetters,
        end: BinlogPosition,
    ) -> Self {
        Self {
            peer,
            mark_path,
            saved: mark,
            mark,
            cursor: Cursor::new(mark.position),
            scanned_before: mark.scanned,
            reader: None,
            read_to: mark.position,
            filling: Filling::of(&mark, end),
            dead,
            dead_due: Instant::now(),
            trouble: None,
            in_doubt: HashSet::new(),
            began_at: end,
            had_last: mark.sent > 0 || mark.need_sync_old,
            started: Instant::now(),
        }
    }

    /// Writes the dead letters and then the mark, which never passes a record that has not arrived and is on no list.
    pub(super) async fn save(&mut self, progress: &Progress) {
        if self.dead.has_changed() {
            progress.set_dead_letters(&self.dead);
        }
        if let Some((path, text)) = self.dead.to_write() {
            match blocking(move || dead_letters::write(&path, &text)).await {
                Ok(()) => self.dead.written(),
                Err(error) => {
                    error!(peer = %self.peer, %error, "the list of dead letters cannot be written, the mark waits for it");
                    return;
                }
            }
        }
        progress.set_mark(self.cursor.mark());
        self.mark.position = self.cursor.mark();
        let passed = i64::try_from(self.cursor.passed()).unwrap_or(i64::MAX);
        self.mark.scanned = self.scanned_before.saturating_add(passed);
        if self.mark == self.saved {
            return;
        }
        let (mark, path) = (self.mark, self.mark_path.clone());
        match blocking(move || mark.save(&path)).await {
            Ok(()) => self.saved = mark,
            Err(error) => {
                error!(peer = %self.peer, %error, "the mark cannot be written; after a crash more is sent again");
            }
        }
    }

    /// Whether the peer's file may be other than the records before this one say, so that only a whole copy will do.
    pub(super) fn is_in_doubt(&self, turn: &Turn) -> bool {
        let is_old_rename = matches!(turn.entry.op, Op::Rename(_)) && turn.end <= self.began_at;
        turn.tries > 0 || is_old_rename || names(&turn.entry).any(|name| self.in_doubt.contains(name))
    }

    /// Time as the cursor has it.
    pub(super) fn clock(&self) -> Duration {
        self.started.elapsed()
    }

    /// Everything before is read.
    pub(super) fn read_to(&self) -> BinlogPosition {
        self.read_to
    }

    /// How far the peer is behind.
    pub(super) fn lag(&self, shared: &Shared) -> Lag {
        let end = *shared.binlog.borrow();
        shared.lag(self.cursor.mark(), self.read_to(), end, self.cursor.outstanding(), self.cursor.oldest())
    }

    /// Reads more of the binlog, which ends at `end`, as far as there is room.
    pub(super) async fn read(&mut self, store: &Store, end: BinlogPosition) -> io::Result<()> {
        while self.cursor.has_room() && self.read_to < end {
            let reader = self.reader.take();
            let (store, from) = (store.clone(), self.read_to);
            let (reader, items) = blocking(move || {
                let mut reader = match reader {
                    Some(reader) => reader,
                    None => store.binlog_reader(from)?,
                };
                let mut items = Vec::new();
                while items.len() < READ_AT_ONCE
                    && let Some(item) = reader.next(end)?
                {
                    items.push(item);
                }
                Ok((reader, items))
            })
            .await?;
            self.read_to = reader.position();
            self.reader = Some(reader);
            if items.is_empty() {
                return Ok(());
            }
            for item in items {
                let entry = match item.entry {
                    Ok(entry) => Some(entry).filter(|entry| self.filling.wants(entry, item.end)),
                    Err(line) => {
                        warn!(peer = %self.peer, position = ?item.end, line, "a line of the binlog is no record, passing over it");
                        None
                    }
                };
                self.cursor.push(item.end, entry);
            }
        }
        Ok(())
    }
}

/// Files that a record says something about.
pub(super) fn names(entry: &Entry) -> impl Iterator<Item = &LogicName> {
    let other = match &entry.op {
        Op::Rename(other) => Some(other),
        _ => None,
    };
    std::iter::once(&entry.name).chain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rename_from_before_the_start_is_in_doubt_and_so_is_what_failed_or_follows_what_was_passed_over() {
        let (before, after) =
            (BinlogPosition { index: 0, offset: 100 }, BinlogPosition { index: 0, offset: 101 });
        let peer = StorageId::parse("10.0.0.2").unwrap();
        let dead = DeadLetters::load(&PathBuf::from("/nowhere/peer.dead")).unwrap();
        let mut work = Work::new(peer, PathBuf::new(), Mark::default(), dead, before);
        let turn = |line: &str, tries, end| {
            let entry = Entry::parse(line.as_bytes()).unwrap();
            Turn { number: 0, tries, end, entry }
        };
        let (rename, create) = ("5 R M00/00/00/new M00/00/00/old", "5 C M00/00/00/new");
        assert!(work.is_in_doubt(&turn(rename, 0, before)));
        assert!(!work.is_in_doubt(&turn(rename, 0, after)));
        assert!(!work.is_in_doubt(&turn(create, 0, before)));
        assert!(work.is_in_doubt(&turn(create, 1, after)));
        work.in_doubt.insert(LogicName::parse("M00/00/00/old").unwrap());
        assert!(work.is_in_doubt(&turn(rename, 0, after)));
        assert!(!work.is_in_doubt(&turn(create, 0, after)));
    }
}
