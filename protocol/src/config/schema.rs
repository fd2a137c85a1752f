//! Every key of every file, each fact once: what type it has, which files read it, what becomes of it.
//!
//! The table drives all findings about keys as such: unknown ones, near misses, keys in the wrong file or section, and keys
//! that have no effect here. In debug builds it also checks the readers: a key that is read must stand here with that type.

use std::collections::BTreeSet;

use super::diagnostic::{Diagnostics, Place};
use super::file_kind::FileKind;
use super::ini::{Entry, Ini};
use super::value::{parse_bool, parse_bytes, parse_int, parse_seconds};

mod keys;
use keys::KEYS;

/// A set of configuration files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Files(u8);

impl Files {
    pub(super) const TRACKER: Self = Self(1);
    pub(super) const STORAGE: Self = Self(2);
    pub(super) const CLIENT: Self = Self(4);
    pub(super) const MODULE: Self = Self(8);
    pub(super) const HTTP: Self = Self(16);
    const NAMES: [(Self, &'static str); 5] = [
        (Self::TRACKER, "tracker.conf"),
        (Self::STORAGE, "storage.conf"),
        (Self::CLIENT, "client.conf"),
        (Self::MODULE, "mod_fastdfs.conf"),
        (Self::HTTP, "http.conf"),
    ];

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, file: Self) -> bool {
        self.0 & file.read_as().0 != 0
    }

    /// What a file's keys may be keys of: the module does not start without including `http.conf`.
    fn read_as(self) -> Self {
        if self == Self::MODULE { self.or(Self::HTTP) } else { self }
    }

    /// Whether a key of this name stands in this file itself, not in one that it includes.
    fn holds(self, name: &str) -> bool {
        KEYS.iter().any(|key| key.files.0 & self.0 != 0 && key.matches(name))
    }

    fn names(self) -> String {
        let names: Vec<&str> =
            Self::NAMES.iter().filter(|(file, _)| self.has(*file)).map(|(_, name)| *name).collect();
        names.join(", ")
    }
}

/// How a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int,
    Seconds,
    Bytes,
    Time,
    Text,
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Read.
    Used,
    /// Tunes the inside of the C processes: read, checked, without effect here.
    Tuning,
    /// Accepted without effect; the note says why.
    Ignored,
}

/// In which section a key is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Before the first section.
    Global,
    /// Before the first section (as default) or in `[error-log]` or `[access-log]`.
    Logs,
    /// In `[access-log]` only.
    AccessLog,
    /// Before the first section; of a gateway in a `[groupN]` as well.
    Group,
}

/// One row: a key, the files that read it, what it is.
#[derive(Debug)]
pub(super) struct Key {
    /// Name; `#` stands for a number.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) class: Class,
    pub(super) scope: Scope,
    pub(super) files: Files,
    /// For keys without effect, never empty: what they do in FastDFS, and why not here. For others: what to know when it stands in the wrong file.
    pub(super) note: &'static str,
}

impl Key {
    fn matches(&self, name: &str) -> bool {
        match self.name.split_once('#') {
            None => self.name == name,
            Some((head, tail)) => name
                .strip_prefix(head)
                .and_then(|rest| rest.strip_suffix(tail))
                .is_some_and(|index| !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit())),
        }
    }

    fn in_section(&self, file: Files, section: &str) -> bool {
        let access = file == Files::STORAGE && section == "access-log";
        match self.scope {
            Scope::Global => section.is_empty(),
            Scope::Logs => section.is_empty() || section == "error-log" || access,
            Scope::AccessLog => access,
            Scope::Group => section.is_empty() || file == Files::MODULE && is_group_section(section),
        }
    }
}

/// Whether a section is one of `[group1]`, `[group2]` ...
fn is_group_section(name: &str) -> bool {
    name.strip_prefix("group").is_some_and(|number| number.parse::<u32>().is_ok())
}

/// The row of a key that `file` reads.
pub(super) fn find(file: Files, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.files.has(file) && key.matches(name))
}

