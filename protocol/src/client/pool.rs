//! Idle connections, kept for the next request to the same server.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{ClientError, Connection};

/// What a client allows itself and its servers.
#[derive(Debug, Clone)]
pub struct ClientLimits {
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest silence of a server that owes an answer.
    pub network_timeout: Duration,
    /// Further tries of a refused connect, 0 to 3.
    pub connect_retries: usize,
    /// Idle connections kept per server.
    pub max_idle: usize,
    /// Age at which an idle connection is dropped.
    pub max_idle_time: Duration,
    /// Source address of connections.
    pub bind: Option<IpAddr>,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            network_timeout: Duration::from_secs(30),
            connect_retries: 3,
            max_idle: 16,
            max_idle_time: Duration::from_secs(60),
            bind: None,
        }
    }
}

type Idle = HashMap<SocketAddr, Vec<(Connection, Instant)>>;

/// Connections of one client, shared by its clones.
#[derive(Debug, Clone)]
pub struct Pool {
    limits: Arc<ClientLimits>,
    idle: Arc<Mutex<Idle>>,
}

impl Pool {
    /// An empty pool.
    pub fn new(limits: ClientLimits) -> Self {
        Self { limits: Arc::new(limits), idle: Arc::default() }
    }

    /// The limits that its connections keep.
    pub fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    /// An idle connection that its server has not closed, or a new one.
    pub async fn take(&self, address: SocketAddr) -> Result<Connection, ClientError> {
        match self.take_idle(address) {
            Some(connection) => Ok(connection),
            None => Connection::open(address, &self.limits).await,
        }
    }

    /// An idle connection that its server has not closed.
    pub fn take_idle(&self, address: SocketAddr) -> Option<Connection> {
        while let Some((connection, since)) = self.pop(address) {
            if since.elapsed() < self.limits.max_idle_time && !connection.is_stale() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next request, if it can have one.
    pub fn give_back(&self, connection: Connection) {
        if !connection.is_reusable() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let of_server = idle.entry(connection.address()).or_default();
        if of_server.len() < self.limits.max_idle {
            of_server.push((connection, Instant::now()));
        }
    }

    fn pop(&self, address: SocketAddr) -> Option<(Connection, Instant)> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&address)?.pop()
    }
}
