use super::*;
use crate::config::{ConfigError, Diagnostic};

const MINIMAL: &str = "base_path = /g\ngroup_name = group1\nstore_path0 = /s0\n";
const TRACKER: &str = "tracker_server = 10.0.0.1\n";

fn read(text: &str) -> Result<(ModuleConf, Vec<Diagnostic>), ConfigError> {
    ModuleConf::parse(text, Path::new("/etc/fdfs/mod_fastdfs.conf"), &LocalFacts::none())
}

fn clean(text: &str) -> ModuleConf {
    let (conf, found) = read(&format!("{MINIMAL}{TRACKER}{text}")).unwrap();
    assert_eq!(found, [], "{text}");
    conf
}

fn odd(text: &str, says: &str) -> ModuleConf {
    let (conf, found) = read(&format!("{MINIMAL}{TRACKER}{text}")).unwrap();
    assert!(found.len() == 1 && found[0].to_string().contains(says), "{text}: {found:?}");
    conf
}

fn refused(text: &str, says: &str) {
    let why = read(text).unwrap_err().to_string();
    assert!(why.contains(says), "{text}: {why}");
}

fn group(name: &str, paths: &[&str], storage_port: u16) -> ServedGroup {
    let store_paths = paths.iter().map(PathBuf::from).collect();
    ServedGroup { name: GroupName::parse(name).unwrap(), store_paths, storage_port }
}

#[test]
fn a_minimal_file_serves_one_group_on_the_port_of_storages() {
    let conf = clean("");
    assert_eq!(conf.groups, [group("group1", &["/s0"], 23000)]);
    assert_eq!(conf.http.server_port, Some(8888));
    assert_eq!(conf.own_dir, Path::new("/g/fdfs-gateway"), "base_path may be the storage's");
    assert_eq!((conf.max_delay, conf.id_source), (None, IdSource::None));
    assert!(!conf.web.redirects && conf.web.file_urls.max_ranges == 64 && conf.log_filename.is_none());
}

#[test]
fn what_is_required() {
    refused("group_name = g\nstore_path0 = /s", "base_path: missing");
    refused("base_path = /g\nstore_path0 = /s", "group_name: missing");
    refused(&format!("{MINIMAL}group_name = a b"), "group_name: 'a b'");
    refused(&format!("{MINIMAL}store_path_count = 2"), "store_path1: missing");
    refused(&format!("{MINIMAL}load_fdfs_parameters_from_tracker = true"), "tracker_server: missing");
    let alone = read(MINIMAL).unwrap();
    assert!(alone.1[0].to_string().contains("only files on this machine's disks"), "{:?}", alone.1);
}

#[test]
fn several_groups_have_sections_of_their_own() {
    let text = "base_path = /g\nurl_have_group_name = true\ngroup_count = 2\n[group1]\ngroup_name = a\n\
                storage_server_port = 23001\nstore_path_count = 2\nstore_path0 = /a0\nstore_path1 = /a1\n\
                [group2]\ngroup_name = b\nstore_path0 = /b0\n[]\ntracker_server = 10.0.0.1\n";
    let (conf, found) = read(text).unwrap();
    assert_eq!(conf.groups, [group("a", &["/a0", "/a1"], 23001), group("b", &["/b0"], 23000)]);
    let said: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(said.len() == 1 && said[0].contains("info: url_have_group_name has no effect"), "{said:?}");
    refused("base_path = /g\ngroup_count = 1\n", "no section [group1]");
    refused("base_path = /g\ngroup_count = 1\n[group1]\ngroup_name = a", "store_path0: missing");
    let twice = "group_count = 2\n[group1]\ngroup_name = a\nstore_path0 = /a\n[group2]\ngroup_name = a\nstore_path0 = /a";
    refused(&format!("base_path = /g\n{twice}"), "[group2] names a once more");
    odd("group_count = 0\n[group1]\ngroup_name = a", "group_count: 0, so [group1]");
}

#[test]
fn every_key_of_the_module_is_read_or_explained() {
    clean("response_mode = redirect\nconnect_timeout = 2\nnetwork_timeout = 30\nlog_level = info");
    clean("use_storage_id = true\nstorage_ids_filename = storage_ids.conf");
    clean("http.default_content_type = x/y\nhttp.mime_types_filename = mime.types\nhttp.server_port = 80");
    clean("[error-log]\nlog_file_keep_days = 3");
    assert_eq!(clean("log_filename = m.log").log_filename.unwrap(), Path::new("/etc/fdfs/m.log"));
    assert_eq!(clean("storage_sync_file_max_delay = 5").max_delay, Some(Duration::from_secs(5)));
    let both = "load_fdfs_parameters_from_tracker = true\nstorage_sync_file_max_delay = 5";
    assert_eq!(odd(both, "loaded from the trackers").max_delay, None);
    odd("if_alias_prefix = eth", "if_alias_prefix has no effect");
    odd("http.need_find_content_type = true", "here there always is one");
    odd("http.advertise_url = http://a", "http.advertise_url has no effect");
    odd("response_mode = Proxy", "neither proxy nor redirect");
    odd("store_path1 = /x", "store_path1 is not used");
    odd("subdir_count_per_path = 256", "belongs in storage.conf");
}
