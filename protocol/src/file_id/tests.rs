//! Names recorded from FastDFS 6.16.1, and the strictness that keeps names safe as paths.

use proptest::prelude::*;

use super::*;

const FILE_IDS: &str = include_str!("../../../tests/golden/file-ids.jsonl");

#[test]
fn recorded_ids_decode_to_what_the_reference_says() {
    let mut seen = 0;
    for line in FILE_IDS.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = case["file_id"].as_str().unwrap();
        let id = FileId::parse(text).unwrap();
        assert_eq!(id.to_string(), text);
        let code = id.name.code().unwrap();
        let decoded = &case["decoded"];
        assert_eq!(i64::from(code.timestamp), decoded["timestamp"].as_i64().unwrap(), "{text}");
        assert_eq!(format!("{:016x}", code.size.0), decoded["size_field_hex"].as_str().unwrap(), "{text}");
        assert_eq!(format!("{:08x}", code.crc32), decoded["crc_field_hex"].as_str().unwrap(), "{text}");
        assert_eq!(code.encode(), id.name.base_name().as_bytes()[..27], "{text}");
        let kind = case["kind"].as_str().unwrap();
        match id.name.kind().unwrap() {
            FileKind::Appender => assert!(kind.contains("appender"), "{text} {kind}"),
            FileKind::Slave => assert!(kind.contains("slave"), "{text} {kind}"),
            FileKind::Trunk(slot) => {
                assert!(kind == "trunk" || kind == "master", "{text} {kind}");
                assert_eq!(slot.encode(), id.name.base_name().as_bytes()[27..43]);
                assert_eq!(code.size.size(), case["size"].as_u64());
            }
            FileKind::Normal => assert_eq!(code.size.size(), case["size"].as_u64(), "{text} {kind}"),
        }
        assert_eq!(id.name.is_made_once(), !kind.contains("slave"), "{text} {kind}");
        seen += 1;
    }
    assert!(seen > 50, "the recorded IDs are there");
}

#[test]
fn names_that_come_back_are_not_made_once() {
    let check =
        |name: &str, expected| assert_eq!(LogicName::parse(name).unwrap().is_made_once(), expected, "{name}");
    check("M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0977.txt", true);
    check("M00/00/03/Ck0AC2sDXmuERLftAAAAAJsNCPE875.log", true);
    check("M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul09775.js", true);
    check("M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0977.txt-m", false);
    check("M00/00/03/Ck0AC2sDXmuERLftAAAAAJsNCPE875.log-m", false);
    check("M00/00/03/Ck0AC2sDXmuERLftAAAAAJsNCPE875_a.log", false);
    // A slave as long as its master.
    check("M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0977_.js", false);
    check("M00/00/00/000001", false);
}

#[test]
fn sources_and_sizes_of_worked_examples() {
    let check = |name: &str, source: Source, size: Option<u64>| {
        let code = NameCode::decode(name.as_bytes()).unwrap();
        assert_eq!((code.source, code.size.size()), (source, size), "{name}");
    };
    check("wKjugmTdbm6AO3ssAAAAFAK2GLE", Source::Ip([192, 168, 238, 130].into()), Some(20));
    check("oYYBAGsDXvOEM-luAAAAAMlucM8", Source::Id(100_001), None);
    check("wAACAmVT8QAAAAABQAAAe96tvu8", Source::Ip([192, 0, 2, 2].into()), Some(5_368_709_243));
    check("CgECAGVT8QCAEjRWAAAAZBI0Vng", Source::Id(131_338), Some(100));
}

#[test]
fn names_that_are_no_paths_are_refused() {
    let check = |text: &str, ok: bool| assert_eq!(FileId::parse(text).is_ok(), ok, "{text:?}");
    for (text, ok) in [
        ("group1/M00/00/02/wKjugmTdbm6AO3ssAAAAFAK2GLE468.txt", true),
        ("group1/M00/00/00/foo.txt", true),
        ("group1/00/00/foo.txt", true),
        ("group1/Mff/00/00/foo.txt", true),
        ("group1/M00/00/0a/foo.txt", false),
        ("group1/M00/00/00/..", false),
        ("group1/M00/00/00/.", false),
        ("group1/M00/00/00/", false),
        ("group1/M00/../../foo.txt", false),
        ("group1/M00/00/00/../../etc/passwd", false),
        ("group1/M0G/00/00/foo.txt", false),
        ("group1/M00x00/00/foo.txt", false),
        ("group1/M00/00/00/a\0b", false),
        ("group1/M00/00/00/a b", false),
        ("group1/M00/00/00/a\\b", false),
        ("/group1/M00/00/00/foo.txt", false),
        ("group-1/M00/00/00/foo.txt", false),
        ("group1", false),
        ("", false),
    ] {
        check(text, ok);
    }
    check(&format!("group1/M00/00/00/{}", "a".repeat(117)), true);
    check(&format!("group1/M00/00/00/{}", "a".repeat(118)), false);
}

