//! Layouts of the reference, and decoders that survive anything.

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::file_id::LogicName;
use crate::wire::{Request, StreamRequest};
use crate::{Command, GroupName};

const NAME: &str = "M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0977.txt";

fn name() -> LogicName {
    LogicName::parse(NAME).unwrap()
}

fn group() -> GroupName {
    GroupName::parse("group1").unwrap()
}

#[test]
fn heads_lie_where_the_reference_has_them() {
    let file = SyncFile { time: 0x0102_0304, group: group(), name: name(), size: 7 };
    let frame = SyncCreate(file.clone()).to_frame_head();
    let body = &frame[10..];
    assert_eq!((frame[8], frame[9]), (Command::SYNC_CREATE_FILE.0, 0));
    assert_eq!(frame[..8], (36 + 44 + 7_u64).to_be_bytes());
    assert_eq!(body[..8], 44_u64.to_be_bytes());
    assert_eq!(body[8..16], 7_u64.to_be_bytes());
    assert_eq!(body[16..20], [1, 2, 3, 4]);
    assert_eq!(&body[20..36], b"group1\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(&body[36..], NAME.as_bytes());
    let part = SyncRange { name: name(), offset: 3, len: 4, time: 5, group: group() };
    let body = SyncModify(part).to_frame_head().split_off(10);
    assert_eq!(body[8..24], [3_u64.to_be_bytes(), 4_u64.to_be_bytes()].concat());
    assert_eq!((&body[24..28], body.len()), (&[0, 0, 0, 5][..], 44 + 44));
    let delete = SyncDelete { time: 5, group: group(), name: name() };
    assert_eq!(delete.to_frame().len(), 10 + 20 + 44);
}

#[test]
fn bytes_behind_a_group_s_name_do_not_count() {
    let delete = SyncDelete { time: 5, group: group(), name: name() };
    let mut body = delete.to_frame().split_off(10);
    body[4 + 7..20].fill(0xAA);
    assert_eq!(SyncDelete::decode_body(&body), Ok(delete));
}

#[test]
fn a_file_without_content_says_so_in_the_header() {
    let file = SyncFile { time: 1, group: group(), name: name(), size: 7 };
    let mut head = BytesMut::new();
    SyncCreate(file.clone()).encode_head(&mut head);
    let len = head.len() as u64;
    assert_eq!(SyncFile::decode(&head, len, false), Ok(Some((file.clone(), head.len()))));
    assert!(SyncFile::decode(&head, len, true).is_err());
    assert!(SyncFile::decode(&head, len + 7, false).is_err());
    assert_eq!(SyncFile::decode(&head[..40], len + 7, true), Ok(None));
    assert_eq!(SyncFile::decode(&head, len + 7, true), Ok(Some((file, head.len()))));
}

proptest! {
    #[test]
    fn messages_come_back_as_they_were(offset in 0..=i64::MAX as u64, len in 0..1_u64 << 40, time: i32) {
        let pair = SyncPair { dest: name(), source: name(), time, group: group() };
        prop_assert_eq!(SyncLink::decode_body(&SyncLink(pair.clone()).to_frame()[10..]), Ok(SyncLink(pair.clone())));
        prop_assert_eq!(SyncRename::decode_body(&SyncRename(pair.clone()).to_frame()[10..]), Ok(SyncRename(pair)));
        let cut = SyncTruncate { name: name(), old_size: offset, new_size: len, time, group: group() };
        prop_assert_eq!(SyncTruncate::decode_body(&cut.to_frame()[10..]), Ok(cut));
        let part = SyncAppend(SyncRange { name: name(), offset, len, time, group: group() });
        let head = part.to_frame_head().split_off(10);
        prop_assert_eq!(SyncAppend::decode_head(&head, head.len() as u64 + len), Ok(Some((part, head.len()))));
    }

    #[test]
    fn no_body_panics_a_decoder(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let len = body.len() as u64;
        let _ = (SyncCreate::decode_head(&body, len), SyncUpdate::decode_head(&body, len));
        let _ = (SyncAppend::decode_head(&body, len), SyncModify::decode_head(&body, len));
        let _ = (SyncDelete::decode_body(&body), SyncTruncate::decode_body(&body));
        let _ = (SyncLink::decode_body(&body), SyncRename::decode_body(&body));
    }
}
