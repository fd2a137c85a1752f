//! `Upload-Checksum`: that of the body of one request.

use http::HeaderMap;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::headers::{CHECKSUM, one};
use crate::base64;
use crate::problem::Problem;
use crate::rest::upload::bad;

/// The algorithms, for `Tus-Checksum-Algorithm`.
pub(super) const ALGORITHMS: &str = "sha1,md5,sha256";

/// A checksum on its way, and what it has to be.
pub(super) struct Checksum {
    sum: Sum,
    expected: Vec<u8>,
}

enum Sum {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Checksum {
    /// What a request announces.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(text) = one(headers, &CHECKSUM)? else { return Ok(None) };
        let (algorithm, value) = text.split_once(' ').unwrap_or((text, ""));
        let (sum, len) = match algorithm {
            "md5" => (Sum::Md5(Md5::new()), 16),
            "sha1" => (Sum::Sha1(Sha1::new()), 20),
            "sha256" => (Sum::Sha256(Sha256::new()), 32),
            _ => {
                let detail = format!("Upload-Checksum may be made by {ALGORITHMS}");
                return Err(bad("unknown_checksum", &detail));
            }
        };
        let expected = base64::decode(value).filter(|bytes| bytes.len() == len);
        let detail = "Upload-Checksum is an algorithm, a blank and the checksum in base64";
        expected.map(|expected| Some(Self { sum, expected })).ok_or_else(|| bad("bad_checksum", detail))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match &mut self.sum {
            Sum::Md5(sum) => sum.update(bytes),
            Sum::Sha1(sum) => sum.update(bytes),
            Sum::Sha256(sum) => sum.update(bytes),
        }
    }

    /// Whether it is what was announced.
    pub(super) fn meets(self) -> bool {
        match self.sum {
            Sum::Md5(sum) => sum.finalize()[..] == self.expected,
            Sum::Sha1(sum) => sum.finalize()[..] == self.expected,
            Sum::Sha256(sum) => sum.finalize()[..] == self.expected,
        }
    }
}
