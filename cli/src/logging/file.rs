//! One log file: rotated at a time of day, by size or on SIGHUP; old ones compressed and removed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Local, NaiveDate, NaiveTime, TimeDelta};
use protocol::config::LogConf;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An open log file.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    conf: LogConf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    len: u64,
    /// The day that lines belong to: it turns at the rotation time.
    day: NaiveDate,
}

impl LogFile {
    /// Opens `path` to append to, making its directory.
    pub(crate) fn open(path: PathBuf, conf: LogConf) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let (file, len) = open(&path)?;
        let written = file.metadata()?.modified().unwrap_or_else(|_| SystemTime::now());
        // Lines of a day before today are rotated away by the first line of today.
        let day = log_day(if len == 0 { Local::now() } else { written.into() }, &conf);
        let state = Mutex::new(State { file, len, day });
        Ok(Self { path, conf, state })
    }

    /// Appends a whole line. A disk that takes no lines must not stop the daemon.
    pub(super) fn append(&self, line: &[u8]) {
        let mut state = self.state();
        let today = log_day(Local::now(), &self.conf);
        let limit = self.conf.log_file_rotate_on_size;
        let full = limit > 0 && state.len > 0 && state.len + line.len() as u64 > limit;
        if full || (self.conf.log_file_rotate_everyday && today != state.day) {
            self.rotate_locked(&mut state);
            state.day = today;
        }
        if state.file.write_all(line).is_ok() {
            state.len += line.len() as u64;
        }
    }

    /// Starts a new file now, as SIGHUP asks, or opens the file again that somebody else has moved away.
    pub(crate) fn rotate(&self) {
        self.rotate_locked(&mut self.state());
    }

    /// Opens the file that has the name now, as SIGUSR1 asks when somebody has moved the old one away.
    pub(crate) fn reopen(&self) {
        // On failure the old file simply grows on.
        if let Ok((file, len)) = open(&self.path) {
            let mut state = self.state();
            (state.file, state.len) = (file, len);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rotate_locked(&self, state: &mut State) {
        if state.len > 0 && self.path.exists() {
            let target = self.rotated_name(state.day);
            // On failure the old file simply grows on.
            let _ = fs::rename(&self.path, target);
        }
        if let Ok((file, len)) = open(&self.path) {
            state.file = file;
            state.len = len;
        }
        self.tidy();
    }

    /// `.YYYYMMDD`; with the time behind it when files are rotated by size or the name is taken.
    fn rotated_name(&self, day: NaiveDate) -> PathBuf {
        let by_day = self.with_suffix(&day.format(".%Y%m%d").to_string());
        let taken = by_day.exists() || with_gz(&by_day).exists();
        if self.conf.log_file_rotate_on_size == 0 && !taken {
            return by_day;
        }
        let by_time = Local::now().format(".%Y%m%d_%H%M%S").to_string();
        let mut target = self.with_suffix(&by_time);
        let mut number = 1;
        while target.exists() {
            target = self.with_suffix(&format!("{by_time}.{number}"));
            number += 1;
        }
        target
    }

    fn with_suffix(&self, suffix: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    }

    /// Removes and compresses old files, beside the daemon's work.
    fn tidy(&self) {
        let (path, conf) = (self.path.clone(), self.conf.clone());
        let tidy = move || {
            // Nobody is waiting: what cannot be tidied now is tried again at the next rotation.
            let _ = tidy_old(&path, &conf, SystemTime::now());
        };
        let _ = std::thread::Builder::new().name("log-tidy".to_owned()).spawn(tidy);
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = File::options().create(true).append(true).open(path)?;
    let len = file.metadata()?.len();
    Ok((file, len))
}

/// The day that a line written at `time` belongs to.
fn log_day(time: DateTime<Local>, conf: &LogConf) -> NaiveDate {
    let at = conf.log_file_rotate_time;
    let turn = NaiveTime::from_hms_opt(at.hour().into(), at.minute().into(), at.second().into());
    let today = time.date_naive();
    if time.time() < turn.unwrap_or_default() {
        today.checked_sub_signed(TimeDelta::days(1)).unwrap_or(today)
    } else {
        today
    }
}

fn with_gz(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

/// Removes rotated files past `log_file_keep_days` and compresses those past `log_file_compress_days_before`.
fn tidy_old(path: &Path, conf: &LogConf, now: SystemTime) -> io::Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
    else {
        return Ok(());
    };
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let file_name = entry.file_name();
        let suffix = file_name.to_str().and_then(|text| text.strip_prefix(name)?.strip_prefix('.'));
        let Some(suffix) = suffix.filter(|text| text.starts_with(|first: char| first.is_ascii_digit()))
        else {
            continue;
        };
        let age = now.duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        let older_than = |days: u32| age > DAY * days;
        if conf.log_file_keep_days > 0 && older_than(conf.log_file_keep_days) {
            fs::remove_file(entry.path())?;
        } else if conf.log_file_compress_old
            && !suffix.ends_with(".gz")
            && older_than(conf.log_file_compress_days_before)
        {
            // As the reference does: a system without gzip keeps its logs as they are.
            std::process::Command::new("gzip").arg(entry.path()).status()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;
    use protocol::config::{LocalFacts, TrackerConf};

    fn conf(lines: &str) -> LogConf {
        let text = format!("base_path = /tmp\n[error-log]\n{lines}");
        let parsed = TrackerConf::parse(&text, Path::new("t"), &LocalFacts::none());
        parsed.unwrap().0.daemon.error_log
    }

    fn names(directory: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn days_turn_at_the_rotation_time() {
        let conf = conf("log_file_rotate_time = 02:30");
        let day = |hour, minute| {
            let time = Local.with_ymd_and_hms(2026, 11, 25, hour, minute, 0).single().unwrap();
            log_day(time, &conf).to_string()
        };
        assert_eq!(day(2, 29), "2026-11-24");
        assert_eq!(day(2, 30), "2026-11-25");
    }

    #[test]
    fn rotation_keeps_every_line_and_never_overwrites() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/x.log");
        let log = LogFile::open(path.clone(), conf("")).unwrap();
        for line in ["one\n", "two\n", "three\n"] {
            log.append(line.as_bytes());
            log.rotate();
        }
        log.append(b"four\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
        let logs = directory.path().join("logs");
        let all: Vec<String> =
            names(&logs).iter().map(|name| fs::read_to_string(logs.join(name)).unwrap()).collect();
        assert_eq!(all.len(), 4, "{:?}", names(&logs));
        assert!(["one\n", "two\n", "three\n"].iter().all(|line| all.contains(&(*line).to_owned())));
        log.rotate();
        log.rotate();
        assert_eq!(names(&logs).len(), 5, "an empty log is not rotated");
    }

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew_and_one_that_was_not_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        let log = LogFile::open(path.clone(), conf("")).unwrap();
        log.append(b"one\n");
        log.reopen();
        log.append(b"two\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        fs::rename(&path, directory.path().join("old")).unwrap();
        log.reopen();
        log.append(b"three\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
        assert_eq!(names(directory.path()), ["old", "x.log"]);
    }

    #[test]
    fn a_full_file_is_rotated_before_the_line_that_does_not_fit() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.log");
        let log = LogFile::open(path.clone(), conf("log_file_rotate_on_size = 10")).unwrap();
        log.append(b"12345678\n");
        log.append(b"abc\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "abc\n");
        assert_eq!(names(directory.path()).len(), 2);
    }

    #[test]
    fn old_files_go_and_strangers_stay() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["x.log", "x.log.20200101", "x.log.old", "y.log.20200101"] {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        let later = SystemTime::now() + DAY * 16;
        tidy_old(&directory.path().join("x.log"), &conf(""), later).unwrap();
        assert_eq!(names(directory.path()), ["x.log", "x.log.old", "y.log.20200101"]);
        tidy_old(&directory.path().join("y.log"), &conf("log_file_keep_days = 0"), later).unwrap();
        assert_eq!(names(directory.path()).len(), 3);
    }
}
