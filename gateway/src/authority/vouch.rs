//! `Fdfs-Cluster`: by it a member passes on to another one a request that it has found to be allowed.
//!
//! Its value is `t=MILLISECONDS, n=NONCE, g=GRANT, mac=MAC`. The MAC is over these three, the member that is called, method, path
//! with query, and what the head says of the body: its length and its digests. It is made by the cluster's secret; a
//! nonce counts once, and only for half a minute. A body without a digest could be changed on the way for another one of
//! the same length: against that help TLS between the members, or clients that send digests.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use protocol::GroupName;
use serde::{Deserialize, Serialize};

use super::grant::{Grant, TypePattern, UploadLimits};
use super::once::Once;
use super::refusals::{Bad, forbidden};
use super::scope::Scopes;
use super::secret::{ClusterSecret, Purpose};
use super::text64;
use crate::rest::digest::DIGESTS;
use crate::routes::fold_file_id;

/// The header.
pub const FDFS_CLUSTER: HeaderName = HeaderName::from_static("fdfs-cluster");

/// How long a call may be on its way, and how far clocks may be apart, in milliseconds.
const WINDOW: i64 = 30_000;
/// Longest header.
const MAX_HEADER: usize = 8192;

/// A request from member to member.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Id of the member that is called.
    pub to: &'a str,
    /// As it is sent.
    pub method: &'a Method,
    /// The same.
    pub uri: &'a Uri,
    /// The same; these tell of the body.
    pub headers: &'a HeaderMap,
}

/// A grant as it travels.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    who: String,
    scopes: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    types: Vec<String>,
}

/// The header's value. `now` is in milliseconds.
pub(super) fn make(secret: &ClusterSecret, grant: &Grant, call: &Call<'_>, now: i64) -> Option<HeaderValue> {
    let told = Told {
        who: grant.who.clone(),
        scopes: grant.scopes.to_string(),
        group: grant.group.map(|group| group.to_string()),
        size: grant.limits.max_size,
        types: grant.limits.types.iter().map(|kind| kind.as_str().to_owned()).collect(),
    };
    let grant = text64::encode(&serde_json::to_vec(&told).ok()?);
    let nonce = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let time = now.to_string();
    let mac = secret.sign(Purpose::Call, &message(call, &time, &nonce, &grant));
    HeaderValue::try_from(format!("t={time}, n={nonce}, g={grant}, mac={mac}")).ok()
}

/// What such a header allows a request. `now` is in milliseconds.
pub(super) fn judge(
    secret: &ClusterSecret,
    seen: &Once,
    value: &str,
    call: &Call<'_>,
    now: i64,
) -> Result<Grant, Bad> {
    let refused = |detail: &str| forbidden("cluster_refused", detail);
    let parts = Parts::of(value).filter(|parts| {
        secret.verifies(Purpose::Call, &message(call, parts.time, parts.nonce, parts.grant), parts.mac)
    });
    let Some(parts) = parts else {
        let detail = "no secret of http.cluster_secret_file signed this call to this member; all trackers and nodes share one file";
        return Err(Bad::Unproven(refused(detail)));
    };
    let time: i64 = parts.time.parse().unwrap_or(i64::MIN);
    if now.saturating_sub(time).saturating_abs() > WINDOW {
        let detail = "this call was signed more than 30 seconds ago, or hence: see whether the clocks agree";
        return Err(Bad::Useless(refused(detail)));
    }
    if seen.take(parts.nonce, 1, time.saturating_add(2 * WINDOW), now).is_err() {
        return Err(Bad::Useless(forbidden("cluster_replayed", "this call has been made already")));
    }
    parts.granted().ok_or_else(|| Bad::Useless(refused("this call is of another version of fdfs")))
}

fn message(call: &Call<'_>, time: &str, nonce: &str, grant: &str) -> Vec<u8> {
    let Call { to, method, uri, headers } = call;
    // The other side sees a file ID as one segment.
    let mut uri = (*uri).clone();
    fold_file_id(&mut uri);
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    let mut message = format!("{to}\n{method}\n{target}\n{time}\n{nonce}\n{grant}").into_bytes();
    let length = match headers.get(CONTENT_LENGTH) {
        Some(length) => length.as_bytes(),
        None if headers.contains_key(TRANSFER_ENCODING) => b"chunked",
        // Some clients say so, and some say nothing.
        None => b"0",
    };
    let digests = DIGESTS.into_iter().flat_map(|name| headers.get_all(name)).map(HeaderValue::as_bytes);
    for line in std::iter::once(length).chain(digests) {
        message.push(b'\n');
        message.extend_from_slice(line);
    }
    message
}

/// The words of the header.
struct Parts<'a> {
    time: &'a str,
    nonce: &'a str,
    grant: &'a str,
    mac: &'a str,
}

impl<'a> Parts<'a> {
    /// They come once each, in this order.
    fn of(value: &'a str) -> Option<Self> {
        let mut words = value.split(", ").filter(|_| value.len() <= MAX_HEADER);
        let mut word = |name| words.next().and_then(|word| word.strip_prefix(name));
        let parts = Self { time: word("t=")?, nonce: word("n=")?, grant: word("g=")?, mac: word("mac=")? };
        words.next().is_none().then_some(parts)
    }

