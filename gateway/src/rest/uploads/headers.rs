//! The headers of tus 1.0.0 and of the IETF draft, read strictly: what is not exactly one value of its form is refused.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use crate::partials::PartialId;
use crate::problem::Problem;
use crate::rest::upload::bad;

pub(super) const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
pub(super) const VERSION: HeaderName = HeaderName::from_static("tus-version");
pub(super) const EXTENSION: HeaderName = HeaderName::from_static("tus-extension");
pub(super) const MAX_SIZE: HeaderName = HeaderName::from_static("tus-max-size");
pub(super) const CHECKSUM_ALGORITHM: HeaderName = HeaderName::from_static("tus-checksum-algorithm");
pub(super) const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
pub(super) const LENGTH: HeaderName = HeaderName::from_static("upload-length");
pub(super) const DEFER_LENGTH: HeaderName = HeaderName::from_static("upload-defer-length");
pub(super) const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
pub(super) const CONCAT: HeaderName = HeaderName::from_static("upload-concat");
pub(super) const CHECKSUM: HeaderName = HeaderName::from_static("upload-checksum");
pub(super) const EXPIRES: HeaderName = HeaderName::from_static("upload-expires");
pub(super) const COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
pub(super) const LIMIT: HeaderName = HeaderName::from_static("upload-limit");
pub(super) const FILE_ID: HeaderName = HeaderName::from_static("fdfs-file-id");
pub(super) const METHOD_OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");

pub(super) const INTEROP: HeaderName = HeaderName::from_static("upload-draft-interop-version");
/// Type of content of an upload, in tus.
pub(super) const TUS_MEDIA_TYPE: &str = "application/offset+octet-stream";
/// The same in the draft.
pub(super) const DRAFT_MEDIA_TYPE: &str = "application/partial-upload";

/// Digits of the longest number: that of an integer of a structured field (RFC 9651, 3.3.1).
const MAX_DIGITS: usize = 15;

/// The version that is spoken.
pub(super) const TUS: HeaderValue = HeaderValue::from_static("1.0.0");

/// The value of a header that may be there once, as visible ASCII.
pub(super) fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    match (value.to_str(), values.next()) {
        (Ok(text), None) => Ok(Some(text)),
        _ => Err(bad("bad_header", &format!("{name} has one value of visible ASCII"))),
    }
}

/// A number of bytes.
pub(super) fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>, Problem> {
    let Some(text) = one(headers, name)? else { return Ok(None) };
    let is_number = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    let detail = format!("{name} is a number of bytes, with up to {MAX_DIGITS} digits");
    number.map(Some).ok_or_else(|| bad("bad_number", &detail))
}

/// What `Upload-Length` and `Upload-Defer-Length` of a creation say.
pub(super) fn length_of_creation(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let deferred = one(headers, &DEFER_LENGTH)?;
    match (number(headers, &LENGTH)?, deferred) {
        (Some(length), None) => Ok(Some(length)),
        (None, Some("1")) => Ok(None),
        (Some(_), Some("1")) => {
            Err(bad("two_lengths", "Upload-Length and Upload-Defer-Length exclude each other"))
        }
        (_, Some(_)) => Err(bad("bad_defer_length", "Upload-Defer-Length is 1 or missing")),
        (None, None) => Err(bad(
            "no_length",
            "send Upload-Length with the bytes of the whole upload, or Upload-Defer-Length: 1",
        )),
    }
}

/// `Upload-Concat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Concat {
    /// The upload is a part of another.
    Part,
    /// It is joined from these.
    Final(Vec<PartialId>),
}

impl Concat {
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(text) = one(headers, &CONCAT)? else { return Ok(None) };
        if text == "partial" {
            return Ok(Some(Self::Part));
        }
        let urls = text.strip_prefix("final;").map(|urls| urls.split_ascii_whitespace());
        let ids: Option<Vec<PartialId>> = urls.and_then(|urls| urls.map(id_of_url).collect());
        let detail = "Upload-Concat is 'partial', or 'final;' with the URLs of uploads of this server";
        match ids {
            Some(ids) if !ids.is_empty() => Ok(Some(Self::Final(ids))),
            _ => Err(bad("bad_concat", detail)),
        }
    }
}

/// The upload of a URL, which may be relative.
fn id_of_url(url: &str) -> Option<PartialId> {
    let (_, id) = url.split_once("/v1/uploads/")?;
    PartialId::parse(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn numbers_are_digits() {
        for (text, expected) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("999999999999999", Some(999_999_999_999_999)),
            ("1000000000000000", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            ("0x10", None),
            ("1,2", None),
            ("\u{661}", None),
        ] {
            let read = number(&with(&OFFSET, &[text]), &OFFSET);
            assert_eq!(read.ok().flatten(), expected, "{text}");
        }
        assert!(number(&with(&OFFSET, &["1", "1"]), &OFFSET).is_err(), "said twice");
        assert_eq!(number(&HeaderMap::new(), &OFFSET).unwrap(), None);
    }

    #[test]
    fn lists_of_parts() {
        let (a, b) = ("00ff0123456789abcdef0123456789ab", "01ff0123456789abcdef0123456789ab");
        let ids = |ids: &[&str]| ids.iter().map(|id| PartialId::parse(id).unwrap()).collect();
        for (text, expected) in [
            ("partial".to_owned(), Some(Concat::Part)),
            (format!("final;/v1/uploads/{a}"), Some(Concat::Final(ids(&[a])))),
            (
                format!("final;/v1/uploads/{a} https://h.example:1/x/v1/uploads/{b}  /v1/uploads/{a}"),
                Some(Concat::Final(ids(&[a, b, a]))),
            ),
            (format!("final; /v1/uploads/{a}"), Some(Concat::Final(ids(&[a])))),
            ("final".to_owned(), None),
            ("final;".to_owned(), None),
            ("Partial".to_owned(), None),
            (String::new(), None),
            (format!("final;/v1/uploads/{a},/v1/uploads/{b}"), None),
            (format!("final;/v1/files/{a}"), None),
            (format!("final;{a}"), None),
            (format!("final;/v1/uploads/{a}?x"), None),
            (format!("final;/v1/uploads/../{a}"), None),
            ("final;/v1/uploads/".to_owned(), None),
        ] {
            let read = Concat::of(&with(&CONCAT, &[&text]));
            assert_eq!(read.ok().flatten(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(bytes in prop::collection::vec(any::<u8>(), 0..80), kind in 0..3usize) {
            let start = ["", "final;", "sha1 "][kind].as_bytes();
            if let Ok(value) = HeaderValue::from_bytes(&[start, &bytes].concat()) {
                let mut headers = HeaderMap::new();
                for name in [OFFSET, CONCAT, CHECKSUM, METADATA, DEFER_LENGTH, LENGTH] {
                    headers.insert(name, value.clone());
                }
                let _ = number(&headers, &OFFSET);
                let _ = length_of_creation(&headers);
                if let Ok(Some(Concat::Final(ids))) = Concat::of(&headers) {
                    prop_assert!(!ids.is_empty());
                }
                let _ = super::super::checksum::Checksum::of(&headers);
                let _ = super::super::metadata::Told::of(&headers);
            }
        }
    }
}
