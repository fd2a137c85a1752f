//! JSON Web Tokens (RFC 7519), signed by a key of the site's set.
//!
//! Written on `ring`, which TLS has already: the crate `jsonwebtoken` takes its arithmetic from another library, or through a
//! provider that is one for a whole process.

use protocol::GroupName;
use protocol::config::web_conf::JwtConf;
use serde::Deserialize;
use serde_json::{Number, Value};

use super::grant::{Grant, UploadLimits};
use super::jwk::{self, Jwk};
use super::refusals::{Bad, invalid_token, token_expired};
use super::scope::Scopes;
use super::text64;

/// Longest token.
const MAX_TOKEN: usize = 8192;
/// Longest name of a subject in logs.
const MAX_NAME: usize = 128;

/// Which tokens are taken.
#[derive(Debug, Clone)]
pub(crate) struct Jwt {
    keys: Vec<Jwk>,
    issuer: Option<String>,
    audience: Option<String>,
    /// Seconds.
    leeway: i64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// What has to be understood beyond the standard: nothing is.
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    exp: Option<Number>,
    nbf: Option<Number>,
    iss: Option<String>,
    aud: Option<Value>,
    sub: Option<String>,
    scope: Option<String>,
    group: Option<String>,
}

/// Whether a bearer token has the form of such a one.
pub(crate) fn is_like(token: &str) -> bool {
    token.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl Jwt {
    /// Reads the keys that a configuration names. Blocking.
    pub(crate) fn load(conf: &JwtConf) -> std::io::Result<Self> {
        Ok(Self::new(jwk::read(&conf.keys_file)?, conf))
    }

    fn new(keys: Vec<Jwk>, conf: &JwtConf) -> Self {
        Self {
            keys,
            issuer: conf.issuer.clone(),
            audience: conf.audience.clone(),
            leeway: i64::try_from(conf.leeway.as_secs()).unwrap_or(0),
        }
    }

    /// What a token allows. `now` is in unix seconds.
    pub(crate) fn judge(&self, token: &str, now: i64) -> Result<Grant, Bad> {
        let unproven = |detail: &str| Bad::Unproven(invalid_token(detail));
        let claims = self.signed(token).ok_or_else(|| {
            unproven(
                "no key of this site signed this token by the key's own algorithm; see http.jwt_keys_file",
            )
        })?;
        let claims: Claims = serde_json::from_slice(&claims)
            .map_err(|_| unproven("the claims of this token are not as RFC 7519 has them"))?;
        let useless = |detail: &str| Bad::Useless(invalid_token(detail));
        if let Some(issuer) = &self.issuer
            && claims.iss.as_deref() != Some(issuer)
        {
            return Err(useless("this token has another issuer (iss) than http.jwt_issuer"));
        }
        // A token that is for somebody must be for us (RFC 7519, 4.1.3).
        if !is_for(claims.aud.as_ref(), self.audience.as_deref()) {
            return Err(useless(
                "this token is for others: its aud does not have what http.jwt_audience says",
            ));
        }
        let Some(expires) = claims.exp.as_ref().and_then(seconds) else {
            return Err(useless("this token never ends; it has to have exp"));
        };
        if now >= expires.saturating_add(self.leeway) {
            return Err(Bad::Useless(token_expired("this token has expired; ask for another")));
        }
        let begins = claims.nbf.map(|nbf| seconds(&nbf).unwrap_or(i64::MAX));
        if begins.is_some_and(|begins| now.saturating_add(self.leeway) < begins) {
            return Err(Bad::Useless(token_expired("this token is not good yet (nbf)")));
        }
        let group = match claims.group.as_deref().map(GroupName::parse) {
            None => None,
            Some(Ok(group)) => Some(group),
            // A bound that cannot be read must not be no bound.
            Some(Err(_)) => return Err(useless("the claim group of this token is no name of a group")),
        };
        let subject: String = claims.sub.unwrap_or_default().chars().take(MAX_NAME).collect();
        Ok(Grant {
            who: format!("jwt:{subject}"),
            scopes: Scopes::of_claim(&claims.scope.unwrap_or_default()),
            group,
            limits: UploadLimits::default(),
            expires: Some(expires),
        })
    }

    /// The claims of a token that one of the keys signed.
    fn signed(&self, token: &str) -> Option<Vec<u8>> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header: Header = serde_json::from_slice(&text64::decode(header)?).ok()?;
        let signature = text64::decode(signature)?;
        if header.crit.is_some() {
            return None;
        }
        let fits = |key: &&Jwk| {
            key.alg() == header.alg && (key.id.is_none() || header.kid.is_none() || key.id == header.kid)
        };
        let mut keys = self.keys.iter().filter(fits);
        keys.any(|key| key.verifies(message.as_bytes(), &signature)).then(|| text64::decode(claims))?
    }
}

/// Whether a token's audience has this one in it.
fn is_for(audience: Option<&Value>, own: Option<&str>) -> bool {
    match (audience, own) {
        (None, None) => true,
        (None, Some(_)) | (Some(_), None) => false,
        (Some(Value::String(one)), Some(own)) => one == own,
        (Some(Value::Array(all)), Some(own)) => all.iter().any(|one| one == own),
        (Some(_), Some(_)) => false,
    }
}

