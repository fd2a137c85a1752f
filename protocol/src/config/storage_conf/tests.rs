use super::*;
use crate::config::{ConfigError, Diagnostic};

const MINIMAL: &str = "base_path = /s\ngroup_name = group1\ntracker_server = 10.0.0.1\n";

fn read(text: &str) -> Result<(StorageConf, Vec<Diagnostic>), ConfigError> {
    StorageConf::parse(&format!("{MINIMAL}{text}"), Path::new("storage.conf"), &LocalFacts::none())
}

fn clean(text: &str) -> StorageConf {
    let (conf, found) = read(text).unwrap();
    assert_eq!(found, [], "{text}");
    conf
}

/// Reads `text` and expects one finding with `says` in it.
fn odd(text: &str, says: &str) -> StorageConf {
    let (conf, found) = read(text).unwrap();
    assert!(found.len() == 1 && found[0].to_string().contains(says), "{text}: {found:?}");
    conf
}

fn refused(text: &str, says: &str) {
    let why = read(text).unwrap_err().to_string();
    assert!(why.contains(says), "{text}: {why}");
}

#[test]
fn a_minimal_file_has_the_defaults_of_the_code() {
    let conf = clean("");
    assert_eq!(conf.daemon.port(), 23000);
    assert_eq!(conf.http.server_port, Some(8888));
    assert_eq!(conf.daemon.network_timeout, Duration::from_secs(30));
    assert_eq!(conf.store_paths, [StorePath { path: "/s".into(), readonly: false }]);
    assert_eq!(conf.subdir_count_per_path, 256);
    assert_eq!((conf.sync_wait, conf.sync_interval), (Duration::from_millis(100), Duration::ZERO));
    assert_eq!(conf.sync_end_time.to_string(), "23:59");
    assert_eq!(conf.disk_threads.sync_max_threads, 2);
    assert_eq!(conf.upload_priority, 10);
    assert!(conf.client_bind && conf.check_store_path_mark && conf.web.file_urls.max_ranges == 64);
    assert_eq!((conf.durability, conf.replicas), (Durability::Write, 0));
    assert_eq!(conf.replica_timeout.as_secs(), 10);
    assert!(!conf.access_log.enabled && !conf.web.proof.is_on());
}

#[test]
fn what_is_required() {
    for (text, says) in [
        ("group_name = g\ntracker_server = 10.0.0.1", "base_path: missing"),
        ("base_path = /s\ngroup_name = g", "tracker_server: missing"),
        ("base_path = /s\n[x]\ntracker_server = 10.0.0.1", "tracker_server: missing"),
    ] {
        let why = StorageConf::parse(text, Path::new("t"), &LocalFacts::none()).unwrap_err().to_string();
        assert!(why.contains(says), "{text}: {why}");
    }
    let text = "base_path = /s\ntracker_server = 10.0.0.1";
    let (conf, _) = StorageConf::parse(text, Path::new("t"), &LocalFacts::none()).unwrap();
    assert_eq!(conf.group_name, None);
}

#[test]
fn group_names() {
    refused("group_name =", "letters or digits");
    refused("group_name = a-b", "letters or digits");
    let conf = odd("group_name = abcdefghij1234567", "read as abcdefghij123456");
    assert_eq!(conf.group_name, GroupName::parse("abcdefghij123456").ok());
}

#[test]
fn trackers_are_sorted_and_named_once() {
    let conf =
        clean("tracker_server = 10.0.0.2:22122\ntracker_server = 10.0.0.1:22122\ntracker_server = 10.0.0.10");
    let servers: Vec<String> = conf.tracker_servers.iter().map(ToString::to_string).collect();
    assert_eq!(servers, ["10.0.0.1:22122", "10.0.0.10:22122", "10.0.0.2:22122"]);
    clean("tracker_server = 127.0.0.1:22122");
    refused("tracker_server = 10.0.0.2 # second", "only at the start of a line");
    let many: String = (1..=17).map(|n| format!("tracker_server = 10.0.1.{n}\n")).collect();
    refused(&many, "at most 16");
}

#[test]
fn store_paths() {
    let conf =
        clean("store_path_count = 2\nstore_path0 = /a//b/\nstore_path1 = /c\nstore_path1_readonly = true");
    let paths: Vec<_> =
        conf.store_paths.iter().map(|path| (path.path.to_str().unwrap(), path.readonly)).collect();
    assert_eq!(paths, [("/a/b", false), ("/c", true)]);
    refused("store_path_count = 2\nstore_path0 = /a", "store_path1: missing");
    refused("store_path_count = 0", "at least 1");
    refused("store_path_count = 257", "at most 256");
    odd("store_path0 = /a\nstore_path1 = /b", "store_path1 is not used");
    odd("store_path_count = 2\nstore_path0 = /a\nstore_path1 = /a/", "the same directory as store_path0");
    odd("store_path0 = /a # disk", "only at the start of a line");
    refused("subdir_count_per_path = 257", "too large");
}

