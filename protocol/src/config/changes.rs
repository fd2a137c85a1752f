//! What differs between the file that a daemon started with and the same file now, and what of that has to wait for the
//! next start.

use std::collections::BTreeSet;

use super::diagnostic::{ConfigError, Diagnostics};
use super::ini::{Entry, Ini, Section};
use super::local_facts::LocalFacts;
use std::path::Path;

/// Keys outside `http.` that a running daemon takes.
const LIVE: [&str; 2] = ["log_level", "response_mode"];
/// Keys of HTTP that only a start takes: listeners, what TLS is negotiated with, and what others were told.
const AT_START: [&str; 8] = [
    "http.server_port",
    "http.bind_addr",
    "http.listen",
    "http.backlog",
    "http.ssl_protocols",
    "http.http2",
    "http.http2_max_concurrent_streams",
    "http.advertise_url",
];

/// A file as it was read once.
#[derive(Debug, Clone)]
pub struct Snapshot(Ini);

impl Snapshot {
    /// Reads the file and its includes; what is wrong with them is told by the configuration's own reader.
    pub fn load(path: &Path, facts: &LocalFacts) -> Result<Self, ConfigError> {
        Ini::load(path, facts, &mut Diagnostics::default()).map(Self)
    }

    /// Keys that are written differently in `now` and that a running daemon does not take: `key` or `[section] key`.
    pub fn waiting(&self, now: &Self) -> Vec<String> {
        let mut waiting = BTreeSet::new();
        let sections = self.0.sections().iter().chain(now.0.sections());
        for Section { name: section, entries } in sections {
            for Entry { name, .. } in entries {
                let values = |ini: &Ini| -> Vec<String> {
                    ini.all(section, name).map(|entry| entry.value.clone()).collect()
                };
                if !is_live(section, name) && values(&self.0) != values(&now.0) {
                    waiting.insert(if section.is_empty() {
                        name.clone()
                    } else {
                        format!("[{section}] {name}")
                    });
                }
            }
        }
        waiting.into_iter().collect()
    }
}

fn is_live(section: &str, name: &str) -> bool {
    section.is_empty() && (LIVE.contains(&name) || name.starts_with("http.") && !AT_START.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_wait_are_named_and_the_others_are_not() {
        let read = |text: &str| {
            let mut found = Diagnostics::default();
            Snapshot(Ini::parse(text, Path::new("s"), &LocalFacts::none(), &mut found))
        };
        let check = |before: &str, after: &str, expected: &[&str]| {
            assert_eq!(read(before).waiting(&read(after)), expected, "{before:?} {after:?}");
            assert_eq!(read(after).waiting(&read(before)), expected, "{after:?} {before:?}");
        };
        check("port = 1\n# a\nhttp.gzip = on", "http.gzip = on\nport=1", &[]);
        check(
            "port = 1\nhttp.server_port = 2",
            "port = 2\nhttp.server_port = 3",
            &["http.server_port", "port"],
        );
        check("", "http.gzip = on\nhttp.ssl_certificate = a\nlog_level = debug\nresponse_mode = proxy", &[]);
        check("tracker_server = a:1", "tracker_server = a:1\ntracker_server = b:1", &["tracker_server"]);
        check("[error-log]\nlog_file_keep_days = 1", "", &["[error-log] log_file_keep_days"]);
    }
}
