use std::path::Path;

use super::*;
use crate::config::{ConfigError, Diagnostic};

fn read(text: &str) -> Result<(TrackerConf, Vec<Diagnostic>), ConfigError> {
    TrackerConf::parse(
        &format!("base_path = /t\n{text}"),
        Path::new("/etc/fdfs/tracker.conf"),
        &LocalFacts::none(),
    )
}

fn clean(text: &str) -> TrackerConf {
    let (conf, found) = read(text).unwrap();
    assert_eq!(found, [], "{text}");
    conf
}

/// Reads `text` and expects one finding with `says` in it.
fn odd(text: &str, says: &str) -> TrackerConf {
    let (conf, found) = read(text).unwrap();
    assert!(found.len() == 1 && found[0].to_string().contains(says), "{text}: {found:?}");
    conf
}

fn refused(text: &str, says: &str) {
    let why = read(text).unwrap_err().to_string();
    assert!(why.contains(says), "{text}: {why}");
}

#[test]
fn an_empty_file_has_the_defaults_of_the_code() {
    let conf = clean("");
    assert_eq!(conf.daemon.base_path, Path::new("/t"));
    assert_eq!(conf.daemon.port(), 22122);
    assert_eq!(conf.http.server_port, Some(8080));
    assert_eq!(conf.daemon.connect_timeout, Duration::from_secs(10));
    assert_eq!(conf.daemon.network_timeout, Duration::from_secs(60));
    assert_eq!(conf.daemon.max_connections, 256);
    assert_eq!(conf.store_lookup, StoreLookup::RoundRobin);
    assert_eq!(conf.store_server, StoreServer::RoundRobin);
    assert_eq!(conf.reserved_storage_space, ReservedSpace::Megabytes(1024));
    assert_eq!(conf.check_active_interval, Duration::from_secs(100));
    assert!(conf.storage_ip_changed_auto_adjust && conf.trust_storage_server_id);
    assert_eq!(conf.trunk, TrunkConf { slot_max_size: 8 << 20, ..TrunkConf::assumed() });
    assert_eq!(conf.daemon.error_log.log_file_keep_days, 15);
}

#[test]
fn a_file_without_base_path_is_refused() {
    let path = Path::new("tracker.conf");
    let why = TrackerConf::parse("port = 1", path, &LocalFacts::none()).unwrap_err();
    assert!(why.to_string().contains("tracker.conf: error: base_path: missing"), "{why}");
}

#[test]
fn a_disabled_file_says_so_whatever_else_is_wrong() {
    let why = read("disabled = true\nport = 99999").unwrap_err();
    assert!(matches!(why, ConfigError::Disabled { .. }) && why.exit_code() == 125);
}

#[test]
fn choices() {
    assert_eq!(clean("store_lookup = 2").store_lookup, StoreLookup::MostFree);
    let group = GroupName::parse("g2").unwrap();
    assert_eq!(clean("store_lookup = 1\nstore_group = g2").store_lookup, StoreLookup::Fixed(group));
    refused("store_lookup = 1", "store_group");
    refused("store_lookup = 1\nstore_group = g-2", "ASCII letters");
    refused("store_lookup = 3", "not 0 (round robin)");
    assert_eq!(odd("store_server = 7", "not one of 0, 1, 2").store_server, StoreServer::RoundRobin);
    assert_eq!(clean("store_server = 2\nuse_trunk_file = 1").store_server, StoreServer::LowestPriority);
    assert_eq!(clean("store_server = 0\nuse_trunk_file = 1").store_server, StoreServer::First);
    assert_eq!(odd("store_path = 1", "not one of 0, 2").store_path, StorePathChoice::RoundRobin);
    assert_eq!(clean("download_server = 1").download_server, DownloadServer::Source);
}

#[test]
fn the_last_of_repeated_scalars_counts() {
    assert_eq!(clean("port = 1\nport = 2").daemon.port(), 2);
}

#[test]
fn sizes_of_trunk_slots_follow_the_rules() {
    assert_eq!(clean("trunk_file_size = 32M").trunk.slot_max_size, 4 << 20);
    assert_eq!(odd("trunk_file_size = 1M", "read as 4194304").trunk.trunk_file_size, 4 << 20);
    assert_eq!(odd("slot_min_size = 1M", "read as 65536").trunk.slot_min_size, 64 << 10);
    let aligned = odd("trunk_alloc_alignment_size = 512", "read as 512").trunk;
    assert_eq!((aligned.slot_min_size, aligned.trunk_alloc_alignment_size), (512, 512));
    assert_eq!(odd("slot_max_size = 60M", "read as 33554432").trunk.slot_max_size, 32 << 20);
    refused("slot_max_size = 256", "not above slot_min_size");
    refused("slot_min_size = 0", "must be above 0");
    refused("trunk_file_size = big", "not a size");
    refused("trunk_create_file_time_base = 25:00", "not a time of day");
    odd("trunk_alloc_alignment_size = 1K\nslot_min_size = 1K", "write 1024");
}

