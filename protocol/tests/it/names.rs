//! Recorded file ids: what they say, and that no damage to one panics or leaves its directory.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use protocol::file_id::{
    CODE_LEN, FileExt, FileKind, LogicName, NameCode, NameTail, SizeField, SlavePrefix, Source,
    StorePathIndex, SubDir, TrunkSlot, slave_name,
};
use protocol::{FileId, GroupName};

use crate::recorded::file_ids;

#[test]
fn recorded_ids_say_what_was_recorded() {
    for case in file_ids() {
        let text = case["file_id"].as_str().unwrap();
        let id = FileId::parse(text).unwrap();
        assert_eq!(id.to_string(), text);
        let (code, decoded) = (id.name.code().unwrap(), &case["decoded"]);
        let source = u32::from_str_radix(decoded["server_id_be_bytes"].as_str().unwrap(), 16).unwrap();
        match code.source {
            Source::Ip(ip) => assert_eq!(ip, Ipv4Addr::from(source), "{text}"),
            Source::Id(number) => assert_eq!(number.swap_bytes(), source, "{text}"),
        }
        assert_eq!(u64::from(code.timestamp), decoded["timestamp"].as_u64().unwrap(), "{text}");
        assert_eq!(format!("{:016x}", code.size.0), decoded["size_field_hex"], "{text}");
        assert_eq!(format!("{:08x}", code.crc32), decoded["crc_field_hex"], "{text}");
        assert_eq!(&code.encode()[..], &id.name.base_name().as_bytes()[..CODE_LEN], "{text}");
        if let (Ok(FileKind::Normal), Some(crc32)) = (id.name.kind(), case["crc32"].as_str()) {
            assert_eq!(format!("{:08x}", code.crc32), crc32, "{text}");
            assert_eq!(code.size.size(), case["size"].as_u64(), "{text}");
        }
    }
}

/// A name that parses is safe as a path, whatever was done to it.
fn check(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(id) = FileId::parse(text) else { return };
    assert_eq!(FileId::parse(&id.to_string()).as_ref(), Ok(&id));
    let path = id.name.true_name();
    let parts: Vec<_> = path.split('/').collect();
    assert!(parts.len() == 3 && parts.iter().all(|part| !["", ".", ".."].contains(part)), "{text}");
    assert!(!path.bytes().any(|byte| byte.is_ascii_control()), "{text}");
    let _ = (id.name.kind(), id.name.tail(), id.name.metadata_name(), id.name.extension(), id.name.sub_dir());
    if let Ok(code) = id.name.code() {
        assert_eq!(NameCode::decode(&code.encode()), Ok(code), "{text}");
    }
    let prefix = SlavePrefix::parse("_s").unwrap();
    if let Ok(slave) = slave_name(&id.name, prefix, FileExt::parse("txt").unwrap()) {
        assert_eq!(slave.store_path(), id.name.store_path());
    }
}

#[test]
fn every_prefix_and_every_damaged_byte_of_a_name_is_survived() {
    for case in file_ids() {
        let text = case["file_id"].as_str().unwrap().as_bytes();
        (0..=text.len()).for_each(|end| check(&text[..end]));
        let mut damaged = text.to_vec();
        for at in 0..text.len() {
            let whole = text[at];
            for value in (0..8).map(|bit| whole ^ (1 << bit)).chain(*b"/.\\- %M0\0\xff") {
                damaged[at] = value;
                check(&damaged);
            }
            damaged[at] = text[at];
        }
    }
}

prop_compose! {
    fn any_code()(ip: [u8; 4], timestamp: u32, size: u64, crc32: u32, random: u32, kind in 0..3) -> NameCode {
        let small = u32::try_from(size & 0xFFFF_FFFF).unwrap();
        let size = match kind {
            0 => SizeField::normal(size >> 18, random),
            1 => SizeField::appender(random),
            _ => SizeField::trunk(small, random),
        };
        let source = match u32::from_le_bytes(ip) {
            number @ 1..=0xFF_FFFF => Source::Id(number),
            _ => Source::Ip(ip.into()),
        };
        NameCode { source, timestamp, size, crc32 }
    }
}

proptest! {
    #[test]
    fn names_that_are_made_parse_to_what_they_were_made_of(
        code in any_code(), path: u8, high: u8, low: u8, random: u32, slot in any::<[u32; 3]>(),
        ext in "[a-z0-9]{0,6}",
    ) {
        let [file_id, offset, size] = slot.map(|number| number >> 1);
        let slot = code.size.is_trunk().then_some(TrunkSlot { file_id, offset, size });
        let tail = NameTail::new(FileExt::parse(&ext).unwrap(), random);
        let name =
            LogicName::make(StorePathIndex(path), SubDir { high, low }, &code, slot.as_ref(), &tail);
        let id = FileId { group: GroupName::parse("group1").unwrap(), name };
        let parsed = FileId::parse(&id.to_string()).unwrap();
        prop_assert_eq!(&parsed, &id);
        prop_assert_eq!(parsed.name.code(), Ok(code));
        prop_assert_eq!(parsed.name.extension(), ext);
        prop_assert_eq!(parsed.name.store_path(), StorePathIndex(path));
        prop_assert_eq!(parsed.name.sub_dir(), SubDir { high, low });
        prop_assert_eq!(parsed.name.tail(), Some(tail));
        match (parsed.name.kind().unwrap(), slot) {
            (FileKind::Trunk(found), Some(slot)) => prop_assert_eq!(found, slot),
            (FileKind::Appender, None) => prop_assert!(code.size.is_appender()),
            (FileKind::Normal, None) => prop_assert!(!code.size.is_appender() && !code.size.is_trunk()),
            (kind, slot) => prop_assert!(false, "{kind:?} of {slot:?}"),
        }
    }

    #[test]
    fn no_text_panics_the_name_parser(text in "\\PC{0,140}", dirs in "(M[0-9A-F]{2}/)?[0-9A-F]{2}/[0-9A-F]{2}/.{0,110}") {
        check(text.as_bytes());
        check(format!("group1/{dirs}").as_bytes());
    }
}
