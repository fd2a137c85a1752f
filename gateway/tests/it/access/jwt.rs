//! JSON Web Tokens that are none.

use hmac::{Hmac, KeyInit, Mac};
use protocol::file_id::base64;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{MAY, Place, VISITOR};

const KEY: [u8; 32] = *b"thirty-two bytes of a secret key";
/// The point of RFC 8037, A.2.
const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn encode(bytes: &[u8]) -> String {
    let mut text = vec![0; (bytes.len() * 8).div_ceil(6)];
    base64::encode(bytes, &mut text);
    String::from_utf8(text).unwrap()
}

/// The keys of the site.
pub fn keys() -> String {
    json!({"keys": [
        {"kty": "oct", "kid": "own", "alg": "HS256", "k": encode(&KEY)},
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": PUBLIC}
    ]})
    .to_string()
}

fn signed(header: &Value, claims: &Value, key: &[u8]) -> String {
    let part = |value: &Value| encode(value.to_string().as_bytes());
    let message = format!("{}.{}", part(header), part(claims));
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    hmac.update(message.as_bytes());
    format!("{message}.{}", encode(&hmac.finalize().into_bytes()))
}

fn claims() -> Value {
    json!({"sub": "ann", "scope": "openid delete", "exp": 4_000_000_000_u64})
}

async fn code(token: &str) -> String {
    Place::new().delete(VISITOR, &[("authorization", &format!("Bearer {token}"))]).await
}

#[tokio::test]
async fn a_good_jwt_is_taken() {
    assert_eq!(code(&signed(&json!({"alg": "HS256", "kid": "own"}), &claims(), &KEY)).await, MAY);
    let of_group = json!({"scope": "delete", "group": "group2", "exp": 4_000_000_000_u64});
    assert_eq!(code(&signed(&json!({"alg": "HS256"}), &of_group, &KEY)).await, "token_of_other_group");
    let reader = json!({"scope": "read", "exp": 4_000_000_000_u64});
    assert_eq!(code(&signed(&json!({"alg": "HS256"}), &reader, &KEY)).await, "insufficient_scope");
}

#[tokio::test]
async fn a_jwt_of_the_algorithm_none_is_401() {
    for alg in ["none", "None", "NONE"] {
        let part = |value: &Value| encode(value.to_string().as_bytes());
        let message = format!("{}.{}", part(&json!({"alg": alg})), part(&claims()));
        assert_eq!(code(&format!("{message}.")).await, "invalid_token", "{alg}");
        assert_eq!(code(&signed(&json!({"alg": alg}), &claims(), &KEY)).await, "invalid_token", "{alg}");
    }
}

#[tokio::test]
async fn a_jwt_signed_by_a_public_key_as_if_it_were_a_secret_is_401() {
    let mut point = [0; 32];
    base64::decode(PUBLIC.as_bytes(), &mut point).unwrap();
    for header in
        [json!({"alg": "HS256", "kid": "ed"}), json!({"alg": "HS256"}), json!({"alg": "EdDSA", "kid": "ed"})]
    {
        for key in [&point[..], PUBLIC.as_bytes()] {
            assert_eq!(code(&signed(&header, &claims(), key)).await, "invalid_token", "{header}");
        }
    }
    let confused = signed(&json!({"alg": "EdDSA", "kid": "own"}), &claims(), &KEY);
    assert_eq!(code(&confused).await, "invalid_token");
}

#[tokio::test]
async fn a_jwt_of_another_key_is_401() {
    assert_eq!(code(&signed(&json!({"alg": "HS256"}), &claims(), &[9; 32])).await, "invalid_token");
    assert_eq!(
        code(&signed(&json!({"alg": "HS256", "kid": "nobody"}), &claims(), &KEY)).await,
        "invalid_token"
    );
    let own =
        json!({"alg": "HS256", "jwk": {"kty": "oct", "k": encode(&[9; 32])}, "jku": "http://127.0.0.1/"});
    assert_eq!(code(&signed(&own, &claims(), &[9; 32])).await, "invalid_token");
}

#[tokio::test]
async fn an_expired_jwt_is_401() {
    let late = json!({"scope": "delete", "exp": 1_500_000_000});
    assert_eq!(code(&signed(&json!({"alg": "HS256"}), &late, &KEY)).await, "token_expired");
    let endless = json!({"scope": "delete"});
    assert_eq!(code(&signed(&json!({"alg": "HS256"}), &endless, &KEY)).await, "invalid_token");
    let early = json!({"scope": "delete", "nbf": 3_900_000_000_u64, "exp": 4_000_000_000_u64});
    assert_eq!(code(&signed(&json!({"alg": "HS256"}), &early, &KEY)).await, "token_expired");
}

#[tokio::test]
async fn an_altered_jwt_is_401() {
    let good = signed(&json!({"alg": "HS256"}), &claims(), &KEY);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let more = json!({"sub": "ann", "scope": "delete admin", "exp": 4_000_000_000_u64});
    let altered = format!("{header}.{}.{signature}", encode(more.to_string().as_bytes()));
    assert_eq!(code(&altered).await, "invalid_token");
}
