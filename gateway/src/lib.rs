//! Everything HTTP: file URLs, uploads, limits and drain. Sees files through [`files`], knows no disk layout and no
//! replication.

mod access;
mod access_log;
mod at_hand;
mod audit;
pub mod authority;
pub mod body;
mod client;
mod compression;
mod conditions;
mod content_type;
pub mod contract;
mod cors;
mod disposition;
mod elsewhere;
mod error_pages;
mod file_body;
mod file_path;
mod file_urls;
pub mod files;
mod flv;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod gateway;
mod headers;
mod limiter;
mod pace;
mod policy;
pub mod problem;
mod proof;
mod query;
mod range;
mod read;
mod ready;
mod referer;
mod refusal;
pub mod rest;
mod rest_cors;
mod rest_service;
pub mod routes;
mod sendfile;
pub mod server;
mod settings;
pub mod signed_url;
mod site;
mod token;
mod validators;
mod visit;

pub use audit::ChangedFiles;
pub use client::Client;
pub use content_type::MimeTable;
pub use elsewhere::ResponseMode;
pub use gateway::Gateway;
pub use rest_service::RestService;
pub use settings::{BadSettings, Settings};
pub use site::Site;
