//! Signed file URLs: `?expires=UNIX&k=KEY&signature=SIGNATURE`.
//!
//! The signature is the HMAC-SHA256 of the file's ID, a line end and `expires`, and if the URL has a `filename` of another
//! line end and its decoded value; in base64 with `-` and `_`, without padding. A URL without the group is signed like the
//! one with it. Several keys may be good at a time, so that a site can change them: `k` names one, and without it all are
//! tried.

use std::io;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use http::StatusCode;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use protocol::FileId;
use protocol::file_id::base64;
use sha2::Sha256;

use crate::problem::Problem;
use crate::query::QueryString;

/// Most keys of a site.
const MAX_KEYS: usize = 16;
/// Shortest secret: less could be guessed by trying.
const MIN_SECRET: usize = 16;
/// Longest key file.
const MAX_FILE: u64 = 64 * 1024;
/// Characters of a signature.
const SIGNATURE: usize = 43;
/// What stays as it is in a query.
const QUERY: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The keys of a site, the first of which signs.
#[derive(Clone)]
pub struct UrlKeys(Vec<UrlKey>);

#[derive(Clone)]
struct UrlKey {
    id: String,
    /// Keyed, without a message.
    hmac: Hmac<Sha256>,
}

impl std::fmt::Debug for UrlKeys {
    /// Secrets are not for logs.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|key| &key.id)).finish()
    }
}

impl UrlKeys {
    /// Reads a key file. Blocking.
    pub fn read(path: &Path) -> io::Result<Self> {
        if std::fs::metadata(path)?.len() > MAX_FILE {
            return Err(io::Error::other("the file is longer than 64 KiB; it has a line for each key"));
        }
        Self::parse(&std::fs::read_to_string(path)?).map_err(io::Error::other)
    }

    /// Reads lines of a key's name, blanks, and its secret; `#` begins a comment at the start of a line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut keys: Vec<UrlKey> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((id, secret)) = line.split_once([' ', '\t']) else {
                return Err(format!("line {number} is not a name and a secret with a blank between"));
            };
            let secret = secret.trim();
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if id.len() > 32 || !id.bytes().all(is_name) {
                return Err(format!(
                    "line {number}: a name has at most 32 letters, digits, '-', '_' and '.'"
                ));
            }
            if secret.len() < MIN_SECRET {
                return Err(format!("line {number}: a secret has at least {MIN_SECRET} characters"));
            }
            if keys.iter().any(|key| key.id == id) {
                return Err(format!("line {number}: there is a key of that name already"));
            }
            let hmac = Hmac::new_from_slice(secret.as_bytes()).map_err(|error| error.to_string())?;
            keys.push(UrlKey { id: id.to_owned(), hmac });
        }
        match keys.len() {
            0 => Err("there is no key in it; write a name and a secret, such as 2026 SECRET".to_owned()),
            1..=MAX_KEYS => Ok(Self(keys)),
            _ => Err(format!("more than {MAX_KEYS} keys")),
        }
    }

    /// The query that opens a file until `expires`, in unix seconds. By the named key, or else the first one; `None` if no
    /// key has that name.
    pub fn sign(
        &self,
        id: &FileId,
        expires: u64,
        filename: Option<&str>,
        key: Option<&str>,
    ) -> Option<String> {
        let key = match key {
            None => self.0.first(),
            Some(name) => self.0.iter().find(|key| key.id == name),
        }?;
        let expires = expires.to_string();
        let mac = message(key, id, &expires, filename).finalize().into_bytes();
        let mut signature = [0; SIGNATURE];
        base64::encode(&mac, &mut signature);
        let signature = String::from_utf8_lossy(&signature);
        let mut query = format!("expires={expires}&k={}&signature={signature}", key.id);
        if let Some(filename) = filename {
            query.push_str("&filename=");
            query.extend(utf8_percent_encode(filename, &QUERY));
        }
        Some(query)
    }

    /// Checks a request for a file. `now` is in unix seconds.
    pub(crate) fn check(&self, id: &FileId, query: QueryString<'_>, now: i64) -> Result<(), Problem> {
        let refused = |detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, "signature_refused", detail));
        let (Some(signature), Some(expires)) = (query.get("signature"), query.get("expires")) else {
            let detail =
                "this site's file URLs need the parameters expires and signature; ask for a fresh link";
            return Err(Problem::new(StatusCode::FORBIDDEN, "signature_missing", detail));
        };
        let is_number = !expires.is_empty() && expires.bytes().all(|byte| byte.is_ascii_digit());
        let Some(time) = expires.parse::<i64>().ok().filter(|_| is_number) else {
            return refused("the parameter expires is no time; ask for a fresh link");
        };
        let mut mac = [0; 32];
        let is_signed = base64::decode(signature.as_bytes(), &mut mac).is_some() && {
            let (name, filename) = (query.get("k"), query.get("filename"));
            // A name that cannot be read is not no name.
            let is_unreadable = |key, value: &Option<_>| value.is_none() && query.has(key);
            let mut keys = self.0.iter().filter(|key| name.as_deref().is_none_or(|name| name == key.id));
            !is_unreadable("k", &name)
                && !is_unreadable("filename", &filename)
                && keys.any(|key| message(key, id, &expires, filename.as_deref()).verify_slice(&mac).is_ok())
        };
        if !is_signed {
            return refused("the signature does not fit this file, time and filename; ask for a fresh link");
        }
        if now >= time {
            return refused("this link has expired; ask for a fresh one");
        }
        Ok(())
    }
}

