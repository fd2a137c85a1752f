//! Log settings: the global section gives defaults for `[error-log]` and `[access-log]`.

use std::fmt;
use std::time::Duration;

use super::reader::KeyReader;
use super::value::TimeOfDay;

/// Largest size at which a log is rotated.
const MAX_ROTATE_SIZE: u64 = 64 << 30;

/// Least level that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Normal work.
    #[default]
    Info,
    /// Notable.
    Notice,
    /// Wrong but handled.
    Warning,
    /// Failures.
    Error,
    /// `crit`, `alert` and `emerg`: what stops the process.
    Critical,
}

impl LogLevel {
    /// Reads a level by the beginning of its name, in any case, with or without `LOG_`.
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.to_ascii_lowercase();
        let word = word.strip_prefix("log_").unwrap_or(&word);
        let levels = [
            ("debug", Self::Debug),
            ("info", Self::Info),
            ("notice", Self::Notice),
            ("warn", Self::Warning),
            ("err", Self::Error),
            ("crit", Self::Critical),
            ("alert", Self::Critical),
            ("emerg", Self::Critical),
        ];
        levels.into_iter().find(|(name, _)| word.starts_with(name)).map(|(_, level)| level)
    }

    pub(super) fn read(keys: &mut KeyReader<'_>) -> Self {
        let Some(text) = keys.text("log_level") else { return Self::default() };
        Self::parse(text).unwrap_or_else(|| {
            let why = format!(
                "'{text}' is no level; read as info; write debug, info, notice, warn, error, crit, alert or emerg"
            );
            keys.warn("log_level", why);
            Self::default()
        })
    }
}

/// How one log file is flushed, rotated and removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConf {
    /// Interval of flushing.
    pub sync_log_buff_interval: Duration,
    /// Rotate once a day, at `log_file_rotate_time`.
    pub log_file_rotate_everyday: bool,
    /// Time of the daily rotation.
    pub log_file_rotate_time: TimeOfDay,
    /// Rotate when the file has this many bytes; 0 is off.
    pub log_file_rotate_on_size: u64,
    /// Compress rotated files.
    pub log_file_compress_old: bool,
    /// Age in days from which they are compressed.
    pub log_file_compress_days_before: u32,
    /// Remove rotated files older than this many days; 0 keeps them.
    pub log_file_keep_days: u32,
    /// Time of removal.
    pub log_file_delete_old_time: TimeOfDay,
}

impl LogConf {
    /// Settings of `[error-log]`.
    pub(super) fn read_error_log(keys: &mut KeyReader<'_>) -> Self {
        Self::read(&mut keys.section("error-log"))
    }

    fn read(keys: &mut KeyReader<'_>) -> Self {
        Self {
            sync_log_buff_interval: keys.seconds("sync_log_buff_interval", 1),
            log_file_rotate_everyday: keys.flag("log_file_rotate_everyday", true),
            log_file_rotate_time: keys.time("log_file_rotate_time", TimeOfDay::at(0, 0)),
            log_file_rotate_on_size: keys.bytes_within("log_file_rotate_on_size", 0, 0, MAX_ROTATE_SIZE),
            log_file_compress_old: keys.flag("log_file_compress_old", false),
            log_file_compress_days_before: keys.count("log_file_compress_days_before", 1),
            log_file_keep_days: keys.count("log_file_keep_days", 15),
            log_file_delete_old_time: keys.time("log_file_delete_old_time", TimeOfDay::at(1, 30)),
        }
    }
}

/// Unit of the times in an access log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimePrecision {
    /// `time_used_ms`
    #[default]
    Milliseconds,
    /// `time_used_us`
    Microseconds,
}

impl fmt::Display for TimePrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Milliseconds => "ms",
            Self::Microseconds => "us",
        })
    }
}

/// Settings of `[access-log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogConf {
    /// Whether there is one. Has no global default.
    pub enabled: bool,
    /// Unit of the times in it. Has no global default.
    pub time_precision: TimePrecision,
    /// The file.
    pub file: LogConf,
}

impl AccessLogConf {
    pub(super) fn read(keys: &mut KeyReader<'_>) -> Self {
        let mut section = keys.section("access-log");
        let (enabled, time_precision) = section.own(|own| {
            let precision = match own.text("time_precision") {
                None | Some("ms" | "millisecond") => TimePrecision::Milliseconds,
                Some("us" | "microsecond") => TimePrecision::Microseconds,
                Some(text) => {
                    own.warn("time_precision", format_args!("'{text}' is neither ms nor us; read as ms"));
                    TimePrecision::Milliseconds
                }
            };
            let enabled = own.flag("enabled", false);
            if enabled {
                own.warn("enabled", "this version writes no access log of the native service yet");
            }
            (enabled, precision)
        });
        Self { enabled, time_precision, file: LogConf::read(&mut section) }
    }
}
