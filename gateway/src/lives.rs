//! Files that expire: until when they are answered, and how long caches may keep them.

use std::time::{SystemTime, UNIX_EPOCH};

use http::HeaderValue;
use protocol::metadata::{EXPIRES, Metadata};

/// How long a file lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lives {
    /// Until somebody deletes it.
    On,
    /// So many seconds more.
    For(u64),
    /// Not any more; it may not be deleted yet.
    No,
}

impl Lives {
    /// What metadata says. An expiry that is no number is none.
    pub(crate) fn of(metadata: &Metadata, now: SystemTime) -> Self {
        let expires = metadata.get(EXPIRES).and_then(|text| text.parse::<u64>().ok());
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        match expires {
            None => Self::On,
            Some(expires) if expires <= now => Self::No,
            Some(expires) => Self::For(expires - now),
        }
    }

    /// No cache keeps a file for longer than it lives.
    pub(crate) fn cache_control(self, usual: &Option<HeaderValue>) -> Option<HeaderValue> {
        match self {
            Self::For(seconds) if usual.is_some() => {
                HeaderValue::try_from(format!("max-age={seconds}, must-revalidate")).ok()
            }
            _ => usual.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_lives_until_the_second_that_it_expires_in() {
        let usual = Some(HeaderValue::from_static("immutable"));
        for (text, lives, header) in [
            ("", Lives::On, "immutable"),
            ("soon", Lives::On, "immutable"),
            ("-5", Lives::On, "immutable"),
            ("1000", Lives::No, "immutable"),
            ("1001", Lives::For(1), "max-age=1, must-revalidate"),
            ("99999999999999999999", Lives::On, "immutable"),
        ] {
            let mut metadata = Metadata::default();
            metadata.insert(EXPIRES, text).unwrap();
            let found = Lives::of(&metadata, UNIX_EPOCH + Duration::from_secs(1000));
            assert_eq!(found, lives, "{text}");
            assert_eq!(found.cache_control(&usual).unwrap(), header);
            assert_eq!(found.cache_control(&None), None);
        }
    }
}
