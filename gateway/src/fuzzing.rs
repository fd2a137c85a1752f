//! What must hold whatever a client sends. Fuzz targets (`tests/fuzz`) search for bytes with which it does not; the tests here
//! replay those that were found to reach new code.

use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use protocol::config::web_conf::TokenConf;
use protocol::{FileId, GroupName};

use crate::conditions::{Outcome, evaluate, range_counts};
use crate::file_path::file_id;
use crate::query::QueryString;
use crate::range::{Wanted, asked, wanted};
use crate::server::decode_proxied;
use crate::signed_url::UrlKeys;
use crate::token::Tokens;
use crate::validators::Validators;

const ID: &str = "group1/M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0977.txt";
/// Bytes that this name stands for.
const LEN: u64 = 14;

/// A path of a URL: the file that it names is one, whatever the path was.
pub fn path(data: &[u8]) {
    let Ok(uri) = Uri::try_from(data) else { return };
    let Ok(own) = GroupName::parse("group1") else { return };
    for merge_slashes in [false, true] {
        let Some(id) = file_id(&uri, own, merge_slashes) else { continue };
        assert_eq!(FileId::parse(&id.to_string()).as_ref(), Ok(&id));
        let text = id.to_string();
        let plain = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
        let plain: Uri = format!("/{plain}").parse().expect("encoded, an ID is a path");
        assert_eq!(file_id(&plain, own, false), Some(id), "its plain URL names the same file");
    }
}

/// A `Range`: the length of the file, how many ranges are allowed, then the header.
pub fn range(data: &[u8]) {
    let Some((head, text)) = data.split_at_checked(9) else { return };
    let [max, len @ ..] = head else { return };
    let len = len.try_into().map_or(0, u64::from_le_bytes);
    let (Ok(header), max) = (std::str::from_utf8(text), usize::from(*max)) else { return };
    let asked = asked(header, len, max);
    let sent = match wanted(header, len, max) {
        Wanted::All => {
            assert!(asked.is_none(), "{header}: a range is ignored");
            return;
        }
        Wanted::Nothing => Vec::new(),
        Wanted::One(range) => vec![range],
        Wanted::Several(ranges) => {
            assert!(ranges.len() > 1 && ranges.len() <= max, "{header}: {ranges:?}");
            ranges
        }
    };
    let asked = asked.unwrap_or_else(|| panic!("{header}: nobody asked"));
    check_parts(header, len, &asked, &sent);
}

fn check_parts(header: &str, len: u64, asked: &[Range<u64>], sent: &[Range<u64>]) {
    for (index, part) in sent.iter().enumerate() {
        assert!(part.start < part.end && part.end <= len, "{header} of {len}: {part:?}");
        let others = sent.iter().enumerate().filter(|(other, _)| *other != index);
        for (_, other) in others {
            assert!(part.end < other.start || other.end < part.start, "{header}: {part:?} and {other:?}");
        }
        // Only what was asked for is sent, but for short gaps.
        assert!(asked.iter().any(|range| range.start == part.start), "{header}: {part:?}");
        assert!(asked.iter().any(|range| range.end == part.end), "{header}: {part:?}");
    }
    for range in asked {
        let is_in = |part: &Range<u64>| part.start <= range.start && range.end <= part.end;
        assert!(sent.iter().any(is_in), "{header} of {len}: {range:?} is not in {sent:?}");
    }
}

/// Preconditions: lines, each with a letter for the header and then its value.
pub fn preconditions(data: &[u8]) {
    let Ok(id) = FileId::parse(ID) else { return };
    let modified = UNIX_EPOCH + Duration::from_secs(1_795_382_841);
    let headers = headers(data);
    for mutable in [false, true] {
        check_preconditions(&headers, &Validators::of(&id, LEN, modified, mutable));
    }
}

fn headers(data: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let Some((letter, value)) = line.split_first() else { continue };
        let name = match letter % 5 {
            0 => IF_MATCH,
            1 => IF_NONE_MATCH,
            2 => IF_MODIFIED_SINCE,
            3 => IF_UNMODIFIED_SINCE,
            _ => IF_RANGE,
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(name, value);
        }
    }
    headers
}

fn with(headers: &HeaderMap, name: HeaderName, value: &str) -> HeaderMap {
    let mut more = headers.clone();
    more.append(name, value.parse().expect("a good value"));
    more
}

fn check_preconditions(headers: &HeaderMap, validators: &Validators) {
    let outcome = evaluate(headers, validators);
    let after = |headers: HeaderMap| evaluate(&headers, validators);
    let tag = validators.etag.as_str();

    // One more line of a list is one more element: what is not ours changes nothing, what is ours decides.
    if headers.contains_key(IF_MATCH) {
        assert_eq!(after(with(headers, IF_MATCH, "\"nobody's\"")), outcome, "{headers:?}");
        assert_eq!(after(with(headers, IF_MATCH, &format!("W/{tag}"))), outcome, "weak: {headers:?}");
    }
    assert_ne!(after(with(headers, IF_MATCH, tag)), Outcome::Failed, "{headers:?}");
    if headers.contains_key(IF_NONE_MATCH) {
        assert_eq!(after(with(headers, IF_NONE_MATCH, "\"nobody's\"")), outcome, "{headers:?}");
    }
    if outcome != Outcome::Failed {
        for ours in [tag, &format!("W/{tag}"), "*", &format!("\"a\", {tag}, \"b\"")] {
            assert_eq!(after(with(headers, IF_NONE_MATCH, ours)), Outcome::NotModified, "{ours} {headers:?}");
        }
    }
    // Dates count only where the tags say nothing (RFC 9110, 13.1.3, 13.1.4).
    if headers.contains_key(IF_NONE_MATCH) {
        let mut fewer = headers.clone();
        fewer.remove(IF_MODIFIED_SINCE);
        assert_eq!(after(fewer), outcome, "{headers:?}");
    }
    if headers.contains_key(IF_MATCH) {
        let mut fewer = headers.clone();
        fewer.remove(IF_UNMODIFIED_SINCE);
        assert_eq!(after(fewer), outcome, "{headers:?}");
    }
    check_if_range(headers, validators);
}

