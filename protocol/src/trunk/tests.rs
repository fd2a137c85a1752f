//! Layouts of the reference, and decoders that survive anything.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::file_id::{StorePathIndex, SubDir, TrunkSlot};
use crate::wire::{Request, Response};
use crate::{Command, GroupName, Status};

const GROUP: &[u8] = b"group1\0\0\0\0\0\0\0\0\0\0";
const SPACE: &[u8] = b"\x01\xAA\x0B\0\0\0\x07\0\0\x02\0\0\0\x01\0";

fn group() -> GroupName {
    GroupName::parse("group1").unwrap()
}

fn space() -> TrunkSpace {
    TrunkSpace {
        path: StorePathIndex(1),
        dir: SubDir { high: 0xAA, low: 0x0B },
        slot: TrunkSlot { file_id: 7, offset: 512, size: 256 },
    }
}

/// A request's frame: its body is this, and no prefix of it is a request.
fn check<Q: Request + PartialEq + std::fmt::Debug>(request: &Q, command: u8, body: &[u8]) {
    let frame = request.to_frame();
    assert_eq!((frame[8], frame[9]), (command, 0));
    assert_eq!(&frame[10..], body);
    assert_eq!(Q::decode_body(body).as_ref(), Ok(request));
    for len in 0..body.len() {
        assert!(Q::decode_body(&body[..len]).is_err(), "{command} {len}");
    }
    assert!(Q::decode_body(&[body, b"x"].concat()).is_err(), "{command} with more");
}

#[test]
fn requests_lie_where_the_reference_has_them() {
    let allocate = AllocateSpace { group: group(), size: 36, path: StorePathIndex(1) };
    check(&allocate, 27, &[GROUP, b"\0\0\0\x24\x01"].concat());
    check(&ConfirmSpace { group: group(), space: space() }, 28, &[GROUP, SPACE].concat());
    check(&FreeSpace { group: group(), space: space() }, 29, &[GROUP, SPACE].concat());
    check(&GetTrunkBinlogSize, 31, b"");
    check(&DeleteBinlogMarks, 32, b"");
    check(&TruncateTrunkBinlog, 33, b"");
}

#[test]
fn a_confirmation_says_in_its_header_what_became_of_the_slot() {
    let request = ConfirmSpace { group: group(), space: space() };
    for (used, status) in
        [(SpaceUse::Used, Status::OK), (SpaceUse::Occupied, Status::EEXIST), (SpaceUse::Unused, Status::EIO)]
    {
        let frame = request.to_frame_with(used);
        assert_eq!((frame[8], frame[9]), (Command::TRUNK_ALLOC_CONFIRM.0, status.0));
        assert_eq!(SpaceUse::of(status), used);
        assert_eq!(ConfirmSpace::decode_body(&frame[10..]), Ok(request));
    }
    assert_eq!(SpaceUse::of(Status::ENOENT), SpaceUse::Unused);
}

#[test]
fn answers_come_back_as_they_were() {
    let mut out = BytesMut::new();
    space().encode_body(&mut out);
    assert_eq!((&out[..], out.len()), (SPACE, SPACE_LEN));
    assert_eq!(TrunkSpace::decode_body(SPACE), Ok(space()));
    let mut negative = SPACE.to_vec();
    negative[3] = 0x80;
    assert!(TrunkSpace::decode_body(&negative).is_err());
    assert_eq!(TrunkBinlogSize::decode_body(&[0, 0, 0, 0, 0, 0, 1, 0]), Ok(TrunkBinlogSize(256)));
    assert!(TrunkBinlogSize::decode_body(&[0xFF; 8]).is_err());
}

#[test]
fn lines_are_whole_and_bounded() {
    let line = &b"1795383113 A 0 0 0 1 0 4194304\n"[..];
    let request = TrunkBinlogLines(Bytes::from_static(line));
    assert_eq!(&request.to_frame()[10..], line);
    assert_eq!(TrunkBinlogLines::decode_body(line), Ok(request));
    assert!(TrunkBinlogLines::decode_body(&line[..line.len() - 1]).is_err());
    assert!(TrunkBinlogLines::decode_body(b"").is_err());
    let most = [vec![b'1'; MAX_LINES - 1], vec![b'\n']].concat();
    assert!(TrunkBinlogLines::decode_body(&most).is_ok());
    assert!(TrunkBinlogLines::decode_body(&[&most[..], b"\n"].concat()).is_err());
}

proptest! {
    #[test]
    fn no_body_panics_a_decoder(body in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = (AllocateSpace::decode_body(&body), ConfirmSpace::decode_body(&body));
        let _ = (FreeSpace::decode_body(&body), TrunkBinlogLines::decode_body(&body));
        let _ = (TrunkSpace::decode_body(&body), TrunkBinlogSize::decode_body(&body));
        let _ = (GetTrunkBinlogSize::decode_body(&body), TruncateTrunkBinlog::decode_body(&body));
    }
}
