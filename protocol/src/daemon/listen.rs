//! A port that cannot be had, in one line that says what to do.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

/// Why a daemon cannot listen where its configuration says.
#[derive(Debug, Error)]
#[error("cannot listen on {address} ({key}): {reason}")]
pub struct ListenError {
    address: SocketAddr,
    key: &'static str,
    reason: String,
}

impl ListenError {
    /// The failure to bind `address`, which the configuration's `key` chooses.
    pub fn new(address: SocketAddr, key: &'static str, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "the port is in use; stop the process that has it, or set another".to_owned()
            }
            io::ErrorKind::AddrNotAvailable => "this machine has no such address; check bind_addr".to_owned(),
            _ => error.to_string(),
        };
        Self { address, key, reason }
    }
}
