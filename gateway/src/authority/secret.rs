//! What trackers and nodes of a cluster share: a file of secrets, by which they sign what they tell each other by way of
//! clients. Each use has a key of its own, so that nothing signed for one can be shown for another.

use std::fmt;
use std::io;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::Sha256;

use super::text64;

/// Shortest secret.
const MIN_SECRET: usize = 32;
/// Most secrets at a time.
const MAX_SECRETS: usize = 8;
/// Longest file.
const MAX_FILE: u64 = 64 * 1024;
/// Characters of a signature.
const SIGNATURE: usize = 43;

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Tickets for uploads.
    Ticket,
    /// Calls from member to member.
    Call,
}

/// The secrets of a cluster: the first signs, all are good, so that they can be changed one after the other.
#[derive(Clone)]
pub struct ClusterSecret(Vec<Keys>);

#[derive(Clone)]
struct Keys {
    tickets: Hmac<Sha256>,
    calls: Hmac<Sha256>,
}

impl fmt::Debug for ClusterSecret {
    /// Secrets are not for logs.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ClusterSecret({})", self.0.len())
    }
}

impl ClusterSecret {
    /// Reads a file. Blocking.
    pub fn read(path: &Path) -> io::Result<Self> {
        if std::fs::metadata(path)?.len() > MAX_FILE {
            return Err(io::Error::other("the file is longer than 64 KiB; it has a line for each secret"));
        }
        Self::parse(&std::fs::read_to_string(path)?).map_err(io::Error::other)
    }

    /// Reads a secret a line; `#` begins a comment at the start of a line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut all = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.len() < MIN_SECRET {
                return Err(format!(
                    "line {number}: a secret has at least {MIN_SECRET} characters; `openssl rand -hex 32` makes one"
                ));
            }
            if all.len() == MAX_SECRETS {
                return Err(format!("more than {MAX_SECRETS} secrets"));
            }
            all.push(Keys {
                tickets: derive(line, b"fdfs tickets 1")?,
                calls: derive(line, b"fdfs calls 1")?,
            });
        }
        if all.is_empty() {
            return Err("there is no secret in it; `openssl rand -hex 32` makes one".to_owned());
        }
        Ok(Self(all))
    }

    /// The signature of a message, in base64.
    pub(crate) fn sign(&self, purpose: Purpose, message: &[u8]) -> String {
        let Some(keys) = self.0.first() else { return String::new() };
        let mut hmac = keys.of(purpose).clone();
        hmac.update(message);
        text64::encode(&hmac.finalize().into_bytes())
    }

    /// Whether one of the secrets signed a message; compared in constant time.
    pub(crate) fn verifies(&self, purpose: Purpose, message: &[u8], signature: &str) -> bool {
        if signature.len() != SIGNATURE {
            return false;
        }
        let Some(signature) = text64::decode(signature) else { return false };
        self.0.iter().any(|keys| {
            let mut hmac = keys.of(purpose).clone();
            hmac.update(message);
            hmac.verify_slice(&signature).is_ok()
        })
    }
}

impl Keys {
    fn of(&self, purpose: Purpose) -> &Hmac<Sha256> {
        match purpose {
            Purpose::Ticket => &self.tickets,
            Purpose::Call => &self.calls,
        }
    }
}

/// A new secret, in text.
pub fn random_secret() -> Result<String, String> {
    let mut random = [0; MIN_SECRET];
    SystemRandom::new().fill(&mut random).map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(text64::encode(&random))
}

fn derive(secret: &str, label: &[u8]) -> Result<Hmac<Sha256>, String> {
    let keyed = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).map_err(|error| error.to_string());
    let mut hmac = keyed(secret.as_bytes())?;
    hmac.update(label);
    keyed(&hmac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn secrets_sign_for_one_purpose_and_can_be_changed() {
        let old = ClusterSecret::parse(SECRET).unwrap();
        let both = ClusterSecret::parse(&format!("# new\n{}\n{SECRET}\n", "x".repeat(32))).unwrap();
        let signature = old.sign(Purpose::Ticket, b"message");
        assert!(old.verifies(Purpose::Ticket, b"message", &signature));
        assert!(both.verifies(Purpose::Ticket, b"message", &signature));
        assert!(!old.verifies(Purpose::Call, b"message", &signature));
        assert!(!old.verifies(Purpose::Ticket, b"messagf", &signature));
        assert!(!old.verifies(Purpose::Ticket, b"message", &signature[1..]));
        assert!(!old.verifies(Purpose::Ticket, b"message", ""));
        assert!(!old.verifies(Purpose::Ticket, b"message", &both.sign(Purpose::Ticket, b"message")));
        assert_eq!(format!("{both:?}"), "ClusterSecret(2)");
    }

    #[test]
    fn weak_files_are_refused() {
        for (text, why) in [("", "no secret"), ("# x\n", "no secret"), ("short", "at least 32")] {
            assert!(ClusterSecret::parse(text).unwrap_err().contains(why), "{text}");
        }
        assert!(ClusterSecret::parse(&[SECRET; 9].join("\n")).unwrap_err().contains("more than 8"));
    }
}
