//! Bearer tokens from a file. The file holds their hashes: whoever reads it cannot use them.
//!
//! A line is `NAME sha256:HEX scopes=read,write`, then perhaps `group=group1` and `expires=` with a time of RFC 3339 or unix
//! seconds; `#` begins a comment at the start of a line. Tokens have 256 random bits, so a plain SHA-256 of one tells nothing.

use std::io;
use std::path::Path;

use chrono::{DateTime, SecondsFormat};
use protocol::GroupName;
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use super::grant::{Grant, UploadLimits};
use super::refusals::{Bad, invalid_token, token_expired};
use super::scope::Scopes;
use super::text64;

/// What tokens begin with, so that people and scanners know one when they see it.
const PREFIX: &str = "fdfs_";
/// Random bytes of a token.
const RANDOM: usize = 32;
/// Longest file.
const MAX_FILE: u64 = 4 << 20;
/// Most tokens of a site: each is compared at every request with a token.
const MAX_TOKENS: usize = 4096;

/// The tokens of a site.
#[derive(Debug, Clone)]
pub struct Tokens(Vec<Token>);

/// A token as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Whose it is.
    pub name: String,
    /// SHA-256 of the token.
    hash: [u8; 32],
    /// What it may do.
    pub scopes: Scopes,
    /// The only group that it is for.
    pub group: Option<GroupName>,
    /// Unix seconds at which it ends.
    pub expires: Option<i64>,
}

/// The hash by which a token is known.
pub(crate) fn hash_of(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Token {
    /// Makes a token: what its owner sends, and what the file holds. The first is nowhere else.
    pub fn generate(
        name: &str,
        scopes: Scopes,
        group: Option<GroupName>,
        expires: Option<i64>,
    ) -> Result<(String, Self), String> {
        let mut random = [0; RANDOM];
        SystemRandom::new().fill(&mut random).map_err(|_| "the system gives no random numbers".to_owned())?;
        check_name(name)?;
        let text = format!("{PREFIX}{}", text64::encode(&random));
        let token = Self { name: name.to_owned(), hash: hash_of(&text), scopes, group, expires };
        Ok((text, token))
    }

    /// Its line of the file.
    pub fn line(&self) -> String {
        let mut line = format!("{} sha256:", self.name);
        for byte in self.hash {
            line.push_str(&format!("{byte:02x}"));
        }
        line.push_str(&format!(" scopes={}", self.scopes));
        if let Some(group) = self.group {
            line.push_str(&format!(" group={group}"));
        }
        if let Some(expires) = self.expires {
            let time = DateTime::from_timestamp(expires, 0);
            let text = time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
            line.push_str(&format!(" expires={}", text.unwrap_or_else(|| expires.to_string())));
        }
        line
    }

    fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_ascii_whitespace();
        let name = words.next().unwrap_or_default();
        check_name(name)?;
        let hash = words.next().and_then(|word| word.strip_prefix("sha256:")).and_then(hex);
        let hash = hash
            .ok_or("behind the name comes sha256: and 64 hex digits; `fdfs token new` writes such lines")?;
        let mut token =
            Self { name: name.to_owned(), hash, scopes: Scopes::NONE, group: None, expires: None };
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "scopes" => {
                    let scopes = Scopes::parse(value);
                    token.scopes = scopes.ok_or("scopes are read, write, delete and admin, with commas")?;
                }
                "group" => {
                    let group = GroupName::parse(value);
                    token.group = Some(group.map_err(|why| format!("'{value}' is no group: {why}"))?);
                }
                "expires" => {
                    token.expires = Some(time(value).ok_or("expires is a time such as 2027-01-31T00:00:00Z")?)
                }
                // A bound that is misspelt must not be no bound.
                other => return Err(format!("'{other}' is none of scopes, group and expires")),
            }
        }
        if token.scopes.is_empty() {
            return Err("a token has scopes=, such as scopes=read,write".to_owned());
        }
        Ok(token)
    }
}

impl Tokens {
    /// Reads a file. Blocking.
    pub fn read(path: &Path) -> io::Result<Self> {
        if std::fs::metadata(path)?.len() > MAX_FILE {
            return Err(io::Error::other("the file is longer than 4 MiB; it has a line for each token"));
        }
        Self::parse(&std::fs::read_to_string(path)?).map_err(io::Error::other)
    }

