//! `Fdfs-Cluster`: by it a member or a tracker passes on a request that it has found to be allowed.
//!
//! Its value is `t=MILLISECONDS, n=NONCE, g=GRANT, mac=MAC`. The MAC is over method, path with query, and these three, by the
//! cluster's secret; a nonce counts once, and only for half a minute. Bodies are not covered: who could change them on the
//! way needs TLS between the members.

use http::{HeaderName, HeaderValue, Method, Uri};
use protocol::GroupName;
use serde::{Deserialize, Serialize};

use super::grant::{Grant, TypePattern, UploadLimits};
use super::once::Once;
use super::refusals::{Bad, forbidden};
use super::scope::Scopes;
use super::secret::{ClusterSecret, Purpose};
use super::text64;
use crate::routes::fold_file_id;

/// The header.
pub const FDFS_CLUSTER: HeaderName = HeaderName::from_static("fdfs-cluster");

/// How long a call may be on its way, and how far clocks may be apart, in milliseconds.
const WINDOW: i64 = 30_000;
/// Longest header.
const MAX_HEADER: usize = 8192;

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
pub(super) fn make(
    secret: &ClusterSecret,
    grant: &Grant,
    method: &Method,
    uri: &Uri,
    now: i64,
) -> Option<HeaderValue> {
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
    let mac = secret.sign(Purpose::Call, message(method, uri, &time, &nonce, &grant).as_bytes());
    HeaderValue::try_from(format!("t={time}, n={nonce}, g={grant}, mac={mac}")).ok()
}

/// What such a header allows a request. `now` is in milliseconds.
pub(super) fn judge(
    secret: &ClusterSecret,
    seen: &Once,
    value: &str,
    method: &Method,
    uri: &Uri,
    now: i64,
) -> Result<Grant, Bad> {
    let refused = |detail: &str| forbidden("cluster_refused", detail);
    let parts = Parts::of(value).filter(|parts| {
        let message = message(method, uri, parts.time, parts.nonce, parts.grant);
        secret.verifies(Purpose::Call, message.as_bytes(), parts.mac)
    });
    let Some(parts) = parts else {
        let detail =
            "no secret of http.cluster_secret_file signed this call; all trackers and nodes share one file";
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

fn message(method: &Method, uri: &Uri, time: &str, nonce: &str, grant: &str) -> String {
    // The other side sees a file ID as one segment.
    let mut uri = uri.clone();
    fold_file_id(&mut uri);
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    format!("{method}\n{target}\n{time}\n{nonce}\n{grant}")
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
        let value = make(&secret(), &grant(), &Method::DELETE, &PATH.parse().unwrap(), NOW).unwrap();
        value.to_str().unwrap().to_owned()
    }

    fn judge_at(seen: &Once, value: &str, method: &Method, path: &str, now: i64) -> Result<Grant, Bad> {
        judge(&secret(), seen, value, method, &path.parse().unwrap(), now)
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
}