#[test]
fn reserved_space() {
    assert_eq!(clean("reserved_storage_space = 20%").reserved_storage_space, ReservedSpace::Percent(20.0));
    assert_eq!(
        odd("reserved_storage_space = 4096", "less than 1 MB").reserved_storage_space,
        ReservedSpace::Megabytes(0)
    );
    refused("reserved_storage_space =", "neither a size nor a percentage");
    refused("reserved_storage_space = 20 %", "neither a size nor a percentage");
}

#[test]
fn storage_ids() {
    refused("use_storage_id = true", "storage_ids_filename: missing");
    let conf = clean("use_storage_id = true\nstorage_ids_filename = ids\nid_type_in_filename = id");
    assert_eq!(conf.storage_ids_filename.as_deref(), Some(Path::new("/etc/fdfs/ids")));
    assert_eq!(conf.id_type_in_filename, IdType::Id);
    assert_eq!(clean("id_type_in_filename = id").id_type_in_filename, IdType::Ip);
    refused("address_family = both", "IPv6 needs use_storage_id");
    refused("bind_addr = ::1", "IPv6 needs use_storage_id");
}

#[test]
fn addresses_in_answers_widen_with_the_table() {
    let path = Path::new("ids");
    let table = |text| StorageIds::parse(text, path, &LocalFacts::none()).unwrap().0;
    let (v4, v6) = (table("1 g1 10.0.0.1"), table("1 g1 [fe80::1]"));
    let width = |text, ids| read(text).unwrap().0.params(ids).response_ip_addr_size;
    let ids_on = "use_storage_id = 1\nstorage_ids_filename = ids";
    assert_eq!(width("", None), AddressWidth::V4);
    assert_eq!(width(ids_on, Some(&v4)), AddressWidth::V4);
    assert_eq!(width(ids_on, Some(&v6)), AddressWidth::V6);
    assert_eq!(width("response_ip_addr_size = IPv6", None), AddressWidth::V6);
    assert_eq!(width("response_ip_addr_size = 16", None), AddressWidth::V6);
}

#[test]
fn what_c_misreads_is_reported_and_read_alike() {
    assert!(!odd("trust_storage_server_id = enabled", "read as false").trust_storage_server_id);
    let conf = odd(
        "storage_sync_file_max_delay = 24h",
        "tracker.conf:2: warning: storage_sync_file_max_delay = 24h",
    );
    assert_eq!(conf.storage_sync_file_max_delay, Duration::from_secs(24));
    assert_eq!(
        odd("connect_timeout = 0", "read as the default, 10").daemon.connect_timeout,
        Duration::from_secs(10)
    );
    odd("accept_threads = 2", "info: accept_threads has no effect");
    odd("http.server_port = 0x50", "read as 0");
    assert_eq!(clean("http.server_port = 0").http.server_port, None);
    odd("log_level = loud", "read as info");
}

#[test]
fn old_log_keys_keep_their_meaning() {
    let (conf, found) = read("rotate_error_log = false\nrotate_error_log_size = 1M").unwrap();
    assert!(!conf.daemon.error_log.log_file_rotate_everyday);
    assert_eq!(conf.daemon.error_log.log_file_rotate_on_size, 1 << 20);
    assert_eq!(conf.daemon.error_log.log_file_keep_days, 0);
    assert_eq!(found.len(), 3, "{found:?}");
    let (conf, _) = read("rotate_error_log = true\nlog_file_keep_days = 7").unwrap();
    assert_eq!(conf.daemon.error_log.log_file_keep_days, 7);
    let (conf, found) =
        read("rotate_error_log = false\n[error-log]\nlog_file_rotate_everyday = true").unwrap();
    assert!(
        conf.daemon.error_log.log_file_rotate_everyday && found[0].message.contains("given too"),
        "{found:?}"
    );
}

#[test]
fn the_sample_file_is_clean() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/conf/tracker.conf"));
    let (conf, found) = TrackerConf::load(path, &LocalFacts::none()).unwrap();
    assert_eq!(found, []);
    assert_eq!(conf.store_lookup, StoreLookup::MostFree);
}
