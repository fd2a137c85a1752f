use super::*;

/// The answer to command 75, as recorded from FastDFS 6.16.1.
const RECORDED: &str = "use_storage_id=0\nid_type_in_filename=ip\ntrust_storage_server_id=1\n\
    response_ip_addr_size=16\nstorage_ip_changed_auto_adjust=1\nstorage_sync_file_max_delay=86400\nstore_path=0\n\
    reserved_storage_space=1024MB\nuse_trunk_file=1\nslot_min_size=256\nslot_max_size=1048576\n\
    trunk_alloc_alignment_size=256\ntrunk_file_size=4194304\ntrunk_create_file_advance=0\n\
    trunk_create_file_time_base=02:00\ntrunk_create_file_interval=86400\n\
    trunk_create_file_space_threshold=0\ntrunk_init_check_occupying=0\ntrunk_init_reload_from_binlog=0\n\
    trunk_free_space_merge=1\ndelete_unused_trunk_files=0\ntrunk_compress_binlog_min_interval=0\n\
    trunk_compress_binlog_interval=0\ntrunk_compress_binlog_time_base=03:00\ntrunk_binlog_max_backups=0\n\
    store_slave_file_use_link=0\n";

#[test]
fn the_recorded_reply_is_read_and_written_the_same() {
    let params = ClusterParams::parse(RECORDED).unwrap();
    assert_eq!(params.serialize(), RECORDED);
    assert!(params.trunk.use_trunk_file && params.trunk.trunk_free_space_merge);
    assert_eq!((params.trunk.slot_max_size, params.trunk.trunk_file_size), (1 << 20, 4 << 20));
    assert_eq!(params.response_ip_addr_size, AddressWidth::V4);
}

#[test]
fn an_empty_reply_is_what_a_reader_assumes() {
    let assumed = ClusterParams::parse("").unwrap();
    assert_eq!(assumed.response_ip_addr_size, AddressWidth::V6);
    assert_eq!(assumed.reserved_storage_space, ReservedSpace::Megabytes(1024));
    assert_eq!(assumed.storage_sync_file_max_delay, Duration::from_secs(86_400));
    assert!(!assumed.use_storage_id && !assumed.trunk.use_trunk_file);
    assert_eq!(assumed.trunk.slot_max_size, assumed.trunk.trunk_file_size / 4);
}

#[test]
fn single_values() {
    let read = |text: &str| ClusterParams::parse(text).unwrap();
    assert_eq!(read("store_path=2").store_path, StorePathChoice::MostFree);
    assert_eq!(read("store_path=1").store_path, StorePathChoice::RoundRobin);
    assert_eq!(read("response_ip_addr_size=46").response_ip_addr_size, AddressWidth::V6);
    assert_eq!(read("reserved_storage_space=20.00%").reserved_storage_space, ReservedSpace::Percent(20.0));
    // Names carry ids only where there are ids.
    assert_eq!(read("id_type_in_filename=id").id_type_in_filename, IdType::Ip);
    assert_eq!(read("use_storage_id=1\nid_type_in_filename=id").id_type_in_filename, IdType::Id);
    // What a later tracker says besides is not for us, nor are lines without a value.
    assert_eq!(
        read("from_the_future=1\nnothing\n store_path = 2 \r\n").store_path,
        StorePathChoice::MostFree
    );
    // A peer's text is no configuration file.
    assert_eq!(read("#include /etc/passwd\n#@set A = 1"), read(""));
}

#[test]
fn malformed_values_are_named() {
    for (text, key) in [
        ("trunk_file_size=big", "trunk_file_size"),
        ("slot_min_size=-", "slot_min_size"),
        ("reserved_storage_space=", "reserved_storage_space"),
        ("reserved_storage_space=120%", "reserved_storage_space"),
        ("trunk_create_file_time_base=25:00", "trunk_create_file_time_base"),
    ] {
        match ClusterParams::parse(text) {
            Err(BadParams::Value { key: found, .. }) => assert_eq!(found, key),
            other => panic!("{text}: {other:?}"),
        }
    }
    let long = "a".repeat(MAX_READ_LEN + 1);
    assert_eq!(ClusterParams::parse(&long), Err(BadParams::TooLong(long.len())));
}

#[test]
fn the_longest_reply_fits_the_readers_buffer() {
    let mut params = ClusterParams::parse(RECORDED).unwrap();
    params.storage_sync_file_max_delay = Duration::from_secs(u64::MAX >> 1);
    params.reserved_storage_space = ReservedSpace::Megabytes(u64::MAX >> 20);
    params.trunk.slot_min_size = u64::MAX >> 1;
    params.trunk.slot_max_size = u64::MAX >> 1;
    params.trunk.trunk_file_size = u64::MAX >> 1;
    params.trunk.trunk_create_file_space_threshold = u64::MAX >> 1;
    assert!(params.serialize().len() <= MAX_PARAMS_LEN);
}
