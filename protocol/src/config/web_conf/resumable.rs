//! Uploads that are continued: how long, how large, by which protocols.

use std::time::Duration;

use super::super::reader::KeyReader;

/// The longest upload of all, bytes: structured fields hold integers of 15 digits (RFC 9651, 3.3.1).
const LONGEST: u64 = 999_999_999_999_999;
const DAY: u32 = 24 * 3600;

/// Settings of uploads that are continued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumableConf {
    /// `http.upload_expiration`: how long an upload is remembered after its last progress.
    pub expiration: Duration,
    /// `http.upload_max_size`: longest upload, bytes; 0 is no limit.
    pub max_size: u64,
    /// `http.resumable_draft`: whether the IETF draft is spoken besides tus.
    pub draft: bool,
}

impl Default for ResumableConf {
    fn default() -> Self {
        Self { expiration: Duration::from_secs(DAY.into()), max_size: 0, draft: false }
    }
}

impl ResumableConf {
    pub(in super::super) fn read(keys: &mut KeyReader<'_>) -> Self {
        Self {
            expiration: keys.seconds("http.upload_expiration", DAY),
            max_size: keys.bytes("http.upload_max_size", 0),
            draft: keys.flag("http.resumable_draft", false),
        }
    }

    /// Bytes of the longest upload.
    pub fn longest(&self) -> u64 {
        if self.max_size == 0 { LONGEST } else { self.max_size.min(LONGEST) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::web;
    use super::*;

    #[test]
    fn keys_are_read() {
        assert_eq!(web("").resumable, ResumableConf::default());
        let conf =
            web("http.upload_expiration = 2h\nhttp.upload_max_size = 10g\nhttp.resumable_draft = true")
                .resumable;
        let expected =
            ResumableConf { expiration: Duration::from_secs(7200), max_size: 10 << 30, draft: true };
        assert_eq!(conf, expected);
        assert_eq!(conf.longest(), 10 << 30);
        assert_eq!(ResumableConf::default().longest(), LONGEST);
    }
}