#[test]
fn keys_of_other_files_say_where_they_belong() {
    odd("use_storage_id = true", "belongs in tracker.conf, client.conf, mod_fastdfs.conf (storages learn it");
    odd("reserved_storage_space = 10%", "belongs in tracker.conf");
    odd("url_have_group_name = true", "belongs in mod_fastdfs.conf");
    odd("stor_path0 = /a", "did you mean store_path#?");
}

#[test]
fn urls_and_what_is_done_about_files_of_others() {
    let web = |text: &str| clean(text).web;
    assert!(!web("").redirects && web("").advertise_url.is_none());
    assert!(web("response_mode = redirect").redirects && !web("response_mode = proxy").redirects);
    assert!(!odd("response_mode = Redirect", "neither proxy nor redirect").web.redirects);
    for (written, read) in [
        ("https://img1.example.com:8443/", "https://img1.example.com:8443"),
        ("http://[::1]:8888/files", "http://[::1]:8888/files"),
    ] {
        assert_eq!(web(&format!("http.advertise_url = {written}")).advertise_url.as_deref(), Some(read));
    }
    for bad in
        ["img1.example.com", "ftp://a", "http://", "http:///a", "http://a b", "http://a?b", "http://u@a"]
    {
        refused(&format!("http.advertise_url = {bad}"), "is no URL");
    }
}

#[test]
fn values() {
    assert_eq!(clean("durability = FSYNC").durability, Durability::Fsync);
    let conf = clean("durability = fsync+replica:2\ndurability_timeout = 3");
    assert_eq!((conf.durability, conf.replicas, conf.replica_timeout.as_secs()), (Durability::Fsync, 2, 3));
    for bad in ["maybe", "replica:0", "replica:32"] {
        refused(&format!("durability = {bad}"), "neither write, fsync, replica:N nor");
    }
    refused("check_file_duplicate = 1", "FastDHT");
    refused("fsync_after_written_bytes = 1.5M", "not a size");
    refused("sync_start_time =", "not a time of day");
    assert_eq!(clean("upload_priority = -5").upload_priority, -5);
    assert_eq!(odd("if_alias_prefix = eth, bond", "on all").if_alias_prefix, ["eth", "bond"]);
    refused("if_alias_prefix = a,b,c,d,e", "at most 4");
    assert_eq!(clean("server_id = 100001").server_id, StorageId::parse("100001").ok());
    assert_eq!(odd("upload_priority = 10ms", "write 10").upload_priority, 10);
    odd("group_count = 1", "FastDHT's help then, which is not supported");
    assert_eq!(clean("http.server_port = 0").http.sockets(&LocalFacts::none()), []);
    let http = clean("bind_addr = 127.0.1.1").http.sockets(&LocalFacts::none());
    assert_eq!(http, ["127.0.1.1:8888".parse().unwrap()]);
    let http = clean("bind_addr = 127.0.1.1\nhttp.bind_addr = 127.0.1.2").http.sockets(&LocalFacts::none());
    assert_eq!(http, ["127.0.1.2:8888".parse().unwrap()]);
}

#[test]
fn log_sections_fall_back_to_the_global_section() {
    let conf = odd(
        "log_file_keep_days = 3\n[error-log]\nlog_file_keep_days = 4\n[access-log]\nenabled = true",
        "no access log of the native service",
    );
    assert_eq!(conf.daemon.error_log.log_file_keep_days, 4);
    assert_eq!((conf.access_log.enabled, conf.access_log.file.log_file_keep_days), (true, 3));
    let conf = odd("enabled = true", "only in [access-log]");
    assert!(!conf.access_log.enabled);
    odd("[access-log]\ntime_precision = US", "read as ms");
}

#[test]
fn old_access_log_keys_are_mapped() {
    let (conf, found) =
        read("use_access_log = true\nrotate_access_log = false\naccess_log_rotate_time = 03:00").unwrap();
    assert!(conf.access_log.enabled && !conf.access_log.file.log_file_rotate_everyday);
    assert_eq!(conf.access_log.file.log_file_rotate_time.to_string(), "03:00");
    assert_eq!((conf.access_log.file.log_file_keep_days, found.len()), (0, 5), "{found:?}");
}

#[test]
fn tokens() {
    let token =
        "http.anti_steal.check_token = true\nhttp.anti_steal.secret_key = s\nhttp.anti_steal.token_ttl = 9";
    let tokens = clean(token).web.proof.tokens.unwrap();
    assert_eq!((tokens.secret_key.as_str(), tokens.token_ttl), ("s", Duration::from_secs(9)));
    refused("http.anti_steal.check_token = true", "secret_key: missing");
    assert_eq!(
        odd(&format!("{token}\nhttp.disabled = true"), "turns the token check off").web.proof.tokens,
        None
    );
    let old = odd("http.multi_range.enabed = false", "is an old key");
    assert_eq!(old.web.file_urls.max_ranges, 1);
}

#[test]
fn the_sample_file_is_clean() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/conf/storage.conf"));
    let (conf, found) = StorageConf::load(path, &LocalFacts::none()).unwrap();
    assert_eq!(found, []);
    assert_eq!(conf.group_name, GroupName::parse("group1").ok());
}
