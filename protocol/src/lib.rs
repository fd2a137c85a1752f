//! What all processes of an fdfs cluster say to each other: frames, commands, file IDs, status codes and
//! configuration files.
//!
//! Everything but `client`, `service` and `config` is a pure codec: no sockets, no files, no clock. Byte layouts are those
//! of FastDFS 6.16; each message cites the section of the protocol description it follows.

pub mod address;
pub mod client;
pub mod cluster;
pub mod command;
pub mod config;
pub mod daemon;
pub mod file_id;
pub mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod group_name;
pub mod metadata;
pub mod peers;
pub mod service;
pub mod status;
pub mod storage;
pub mod storage_id;
pub mod sync;
pub mod tracker;
pub mod trunk;
pub mod wire;

pub use address::{AddressWidth, HostPort};
pub use command::Command;
pub use file_id::{FileId, LogicName};
pub use frame::Header;
pub use group_name::GroupName;
pub use status::Status;
pub use storage_id::StorageId;
pub use wire::DecodeError;
