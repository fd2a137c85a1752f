//! Anti-steal tokens in file URLs: `token` is the MD5 of name, secret and `ts` in lower-case hex.
//!
//! The name is the one without its group. Stricter than the nginx module: `ts=0` is no token for ever unless a site allows
//! it, a time in the far future is none either, an empty bypass header opens nothing, and nothing is compared by steps
//! whose time tells where the difference lies.

use http::{HeaderMap, HeaderName, StatusCode};
use md5::{Digest, Md5};
use protocol::LogicName;
use protocol::config::web_conf::TokenConf;

use crate::problem::Problem;
use crate::query::QueryString;

/// The check, as configured.
#[derive(Clone)]
pub(crate) struct Tokens {
    secret: String,
    ttl: i64,
    max_skew: i64,
    allow_eternal: bool,
    bypass: Option<(HeaderName, String)>,
}

impl std::fmt::Debug for Tokens {
    /// Secrets are not for logs.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tokens").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl Tokens {
    pub(crate) fn new(conf: &TokenConf) -> Self {
        let seconds = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let bypass = conf.bypass.as_ref().filter(|(_, value)| !value.is_empty());
        Self {
            secret: conf.secret_key.clone(),
            ttl: seconds(conf.token_ttl),
            max_skew: seconds(conf.max_skew),
            allow_eternal: conf.allow_eternal,
            bypass: bypass.and_then(|(name, value)| Some((name.parse().ok()?, value.clone()))),
        }
    }

    /// Checks a request for a file. `now` is in unix seconds.
    pub(crate) fn check(
        &self,
        name: &LogicName,
        query: QueryString<'_>,
        headers: &HeaderMap,
        now: i64,
    ) -> Result<(), Problem> {
        if let Some((header, value)) = &self.bypass
            && headers.get(header).is_some_and(|given| same(value.as_bytes(), given.as_bytes()))
        {
            return Ok(());
        }
        let (Some(token), Some(ts)) = (query.get("token"), query.get("ts")) else {
            let detail = "this site's file URLs need the parameters token and ts; ask for a fresh link";
            return Err(Problem::new(StatusCode::FORBIDDEN, "token_missing", detail));
        };
        let refused = |detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, "token_refused", detail));
        let lowest = if self.allow_eternal { 0 } else { 1 };
        let Some(time) = ts.parse::<i64>().ok().filter(|time| *time >= lowest) else {
            return refused("the parameter ts is no time; ask for a fresh link");
        };
        let (age, lead) = (now.saturating_sub(time), time.saturating_sub(now));
        if time != 0 && (age > self.ttl || lead > self.max_skew) {
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
fn same(expected: &[u8], given: &[u8]) -> bool {
    expected.len() == given.len()
        && expected.iter().zip(given).fold(0, |all, (a, b)| std::hint::black_box(all | (a ^ b))) == 0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NAME: &str = "M00/00/00/wKjugmTdbm6AO3ssAAAAFAK2GLE468.txt";
    /// printf '%s' NAME SECRET TS | md5sum
    const TOKEN: &str = "88bed7989de882a78d2ce3e2138b9937";
    const TS: i64 = 1_700_000_000;

    fn conf() -> TokenConf {
        TokenConf {
            secret_key: "FastDFS1234567890".to_owned(),
            token_ttl: Duration::from_secs(600),
            max_skew: Duration::from_secs(300),
            allow_eternal: false,
            bypass: Some(("X-Pass".to_owned(), "open sesame".to_owned())),
        }
    }

    fn check(conf: &TokenConf, query: &str, pass: Option<&str>, now: i64) -> bool {
        let uri: http::Uri = format!("/x?{query}").parse().unwrap();
        let headers = pass.map(|value| (HeaderName::from_static("x-pass"), value.parse().unwrap()));
        let name = LogicName::parse(NAME).unwrap();
        Tokens::new(conf).check(&name, QueryString::of(&uri), &headers.into_iter().collect(), now).is_ok()
    }

    #[test]
    fn tokens_are_those_of_the_sites_signers() {
        let check = |query: &str, now| check(&conf(), query, None, now);
        assert!(check(&format!("token={TOKEN}&ts={TS}"), TS));
        assert!(check(&format!("token={TOKEN}&ts={TS}"), TS + 600));
        assert!(!check(&format!("token={TOKEN}&ts={TS}"), TS + 601));
        assert!(check(&format!("token={TOKEN}&ts={TS}"), TS - 300));
        assert!(!check(&format!("token={TOKEN}&ts={TS}"), TS - 301));
        assert!(!check(&format!("token={TOKEN}&ts={}", TS + 1), TS));
        assert!(!check(&format!("token={}&ts={TS}", TOKEN.to_uppercase()), TS));
        for bad in [
            "",
            "ts=0",
            "token=&ts=0",
            "token=abc&ts=1700000000",
            "token=abc&ts=x",
            "token=a&ts=-9223372036854775808",
        ] {
            assert!(!check(bad, TS), "{bad}");
        }
    }

    #[test]
    fn a_token_for_ever_is_good_where_a_site_says_so() {
        let tokens = Tokens::new(&conf());
        let token = tokens.token(&LogicName::parse(NAME).unwrap(), 0);
        let query = format!("token={}&ts=0", std::str::from_utf8(&token).unwrap());
        assert!(!check(&conf(), &query, None, TS));
        let conf = TokenConf { allow_eternal: true, ..conf() };
        assert!(check(&conf, &query, None, TS) && check(&conf, &query, None, i64::MAX));
        assert!(!check(&conf, &query.replace("ts=0", "ts=-1"), None, TS));
        assert!(!check(&conf, &format!("token={TOKEN}&ts=0"), None, TS));
    }

    #[test]
    fn the_bypass_header_needs_its_whole_value() {
        for (pass, expected) in [
            ("open sesame", true),
            ("", false),
            ("open", false),
            ("open sesame!", false),
            ("Open sesame", false),
        ] {
            assert_eq!(check(&conf(), "", Some(pass), TS), expected, "{pass}");
        }
        let empty = TokenConf { bypass: Some(("X-Pass".to_owned(), String::new())), ..conf() };
        assert!(!check(&empty, "", Some(""), TS));
    }

    proptest! {
        #[test]
        fn any_query_is_only_refused(query in "[ts=&%0-9token+-]{0,80}") {
            prop_assert!(!check(&conf(), &query, None, TS));
            let eternal = TokenConf { allow_eternal: true, ..conf() };
            prop_assert!(!check(&eternal, &query, None, TS));
        }
    }
}
