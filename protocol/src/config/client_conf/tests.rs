use std::path::Path;

use super::*;
use crate::config::{ConfigError, Diagnostic};

fn read(text: &str) -> Result<(ClientConf, Vec<Diagnostic>), ConfigError> {
    let text = format!("tracker_server = 127.0.0.1\n{text}");
    ClientConf::parse(&text, Path::new("/etc/fdfs/client.conf"), &LocalFacts::none())
}

#[test]
fn defaults() {
    let (conf, found) = read("").unwrap();
    assert_eq!(found, []);
    assert_eq!(conf.tracker_servers[0].to_string(), "127.0.0.1:22122");
    assert_eq!((conf.connect_timeout.as_secs(), conf.network_timeout.as_secs()), (10, 30));
    assert_eq!((conf.id_source, conf.connect_first_by), (IdSource::None, ConnectFirstBy::Tracker));
}

#[test]
fn the_table_of_ids_comes_from_one_place() {
    let source = |text| read(text).unwrap().0.id_source;
    assert_eq!(source("load_fdfs_parameters_from_tracker = 1\nuse_storage_id = 1"), IdSource::Tracker);
    let file = IdSource::File(PathBuf::from("/etc/fdfs/ids"));
    assert_eq!(source("use_storage_id = 1\nstorage_ids_filename = ids"), file);
    assert_eq!(source("storage_ids_filename = ids"), IdSource::None);
    assert!(read("use_storage_id = 1").is_err());
}

#[test]
fn trackers_are_required() {
    let why = ClientConf::parse("", Path::new("t"), &LocalFacts::none()).unwrap_err();
    assert!(why.to_string().contains("tracker_server: missing"), "{why}");
}

#[test]
fn words() {
    assert_eq!(
        read("connect_first_by = Last-Connected").unwrap().0.connect_first_by,
        ConnectFirstBy::LastConnected
    );
    assert_eq!(read("http.anti_steal.secret_key = s").unwrap().0.token_secret, None);
    let on = read("http.anti_steal.check_token = 1\nhttp.anti_steal.secret_key = s").unwrap().0;
    assert_eq!(on.token_secret.as_deref(), Some("s"));
}

#[test]
fn the_sample_file_is_clean() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/conf/client.conf"));
    let (conf, found) = ClientConf::load(path, &LocalFacts::none()).unwrap();
    assert_eq!(found, []);
    assert_eq!(conf.id_source, IdSource::Tracker);
}
