//! The asking side of the native protocol: pooled connections, tracker rotation, and a client that knows which server
//! to ask for what. Used by nodes, by the command line and by tests.

mod connection;
mod error;
mod facade;
mod pool;
mod storage;
mod tracker;

pub use connection::Connection;
pub use error::ClientError;
pub use facade::Client;
pub use pool::{ClientLimits, Pool};
pub use storage::StorageClient;
pub use tracker::TrackerClient;