    /// Reads the lines of a file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut all: Vec<Token> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let token = Token::parse(line).map_err(|why| format!("line {number}: {why}"))?;
            if all.iter().any(|other| other.name == token.name || other.hash == token.hash) {
                return Err(format!("line {number}: there is a token of this name or hash already"));
            }
            if all.len() == MAX_TOKENS {
                return Err(format!(
                    "more than {MAX_TOKENS} tokens; use http.jwt_keys_file for so many clients"
                ));
            }
            all.push(token);
        }
        Ok(Self(all))
    }

    /// The token of a hash. All are compared, each in whole, so the time tells nothing.
    fn find(&self, hash: &[u8; 32]) -> Option<&Token> {
        let mut found = u32::MAX;
        for (index, token) in (0..).zip(&self.0) {
            found.conditional_assign(&index, token.hash.ct_eq(hash));
        }
        self.0.get(usize::try_from(found).ok()?)
    }

    /// What a token allows. `now` is in unix seconds.
    pub(crate) fn judge(&self, hash: &[u8; 32], now: i64) -> Result<Grant, Bad> {
        let Some(token) = self.find(hash) else {
            return Err(Bad::Unproven(invalid_token(
                "this site knows no such token; see the file of http.tokens_file",
            )));
        };
        if token.expires.is_some_and(|expires| now >= expires) {
            return Err(Bad::Useless(token_expired("this token has expired; ask for another")));
        }
        Ok(Grant {
            who: token.name.clone(),
            scopes: token.scopes,
            group: token.group,
            limits: UploadLimits::default(),
            expires: token.expires,
        })
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let is_char = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(is_char) {
        return Err("a name has 1 to 64 letters, digits, '-', '_', '.' and '@'".to_owned());
    }
    Ok(())
}

/// 32 bytes of hex digits.
fn hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// Unix seconds of a time of RFC 3339, or of such seconds themselves.
fn time(text: &str) -> Option<i64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        return text.parse().ok();
    }
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp())
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scope;
    use super::*;

    /// printf abc | sha256sum
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn what_was_generated_is_read_back_and_opens() {
        let scopes = Scopes::NONE.with(Scope::Read).with(Scope::Write);
        let group = Some(GroupName::parse("group1").unwrap());
        let (text, token) = Token::generate("ci", scopes, group, Some(1_800_000_000)).unwrap();
        assert!(text.starts_with("fdfs_") && text.len() == 48, "{text}");
        assert!(!token.line().contains(&text[5..]));
        assert!(
            token.line().ends_with("scopes=read,write group=group1 expires=2027-01-15T08:00:00Z"),
            "{}",
            token.line()
        );
        assert_eq!(Token::parse(&token.line()).unwrap(), token);
        let tokens =
            Tokens::parse(&format!("# all\n\n{}\nother sha256:{ABC} scopes=admin\n", token.line())).unwrap();
        let grant = tokens.judge(&hash_of(&text), 1_799_999_999).unwrap();
        assert_eq!((grant.who.as_str(), grant.scopes, grant.group), ("ci", scopes, group));
        assert!(matches!(tokens.judge(&hash_of(&text), 1_800_000_000), Err(Bad::Useless(_))));
        assert_eq!(tokens.judge(&hash_of("abc"), i64::MAX).unwrap().who, "other");
        for bad in ["", "abd", "abc ", "ABC", ABC, &text[..47], &text[5..]] {
            assert!(matches!(tokens.judge(&hash_of(bad), 0), Err(Bad::Unproven(_))), "{bad}");
        }
        let (again, _) = Token::generate("ci", scopes, None, None).unwrap();
        assert_ne!(again, text);
    }

    #[test]
    fn lines_that_could_mean_more_than_they_say_are_refused() {
        for (line, why) in [
            ("ci", "sha256:"),
            ("ci sha256:abc scopes=read", "64 hex digits"),
            ("c/i sha256:0 scopes=read", "a name has"),
            (&format!("ci sha256:{ABC}"), "has scopes="),
            (&format!("ci sha256:{ABC} scopes=reed"), "scopes are"),
            (&format!("ci sha256:{ABC} scopes=read gruop=group1"), "'gruop' is none of"),
            (&format!("ci sha256:{ABC} scopes=read group=a/b"), "is no group"),
            (&format!("ci sha256:{ABC} scopes=read expires=tomorrow"), "expires is a time"),
            (&format!("ci sha256:{ABC} scopes=read expires=-5"), "expires is a time"),
            (&format!("a sha256:{ABC} scopes=read\nb sha256:{ABC} scopes=read"), "line 2: there is"),
        ] {
            let error = Tokens::parse(line).unwrap_err();
            assert!(error.contains(why), "{line}: {error}");
        }
        assert_eq!(
            Tokens::parse(&format!("a sha256:{ABC} scopes=read expires=17")).unwrap().0[0].expires,
            Some(17)
        );
    }

    /// Whichever token it is, and however much of a hash is right, all are compared in whole: the search has no branch on
    /// what it compares.
    #[test]
    fn every_token_is_found_by_its_whole_hash_only() {
        let lines: Vec<String> = (0..50)
            .map(|number| {
                Token {
                    hash: hash_of(&number.to_string()),
                    ..Token::parse(&format!("t{number} sha256:{ABC} scopes=read")).unwrap()
                }
                .line()
            })
            .collect();
        let tokens = Tokens::parse(&lines.join("\n")).unwrap();
        for number in 0..50 {
            let hash = hash_of(&number.to_string());
            assert_eq!(tokens.find(&hash).unwrap().name, format!("t{number}"));
            for at in [0, 15, 31] {
                let mut other = hash;
                other[at] ^= 1;
                assert_eq!(tokens.find(&other), None);
            }
        }
        assert!(Tokens::parse("").unwrap().find(&hash_of("x")).is_none());
    }
}
