//! `<base_path>/data/trunk/binlog`: what became free and what was taken, in order. The trunk server writes it, and sends it
//! byte for byte to the other members, who append what they get, so that any of them can take over.
//!
//! Lines wait in memory until there are 64 KiB of them or a second has passed, and are synced then. A line that a crash
//! tore is cut off before the next one is written. (The reference keeps it: its trunk server does not start any more.)

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{Local, TimeZone};
use protocol::Status;
use tokio::sync::watch;
use tracing::{error, warn};

use super::super::lines;
use super::record::{self, Turn};
use super::slot::Slot;

const FILE_NAME: &str = "binlog";
/// Lines that wait in memory, bytes.
const ROOM: usize = 64 * 1024;
/// When the disk takes no more, nothing is given out or taken back any more that would have to be recorded.
const MAX_WAITING: usize = 16 * ROOM;

/// The log, whoever writes it.
pub(super) struct TrunkLog {
    directory: PathBuf,
    state: Mutex<State>,
    /// Bytes that are in the file.
    written: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// Open since it was first needed.
    file: Option<File>,
    /// Bytes in the file, whole lines.
    len: u64,
    waiting: Vec<u8>,
    is_synced: bool,
    /// Part of a line may stand behind `len`.
    is_torn: bool,
}

impl TrunkLog {
    /// In this directory, which need not be there.
    pub(super) fn new(directory: PathBuf) -> Self {
        let len = fs::metadata(directory.join(FILE_NAME)).map_or(0, |file| file.len());
        Self { directory, state: Mutex::default(), written: watch::Sender::new(len) }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(FILE_NAME)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Hears how long the file is.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.written.subscribe()
    }

    /// Bytes of the file and of what waits; none if there is no file.
    pub(super) fn len(&self) -> io::Result<Option<u64>> {
        let state = self.lock();
        if state.file.is_some() {
            return Ok(Some(state.len + state.waiting.len() as u64));
        }
        match fs::metadata(self.path()) {
            Ok(file) => Ok(Some(file.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the file, makes it if there is none, and cuts off a line that was torn.
    pub(super) fn open(&self) -> io::Result<u64> {
        let mut state = self.lock();
        state.open(&self.directory)?;
        self.tell(&state);
        Ok(state.len)
    }

    /// Whether the log can be written, as far as is known.
    pub(super) fn check(&self) -> Result<(), Status> {
        if self.lock().waiting.len() < MAX_WAITING { Ok(()) } else { Err(Status::ENOSPC) }
    }

    /// Adds records, which wait.
    pub(super) fn add(&self, time: i64, records: &[(Turn, Slot)]) {
        let mut state = self.lock();
        for (turn, slot) in records {
            record::write(&mut state.waiting, time, *turn, slot);
        }
        if state.waiting.len() >= ROOM {
            self.write_out(&mut state);
        }
    }

    /// Adds lines that the trunk server sent.
    pub(super) fn append(&self, lines: &[u8]) -> io::Result<()> {
        let mut state = self.lock();
        state.open(&self.directory)?;
        state.waiting.extend_from_slice(lines);
        let outcome = state.write();
        if outcome.is_err() {
            // The server sends them again.
            let kept = state.waiting.len().saturating_sub(lines.len());
            state.waiting.truncate(kept);
        }
        self.tell(&state);
        outcome
    }

    /// Writes what waits, so that it outlives this process.
    pub(super) fn write_waiting(&self) {
        let mut state = self.lock();
        if !state.waiting.is_empty() {
            self.write_out(&mut state);
        }
    }

    /// Puts all on the disk.
    pub(super) fn flush(&self) -> io::Result<()> {
        let file = {
            let mut state = self.lock();
            if state.is_synced && state.waiting.is_empty() {
                return Ok(());
            }
            if state.file.is_none() && state.waiting.is_empty() {
                return Ok(());
            }
            state.open(&self.directory)?;
            let outcome = state.write();
            self.tell(&state);
            outcome?;
            state.is_synced = true;
            state.file.as_ref().map(File::try_clone).transpose()?
        };
        let synced = file.map_or(Ok(()), |file| file.sync_data());
        if synced.is_err() {
            self.lock().is_synced = false;
        }
        synced
    }

    fn write_out(&self, state: &mut State) {
        if let Err(error) = state.open(&self.directory).and_then(|()| state.write()) {
            error!(%error, "the trunk binlog cannot be written");
        }
        self.tell(state);
    }

    /// Whole lines from an offset on, `max` bytes at most.
    pub(super) fn read(&self, offset: u64, max: usize) -> io::Result<Vec<u8>> {
        let end = self.open()?;
        let room = usize::try_from(end.saturating_sub(offset)).unwrap_or(max).min(max);
        let mut lines = vec![0; room];
        File::open(self.path())?.read_exact_at(&mut lines, offset)?;
        let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        lines.truncate(whole);
        Ok(lines)
    }

    /// Begins anew: what is there is kept as `binlog.<time>` if old logs are kept, `max_backups` of them at most.
    pub(super) fn truncate(&self, max_backups: u32, now: i64) -> io::Result<()> {
        let mut state = self.lock();
        state.waiting.clear();
        state.open(&self.directory)?;
        if max_backups > 0 && state.len > 0 {
            fs::rename(self.path(), self.directory.join(format!("{FILE_NAME}.{}", stamp(now))))?;
            *state = State::default();
            state.open(&self.directory)?;
            self.remove_backups(max_backups)?;
        } else if let Some(file) = &state.file {
            file.set_len(0)?;
            state.len = 0;
        }
        self.tell(&state);
        Ok(())
    }

    fn remove_backups(&self, keep: u32) -> io::Result<()> {
        let mut backups = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let stamp = name.to_str().and_then(|name| name.strip_prefix(FILE_NAME)?.strip_prefix('.'));
            if stamp.is_some_and(|stamp| stamp.len() == 14 && stamp.bytes().all(|byte| byte.is_ascii_digit()))
            {
                backups.push(name);
            }
        }
        backups.sort_unstable();
        let old = backups.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX));
        for name in backups.iter().take(old) {
            fs::remove_file(self.directory.join(name))?;
        }
        Ok(())
    }

    fn tell(&self, state: &State) {
        self.written.send_if_modified(|known| std::mem::replace(known, state.len) != state.len);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `YYYYMMDDhhmmss`, local time as the reference has it.
fn stamp(now: i64) -> String {
    Local
        .timestamp_opt(now, 0)
        .single()
        .map_or_else(String::new, |time| time.format("%Y%m%d%H%M%S").to_string())
}

impl State {
    fn open(&mut self, directory: &Path) -> io::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        fs::create_dir_all(directory)?;
        let path = directory.join(FILE_NAME);
        let file = OpenOptions::new().append(true).read(true).create(true).open(&path)?;
        let len = file.metadata()?.len();
        self.len = lines::start(&file, len)?;
        if self.len < len {
            warn!(path = %path.display(), bytes = len - self.len, "the last line was torn by a crash and is cut off");
            file.set_len(self.len)?;
        }
        self.file = Some(file);
        Ok(())
    }

    /// Writes what waits; after an error all of it still waits.
    fn write(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        if self.is_torn {
            file.set_len(self.len)?;
            self.is_torn = false;
        }
        if let Err(error) = file.write_all(&self.waiting) {
            self.is_torn = file.set_len(self.len).is_err();
            return Err(error);
        }
        self.len += self.waiting.len() as u64;
        self.waiting.clear();
        self.is_synced = false;
        Ok(())
    }
}
