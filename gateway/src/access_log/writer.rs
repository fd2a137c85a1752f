//! The file of an access or audit log and the thread that writes it.
//!
//! Requests append whole lines to a buffer, which is all they ever wait for; the thread takes the buffer and writes it
//! when it is large or its first line has waited long enough. A disk that cannot follow costs lines, never a request:
//! what does not fit is counted and reported.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{error, info, warn};

/// Bytes from which a buffer is written at once.
const FULL: usize = 64 * 1024;
/// Bytes that may wait for a slow disk.
const MAX_WAITING: usize = 4 << 20;
/// How often lost lines are reported while they go on being lost.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// A handle on the file; the thread ends when it has written what is there after this has been dropped.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// For the thread: there is something to do.
    work: Condvar,
    /// For those who wait for the thread.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines that found no place.
    lost: u64,
    reopen: bool,
    /// Flushes that were asked for, and those that are done.
    asked: u64,
    flushed: u64,
    closed: bool,
}

impl Writer {
    /// Opens the file to append to, makes its directory, and starts the thread.
    pub(crate) fn open(path: PathBuf, flush: Duration) -> io::Result<Self> {
        let file = open(&path)?;
        let shared = Arc::new(Shared { state: Mutex::default(), work: Condvar::new(), done: Condvar::new() });
        let sink = Sink { file, path, lost: 0, is_torn: false, reported: None };
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("access-log".to_owned());
        thread.spawn(move || run(&theirs, sink, flush))?;
        Ok(Self { shared })
    }

    /// Appends a line, which has its end.
    pub(crate) fn push(&self, line: &[u8]) {
        let mut state = self.shared.state();
        let before = state.waiting.len();
        if before + line.len() > MAX_WAITING {
            state.lost += 1;
            return;
        }
        state.waiting.extend_from_slice(line);
        let wakes = before == 0 || before < FULL && state.waiting.len() >= FULL;
        drop(state);
        if wakes {
            self.shared.work.notify_one();
        }
    }

    /// Has the file opened anew, since somebody has moved it away.
    pub(crate) fn reopen(&self) {
        self.shared.state().reopen = true;
        self.shared.work.notify_one();
    }

    /// Waits until all lines that came before are written. Blocking.
    pub(crate) fn flush(&self) {
        let mut state = self.shared.state();
        state.asked += 1;
        let own = state.asked;
        self.shared.work.notify_one();
        while state.flushed < own {
            state = self.shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.work.notify_one();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_urgent(&self) -> bool {
        self.waiting.len() >= FULL || self.reopen || self.closed || self.asked > self.flushed
    }
}

fn run(shared: &Shared, mut sink: Sink, flush: Duration) {
    let mut batch = Vec::with_capacity(2 * FULL);
    loop {
        let mut state = shared.state();
        let idle = |state: &mut State| state.waiting.is_empty() && state.lost == 0 && !state.is_urgent();
        state = shared.work.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        let timed = shared.work.wait_timeout_while(state, flush, |state| !state.is_urgent());
        (state, _) = timed.unwrap_or_else(PoisonError::into_inner);
        batch.clear();
        batch.shrink_to(2 * FULL);
        std::mem::swap(&mut batch, &mut state.waiting);
        let (asked, closed) = (state.asked, state.closed);
        let reopen = std::mem::take(&mut state.reopen);
        sink.lost += std::mem::take(&mut state.lost);
        drop(state);
        // Lines from before the signal belong in the old file.
        sink.write(&batch);
        if reopen {
            sink.reopen();
        }
        sink.report(closed);
        if asked > 0 {
            shared.state().flushed = asked;
            shared.done.notify_all();
        }
        if closed && batch.is_empty() {
            return;
        }
    }
}

/// The file as the thread has it.
struct Sink {
    file: File,
    path: PathBuf,
    /// Lines that were lost and not yet reported.
    lost: u64,
    /// Whether the last line in the file lacks its end.
    is_torn: bool,
    reported: Option<Instant>,
}

impl Sink {
    fn write(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        if self.is_torn && self.file.write_all(b"\n").is_ok() {
            self.is_torn = false;
        }
        let mut left = lines;
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => break,
                Ok(len) => left = left.get(len..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if self.lost == 0 {
                        error!(path = %self.path.display(), %error, "access log cannot be written");
                    }
                    break;
                }
            }
        }
        if !left.is_empty() {
            self.is_torn = lines.len() > left.len() && !lines[..lines.len() - left.len()].ends_with(b"\n");
            self.lost +=
                u64::try_from(left.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(u64::MAX);
        }
    }

    /// On failure the old file goes on: better a log in the wrong place than none.
    fn reopen(&mut self) {
        match open(&self.path) {
            Ok(file) => {
                self.file = file;
                self.is_torn = false;
                info!(path = %self.path.display(), "access log opened anew");
            }
            Err(error) => {
                error!(path = %self.path.display(), %error, "access log cannot be opened anew, the old file goes on");
            }
        }
    }

    fn report(&mut self, is_last: bool) {
        let is_time = self.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY);
        if self.lost > 0 && (is_time || is_last) {
            warn!(path = %self.path.display(), lines = self.lost, "access log has lost lines: the disk does not take them");
            self.lost = 0;
            self.reported = Some(Instant::now());
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    File::options().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn lines_go_to_the_file_that_the_name_means_since_the_last_reopening() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("logs/a.log"), directory.path().join("old"));
        let writer = Writer::open(path.clone(), LONG).unwrap();
        writer.push(b"one\n");
        writer.flush();
        fs::rename(&path, &moved).unwrap();
        writer.push(b"two\n");
        writer.reopen();
        writer.flush();
        writer.push(b"three\n");
        writer.flush();
        assert_eq!(fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_large_buffer_and_a_closed_log_are_written_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let writer = Writer::open(path.clone(), LONG).unwrap();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        for _ in 0..64 {
            writer.push(&line);
        }
        let len = || fs::metadata(&path).unwrap().len();
        let wait = |expected: u64| {
            let end = Instant::now() + Duration::from_secs(10);
            while len() < expected {
                assert!(Instant::now() < end, "{} of {expected} bytes", len());
                std::thread::yield_now();
            }
        };
        wait(64 * 1024);
        writer.push(&line);
        drop(writer);
        wait(65 * 1024);
    }

    #[test]
    fn what_a_full_disk_does_not_take_is_counted_and_lines_stay_whole() {
        let file = File::options().write(true).open("/dev/full").unwrap();
        let mut sink = Sink { file, path: "/dev/full".into(), lost: 0, is_torn: false, reported: None };
        sink.write(b"one\ntwo\n");
        assert_eq!(sink.lost, 2);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        (sink.file, sink.is_torn) = (File::create(&path).unwrap(), true);
        sink.write(b"three\n");
        sink.report(false);
        assert_eq!((sink.lost, fs::read_to_string(&path).unwrap().as_str()), (0, "\nthree\n"));
    }

    #[test]
    fn lines_beyond_the_bound_are_lost_and_counted() {
        let shared = Arc::new(Shared { state: Mutex::default(), work: Condvar::new(), done: Condvar::new() });
        // No thread: a disk that takes nothing.
        let writer = Writer { shared: Arc::clone(&shared) };
        let line = vec![b'x'; MAX_WAITING / 4];
        for _ in 0..6 {
            writer.push(&line);
        }
        let state = shared.state();
        assert_eq!((state.waiting.len(), state.lost), (MAX_WAITING, 2));
        // The writer closes itself by it.
        drop(state);
    }
}
