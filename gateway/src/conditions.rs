//! Preconditions in the order of RFC 9110, 13.2.2, for GET and HEAD.

use std::time::SystemTime;

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};

use crate::validators::Validators;

/// What the preconditions of a request say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Carry on.
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

/// Evaluates all but `If-Range`.
pub(crate) fn evaluate(headers: &HeaderMap, validators: &Validators) -> Outcome {
    if headers.contains_key(IF_MATCH) {
        if !matches_any(headers, &IF_MATCH, |tag| tag == validators.etag) {
            return Outcome::Failed;
        }
    } else if date(headers, &IF_UNMODIFIED_SINCE).is_some_and(|date| validators.modified > date) {
        return Outcome::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        if has_copy(headers, &validators.etag) {
            return Outcome::NotModified;
        }
    } else if date(headers, &IF_MODIFIED_SINCE).is_some_and(|date| validators.modified <= date) {
        return Outcome::NotModified;
    }
    Outcome::Proceed
}

/// Whether the client has the file already, of requests whose only preconditions are one line of each of these at most.
pub(crate) fn has_it(
    if_none_match: Option<&str>,
    if_modified_since: Option<&str>,
    validators: &Validators,
) -> bool {
    match if_none_match {
        Some(text) => matches(text, |tag| is_same(tag, &validators.etag)),
        None => if_modified_since
            .and_then(|text| httpdate::parse_http_date(text).ok())
            .is_some_and(|date| validators.modified <= date),
    }
}

/// Whether `If-None-Match` names a tag.
pub(crate) fn has_copy(headers: &HeaderMap, etag: &str) -> bool {
    matches_any(headers, &IF_NONE_MATCH, |tag| is_same(tag, etag))
}

/// Compared weakly (8.8.3.2): our tags are strong, so only the other side's mark is dropped.
fn is_same(tag: &str, etag: &str) -> bool {
    tag.strip_prefix("W/").unwrap_or(tag) == etag
}

/// Whether the request's `Range` counts (13.1.5): no `If-Range`, or one that names this very version.
pub(crate) fn range_counts(headers: &HeaderMap, validators: &Validators) -> bool {
    if !headers.contains_key(IF_RANGE) {
        return true;
    }
    let Some(text) = single(headers, &IF_RANGE) else { return false };
    if text.starts_with('"') || text.starts_with("W/") {
        return text == validators.etag;
    }
    // A file that changes can do so twice in a second: its date is no strong validator (8.8.2.2).
    !validators.mutable && httpdate::parse_http_date(text).is_ok_and(|date| date == validators.modified)
}

/// A date. Several, or one that is none, are ignored (13.1.3, 13.1.4).
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(single(headers, name)?).ok()
}

/// The value of a header that is no list; `None` if it is missing, no ASCII, or there twice (5.3).
pub(crate) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next()?;
    if lines.next().is_some() { None } else { line.to_str().ok() }
}

/// Whether a list of tags holds `*` or one that `same` accepts. Several lines are one list.
fn matches_any(headers: &HeaderMap, name: &HeaderName, same: impl Fn(&str) -> bool) -> bool {
    headers.get_all(name).iter().any(|line| line.to_str().is_ok_and(|text| matches(text, &same)))
}

fn matches(text: &str, same: impl Fn(&str) -> bool) -> bool {
    text.trim() == "*" || tags(text).any(same)
}

/// The tags of a list; a comma inside quotes belongs to its tag.
fn tags(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let open = rest.find('"')?;
        let close = open + 1 + rest[open + 1..].find('"')?;
        let (tag, left) = rest.split_at(close + 1);
        rest = left;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use http::HeaderValue;

    use super::*;

    fn validators() -> Validators {
        let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
        Validators { etag: "\"tag\"".to_owned(), modified, mutable: false }
    }

    fn headers(lines: &[(&HeaderName, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append((*name).clone(), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    #[test]
    fn preconditions_in_their_order() {
        use Outcome::{Failed, NotModified, Proceed};
        let check = |lines: &[(&HeaderName, &str)], expected| {
            assert_eq!(evaluate(&headers(lines), &validators()), expected, "{lines:?}");
        };
        check(&[], Proceed);
        check(&[(&IF_MATCH, "*")], Proceed);
        check(&[(&IF_MATCH, "\"tag\"")], Proceed);
        check(&[(&IF_MATCH, "\"a\", \"tag\"")], Proceed);
        check(&[(&IF_MATCH, "\"a\"")], Failed);
        check(&[(&IF_MATCH, "W/\"tag\"")], Failed);
        check(&[(&IF_MATCH, "rubbish")], Failed);
        check(&[(&IF_MATCH, "\"a\""), (&IF_MATCH, "\"tag\"")], Proceed);
        check(&[(&IF_MATCH, "\"tag\""), (&IF_UNMODIFIED_SINCE, BEFORE)], Proceed);
        check(&[(&IF_UNMODIFIED_SINCE, SAME)], Proceed);
        check(&[(&IF_UNMODIFIED_SINCE, LATER)], Proceed);
        check(&[(&IF_UNMODIFIED_SINCE, BEFORE)], Failed);
        check(&[(&IF_UNMODIFIED_SINCE, "yesterday")], Proceed);
        check(&[(&IF_NONE_MATCH, "*")], NotModified);
        check(&[(&IF_NONE_MATCH, "\"tag\"")], NotModified);
        check(&[(&IF_NONE_MATCH, "W/\"tag\"")], NotModified);
        check(&[(&IF_NONE_MATCH, "\"a,b\",\"tag\"")], NotModified);
        check(&[(&IF_NONE_MATCH, "\"a\"")], Proceed);
        check(&[(&IF_NONE_MATCH, "\"a\""), (&IF_MODIFIED_SINCE, LATER)], Proceed);
        check(&[(&IF_MODIFIED_SINCE, SAME)], NotModified);
        check(&[(&IF_MODIFIED_SINCE, LATER)], NotModified);
        check(&[(&IF_MODIFIED_SINCE, BEFORE)], Proceed);
        check(&[(&IF_MODIFIED_SINCE, "rubbish")], Proceed);
        check(&[(&IF_MATCH, "\"a\""), (&IF_NONE_MATCH, "\"tag\"")], Failed);
        check(&[(&IF_MODIFIED_SINCE, SAME), (&IF_MODIFIED_SINCE, SAME)], Proceed);
        check(&[(&IF_UNMODIFIED_SINCE, BEFORE), (&IF_UNMODIFIED_SINCE, BEFORE)], Proceed);
    }

    #[test]
    fn a_range_counts_for_the_very_version_only() {
        for (value, counts) in [
            ("\"tag\"", true),
            ("W/\"tag\"", false),
            ("\"other\"", false),
            (SAME, true),
            (LATER, false),
            ("rubbish", false),
        ] {
            assert_eq!(range_counts(&headers(&[(&IF_RANGE, value)]), &validators()), counts, "{value}");
        }
        assert!(range_counts(&HeaderMap::new(), &validators()));
    }
}
