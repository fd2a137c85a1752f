//! Why a native call failed: before the server was reached, on the way, or by the server's own word.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use crate::wire::DecodeError;
use crate::{Command, Status};

/// A failed call.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// Who was called.
        address: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The connection broke or stalled.
    #[error("{address} broke off {command}")]
    Broken {
        /// Who was called.
        address: SocketAddr,
        /// What was asked.
        command: Command,
        /// The system's answer.
        source: io::Error,
    },
    /// The server answered with an error.
    #[error("{address} answered {command} with status {status}")]
    Refused {
        /// Who was called.
        address: SocketAddr,
        /// What was asked.
        command: Command,
        /// The server's answer.
        status: Status,
    },
    /// The server's answer makes no sense.
    #[error("{address} answered {command} with something else")]
    Answer {
        /// Who was called.
        address: SocketAddr,
        /// What was asked.
        command: Command,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The content to send could not be read, or the received could not be written.
    #[error("local content")]
    Content(#[source] io::Error),
    /// No tracker is configured, or no name of one leads to an address.
    #[error("no tracker has an address")]
    NoTracker,
}

impl ClientError {
    /// The server's status, where it is one that failed the call.
    pub fn status(&self) -> Option<Status> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The errno that a FastDFS tool exits with for this failure.
    pub fn errno(&self) -> u8 {
        match self {
            Self::Refused { status, .. } => status.0,
            Self::Connect { source, .. } | Self::Broken { source, .. } | Self::Content(source) => {
                Status::from_io(source).0
            }
            Self::Answer { .. } => Status::EINVAL.0,
            Self::NoTracker => Status::ENOENT.0,
        }
    }

    /// Whether another server may be asked instead: this one was not reached.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Connect { .. })
    }
}
