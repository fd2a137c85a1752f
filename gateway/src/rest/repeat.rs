//! `Idempotency-Key` of uploads (draft-ietf-httpapi-idempotency-key-header): an upload that is sent again is answered as
//! the first time, and makes no second file.

use std::time::SystemTime;

use axum::response::Response;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::confirm::{answer_again, wait_again};
use super::digest::DIGESTS;
use super::terms::Terms;
use super::upload::{answer, bad, respond, write_failed};
use crate::files::{Files, WriteError};
use crate::idempotency::{Answer, Claim, Claimed, Claiming, Fingerprint, fingerprint};
use crate::problem::Problem;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is that of an earlier request.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest key.
const MAX_KEY: usize = 255;

/// What is to be done with a request.
pub(super) enum Turn {
    /// It is carried out, under its key if it has one.
    Once(Option<Claim>),
    /// It was carried out before.
    Again(Response),
}

/// Looks whether a request was carried out before. An answer waits for the members that have to confirm it.
pub(super) async fn turn<F: Files>(
    files: &F,
    who: &str,
    parts: &Parts,
    terms: &mut Terms,
    base: Option<&str>,
    needed: u8,
) -> Result<Turn, Problem> {
    let Some(key) = key_of(&parts.headers)? else { return Ok(Turn::Once(None)) };
    let Some(keys) = files.keys() else {
        let detail = "this node remembers no idempotency keys (http.idempotency_key_lifetime = 0); send the upload without one";
        return Err(bad("no_idempotency", detail));
    };
    let claiming = Claiming {
        fingerprint: print_of(parts),
        position: files.log_position(),
        durability: terms.durability(),
    };
    let claimed = keys.claim((who, key), claiming, SystemTime::now()).await;
    let claimed = claimed
        .map_err(|source| write_failed(WriteError::Io { doing: "noting an idempotency key", source }))?;
    match claimed {
        Claimed::Answered(answer) => {
            let answer = answer_again(files, answer, needed, terms).await;
            Ok(Turn::Again(replayed(respond(&answer))))
        }
        Claimed::Mine(claim, None) => {
            terms.token = Some(claim.token());
            Ok(Turn::Once(Some(claim)))
        }
        Claimed::Mine(claim, Some(since)) => settle(files, claim, &since, terms, base, needed).await,
        Claimed::UnderWay => {
            let detail = "a request with this idempotency key is under way; wait and send it again";
            Err(Problem::new(StatusCode::CONFLICT, "idempotency_under_way", detail))
        }
        Claimed::Differs => {
            let detail =
                "this idempotency key was given with another request; an upload of its own needs a new key";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch", detail))
        }
        Claimed::Full => {
            let detail = "too many uploads with idempotency keys are under way; wait and send it again";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_keys", detail))
        }
    }
}

/// An earlier request with the key may have stored something. One file is what it was to store; of several it may have
/// been some, which go, since nobody heard of them.
async fn settle<F: Files>(
    files: &F,
    claim: Claim,
    since: &str,
    terms: &mut Terms,
    base: Option<&str>,
    needed: u8,
) -> Result<Turn, Problem> {
    let token = claim.token();
    let stored = match files.uploaded(&token, since).await {
        Ok(stored) => stored,
        Err(source) => {
            claim.unsure();
            return Err(write_failed(WriteError::Io { doing: "looking for an earlier upload", source }));
        }
    };
    if let [made] = &stored[..]
        && !terms.is_form
    {
        let answer = answer(vec![made.clone()], base, None, terms.promise);
        let unconfirmed = wait_again(files, vec![made.0.id.to_string()], needed).await;
        let answer = Answer { unconfirmed, ..answer };
        claim.keep(answer.clone(), terms.durability()).await.unwrap_or_else(|error| not_noted(&error));
        return Ok(Turn::Again(replayed(respond(&answer))));
    }
    for (made, _) in stored {
        match files.delete(&made.id).await {
            Ok(()) | Err(WriteError::NotFound) => {}
            Err(error) => {
                claim.unsure();
                return Err(write_failed(error));
            }
        }
    }
    terms.token = Some(token);
    Ok(Turn::Once(Some(claim)))
}

/// The answer is right nevertheless; who asks again makes the node look for the file.
pub(super) fn not_noted(error: &std::io::Error) {
    tracing::error!(%error, "the answer to an upload with an idempotency key cannot be noted");
}

fn replayed(mut response: Response) -> Response {
    response.headers_mut().insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    response
}

/// Whether a request has a key, as far as can be seen without reading it.
pub(super) fn has_key(headers: &HeaderMap) -> bool {
    headers.contains_key(IDEMPOTENCY_KEY)
}

/// The key: a string of structured fields or, as many clients send it, bare.
fn key_of(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    if !has_key(headers) {
        return Ok(None);
    }
    let text = crate::conditions::single(headers, &IDEMPOTENCY_KEY).map(str::trim);
    let key = text.map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text));
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte);
    match key {
        Some(key) if (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(is_plain) => Ok(Some(key)),
        _ => {
            let detail = "an idempotency key is one string of 1 to 255 characters of ASCII, such as \"8e03978e-40d5-43e8\"";
            Err(bad("bad_idempotency_key", detail))
        }
    }
}

/// What requests with one key have to be equal in. The boundary of a form is another one each time.
fn print_of(parts: &Parts) -> Fingerprint {
    let header = |name: &HeaderName| parts.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    let kind = header(&CONTENT_TYPE).split(|byte| *byte == b';').next().unwrap_or_default();
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let parts = [parts.method.as_str().as_bytes(), target.as_bytes(), kind, header(&CONTENT_LENGTH)];
    fingerprint(parts.into_iter().chain(DIGESTS.iter().map(header)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_strings() {
        let check = |lines: &[&'static str], expected: Option<Option<&str>>| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static(line));
            }
            assert_eq!(key_of(&headers).ok(), expected, "{lines:?}");
        };
        check(&[], Some(None));
        check(&["\"8e03978e-40d5\""], Some(Some("8e03978e-40d5")));
        check(&["8e03978e-40d5"], Some(Some("8e03978e-40d5")));
        check(&[""], None);
        check(&["\"\""], None);
        check(&["\"a\"b\""], None);
        check(&["\"a", "b\""], None);
        check(&["a\tb"], None);
    }
}
