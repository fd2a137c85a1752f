//! The configuration files of FastDFS: its INI dialect with directives, its lenient values, and every key as a
//! typed field.
//!
//! Order of work: [`ini`] turns files into entries that know where they stand (running [`directives`] first), [`legacy`]
//! rewrites keys that older versions used, [`schema`] names what is unknown or out of place, and the typed files
//! (`tracker_conf`, `storage_conf`, ...) read fields through [`reader`]. What the reference would silently misread
//! becomes a [`Diagnostic`]. Facts of the machine (addresses, name resolution) are arguments: see [`LocalFacts`].

pub mod allow_hosts;
pub mod changes;
pub mod client_conf;
pub mod daemon_conf;
pub mod diagnostic;
mod directives;
pub mod file_kind;
mod flow;
pub mod ini;
mod legacy;
pub mod local_facts;
pub mod log_conf;
pub mod mod_conf;
pub mod params;
mod promise;
mod reader;
mod schema;
pub mod server_address;
pub mod space;
pub mod storage_conf;
pub mod storage_ids;
pub mod tracker_conf;
pub mod trunk_conf;
pub mod value;
pub mod web_conf;

pub use allow_hosts::AllowHosts;
pub use changes::Snapshot;
pub use client_conf::ClientConf;
pub use daemon_conf::DaemonConf;
pub use diagnostic::{ConfigError, Diagnostic, Diagnostics, Place, Severity};
pub use file_kind::{FileKind, Loaded};
pub use ini::Ini;
pub use local_facts::LocalFacts;
pub use log_conf::{AccessLogConf, LogConf, LogLevel};
pub use mod_conf::ModuleConf;
pub use params::ClusterParams;
pub use server_address::ServerAddress;
pub use space::ReservedSpace;
pub use storage_conf::StorageConf;
pub use storage_ids::{StorageIdEntry, StorageIds};
pub use tracker_conf::TrackerConf;
pub use trunk_conf::TrunkConf;
pub use value::TimeOfDay;
pub use web_conf::WebConf;
