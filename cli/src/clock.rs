//! Local times as FastDFS prints them.

use chrono::{DateTime, Local};

/// `YYYY-MM-DD HH:MM:SS` in the local time zone; the epoch for 0 and for times that no calendar has.
pub(crate) fn local_time(unix_seconds: i64) -> String {
    let utc = DateTime::from_timestamp(unix_seconds, 0).unwrap_or_default();
    utc.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()
}