fn check_if_range(headers: &HeaderMap, validators: &Validators) {
    let values: Vec<_> = headers.get_all(IF_RANGE).iter().collect();
    let counts = range_counts(headers, validators);
    match values[..] {
        [] => assert!(counts),
        [value] if value.as_bytes() == validators.etag.as_bytes() => assert!(counts),
        [value] if counts => {
            assert!(!validators.mutable, "a date is no strong validator of what changes: {value:?}");
            let date = httpdate::parse_http_date(value.to_str().unwrap_or_default()).ok();
            assert_eq!(date, Some(validators.modified), "{value:?}");
        }
        // Parts of two versions must never be joined.
        _ => assert!(!counts || values.len() == 1, "{headers:?}"),
    }
}

/// Time of the requests to which [`proofs`] belong.
const NOW: i64 = 1_700_000_000;
/// Seconds that tokens count after their time, and before it.
const TTL: i64 = 600;
const SKEW: i64 = 300;

/// What a URL proves: its query, which may carry a token or a signature. Only who has the secret makes good ones.
pub fn proofs(data: &[u8]) {
    let Ok(query) = std::str::from_utf8(data) else { return };
    let (Ok(uri), Ok(id), Ok(other)) =
        (Uri::try_from(format!("/x?{query}")), FileId::parse(ID), FileId::parse(&ID.replace("977", "978")))
    else {
        return;
    };
    check_tokens(QueryString::of(&uri), &id, &other);
    check_signatures(QueryString::of(&uri), &id, &other);
}

fn check_tokens(query: QueryString<'_>, id: &FileId, other: &FileId) {
    let seconds = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
    let tokens = Tokens::new(&TokenConf {
        secret_key: "FastDFS1234567890".to_owned(),
        token_ttl: seconds(TTL),
        max_skew: seconds(SKEW),
        allow_eternal: false,
        bypass: Some(("X-Pass".to_owned(), String::new())),
    });
    let is_good = |name, query, now| tokens.check(name, query, &HeaderMap::new(), now).is_ok();
    if !is_good(&id.name, query, NOW) {
        return;
    }
    assert!(!is_good(&other.name, query, NOW), "{query:?} is good for two files");
    let token = query.get("token").unwrap_or_default();
    let time: i64 = query.get("ts").unwrap_or_default().parse().unwrap_or_default();
    assert!((NOW - TTL..=NOW + SKEW).contains(&time), "{query:?} is too old or too young");
    assert!(!is_good(&id.name, query, time + TTL + 1), "{query:?} never ends");
    let alike = Uri::try_from(format!("/x?token={token}&ts={}", time - 1)).expect("a good query");
    assert!(!is_good(&id.name, QueryString::of(&alike), NOW), "{query:?} is good for two times");
}

fn check_signatures(query: QueryString<'_>, id: &FileId, other: &FileId) {
    let keys = UrlKeys::parse("2025 an old secret of some length\n2026 another one of the same kind\n");
    let keys = keys.expect("good keys");
    if keys.check(id, query, NOW).is_err() {
        return;
    }
    assert!(keys.check(other, query, NOW).is_err(), "{query:?} is good for two files");
    let get = |key| query.get(key).unwrap_or_default();
    let expires: u64 = get("expires").parse().expect("a number");
    assert!(expires > NOW.unsigned_abs(), "{query:?} has expired");
    let filename = query.has("filename").then(|| get("filename"));
    // One text only is the signature of one URL.
    let made = ["2025", "2026"].into_iter().filter(|key| !query.has("k") || get("k") == **key).any(|key| {
        let signed = keys.sign(id, expires, filename.as_deref(), Some(key)).unwrap_or_default();
        let uri = Uri::try_from(format!("/x?{signed}")).expect("a good query");
        QueryString::of(&uri).get("signature") == query.get("signature")
    });
    assert!(made, "{query:?} was signed by nobody");
}

/// A header of the PROXY protocol as it arrives: what is decided once, more bytes do not change.
pub fn proxied(data: &[u8]) {
    let whole = decode_proxied(data);
    if let Ok(Some((_, len))) = whole {
        assert!(len <= data.len(), "{len} of {} bytes are taken", data.len());
    }
    for cut in 0..data.len().min(600) {
        match decode_proxied(&data[..cut]) {
            Ok(None) => {}
            Ok(Some((client, len))) => {
                assert!(len <= cut, "{len} of {cut} bytes are taken");
                assert_eq!(whole, Ok(Some((client, len))), "after {cut} bytes");
            }
            Err(_) => assert!(whole.is_err(), "refused after {cut} bytes, taken after all"),
        }
    }
}

#[cfg(test)]
#[path = "../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn paths_hold() {
        replay("path", path);
    }

    #[test]
    fn ranges_hold() {
        replay("range", range);
    }

    #[test]
    fn proxied_holds() {
        replay("proxied", proxied);
    }

    #[test]
    fn proofs_hold() {
        replay("proofs", proofs);
    }

    #[test]
    fn preconditions_hold() {
        replay("preconditions", preconditions);
    }
}
