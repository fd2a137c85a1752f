//! `client.conf`.

use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::{ConfigError, Diagnostic, Diagnostics};
use super::ini::Ini;
use super::local_facts::LocalFacts;
use super::log_conf::LogLevel;
use super::reader::KeyReader;
use super::schema::{self, Files};
use super::server_address::ServerAddress;
use super::storage_ids::StorageIds;
use super::tracker_conf::DEFAULT_PORT;
use super::{flow, legacy};

/// Which address of a storage with two of them is tried first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectFirstBy {
    /// The one that the tracker named.
    Tracker,
    /// The one that worked last time.
    LastConnected,
}

/// Where a client learns the table of storage ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdSource {
    /// There is none: `use_storage_id` is off.
    None,
    /// From the tracker: `load_fdfs_parameters_from_tracker`.
    Tracker,
    /// From this file.
    File(PathBuf),
}

/// All keys of `client.conf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConf {
    /// Trackers, sorted, each once.
    pub tracker_servers: Vec<ServerAddress>,
    /// Limit for connecting.
    pub connect_timeout: Duration,
    /// Limit for each read or write.
    pub network_timeout: Duration,
    /// Least level that is logged.
    pub log_level: LogLevel,
    /// Order of a storage's two addresses.
    pub connect_first_by: ConnectFirstBy,
    /// Keep connections.
    pub use_connection_pool: bool,
    /// How long an unused one is kept.
    pub connection_pool_max_idle_time: Duration,
    /// Where the table of storage ids comes from.
    pub id_source: IdSource,
    /// Secret for URL tokens, if they are on (`http.anti_steal.*`).
    pub token_secret: Option<String>,
}

flow::entrances!(ClientConf);

impl ClientConf {
    /// Loads the table of storage ids, if it comes from a file.
    pub fn load_storage_ids(
        &self,
        facts: &LocalFacts,
    ) -> Result<Option<(StorageIds, Vec<Diagnostic>)>, ConfigError> {
        match &self.id_source {
            IdSource::File(path) => StorageIds::load(path, facts).map(Some),
            IdSource::None | IdSource::Tracker => Ok(None),
        }
    }

    fn build(mut ini: Ini, _facts: &LocalFacts, found: &mut Diagnostics) -> Self {
        legacy::apply(&mut ini, Files::CLIENT, found);
        schema::check(&ini, Files::CLIENT, found);
        let keys = &mut KeyReader::new(&ini, Files::CLIENT, found);
        Self {
            tracker_servers: keys.servers("tracker_server", DEFAULT_PORT),
            connect_timeout: keys.seconds("connect_timeout", 10),
            network_timeout: keys.seconds("network_timeout", 30),
            log_level: LogLevel::read(keys),
            connect_first_by: match keys.text("connect_first_by") {
                Some(text) if text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("last")) => {
                    ConnectFirstBy::LastConnected
                }
                _ => ConnectFirstBy::Tracker,
            },
            use_connection_pool: keys.flag("use_connection_pool", false),
            connection_pool_max_idle_time: keys.seconds("connection_pool_max_idle_time", 3600),
            id_source: read_id_source(keys),
            token_secret: read_token_secret(keys),
        }
    }
}

pub(super) fn read_id_source(keys: &mut KeyReader<'_>) -> IdSource {
    let from_tracker = keys.flag("load_fdfs_parameters_from_tracker", false);
    let use_storage_id = keys.flag("use_storage_id", false);
    let file = keys.text_or_none("storage_ids_filename").map(|name| keys.ini.relative(name));
    match file {
        _ if from_tracker => IdSource::Tracker,
        _ if !use_storage_id => IdSource::None,
        Some(file) => IdSource::File(file),
        None => {
            let why = "missing; name the file, or write load_fdfs_parameters_from_tracker = true instead";
            keys.refuse("storage_ids_filename", why);
            IdSource::None
        }
    }
}

fn read_token_secret(keys: &mut KeyReader<'_>) -> Option<String> {
    let on = keys.flag("http.anti_steal.check_token", false);
    let secret = keys.text_or_none("http.anti_steal.secret_key").map(str::to_owned);
    if on && secret.is_none() {
        keys.refuse(
            "http.anti_steal.secret_key",
            "missing; with check_token, write the secret of the storages",
        );
    }
    secret.filter(|_| on)
}

#[cfg(test)]
mod tests;
