//! Keys of older FastDFS versions: mapped to what replaced them, with a warning.
//!
//! FastDFS 6.16 ignores them without a word, so that an old file changes its meaning by an upgrade; here it does not.

use super::diagnostic::{Diagnostics, Place};
use super::ini::{Entry, Ini};
use super::schema::Files;

enum Fate {
    /// Now a key of a log section.
    Log(&'static str, &'static str),
    /// Now another global key.
    Global(&'static str),
    /// Without effect; the text says why or what to use instead.
    Dropped(&'static str),
}

const ERROR: &str = "error-log";
const ACCESS: &str = "access-log";
const ALIVE: &str = "trackers no longer ask storages over HTTP whether they are alive";

/// Old key, the files that had it, what became of it.
const LEGACY: &[(&str, &[Files], Fate)] = &[
    ("rotate_error_log", DAEMONS, Fate::Log(ERROR, "log_file_rotate_everyday")),
    ("error_log_rotate_time", DAEMONS, Fate::Log(ERROR, "log_file_rotate_time")),
    ("rotate_error_log_size", DAEMONS, Fate::Log(ERROR, "log_file_rotate_on_size")),
    ("compress_old_error_log", DAEMONS, Fate::Log(ERROR, "log_file_compress_old")),
    ("compress_error_log_days_before", DAEMONS, Fate::Log(ERROR, "log_file_compress_days_before")),
    ("use_access_log", STORAGE, Fate::Log(ACCESS, "enabled")),
    ("rotate_access_log", STORAGE, Fate::Log(ACCESS, "log_file_rotate_everyday")),
    ("access_log_rotate_time", STORAGE, Fate::Log(ACCESS, "log_file_rotate_time")),
    ("rotate_access_log_size", STORAGE, Fate::Log(ACCESS, "log_file_rotate_on_size")),
    ("compress_old_access_log", STORAGE, Fate::Log(ACCESS, "log_file_compress_old")),
    ("compress_access_log_days_before", STORAGE, Fate::Log(ACCESS, "log_file_compress_days_before")),
    ("http.multi_range.enabed", ANY, Fate::Global("http.multi_range.enabled")),
    ("http.domain_name", STORAGE, Fate::Dropped("write the name into the URLs that you publish")),
    ("http.trunk_size", STORAGE, Fate::Dropped("files are sent in pieces of the server's own choice")),
    ("http.check_alive_interval", TRACKER, Fate::Dropped(ALIVE)),
    ("http.check_alive_type", TRACKER, Fate::Dropped(ALIVE)),
    ("http.check_alive_uri", TRACKER, Fate::Dropped(ALIVE)),
    ("http.tracker_server_port", CLIENT, Fate::Dropped("clients do not speak HTTP to trackers")),
    ("disk_rw_direct", STORAGE, Fate::Dropped("no version of FastDFS ever used it")),
];

const TRACKER: &[Files] = &[Files::TRACKER];
const STORAGE: &[Files] = &[Files::STORAGE];
const CLIENT: &[Files] = &[Files::CLIENT];
const DAEMONS: &[Files] = &[Files::TRACKER, Files::STORAGE];
const ANY: &[Files] = &[Files::TRACKER, Files::STORAGE, Files::CLIENT, Files::MODULE, Files::HTTP];

/// Rewrites the legacy keys of `ini`.
pub(super) fn apply(ini: &mut Ini, file: Files, found: &mut Diagnostics) {
    let mut old_logs: Option<Place> = None;
    for (name, files, fate) in LEGACY {
        if !files.contains(&file) {
            continue;
        }
        let Some(entry) = ini.take("", name).pop() else { continue };
        let place = &entry.place;
        match fate {
            Fate::Dropped(why) => found.info(place, format!("{name} has no effect: {why}")),
            Fate::Global(key) => rename(ini, "", key, entry, found),
            Fate::Log(section, key) => {
                old_logs.get_or_insert_with(|| place.clone());
                rename(ini, section, key, entry, found);
            }
        }
    }
    if let Some(place) = old_logs {
        keep_logs_for_ever(ini, place, found);
    }
}

fn rename(ini: &mut Ini, section: &str, key: &str, entry: Entry, found: &mut Diagnostics) {
    let name = &entry.name;
    let target = if section.is_empty() { key.to_owned() } else { format!("{key} in [{section}]") };
    if ini.last(section, key).is_some() {
        let message =
            format!("{name} is an old key and {target}, which replaced it, is given too; ignored; remove it");
        found.warn(&entry.place, message);
        return;
    }
    let message =
        format!("{name} is an old key that FastDFS now ignores; read as {target}; write that instead");
    found.warn(&entry.place, message);
    ini.add(section, Entry { name: key.to_owned(), ..entry });
}

/// Where old log keys stand, an absent `log_file_keep_days` has its old default: keep all.
fn keep_logs_for_ever(ini: &mut Ini, place: Place, found: &mut Diagnostics) {
    let key = "log_file_keep_days";
    if ini.last("", key).is_some() {
        return;
    }
    ini.add("", Entry { name: key.to_owned(), value: "0".to_owned(), place: place.clone() });
    let message = "with old log keys, log_file_keep_days keeps its old default, 0: logs are never removed; \
                   write log_file_keep_days = 15 to have them removed";
    found.info(&place, message);
}
