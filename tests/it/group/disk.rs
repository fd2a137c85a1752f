//! What lies on a storage's disk under the names of files. State files, logs and temporary files are not looked at.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Content by length and checksum; enough to tell whether two members hold the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Print {
    pub(crate) len: usize,
    pub(crate) crc32: u32,
}

impl Print {
    /// Of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len(), crc32: crc32fast::hash(bytes) }
    }
}

/// Every file of the store path at `base`, metadata files too, by `HH/LL/name`. A link counts as what it leads to; `None` is
/// a link that leads nowhere.
pub(crate) fn files(base: &Path) -> BTreeMap<String, Option<Print>> {
    let mut found = BTreeMap::new();
    for high in levels(&base.join("data")) {
        for low in levels(&high) {
            for path in entries(&low) {
                let name = path.strip_prefix(base.join("data")).expect("below it").display().to_string();
                // A file may be deleted between listing and reading: then it is as if it had been before.
                match fs::read(&path) {
                    Ok(bytes) => drop(found.insert(name, Some(Print::of(&bytes)))),
                    Err(_) if path.is_symlink() => drop(found.insert(name, None)),
                    Err(_) => {}
                }
            }
        }
    }
    found
}

/// Where the file with this logic name (`M00/HH/LL/...`) lies below `base`.
pub(crate) fn path(base: &Path, logic_name: &str) -> PathBuf {
    let (_, name) = logic_name.split_once('/').expect("a logic name");
    base.join("data").join(name)
}

/// How two disks differ, the first few differences; empty when they do not.
pub(crate) fn differences(
    one: &BTreeMap<String, Option<Print>>,
    other: &BTreeMap<String, Option<Print>>,
) -> Vec<String> {
    let names: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let differ = |name: &&&String| one.get(**name) != other.get(**name);
    let show = |name: &String| format!("{name}: {:?} and {:?}", one.get(name), other.get(name));
    names.iter().filter(differ).take(8).map(|name| show(name)).collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).collect()
}

/// Directories with a name of two upper-case hex digits.
pub(crate) fn levels(dir: &Path) -> Vec<PathBuf> {
    let is_level = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
    };
    entries(dir).into_iter().filter(is_level).collect()
}
