//! The serving side of the native protocol's connections, shared by tracker and node: accepting with limits, and
//! reading frames with FastDFS's timeouts. What a frame means is the daemon's business.

mod accept;
mod connection;

pub use accept::{ConnectionCounts, NativeService, ServiceLimits};
pub use connection::{Connection, ConnectionError};
