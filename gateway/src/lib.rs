//! Everything HTTP: file URLs, uploads, limits and drain. Sees files through [`files`], knows no disk layout and no
//! replication.

mod access;
mod access_log;
pub mod body;
mod client;
mod compression;
mod conditions;
mod content_type;
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
mod multipart;
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
mod router;
mod sendfile;
pub mod server;
mod settings;
pub mod signed_url;
mod site;
mod token;
mod upload;
mod validators;
mod write_access;

pub use client::Client;
pub use content_type::MimeTable;
pub use elsewhere::ResponseMode;
pub use gateway::Gateway;
pub use router::method_not_allowed;
pub use settings::{BadSettings, Settings, Writers};
pub use site::Site;
