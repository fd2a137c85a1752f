//! `Prefer: durability=...` (RFC 7240): when an upload is to be answered.
//!
//! Other preferences are passed over, as the RFC has it. A durability that this node does not give is refused: who asks for
//! one relies on it.

use http::{HeaderMap, HeaderName};
use protocol::config::storage_conf::Durability;

use super::upload::bad;
use crate::problem::Problem;

const PREFER: HeaderName = HeaderName::from_static("prefer");
/// What was done of what was preferred.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The durability that a request prefers; the first of several counts (RFC 7240, 2).
pub(crate) fn durability(headers: &HeaderMap) -> Result<Option<Durability>, Problem> {
    let lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
    let mut preferences = lines.flat_map(|line| line.split(',')).filter_map(|preference| {
        let value = preference.split(';').next()?;
        let (name, value) = value.split_once('=')?;
        name.trim().eq_ignore_ascii_case("durability").then(|| value.trim().trim_matches('"'))
    });
    match preferences.next() {
        None => Ok(None),
        Some("write") => Ok(Some(Durability::Write)),
        Some("fsync") => Ok(Some(Durability::Fsync)),
        Some(other) => {
            let detail = format!(
                "durability={} is none that this node gives: write (the default) answers when the file is written, \
                 fsync when it is on the disk",
                other.escape_default()
            );
            Err(bad("bad_durability", &detail))
        }
    }
}

/// How the answer says it.
pub(crate) fn applied(durability: Durability) -> &'static str {
    match durability {
        Durability::Write => "durability=write",
        Durability::Fsync => "durability=fsync",
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_first_durability_of_all_preferences_counts() {
        let check = |lines: &[&'static str], expected: Option<Option<Durability>>| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(PREFER, HeaderValue::from_static(line));
            }
            assert_eq!(durability(&headers).ok(), expected, "{lines:?}");
        };
        check(&[], Some(None));
        check(&["respond-async, wait=100", "handling=lenient"], Some(None));
        check(&["durability=fsync"], Some(Some(Durability::Fsync)));
        check(&["wait=10, Durability = \"fsync\"; x=y"], Some(Some(Durability::Fsync)));
        check(&["durability=write", "durability=fsync"], Some(Some(Durability::Write)));
        check(&["durability"], Some(None));
        check(&["durability=replica:2"], None);
        check(&["durability="], None);
    }
}
