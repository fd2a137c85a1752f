//! Settings that a site writes, before they come into force.

use std::path::Path;
use std::time::Duration;

use gateway::Settings;
use protocol::config::{LocalFacts, StorageConf};

use super::{MINIMAL_CONF, SITE};

fn load(lines: &str) -> Result<Settings, String> {
    let text = format!("{MINIMAL_CONF}{lines}\n");
    let (conf, _) =
        StorageConf::parse(&text, Path::new("/etc/fdfs/storage.conf"), &LocalFacts::none()).unwrap();
    Settings::load(&conf.web, Duration::from_secs(5)).map_err(|error| error.to_string())
}

#[test]
fn pages_and_tables_that_cannot_be_read_are_told_before_a_change() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("long.html");
    std::fs::write(&long, vec![b' '; (1 << 20) + 1]).unwrap();
    for (lines, says) in [
        ("http.error_page = 404 gone.html".to_owned(), "/etc/fdfs/gone.html"),
        (
            format!("http.error_page = 404 {SITE}/404.html\nhttp.error_page = 500 {SITE}/none.html"),
            "none.html",
        ),
        (format!("http.error_page = 404 {}", long.display()), "long.html"),
        (format!("http.error_page = 404 {SITE}"), "http.error_page"),
        ("http.mime_types_filename = none.types".to_owned(), "http.mime_types_filename"),
    ] {
        let error = load(&lines).err().unwrap_or_else(|| panic!("{lines}"));
        assert!(error.contains(says) && error.starts_with("http."), "{lines}: {error}");
    }
    load(&format!("http.error_page = 404 410 {SITE}/404.html")).unwrap();
}
