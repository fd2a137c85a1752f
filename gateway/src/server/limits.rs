//! What the server allows its clients.

use std::time::Duration;

use protocol::config::web_conf::{LimitsConf, TlsConf};

/// Limits of connections and requests. A connection keeps those that were in force when it began.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Connections at once; more are refused as soon as they are accepted.
    pub max_connections: usize,
    /// Connections at once from one address, or from one /64 with IPv6; 0 is no limit.
    pub connections_per_address: u32,
    /// Connections that the kernel holds until they are accepted.
    pub backlog: u32,
    /// Longest time for a request head, from its first byte; and from the opening of a connection to its first byte.
    pub header_timeout: Duration,
    /// Longest time in which a reader takes nothing.
    pub send_timeout: Duration,
    /// Longest wait for the next request of a kept connection; `None` keeps no connection.
    pub keepalive_timeout: Option<Duration>,
    /// Requests of one connection; 0 is no limit.
    pub keepalive_requests: u32,
    /// Largest request head, bytes.
    pub max_head: usize,
    /// Longest request target, bytes.
    pub max_uri: usize,
    /// Largest body of a request, bytes; 0 is no limit.
    pub max_body: u64,
    /// Whether HTTP/2 is spoken.
    pub http2: bool,
    /// Requests at once of a connection by HTTP/2.
    pub http2_streams: u32,
    /// How long requests under way may take to finish once the server is told to stop.
    pub drain_timeout: Duration,
}

impl HttpLimits {
    /// The limits of a configuration.
    pub fn of(conf: &LimitsConf, tls: &TlsConf, drain_timeout: Duration) -> Self {
        Self {
            max_connections: conf.max_connections,
            connections_per_address: conf.limit_conn,
            backlog: conf.backlog,
            header_timeout: conf.client_header_timeout,
            send_timeout: conf.send_timeout,
            keepalive_timeout: conf.keepalive_timeout,
            keepalive_requests: conf.keepalive_requests,
            max_head: conf.max_head,
            max_uri: conf.max_uri,
            max_body: conf.client_max_body_size,
            http2: tls.http2,
            http2_streams: tls.http2_streams,
            drain_timeout,
        }
    }

    /// Whether a connection ends with its `served`th answer.
    pub(super) fn ends_after(&self, served: u32) -> bool {
        self.keepalive_timeout.is_none() || self.keepalive_requests != 0 && served >= self.keepalive_requests
    }
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self::of(&LimitsConf::default(), &TlsConf::default(), Duration::from_secs(30))
    }
}