/// The file to which most keys of `ini` belong; a key counts the less the more files have it. Of those that come out equal,
/// it is the one that needs least else.
pub(super) fn most_like(ini: &Ini) -> Option<FileKind> {
    const ONE: u32 = 60;
    let names: BTreeSet<&str> =
        ini.sections().iter().flat_map(|section| &section.entries).map(|entry| entry.name.as_str()).collect();
    let weight = |file: Files| -> u32 {
        let of_key = |name: &&str| {
            let all = Files::NAMES.iter().filter(|(other, _)| other.holds(name)).count();
            let all = u32::try_from(all).unwrap_or(u32::MAX);
            if file.holds(name) { ONE / all.max(1) } else { 0 }
        };
        names.iter().map(of_key).sum()
    };
    let kinds = [
        (FileKind::Http, Files::HTTP),
        (FileKind::Client, Files::CLIENT),
        (FileKind::Tracker, Files::TRACKER),
        (FileKind::Module, Files::MODULE),
        (FileKind::Storage, Files::STORAGE),
    ];
    let mut best = (0, None);
    for (kind, file) in kinds {
        let weight = weight(file);
        if weight > best.0 {
            best = (weight, Some(kind));
        }
    }
    best.1
}

/// Reports what is wrong with the keys of `ini` as keys, and doubts about values that nobody reads.
pub(super) fn check(ini: &Ini, file: Files, found: &mut Diagnostics) {
    for section in ini.sections() {
        let known = match section.name.as_str() {
            "" | "error-log" => true,
            "access-log" => file == Files::STORAGE,
            name => file == Files::MODULE && is_group_section(name),
        };
        if let Some(first) = section.entries.first().filter(|_| !known) {
            check_unread_section(&section.name, &first.place, found);
        }
        for entry in &section.entries {
            match find(file, &entry.name) {
                Some(key) if key.in_section(file, &section.name) => check_use(key, entry, found),
                Some(key) => check_section(key, &section.name, entry, found),
                None if known => check_unknown(file, entry, found),
                None => {}
            }
        }
    }
}

fn check_unread_section(name: &str, place: &Place, found: &mut Diagnostics) {
    if name == "slow-log" {
        found.info(place, "[slow-log] is read by no FastDFS daemon; ignored");
    } else {
        found.warn(place, format!("section [{name}] is not read; its keys are ignored"));
    }
}

fn check_section(key: &Key, section: &str, entry: &Entry, found: &mut Diagnostics) {
    let name = &entry.name;
    let message = match key.scope {
        Scope::Global | Scope::Group => format!(
            "{name} is read only before the first section; here, in [{section}], it is ignored; \
             move it up, or write [] in front of it"
        ),
        Scope::Logs => format!("{name} is not read in [{section}]; ignored; move it to [error-log]"),
        Scope::AccessLog => format!("{name} is read only in [access-log]; ignored; move it there"),
    };
    found.warn(&entry.place, message);
}

fn check_use(key: &Key, entry: &Entry, found: &mut Diagnostics) {
    let name = &entry.name;
    match key.class {
        Class::Used => {}
        Class::Tuning | Class::Ignored => {
            found.info(&entry.place, format!("{name} has no effect: {}", key.note))
        }
    }
    if key.class == Class::Ignored {
        let text = entry.value.as_str();
        let doubt = match key.kind {
            Kind::Bool => parse_bool(text).doubt,
            Kind::Int => parse_int(text).doubt,
            Kind::Seconds => parse_seconds(text).doubt,
            Kind::Bytes => parse_bytes(text).ok().and_then(|read| read.doubt),
            Kind::Time | Kind::Text => None,
        };
        if let Some(doubt) = doubt {
            found.info(&entry.place, format!("{name} = {text}: {doubt}"));
        }
    }
}