/// What is signed.
fn message(key: &UrlKey, id: &FileId, expires: &str, filename: Option<&str>) -> Hmac<Sha256> {
    let mut hmac = key.hmac.clone();
    hmac.update(id.group.as_str().as_bytes());
    hmac.update(b"/");
    hmac.update(id.name.as_str().as_bytes());
    hmac.update(b"\n");
    hmac.update(expires.as_bytes());
    if let Some(filename) = filename {
        hmac.update(b"\n");
        hmac.update(filename.as_bytes());
    }
    hmac
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "group1/M00/00/00/wKjugmTdbm6AO3ssAAAAFAK2GLE468.txt";
    const KEYS: &str = "# name secret\n2026 correct horse battery staple\n\nold 0123456789abcdef\n";

    fn id() -> FileId {
        FileId::parse(ID).unwrap()
    }

    fn check(query: &str, now: i64) -> bool {
        let uri: http::Uri = format!("/x?{query}").parse().unwrap();
        UrlKeys::parse(KEYS).unwrap().check(&id(), QueryString::of(&uri), now).is_ok()
    }

    /// printf '%s\n%s' "$ID" 1700000000 | openssl dgst -sha256 -hmac 'correct horse battery staple' -binary |
    ///     basenc --base64url | tr -d =
    #[test]
    fn signatures_are_those_of_openssl() {
        let keys = UrlKeys::parse(KEYS).unwrap();
        let query = keys.sign(&id(), 1_700_000_000, None, None).unwrap();
        assert_eq!(query, "expires=1700000000&k=2026&signature=BRWazoEaV2MB0HVN7RdeZ2hjXmFxOWf2l4e7U5mhEMU");
        let query = keys.sign(&id(), 1_700_000_000, Some("a b.txt"), Some("old")).unwrap();
        assert_eq!(
            query,
            "expires=1700000000&k=old&signature=LHbsRya51Np54slh6-av2adNJFggaCJnGx0e3ozfAto&filename=a%20b.txt"
        );
        assert_eq!(keys.sign(&id(), 1, None, Some("new")), None);
    }

    #[test]
    fn what_was_signed_opens_and_nothing_else() {
        let keys = UrlKeys::parse(KEYS).unwrap();
        let (expires, now) = (1_700_000_000, 1_699_999_999);
        let plain = keys.sign(&id(), expires, None, None).unwrap();
        let named = keys.sign(&id(), expires, Some("ä&b"), Some("old")).unwrap();
        assert!(check(&plain, now) && check(&named, now));
        assert!(!check(&plain, 1_700_000_000) && check(&plain, 0));
        assert!(check(&plain.replace("k=2026&", ""), now), "all keys are tried");
        assert!(check(&format!("{plain}&start=5&width=3"), now), "others are not signed");
        for bad in [
            plain.replace("2026", "old"),
            plain.replace("2026", "none"),
            plain.replace("2026", "%FF"),
            plain.replace("1700000000", "1700000001"),
            plain.replace("1700000000", "%2B1700000000"),
            plain.replace("1700000000", "01700000000"),
            format!("{plain}&filename=x"),
            format!("{plain}&filename="),
            format!("{plain}&filename=%FF"),
            format!("{plain}="),
            format!("{plain}AA"),
            plain[..plain.len() - 1].to_owned(),
            plain.replace("signature=", "signature=A&signature="),
            named.replace("%26", ""),
            named.replace("&filename=%C3%A4%26b", ""),
            String::new(),
            "expires=1700000000".to_owned(),
            "expires=1700000000&signature=".to_owned(),
            "expires=&signature=".to_owned(),
        ] {
            assert!(!check(&bad, now), "{bad}");
        }
        let other = FileId::parse(&ID.replace("group1", "group2")).unwrap();
        let uri: http::Uri = format!("/x?{plain}").parse().unwrap();
        assert!(keys.check(&other, QueryString::of(&uri), now).is_err());
    }

    #[test]
    fn key_files_are_checked() {
        for (text, why) in [
            ("", "no key"),
            ("# only\n", "no key"),
            ("lonely", "line 1 is not a name"),
            ("a short", "line 1: a secret has"),
            ("ok 0123456789abcdef\nok 0123456789abcdef", "line 2: there is a key"),
            ("a/b 0123456789abcdef", "line 1: a name has"),
        ] {
            let error = UrlKeys::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let many: String = (0..17).map(|number| format!("k{number} 0123456789abcdef\n")).collect();
        assert!(UrlKeys::parse(&many).is_err());
        assert_eq!(format!("{:?}", UrlKeys::parse(KEYS).unwrap()), "[\"2026\", \"old\"]");
    }

    proptest! {
        #[test]
        fn any_query_is_only_refused(query in "[a-z0-9=&%+_-]{0,60}", tail in ".{0,20}") {
            let query = format!("signature={query}&expires=17&k={}", utf8_percent_encode(&tail, &QUERY));
            prop_assert!(!check(&query, 0));
        }

        #[test]
        fn any_filename_can_be_signed(filename in "\\PC{0,40}", expires in 1..4_000_000_000_u64) {
            let query = UrlKeys::parse(KEYS).unwrap().sign(&id(), expires, Some(&filename), None).unwrap();
            prop_assert!(check(&query, 0));
        }
    }
}
