//! Keys of JSON Web Tokens: a JWK set (RFC 7517) with the kinds that sign RS256, ES256, EdDSA and HS256.
//!
//! A key has one algorithm, which follows from its kind. What a token says about its algorithm is only compared with that,
//! so a public key can never be taken for the secret of an HMAC.

use std::fmt;
use std::io;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use sha2::Sha256;

use super::text64;

/// Longest file.
const MAX_FILE: u64 = 1 << 20;
/// Most keys.
const MAX_KEYS: usize = 64;
/// Bytes of the shortest modulus: 2048 bits (RFC 7518, 3.3).
const MIN_MODULUS: usize = 256;
/// Bytes of the shortest HMAC key: as many as the hash has (RFC 7518, 3.2).
const MIN_HMAC: usize = 32;

/// A key that verifies.
#[derive(Clone)]
pub(super) struct Jwk {
    /// Its `kid`.
    pub(super) id: Option<String>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
    Hmac(Hmac<Sha256>),
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<RawJwk>,
}

/// Members that are not known here mean nothing (RFC 7517, 4).
#[derive(Deserialize)]
struct RawJwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    k: Option<String>,
}

impl fmt::Debug for Jwk {
    /// Secrets are not for logs.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}", self.alg(), self.id)
    }
}

/// Reads a file. Blocking.
pub(super) fn read(path: &Path) -> io::Result<Vec<Jwk>> {
    if std::fs::metadata(path)?.len() > MAX_FILE {
        return Err(io::Error::other("the file is longer than 1 MiB"));
    }
    parse(&std::fs::read_to_string(path)?).map_err(io::Error::other)
}

/// Reads a set. A key that cannot be used is an error, so that nobody waits for its tokens to be taken; one that is for
/// encryption is passed over.
pub(super) fn parse(text: &str) -> Result<Vec<Jwk>, String> {
    let set: JwkSet = serde_json::from_str(text).map_err(|error| format!("it is no JWK set: {error}"))?;
    if set.keys.len() > MAX_KEYS {
        return Err(format!("more than {MAX_KEYS} keys"));
    }
    let mut keys = Vec::new();
    for (number, raw) in (1..).zip(set.keys) {
        if raw.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
            continue;
        }
        let key = Jwk::of(raw).map_err(|why| format!("key {number}: {why}"))?;
        keys.push(key);
    }
    if keys.is_empty() {
        return Err("there is no key for signatures in it".to_owned());
    }
    Ok(keys)
}

impl Jwk {
    fn of(raw: RawJwk) -> Result<Self, String> {
        let member = |name: &str, value: &Option<String>| -> Result<Vec<u8>, String> {
            let text = value.as_deref().ok_or_else(|| format!("'{name}' is missing"))?;
            text64::decode(text).ok_or_else(|| format!("'{name}' is no base64url"))
        };
        let crv = raw.crv.as_deref().unwrap_or_default();
        let material = match (raw.kty.as_str(), crv) {
            ("RSA", _) => {
                let (n, e) = (number(member("n", &raw.n)?), number(member("e", &raw.e)?));
                if n.len() < MIN_MODULUS {
                    return Err("an RSA key has at least 2048 bits".to_owned());
                }
                Material::Rsa { n, e }
            }
            ("EC", "P-256") => {
                let (x, y) = (member("x", &raw.x)?, member("y", &raw.y)?);
                if x.len() != 32 || y.len() != 32 {
                    return Err("'x' and 'y' have 32 bytes".to_owned());
                }
                Material::P256([&[4][..], &x, &y].concat())
            }
            ("OKP", "Ed25519") => {
                let x = member("x", &raw.x)?;
                if x.len() != 32 {
                    return Err("'x' has 32 bytes".to_owned());
                }
                Material::Ed25519(x)
            }
            ("oct", _) => {
                let k = member("k", &raw.k)?;
                if k.len() < MIN_HMAC {
                    return Err("a key for HS256 has at least 32 bytes".to_owned());
                }
                Material::Hmac(Hmac::new_from_slice(&k).map_err(|error| error.to_string())?)
            }
            (kind, curve) => {
                return Err(format!("'{kind}' {curve} is none of RSA, EC P-256, OKP Ed25519 and oct"));
            }
        };
        let key = Self { id: raw.kid, material };
        match raw.alg.as_deref() {
            Some(alg) if alg != key.alg() => {
                Err(format!("its alg is {alg}; such a key is for {}", key.alg()))
            }
            _ => Ok(key),
        }
    }

    /// The one algorithm that it is for.
    pub(super) fn alg(&self) -> &'static str {
        match self.material {
            Material::Rsa { .. } => "RS256",
            Material::P256(_) => "ES256",
            Material::Ed25519(_) => "EdDSA",
            Material::Hmac(_) => "HS256",
        }
    }

    /// Whether it signed a message.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
            }
            Material::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature).is_ok()
            }
            Material::Ed25519(point) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature).is_ok()
            }
            Material::Hmac(hmac) => {
                let mut hmac = hmac.clone();
                hmac.update(message);
                hmac.verify_slice(signature).is_ok()
            }
        }
    }
}

/// A number without zeros in front.
fn number(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_be_used_are_refused() {
        let long = "A".repeat(43);
        for (text, why) in [
            ("", "no JWK set"),
            ("[]", "no JWK set"),
            (r#"{"keys":[]}"#, "no key for signatures"),
            (r#"{"keys":[{"kty":"RSA","use":"enc"}]}"#, "no key for signatures"),
            (r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#, "2048 bits"),
            (r#"{"keys":[{"kty":"RSA","e":"AQAB"}]}"#, "'n' is missing"),
            (r#"{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}"#, "at least 32 bytes"),
            (r#"{"keys":[{"kty":"oct","k":"+/=="}]}"#, "no base64url"),
            (r#"{"keys":[{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}]}"#, "is none of"),
            (r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#, "have 32 bytes"),
            (&format!(r#"{{"keys":[{{"kty":"oct","alg":"HS512","k":"{long}"}}]}}"#), "is for HS256"),
            (&format!(r#"{{"keys":[{{"kty":"oct","alg":"none","k":"{long}"}}]}}"#), "is for HS256"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