fn check_unknown(file: Files, entry: &Entry, found: &mut Diagnostics) {
    let name = &entry.name;
    if let Some(key) = KEYS.iter().find(|key| key.matches(name)) {
        let elsewhere = key.files.names();
        let note = if key.note.is_empty() { String::new() } else { format!(" ({})", key.note) };
        let message = format!("{name} belongs in {elsewhere}{note}; here it is ignored; move or remove it");
        found.warn(&entry.place, message);
        return;
    }
    let near = KEYS
        .iter()
        .filter(|key| key.files.has(file))
        .map(|key| (distance(key.name, name), key.name))
        .filter(|(distance, candidate)| *distance <= 2 && candidate.len() > 2 * distance)
        .min_by_key(|(distance, _)| *distance);
    let message = match near {
        Some((_, candidate)) => {
            format!("{name} is not a key of this file; ignored; did you mean {candidate}?")
        }
        None => format!("{name} is not a key of this file; ignored; remove it or correct its name"),
    };
    found.warn(&entry.place, message);
}

/// Edit distance: insertions, deletions, replacements, and swaps of neighbours. A digit counts as the `#` of a pattern.
fn distance(pattern: &str, name: &str) -> usize {
    let name: Vec<char> =
        name.chars().map(|c| if pattern.contains('#') && c.is_ascii_digit() { '#' } else { c }).collect();
    let pattern: Vec<char> = pattern.chars().collect();
    if pattern.len().abs_diff(name.len()) > 2 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=name.len()).collect();
    for (row, &a) in pattern.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &b) in name.iter().enumerate() {
            let replace = above[column] + usize::from(a != b);
            let mut best = replace.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && a == name[column - 1] && b == pattern[row - 1] {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::local_facts::LocalFacts;
    use std::path::Path;

    fn check_text(file: Files, text: &str, expected: &str) {
        let mut found = Diagnostics::default();
        let ini = Ini::parse(text, Path::new("x.conf"), &LocalFacts::none(), &mut found);
        check(&ini, file, &mut found);
        let said: Vec<String> = found.as_slice().iter().map(ToString::to_string).collect();
        match expected {
            "" => assert!(said.is_empty(), "{text}: {said:?}"),
            _ => assert!(said.len() == 1 && said[0].contains(expected), "{text}: {said:?}"),
        }
    }

    #[test]
    fn keys_are_found_misplaced_or_guessed() {
        let (tracker, storage, client) = (Files::TRACKER, Files::STORAGE, Files::CLIENT);
        for (file, text, expected) in [
            (tracker, "port = 1", ""),
            (storage, "store_path0 = /a\nstore_path12 = /b\nstore_path0_readonly = 1", ""),
            (storage, "store_pathx = /a", "did you mean store_path#"),
            (storage, "use_storage_id = true", "belongs in tracker.conf, client.conf"),
            (storage, "use_trunk_file = true", "belongs in tracker.conf"),
            (tracker, "tracker_server = 10.0.0.1", "belongs in storage.conf, client.conf, mod_fastdfs.conf"),
            (tracker, "store_lokup = 1", "did you mean store_lookup?"),
            (tracker, "prot = 1", "did you mean port?"),
            (tracker, "xy = 1", "remove it or correct its name"),
            (tracker, "Port = 1", "did you mean port?"),
            (tracker, "[error-log]\nport = 1", "only before the first section"),
            (tracker, "[error-log]\nlog_file_keep_days = 1", ""),
            (tracker, "[foo]\nbar = 1", "section [foo] is not read"),
            (tracker, "[slow-log]\nenabled = true", "info: [slow-log]"),
            (storage, "[access-log]\nenabled = true", ""),
            (storage, "enabled = true", "only in [access-log]"),
            (storage, "accept_threads = 2", "info: accept_threads has no effect"),
            (client, "base_path = /tmp", "info: base_path has no effect"),
        ] {
            check_text(file, text, expected);
        }
    }

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("port", "port", 0),
            ("port", "prot", 1),
            ("port", "Ports", 2),
            ("ab", "ba", 1),
            ("a", "wxyz", usize::MAX),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn what_has_no_effect_says_why() {
        for key in KEYS.iter().filter(|key| key.class != Class::Used) {
            assert!(key.note.len() > 20, "{}", key.name);
        }
    }

    #[test]
    fn no_file_reads_a_key_by_two_rows() {
        for (index, key) in KEYS.iter().enumerate() {
            for other in &KEYS[..index] {
                assert!(key.name != other.name || key.files.0 & other.files.0 == 0, "{}", key.name);
            }
        }
    }
}
