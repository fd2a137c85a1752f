//! Recorded frames: what decodes, what it encodes to, and that no damage to it panics.

use protocol::Header;
use protocol::frame::HEADER_LEN;

use crate::messages;
use crate::recorded::{Frame, frames};

const MAX_BODY: u64 = 1 << 50;

/// Requests that were served but are not encoded to the same bytes, with the reason.
const OTHER_BYTES: &[(&str, &str)] =
    &[("storage/upload/ext-nul-inside", "bytes behind the NUL of the extension are not kept")];

/// Requests that the reference served or answered otherwise than with EINVAL, which are refused here.
const REFUSED: &[(&str, &str)] = &[
    ("tracker/query_store/group/empty", "no group has an empty name: EINVAL, not ENOENT"),
    ("storage/download/name-with-nul", "no file has a NUL in its name: EINVAL, not the file before the NUL"),
];

/// Answers whose text fields end in bytes of older answers, which are read up to the NUL and encoded as zeros.
const STALE: &[&str] = &[
    "tracker/tracker_cluster_stat",
    "tracker/tracker_cluster_stat/filter-leader",
    "tracker/storage_cluster_stat",
    "tracker/storage_cluster_stat/filter-status-active",
    "tracker/storage_cluster_stat/filter-trunk",
    "tracker/volumn_stat",
    "tracker/volumn_stat/trunk",
];

fn listed(table: &[(&str, &str)], frame: &Frame) -> bool {
    table.iter().any(|(name, _)| *name == frame.name)
}

/// Header and the bytes of the body that were sent.
fn split(bytes: &[u8]) -> Option<(Header, &[u8])> {
    let header = Header::decode(bytes, MAX_BODY).ok()??;
    Some((header, &bytes[HEADER_LEN..]))
}

#[test]
fn recorded_requests_decode_and_encode_to_the_same_bytes() {
    let (mut same, mut wrong) = (0, Vec::new());
    for frame in frames() {
        let Some((header, body)) = split(&frame.request) else { continue };
        // Cut off on purpose, or refused by the reference too.
        if body.len() as u64 != header.body_len || frame.status.is_none_or(|status| status == 22) {
            continue;
        }
        let Some(again) = messages::request(header.command.0, body, header.body_len) else { continue };
        match again {
            Ok(bytes) if bytes == body => same += 1,
            Ok(bytes) if !listed(OTHER_BYTES, &frame) => {
                wrong.push(format!("{}: {body:02x?}, again {bytes:02x?}", frame.name));
            }
            Err(error) if !listed(REFUSED, &frame) => wrong.push(format!("{}: {error}", frame.name)),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(same > 120, "{same} requests are the same");
}

#[test]
fn recorded_answers_decode_and_encode_to_the_same_bytes() {
    let mut same = 0;
    for frame in frames().iter().filter(|frame| frame.status == Some(0)) {
        let (header, body) = split(&frame.response).unwrap();
        assert_eq!((header.command.0, header.body_len), (100, body.len() as u64), "{}", frame.name);
        let command = frame.request[8];
        let Some(again) = messages::response(command, body).filter(|_| !body.is_empty()) else { continue };
        let bytes = again.unwrap_or_else(|error| panic!("{}: {error}", frame.name));
        if STALE.contains(&frame.name.as_str()) {
            let twice = messages::response(command, &bytes).unwrap().unwrap();
            assert_eq!((twice, bytes.len()), (bytes.clone(), body.len()), "{}", frame.name);
        } else {
            assert_eq!(bytes, body, "{}", frame.name);
            same += 1;
        }
    }
    assert!(same > 60, "{same} answers are the same");
}

#[test]
fn every_prefix_of_a_recorded_frame_is_survived() {
    for frame in frames() {
        for end in 0..frame.request.len().min(HEADER_LEN) {
            assert_eq!(Header::decode(&frame.request[..end], MAX_BODY), Ok(None), "{}", frame.name);
        }
        let Some(&command) = frame.request.get(8) else { continue };
        let body = frame.request.get(HEADER_LEN..).unwrap_or_default();
        for end in 0..=body.len() {
            // As a whole body of that length, and as the beginning of the announced one.
            let _ = messages::request(command, &body[..end], end as u64);
            let _ = messages::request(command, &body[..end], body.len() as u64);
        }
        let body = frame.response.get(HEADER_LEN..).unwrap_or_default();
        for end in 0..=body.len() {
            let _ = messages::response(command, &body[..end]);
        }
    }
}

/// Calls `survive` with `bytes` changed in one place: each bit, all bits, and zero.
fn each_damage(bytes: &[u8], mut survive: impl FnMut(&[u8])) {
    let mut damaged = bytes.to_vec();
    for at in 0..bytes.len() {
        let whole = damaged[at];
        for value in (0..8).map(|bit| whole ^ (1 << bit)).chain([!whole, 0]) {
            damaged[at] = value;
            survive(&damaged);
        }
        damaged[at] = whole;
    }
}

#[test]
fn every_damaged_byte_of_a_recorded_frame_is_survived() {
    for frame in frames() {
        let Some(&command) = frame.request.get(8) else { continue };
        each_damage(&frame.request, |bytes| {
            let _ = Header::decode(bytes, 256 * 1024);
            if let Some((header, body)) = split(bytes) {
                let _ = messages::request(header.command.0, body, body.len() as u64);
                if header.body_len >= body.len() as u64 {
                    let _ = messages::request(header.command.0, body, header.body_len);
                }
            }
        });
        each_damage(frame.response.get(HEADER_LEN..).unwrap_or_default(), |body| {
            let _ = messages::response(command, body);
        });
    }
}

mod any_bytes {
    use proptest::prelude::*;

    use crate::messages;

    proptest! {
        /// Whatever decodes is encoded to bytes that decode to the same: encoding is the inverse of decoding.
        #[test]
        fn what_decodes_encodes_to_itself(command: u8, body in proptest::collection::vec(any::<u8>(), 0..600)) {
            if let Some(Ok(bytes)) = messages::request(command, &body, body.len() as u64) {
                let again = messages::request(command, &bytes, bytes.len() as u64).unwrap();
                prop_assert_eq!(again, Ok(bytes));
            }
            if let Some(Ok(bytes)) = messages::response(command, &body) {
                prop_assert_eq!(messages::response(command, &bytes).unwrap(), Ok(bytes));
            }
        }
    }
}
