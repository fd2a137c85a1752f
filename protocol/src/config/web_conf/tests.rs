//! What the tests of all parts read by.

use std::path::Path;

use super::WebConf;
use crate::config::{LocalFacts, StorageConf};

fn parse(lines: &str) -> Result<(WebConf, Vec<String>), String> {
    let text = format!("tracker_server = 10.0.0.1:22122\nbase_path = /tmp\ngroup_name = group1\n{lines}\n");
    let read = StorageConf::parse(&text, Path::new("storage.conf"), &LocalFacts::none());
    let (conf, found) = read.map_err(|error| error.to_string())?;
    Ok((conf.web, found.iter().map(ToString::to_string).collect()))
}

/// The configuration of lines that nothing is wrong with.
pub(super) fn web(lines: &str) -> WebConf {
    let (conf, found) = parse(lines).unwrap();
    let about_lines: Vec<&String> = found.iter().filter(|found| found.contains("http.")).collect();
    assert!(about_lines.is_empty(), "{lines}: {about_lines:?}");
    conf
}

/// The configuration of lines that are warned about, with the warnings.
pub(super) fn warned(lines: &str, why: &str) -> (WebConf, Vec<String>) {
    let (conf, found) = parse(lines).unwrap();
    assert!(found.iter().any(|found| found.contains(why)), "{lines}: {found:?}");
    (conf, found)
}

/// Lines that are refused.
pub(super) fn refused(lines: &str, why: &str) {
    let error = parse(lines).expect_err(lines);
    assert!(error.contains(why), "{lines}: {error}");
}
