//! The way from a file to a typed configuration, the same for all of them.

use std::path::Path;

use super::diagnostic::{ConfigError, Diagnostic, Diagnostics};
use super::ini::Ini;
use super::local_facts::LocalFacts;
use super::value::parse_bool;

type Build<T> = fn(Ini, &LocalFacts, &mut Diagnostics) -> T;

/// How a configuration is read, by its own `build`.
macro_rules! entrances {
    ($conf:ty) => {
        impl $conf {
            /// Reads the file and its includes.
            pub fn load(
                path: &std::path::Path,
                facts: &$crate::config::LocalFacts,
            ) -> Result<(Self, Vec<$crate::config::Diagnostic>), $crate::config::ConfigError> {
                $crate::config::flow::load(path, facts, Self::build)
            }

            /// Reads `text` as if it were the file `path`.
            pub fn parse(
                text: &str,
                path: &std::path::Path,
                facts: &$crate::config::LocalFacts,
            ) -> Result<(Self, Vec<$crate::config::Diagnostic>), $crate::config::ConfigError> {
                $crate::config::flow::parse(text, path, facts, Self::build)
            }
        }
    };
}
pub(super) use entrances;

pub(super) fn load<T>(
    path: &Path,
    facts: &LocalFacts,
    build: Build<T>,
) -> Result<(T, Vec<Diagnostic>), ConfigError> {
    let mut found = Diagnostics::default();
    let ini = Ini::load(path, facts, &mut found)?;
    finish(ini, facts, found, build)
}

pub(super) fn parse<T>(
    text: &str,
    path: &Path,
    facts: &LocalFacts,
    build: Build<T>,
) -> Result<(T, Vec<Diagnostic>), ConfigError> {
    let mut found = Diagnostics::default();
    let ini = Ini::parse(text, path, facts, &mut found);
    finish(ini, facts, found, build)
}

fn finish<T>(
    ini: Ini,
    facts: &LocalFacts,
    mut found: Diagnostics,
    build: Build<T>,
) -> Result<(T, Vec<Diagnostic>), ConfigError> {
    let path = ini.path().to_owned();
    if ini.last("", "disabled").is_some_and(|entry| parse_bool(&entry.value).value) {
        return Err(ConfigError::Disabled { path });
    }
    let conf = build(ini, facts, &mut found);
    found.finish(&path, conf)
}