    fn granted(&self) -> Option<Grant> {
        let told: Told = serde_json::from_slice(&text64::decode(self.grant)?).ok()?;
        let group = told.group.map(|group| GroupName::parse(&group)).transpose().ok()?;
        let types: Option<Vec<TypePattern>> =
            told.types.iter().map(|kind| TypePattern::parse(kind)).collect();
        Some(Grant {
            who: told.who,
            scopes: Scopes::parse(&told.scopes)?,
            group,
            limits: UploadLimits { max_size: told.size, types: types? },
            expires: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::scope::Scope;
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const TO: &str = "192.168.0.1";
    const PATH: &str = "/v1/files/group1/M00/00/00/a.jpg?x=1";

    fn secret() -> ClusterSecret {
        ClusterSecret::parse("0123456789abcdef0123456789abcdef").unwrap()
    }

    fn grant() -> Grant {
        Grant {
            who: "jwt:Änn\n\"".to_owned(),
            scopes: Scopes::NONE.with(Scope::Delete),
            group: Some(GroupName::parse("group1").unwrap()),
            limits: UploadLimits { max_size: Some(5), types: vec![TypePattern::parse("image/*").unwrap()] },
            expires: None,
        }
    }

    fn value() -> String {
        value_of(&HeaderMap::new())
    }

    fn value_of(headers: &HeaderMap) -> String {
        let call = Call { to: TO, method: &Method::DELETE, uri: &PATH.parse().unwrap(), headers };
        make(&secret(), &grant(), &call, NOW).unwrap().to_str().unwrap().to_owned()
    }

    fn judge_at(seen: &Once, value: &str, method: &Method, path: &str, now: i64) -> Result<Grant, Bad> {
        let call = Call { to: TO, method, uri: &path.parse().unwrap(), headers: &HeaderMap::new() };
        judge(&secret(), seen, value, &call, now)
    }

    #[test]
    fn a_call_is_passed_on_once() {
        let seen = Once::default();
        let value = value();
        let folded = "/v1/files/group1%2FM00%2F00%2F00%2Fa.jpg?x=1";
        assert_eq!(judge_at(&seen, &value, &Method::DELETE, folded, NOW).unwrap(), grant());
        let again = judge_at(&seen, &value, &Method::DELETE, folded, NOW + 1).unwrap_err();
        assert!(format!("{again:?}").contains("cluster_replayed"));
    }

    #[test]
    fn a_call_that_was_altered_or_is_old_is_refused() {
        let value = value();
        let refused = |value: &str, method: &Method, path: &str, now: i64| {
            let bad = judge_at(&Once::default(), value, method, path, now).unwrap_err();
            assert!(format!("{bad:?}").contains("cluster_refused"), "{value} {method} {path}");
        };
        refused(&value, &Method::POST, PATH, NOW);
        refused(&value, &Method::DELETE, "/v1/files/group1/M00/00/00/b.jpg?x=1", NOW);
        refused(&value, &Method::DELETE, "/v1/files/group1/M00/00/00/a.jpg", NOW);
        refused(&value, &Method::DELETE, PATH, NOW + WINDOW + 1);
        refused(&value, &Method::DELETE, PATH, NOW - WINDOW - 1);
        for at in 0..value.len() {
            let mut altered = value.clone().into_bytes();
            altered[at] = if altered[at] == b'0' { b'1' } else { b'0' };
            refused(&String::from_utf8(altered).unwrap(), &Method::DELETE, PATH, NOW);
        }
        for altered in ["", "t=1, n=1, g=1", &format!("{value}, x=1"), &value.replace(", ", ",")] {
            refused(altered, &Method::DELETE, PATH, NOW);
        }
    }

    #[test]
    fn a_call_is_for_one_member_and_about_one_body() {
        let headers = |lines: &[(HeaderName, &'static str)]| -> HeaderMap {
            lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
        };
        let digest = HeaderName::from_static("content-md5");
        let told = headers(&[(CONTENT_LENGTH, "5"), (digest.clone(), "XUFAKrxLKna5cZ2REBfFkg==")]);
        let value = value_of(&told);
        let judged = |to: &str, headers: &HeaderMap| {
            let call = Call { to, method: &Method::DELETE, uri: &PATH.parse().unwrap(), headers };
            judge(&secret(), &Once::default(), &value, &call, NOW).is_ok()
        };
        assert!(judged(TO, &told));
        assert!(!judged("192.168.0.2", &told), "another member");
        for other in [
            headers(&[]),
            headers(&[(CONTENT_LENGTH, "5")]),
            headers(&[(CONTENT_LENGTH, "6"), (digest.clone(), "XUFAKrxLKna5cZ2REBfFkg==")]),
            headers(&[(CONTENT_LENGTH, "5"), (digest.clone(), "AAAAKrxLKna5cZ2REBfFkg==")]),
            headers(&[(TRANSFER_ENCODING, "chunked"), (digest, "XUFAKrxLKna5cZ2REBfFkg==")]),
        ] {
            assert!(!judged(TO, &other), "{other:?}");
        }
        let empty = headers(&[(CONTENT_LENGTH, "0")]);
        let call = Call { to: TO, method: &Method::DELETE, uri: &PATH.parse().unwrap(), headers: &empty };
        assert!(judge(&secret(), &Once::default(), &self::value(), &call, NOW).is_ok());
    }
}
