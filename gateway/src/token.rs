//! Anti-steal tokens in file URLs: `token` is the MD5 of name, secret and `ts` in lower-case hex.
//!
//! The name is the one without its group. Stricter than the nginx module: `ts=0` is no token for ever, a time in the far
//! future is none either, and what is sent instead of the file is a 403 that no cache keeps.

use std::time::Duration;

use http::StatusCode;
use md5::{Digest, Md5};
use protocol::LogicName;

use crate::error_pages::Page;
use crate::problem::Problem;
use crate::query::QueryString;

/// How far a signer's clock may be ahead, seconds.
const MAX_SKEW: i64 = 300;

/// The check, as configured.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    secret: String,
    ttl: i64,
    /// Sent to visitors without a valid token.
    pub(crate) page: Option<Page>,
}

impl Tokens {
    pub(crate) fn new(secret: &str, ttl: Duration, page: Option<Page>) -> Self {
        Self { secret: secret.to_owned(), ttl: i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX), page }
    }

    /// Checks a request for a file. `now` is in unix seconds.
    pub(crate) fn check(&self, name: &LogicName, query: QueryString<'_>, now: i64) -> Result<(), Problem> {
        let (Some(token), Some(ts)) = (query.get("token"), query.get("ts")) else {
            let detail = "this site's file URLs need the parameters token and ts; ask for a fresh link";
            return Err(Problem::new(StatusCode::FORBIDDEN, "token_missing", detail));
        };
        let refused = |detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, "token_refused", detail));
        let Some(time) = ts.parse::<i64>().ok().filter(|time| *time > 0) else {
            return refused("the parameter ts is no time; ask for a fresh link");
        };
        if now - time > self.ttl || time - now > MAX_SKEW {
            return refused("this link has expired; ask for a fresh one");
        }
        if !same(&self.token(name, time), token.as_bytes()) {
            return refused("the token does not fit this file; ask for a fresh link");
        }
        Ok(())
    }

    fn token(&self, name: &LogicName, time: i64) -> [u8; 32] {
        let mut md5 = Md5::new();
        md5.update(name.as_str());
        md5.update(&self.secret);
        md5.update(time.to_string());
        let mut text = [0; 32];
        for (place, byte) in text.chunks_exact_mut(2).zip(md5.finalize()) {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            place[0] = HEX[usize::from(byte >> 4)];
            place[1] = HEX[usize::from(byte & 15)];
        }
        text
    }
}

/// Compares without telling by its time where the difference lies.
fn same(expected: &[u8; 32], given: &[u8]) -> bool {
    given.len() == expected.len() && expected.iter().zip(given).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_those_of_the_sites_signers() {
        let name = LogicName::parse("M00/00/00/wKjugmTdbm6AO3ssAAAAFAK2GLE468.txt").unwrap();
        let tokens = Tokens::new("FastDFS1234567890", Duration::from_secs(600), None);
        // printf '%s' NAME SECRET TS | md5sum
        let token = "88bed7989de882a78d2ce3e2138b9937";
        let check = |query: &str, now: i64| {
            let uri: http::Uri = format!("/x?{query}").parse().unwrap();
            tokens.check(&name, QueryString::of(&uri), now).is_ok()
        };
        let ts = 1_700_000_000;
        assert!(check(&format!("token={token}&ts={ts}"), ts));
        assert!(check(&format!("token={token}&ts={ts}"), ts + 600));
        assert!(!check(&format!("token={token}&ts={ts}"), ts + 601));
        assert!(!check(&format!("token={token}&ts={ts}"), ts - 301));
        assert!(!check(&format!("token={token}&ts={}", ts + 1), ts));
        assert!(!check(&format!("token={}&ts={ts}", token.to_uppercase()), ts));
        for bad in ["", "ts=0", "token=&ts=0", "token=abc&ts=1700000000", "token=abc&ts=x"] {
            assert!(!check(bad, ts), "{bad}");
        }
    }
}