/// Whole seconds of a NumericDate, up to the year 9999.
fn seconds(date: &Number) -> Option<i64> {
    const MAX: i64 = 253_402_300_799;
    let whole = date.as_i64().or_else(|| format!("{:.0}", date.as_f64()?.trunc()).parse().ok());
    whole.filter(|seconds| (0..=MAX).contains(seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hmac::{Hmac, KeyInit, Mac};
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
    use serde_json::json;
    use sha2::Sha256;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const HMAC_KEY: [u8; 32] = [7; 32];

    fn conf(issuer: Option<&str>, audience: Option<&str>) -> JwtConf {
        JwtConf {
            keys_file: "jwks.json".into(),
            issuer: issuer.map(str::to_owned),
            audience: audience.map(str::to_owned),
            leeway: Duration::from_secs(60),
        }
    }

    fn set(keys: &Value) -> Vec<Jwk> {
        jwk::parse(&json!({ "keys": keys }).to_string()).unwrap()
    }

    fn hmac(message: &str, key: &[u8]) -> Vec<u8> {
        let mut hmac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        hmac.update(message.as_bytes());
        hmac.finalize().into_bytes().to_vec()
    }

    fn token(header: &Value, claims: &Value, sign: impl FnOnce(&str) -> Vec<u8>) -> String {
        let part = |part: &Value| text64::encode(part.to_string().as_bytes());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = text64::encode(&sign(&message));
        format!("{message}.{signature}")
    }

    fn by_hmac(claims: &Value) -> String {
        token(&json!({"alg": "HS256"}), claims, |message| hmac(message, &HMAC_KEY))
    }

    fn hmac_set() -> Vec<Jwk> {
        set(&json!([{"kty": "oct", "k": text64::encode(&HMAC_KEY)}]))
    }

    fn judge(jwt: &Jwt, token: &str) -> Result<Grant, String> {
        jwt.judge(token, NOW).map_err(|bad| match bad {
            Bad::Unproven(problem) => format!("unproven {problem:?}"),
            Bad::Useless(problem) => format!("useless {problem:?}"),
        })
    }

    /// The examples of RFC 7515, A.1 to A.3: keys, tokens and signatures of others.
    #[test]
    fn examples_of_the_rfc_are_verified() {
        let jwk = set(&json!([
            {"kty": "oct", "kid": "hs",
             "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"},
            {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
             "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},
            {"kty": "RSA", "e": "AQAB",
             "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR\
                   T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-\
                   UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethF\
                   kMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}
        ]));
        let jwt = Jwt::new(jwk, &conf(None, None));
        let payload =
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let tokens = [
            format!(
                "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{payload}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
            ),
            format!(
                "eyJhbGciOiJFUzI1NiJ9.{payload}.\
                 DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
            ),
            format!(
                "eyJhbGciOiJSUzI1NiJ9.{payload}.\
                 cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdb\
                 F9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383\
                 LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWy\
                 wlVmtVrBp0igcN_IoypGlUPQGe77Rw"
            ),
        ];
        for token in &tokens {
            assert!(jwt.signed(token).is_some(), "{token}");
            let bad = judge(&jwt, token).unwrap_err();
            assert!(bad.contains("useless") && bad.contains("token_expired"), "{bad}");
            assert_eq!(jwt.judge(token, 1_300_819_379).unwrap().scopes, Scopes::NONE);
            let mut altered = token.clone().into_bytes();
            let at = token.rfind('.').unwrap() - 3;
            altered[at] ^= 1;
            assert!(jwt.signed(std::str::from_utf8(&altered).unwrap()).is_none());
        }
    }

    #[test]
    fn ed25519_and_p256_are_signed_and_verified() {
        let random = SystemRandom::new();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let ed = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap();
        let ec = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let ec = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, ec.as_ref(), &random).unwrap();
        let point = ec.public_key().as_ref();
        let jwk = set(&json!([
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": text64::encode(ed.public_key().as_ref())},
            {"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256",
             "x": text64::encode(&point[1..33]), "y": text64::encode(&point[33..])}
        ]));
        let jwt = Jwt::new(jwk, &conf(None, None));
        let claims = json!({"sub": "ann", "scope": "read write", "group": "group1", "exp": NOW + 10});
        let by_ed =
            |header: Value| token(&header, &claims, |message| ed.sign(message.as_bytes()).as_ref().to_vec());
        let grant = judge(&jwt, &by_ed(json!({"alg": "EdDSA", "kid": "ed"}))).unwrap();
        assert_eq!((grant.who.as_str(), grant.scopes.to_string().as_str()), ("jwt:ann", "read,write"));
        assert_eq!((grant.group.unwrap().to_string().as_str(), grant.expires), ("group1", Some(NOW + 10)));
        assert!(judge(&jwt, &by_ed(json!({"alg": "EdDSA"}))).is_ok());
        for (alg, kid) in
            [("ES256", "ed"), ("EdDSA", "ec"), ("EdDSA", "other"), ("HS256", "ed"), ("eddsa", "ed")]
        {
            assert!(
                judge(&jwt, &by_ed(json!({"alg": alg, "kid": kid}))).unwrap_err().contains("unproven"),
                "{alg} {kid}"
            );
        }
        let by_ec = token(&json!({"alg": "ES256"}), &claims, |message| {
            ec.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec()
        });
        assert!(judge(&jwt, &by_ec).is_ok());
    }

    /// Whoever has the public key could sign with it as an HMAC secret.
    #[test]
    fn a_public_key_is_never_a_secret() {
        let random = SystemRandom::new();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let ed = Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap();
        let public = ed.public_key().as_ref().to_vec();
        let jwk = set(&json!([{"kty": "OKP", "crv": "Ed25519", "x": text64::encode(&public)}]));
        let jwt = Jwt::new(jwk, &conf(None, None));
        let claims = json!({"scope": "admin", "exp": NOW + 10});
        let text = text64::encode(&public);
        for secret in [&public[..], text.as_bytes()] {
            let forged = token(&json!({"alg": "HS256"}), &claims, |message| hmac(message, secret));
            assert!(judge(&jwt, &forged).unwrap_err().contains("unproven"));
        }
    }

    #[test]
    fn the_algorithm_none_is_no_algorithm() {
        let jwt = Jwt::new(hmac_set(), &conf(None, None));
        let claims = json!({"scope": "admin", "exp": NOW + 10});
        for alg in ["none", "None", "NONE", "nOnE", ""] {
            for signature in [vec![], vec![0; 32]] {
                let forged = token(&json!({"alg": alg}), &claims, |_| signature);
                assert!(judge(&jwt, &forged).unwrap_err().contains("unproven"), "{alg}");
            }
        }
        let good = by_hmac(&claims);
        let (message, _) = good.rsplit_once('.').unwrap();
        for forged in [
            format!("{message}."),
            message.to_owned(),
            format!("{good}."),
            format!("{good}.x"),
            String::new(),
        ] {
            assert!(judge(&jwt, &forged).unwrap_err().contains("unproven"), "{forged}");
        }
        assert!(judge(&jwt, &good).is_ok());
    }

    #[test]
    fn claims_are_checked() {
        let jwt = Jwt::new(hmac_set(), &conf(Some("https://id"), Some("files")));
        let good = json!({"iss": "https://id", "aud": "files", "exp": NOW, "nbf": NOW + 60, "scope": "read"});
        let with = |key: &str, value: Value| {
            let mut claims = good.clone();
            claims[key] = value;
            judge(&jwt, &by_hmac(&claims))
        };
        let grant = judge(&jwt, &by_hmac(&good)).unwrap();
        assert_eq!((grant.who.as_str(), grant.scopes.to_string().as_str()), ("jwt:", "read"));
        assert!(with("aud", json!(["others", "files"])).is_ok());
        assert!(with("exp", json!(f64::from(1_800_000_000) + 0.5)).is_ok());
        for (key, value, why) in [
            ("iss", json!("https://id2"), "another issuer"),
            ("iss", Value::Null, "another issuer"),
            ("aud", json!("others"), "for others"),
            ("aud", json!(["others"]), "for others"),
            ("aud", json!({"files": 1}), "for others"),
            ("aud", Value::Null, "for others"),
            ("exp", Value::Null, "never ends"),
            ("exp", json!(-1), "never ends"),
            ("exp", json!(1e300), "never ends"),
            ("exp", json!("1900000000"), "RFC 7519"),
            ("exp", json!(NOW - 60), "has expired"),
            ("nbf", json!(NOW + 61), "not good yet"),
            ("nbf", json!(1e300), "not good yet"),
            ("group", json!("../x"), "no name of a group"),
            ("group", json!(""), "no name of a group"),
        ] {
            let error = with(key, value.clone()).unwrap_err();
            assert!(error.contains(why), "{key} {value}: {error}");
        }
        let open = Jwt::new(hmac_set(), &conf(None, None));
        assert!(
            judge(&open, &by_hmac(&good)).unwrap_err().contains("for others"),
            "an audience that nobody named"
        );
        let long = "x".repeat(1000);
        let grant = judge(&open, &by_hmac(&json!({"exp": NOW + 1, "sub": long}))).unwrap();
        assert_eq!(grant.who.len(), 4 + MAX_NAME);
    }

    #[test]
    fn what_has_to_be_understood_and_is_not_is_refused() {
        let jwt = Jwt::new(hmac_set(), &conf(None, None));
        let claims = json!({"exp": NOW + 10});
        let header = json!({"alg": "HS256", "crit": ["b64"], "b64": false});
        let odd = token(&header, &claims, |message| hmac(message, &HMAC_KEY));
        assert!(judge(&jwt, &odd).unwrap_err().contains("unproven"));
        let other = token(&json!({"alg": "HS256"}), &claims, |message| hmac(message, &[8; 32]));
        assert!(judge(&jwt, &other).unwrap_err().contains("unproven"), "another key");
        assert!(!is_like("fdfs_abc") && is_like("a.b.c") && !is_like("a.b.c.d"));
    }
}
