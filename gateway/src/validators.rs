//! What identifies a version of a file: a strong entity tag, and the time of its last change.
//!
//! The ID of a file that never changes says all: source, time, size, CRC32. Of appenders, slaves and links it describes
//! something else, so there size and time of the content make the tag.

use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use protocol::FileId;
use protocol::file_id::CODE_LEN;

use crate::compression::Coding;

/// Validators of one representation.
#[derive(Debug, Clone)]
pub(crate) struct Validators {
    /// With its quotes.
    pub(crate) etag: String,
    /// Cut to seconds, as HTTP dates are.
    pub(crate) modified: SystemTime,
    pub(crate) mutable: bool,
}

impl Validators {
    pub(crate) fn of(id: &FileId, len: u64, modified: SystemTime, mutable: bool) -> Self {
        let code = id.name.base_name().get(..CODE_LEN);
        let size = id.name.code().ok().and_then(|code| code.size.size());
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        // A name whose size is not the file's describes another file.
        let (etag, mutable) = match code {
            Some(code) if !mutable && size == Some(len) => (format!("\"{code}\""), false),
            _ => (format!("\"{len:x}-{:x}\"", since.as_nanos()), true),
        };
        Self { etag, modified: UNIX_EPOCH + std::time::Duration::from_secs(since.as_secs()), mutable }
    }

    /// A representation in a coding is another one, and has another tag (RFC 9110, 8.8.3.3).
    pub(crate) fn set_coding(&mut self, coding: Coding) {
        self.etag.truncate(self.etag.len() - 1);
        self.etag.push('-');
        self.etag.push_str(coding.name());
        self.etag.push('"');
    }

    pub(crate) fn etag_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.etag).ok()
    }

    /// Never later than now: the member that gave the file its time may have had another clock (RFC 9110, 8.8.2.1).
    pub(crate) fn last_modified(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(httpdate::fmt_http_date(self.modified.min(SystemTime::now()))).ok()
    }
}
