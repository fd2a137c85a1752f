//! What must hold whatever the bytes are. Fuzz targets (`tests/fuzz`) search for bytes with which it does not; the tests here
//! replay those that were found to reach new code.

use std::path::Path;

use crate::config::{
    ClientConf, ConfigError, Diagnostic, LocalFacts, ModuleConf, Severity, StorageConf, StorageIds,
    TrackerConf,
};
use crate::file_id::{FileExt, SlavePrefix, slave_name};
use crate::{FileId, LogicName};

/// A file's name and ID, as they come from a URL or a peer.
pub fn names(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(id) = FileId::parse(&text) {
        assert_eq!(id.to_string(), text, "an ID prints as it was");
        assert_eq!(FileId { group: id.group, name: id.name.clone() }, id);
        name(&id.name);
    }
    if let Ok(parsed) = LogicName::from_bytes(data) {
        assert_eq!(parsed.to_string(), text, "a name prints as it was");
        name(&parsed);
    }
    let mut parts = text.splitn(2, '\n');
    slave(parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
}

/// What clients send as prefix and extension becomes part of a name.
fn slave(prefix: &str, ext: &str) {
    let (Ok(prefix), Ok(ext)) = (SlavePrefix::parse(prefix), FileExt::parse(ext)) else { return };
    for master in
        ["M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul0977.txt", "M00/00/00/Ck0AC2sDXjmAORZMAAAADg4Qul09771234"]
    {
        let master = LogicName::parse(master).expect("a good name");
        let Ok(slave) = slave_name(&master, prefix, ext) else { continue };
        name(&slave);
        assert_ne!(slave, master, "a slave never has its master's name");
        assert_ne!(Some(slave), master.metadata_name().ok(), "nor its metadata's");
    }
}

/// A name that was accepted leads to one file below one directory, by whatever is made of it.
fn name(name: &LogicName) {
    let path = Path::new(name.true_name());
    let plain = |part| matches!(part, std::path::Component::Normal(_));
    assert!(path.components().all(plain), "{name} leads elsewhere");
    assert_eq!(path.components().count(), 3, "{name} has other directories");
    assert!(name.true_name().ends_with(name.base_name()));
    assert!(name.as_str().is_ascii() && !name.as_str().contains(['\0', '\n', ' ', '\\']), "{name:?}");
    assert_eq!(name.sub_dir().to_path(), name.true_name()[..5]);
    if let Ok(metadata) = name.metadata_name() {
        assert_eq!(metadata.metadata_owner().as_ref(), Some(name));
        assert_eq!(metadata.store_path(), name.store_path());
    }
    if let Ok(code) = name.code() {
        assert_eq!(code.encode()[..], name.base_name().as_bytes()[..code.encode().len()], "{name}");
    }
    // Every name has an answer to these, whatever it is.
    let _ = (name.kind(), name.is_made_once(), name.tail(), name.extension());
}

/// A configuration: the first byte chooses the file, the others are its text.
pub fn configuration(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    // Files of this machine are none of its business; that they are read is tested elsewhere.
    if text.to_ascii_lowercase().contains("include") && text.contains('/') {
        return;
    }
    let (path, facts) = (Path::new("/nowhere/x.conf"), LocalFacts::none());
    match kind % 5 {
        0 => judge(&text, TrackerConf::parse(&text, path, &facts)),
        1 => judge(&text, StorageConf::parse(&text, path, &facts)),
        2 => judge(&text, ClientConf::parse(&text, path, &facts)),
        3 => judge(&text, ModuleConf::parse(&text, path, &facts)),
        _ => judge(&text, StorageIds::parse(&text, path, &facts)),
    }
}

fn judge<T>(text: &str, outcome: Result<(T, Vec<Diagnostic>), ConfigError>) {
    let lines = u32::try_from(text.split('\n').count()).unwrap_or(u32::MAX);
    let found = match &outcome {
        Ok((_, found)) => {
            assert!(found.iter().all(|found| found.severity != Severity::Error), "accepted with an error");
            found
        }
        Err(ConfigError::Refused { diagnostics, .. }) => {
            assert!(
                diagnostics.iter().any(|found| found.severity == Severity::Error),
                "refused without a word"
            );
            diagnostics
        }
        Err(ConfigError::Disabled { .. }) => return,
        Err(error @ ConfigError::Read { .. }) => panic!("a text was read as a file: {error}"),
    };
    for found in found {
        assert!(found.place.line <= lines, "{found} in {lines} lines");
        assert!(!found.message.is_empty() && !found.message.contains('\n'), "{found}");
    }
}

#[cfg(test)]
#[path = "../../tests/fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn names_hold() {
        replay("names", names);
    }

    #[test]
    fn configurations_hold() {
        replay("configuration", configuration);
    }
}
