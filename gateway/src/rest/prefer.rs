//! `Prefer: durability=...` (RFC 7240): when an upload is to be answered.
//!
//! Other preferences are passed over, as the RFC has it. A durability that this node does not give is refused: who asks for
//! one relies on it.

use http::{HeaderMap, HeaderName};
use protocol::config::storage_conf::Promise;

use super::upload::bad;
use crate::problem::Problem;

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// What was done of what was preferred.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The durability that a request prefers; the first of several counts (RFC 7240, 2).
pub(crate) fn durability(headers: &HeaderMap) -> Result<Option<Promise>, Problem> {
    let lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
    let mut preferences = lines.flat_map(|line| line.split(',')).filter_map(|preference| {
        let value = preference.split(';').next()?;
        let (name, value) = value.split_once('=')?;
        name.trim().eq_ignore_ascii_case("durability").then(|| value.trim().trim_matches('"'))
    });
    let Some(value) = preferences.next() else { return Ok(None) };
    Promise::parse(value).map(Some).ok_or_else(|| {
        let detail = format!(
            "durability={} is none that this node gives: write (the default) answers when the file is written, fsync when \
             it is on the disk, replica:N when N other members have it, too (1 to 31), fsync+replica:N when both is so",
            value.escape_default()
        );
        bad("bad_durability", &detail)
    })
}

/// How the answer says it. What is no token is quoted (RFC 7240, 2).
pub(crate) fn applied(promise: Promise) -> String {
    if promise.replicas == 0 { format!("durability={promise}") } else { format!("durability=\"{promise}\"") }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_first_durability_of_all_preferences_counts() {
        let check = |lines: &[&'static str], expected: Option<Option<&str>>| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(PREFER, HeaderValue::from_static(line));
            }
            let expected = expected.map(|text| text.map(|text| Promise::parse(text).unwrap()));
            assert_eq!(durability(&headers).ok(), expected, "{lines:?}");
        };
        check(&[], Some(None));
        check(&["respond-async, wait=100", "handling=lenient"], Some(None));
        check(&["durability=fsync"], Some(Some("fsync")));
        check(&["wait=10, Durability = \"fsync\"; x=y"], Some(Some("fsync")));
        check(&["durability=write", "durability=fsync"], Some(Some("write")));
        check(&["durability"], Some(None));
        check(&["durability=replica:2"], Some(Some("replica:2")));
        check(&["durability=\"fsync+replica:1\""], Some(Some("fsync+replica:1")));
        check(&["durability=replica:0"], None);
        check(&["durability=replica:32"], None);
        check(&["durability="], None);
    }

    #[test]
    fn what_was_applied_is_said_as_it_may_be_asked_for() {
        for text in ["write", "fsync", "replica:2", "fsync+replica:31"] {
            let promise = Promise::parse(text).unwrap();
            let mut headers = HeaderMap::new();
            headers.append(PREFER, HeaderValue::try_from(applied(promise)).unwrap());
            assert_eq!(durability(&headers).ok(), Some(Some(promise)));
        }
    }
}
