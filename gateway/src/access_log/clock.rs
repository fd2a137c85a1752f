//! The time as text, formatted once a second and thread.

use std::cell::RefCell;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Local};

/// A second and its texts.
#[derive(Default)]
struct Second {
    unix: Option<u64>,
    local: String,
    iso8601: String,
}

thread_local! {
    static NOW: RefCell<Second> = RefCell::default();
}

/// Which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `25/Nov/2026:12:00:00 +0000`.
    Local,
    /// `2026-11-25T12:00:00+00:00`.
    Iso8601,
    /// `1795608000.123`.
    Unix,
}

/// Appends the time.
pub(crate) fn push(line: &mut Vec<u8>, form: Form, now: SystemTime) {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    if form == Form::Unix {
        // A vector takes everything.
        let _ = write!(line, "{}.{:03}", since.as_secs(), since.subsec_millis());
        return;
    }
    NOW.with_borrow_mut(|second| {
        if second.unix != Some(since.as_secs()) {
            let local: DateTime<Local> = now.into();
            second.unix = Some(since.as_secs());
            second.local = local.format("%d/%b/%Y:%H:%M:%S %z").to_string();
            second.iso8601 = local.format("%Y-%m-%dT%H:%M:%S%:z").to_string();
        }
        let text = if form == Form::Local { &second.local } else { &second.iso8601 };
        line.extend_from_slice(text.as_bytes());
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_have_nginx_s_forms() {
        let text = |form, millis| {
            let mut line = Vec::new();
            push(&mut line, form, UNIX_EPOCH + Duration::from_millis(millis));
            String::from_utf8(line).unwrap()
        };
        assert_eq!(text(Form::Unix, 1_795_608_000_007), "1795608000.007");
        for millis in [1_795_608_000_000, 1_795_608_001_000] {
            let (local, iso) = (text(Form::Local, millis), text(Form::Iso8601, millis));
            let read = DateTime::parse_from_str(&local, "%d/%b/%Y:%H:%M:%S %z").unwrap();
            assert_eq!(read.timestamp_millis().unsigned_abs(), millis);
            assert_eq!(DateTime::parse_from_rfc3339(&iso).unwrap(), read);
        }
    }
}
