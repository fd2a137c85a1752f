//! What the listeners of a process share: limits, places and certificates, all of which a reload may change.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use protocol::config::web_conf::{LimitsConf, ListenOn, TlsConf};
use rustls::ServerConfig;

use super::places::{Place, Places};
use super::tls::{BadCertificate, Certificates};
use super::{HttpLimits, HttpServer};

/// A handle on what listeners share; clones are the same.
#[derive(Debug, Clone)]
pub struct Edge(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: ArcSwap<HttpLimits>,
    places: Arc<Places>,
    tls: Option<(Certificates, Arc<ServerConfig>)>,
}

impl Edge {
    /// An edge without TLS.
    pub fn new(limits: HttpLimits) -> Self {
        Self::over(limits, None)
    }

    /// The edge of a configuration; reads the certificates that it names. Blocking.
    pub fn load(limits: &LimitsConf, tls: &TlsConf, drain_timeout: Duration) -> Result<Self, BadCertificate> {
        let limits = HttpLimits::of(limits, tls, drain_timeout);
        if tls.certificates.is_empty() {
            return Ok(Self::new(limits));
        }
        let certificates = Certificates::load(tls)?;
        let config = certificates.server(tls)?;
        Ok(Self::over(limits, Some((certificates, config))))
    }

    fn over(limits: HttpLimits, tls: Option<(Certificates, Arc<ServerConfig>)>) -> Self {
        Self(Arc::new(Shared { limits: ArcSwap::from_pointee(limits), places: Arc::default(), tls }))
    }

    /// Puts certificates and limits into force for connections that begin from now on, all or none: a certificate that cannot
    /// be used changes nothing. Listeners, TLS versions and the lengths of listen queues need a restart. Blocking.
    pub fn reload(&self, limits: &LimitsConf, tls: &TlsConf) -> Result<(), BadCertificate> {
        if let Some((certificates, _)) = &self.0.tls
            && !tls.certificates.is_empty()
        {
            certificates.reload(tls)?;
        }
        let drain_timeout = self.limits().drain_timeout;
        self.0.limits.store(Arc::new(HttpLimits::of(limits, tls, drain_timeout)));
        Ok(())
    }

    /// Binds a listener.
    pub fn bind(&self, on: ListenOn) -> io::Result<HttpServer> {
        if on.ssl && self.tls().is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no certificate for TLS"));
        }
        HttpServer::over(self.clone(), on)
    }

    pub(super) fn limits(&self) -> Arc<HttpLimits> {
        self.0.limits.load_full()
    }

    pub(super) fn tls(&self) -> Option<&Arc<ServerConfig>> {
        self.0.tls.as_ref().map(|(_, config)| config)
    }

    pub(super) fn take_place(&self, limits: &HttpLimits) -> Option<Place> {
        self.0.places.take(limits.max_connections)
    }
}