#[test]
fn slaves_are_named_after_their_master() {
    let check = |master: &str, prefix: &str, ext: &str, expected: Option<&str>| {
        let master = LogicName::parse(&format!("M00/00/00/wKjugmTdbm6AO3ssAAAAFAK2GLE{master}")).unwrap();
        let slave = slave_name(&master, SlavePrefix::parse(prefix).unwrap(), FileExt::parse(ext).unwrap());
        let slave = slave.ok().map(|name| name.base_name()[27..].to_owned());
        assert_eq!(slave.as_deref(), expected);
    };
    check("468.txt", "_s", "txt", Some("468_s.txt"));
    check("468.txt", "_s", "", Some("468_s"));
    check("468.txt", "_s", ".jpg", Some("468_s.jpg"));
    check("4681234", "_s", "jpg", Some("4681234_s.jpg"));
    check(".tar.gz", "_s", "gz", Some("_s.gz"));
    check("468.txt", "-m", "", None);
    check("468.txt", "-m", "txt", Some("468-m.txt"));
    check("468.txt", ".txt", "", None);
    check("468.txt", ".txt-m", "", None);
    check("468.txt", ".txt-n", "", Some("468.txt-n"));
}

#[test]
fn tails_are_seven_characters() {
    for ext in ["", "c", "txt", "tar.gz", ".x"] {
        let tail = NameTail::new(FileExt::parse(ext).unwrap(), 987_654_321);
        let text = std::str::from_utf8(tail.as_bytes()).unwrap();
        let digits = text.trim_end_matches(ext).trim_end_matches('.');
        assert!(digits.bytes().all(|b| b.is_ascii_digit()), "{text}");
        assert_eq!(text.contains('.'), !ext.is_empty());
    }
}

#[test]
fn extensions_of_file_names() {
    for (name, ext) in [
        ("a.txt", "txt"),
        ("dir.d/file", ""),
        ("a.tar.gz", "tar.gz"),
        ("a.backup.gz", "gz"),
        ("a.verylong", ""),
        ("noext", ""),
        ("a.b c", ""),
        (".bashrc", "bashrc"),
        ("trailing.", ""),
    ] {
        assert_eq!(FileExt::of_file_name(name).as_str(), ext, "{name}");
    }
}

proptest! {
    #[test]
    fn no_text_panics_the_parser(text in "\\PC{0,140}") {
        if let Ok(id) = FileId::parse(&text) {
            let _ = (id.name.kind(), id.name.code(), id.name.metadata_name(), id.name.tail(), id.name.sub_dir());
        }
    }

    #[test]
    fn flipping_a_byte_of_a_name_never_panics(at in 0usize..44, byte: u8) {
        let mut bytes = b"M00/00/02/wKjugmTdbm6AO3ssAAAAFAK2GLE468.txt".to_vec();
        bytes[at] = byte;
        if let Ok(name) = LogicName::from_bytes(&bytes) {
            let _ = (name.kind(), name.code());
        }
    }

    #[test]
    fn codes_round_trip(source: [u8; 4], timestamp: u32, size: u64, crc32: u32) {
        let source = match u32::from_le_bytes(source) {
            id @ 1..=0xFF_FFFF => Source::Id(id),
            _ => Source::Ip(source.into()),
        };
        let code = NameCode { source, timestamp, size: SizeField(size), crc32 };
        prop_assert_eq!(NameCode::decode(&code.encode()), Ok(code));
    }

    #[test]
    fn sizes_are_read_back(size: u64, random: u32) {
        let size = size & (u64::MAX >> 9);
        prop_assume!(size >> 32 == 0 || size & (1 << 58 | 1 << 59) == 0);
        prop_assert_eq!(SizeField::normal(size, random).size(), Some(size));
        prop_assert_eq!(SizeField::appender(random).size(), None);
    }

    #[test]
    fn made_names_parse(path: u8, high: u8, low: u8, source: [u8; 4], time: u32, size: u32, crc: u32, random: u32) {
        let source = Source::Ip(source.into());
        let code = NameCode { source, timestamp: time, size: SizeField::normal(size.into(), random), crc32: crc };
        let tail = NameTail::new(FileExt::parse("jpg").unwrap(), random);
        let name = LogicName::make(StorePathIndex(path), SubDir { high, low }, &code, None, &tail);
        prop_assert_eq!(name.as_str().len(), 44);
        prop_assert_eq!(name.kind(), Ok(FileKind::Normal));
        prop_assert_eq!(name.sub_dir(), SubDir { high, low });
        prop_assert_eq!(name.store_path(), StorePathIndex(path));
        prop_assert_eq!(name.tail(), Some(tail));
        let slot = TrunkSlot { file_id: size >> 1, offset: time >> 1, size: crc >> 1 };
        let code = NameCode { size: SizeField::trunk(size, random), ..code };
        let name = LogicName::make(StorePathIndex(path), SubDir { high, low }, &code, Some(&slot), &tail);
        prop_assert_eq!(name.kind(), Ok(FileKind::Trunk(slot)));
    }
}
