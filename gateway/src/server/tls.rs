//! TLS: certificates by name, exchanged while connections go on.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use protocol::config::web_conf::{CertificatePair, TlsConf};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ServerConfig, SupportedCipherSuite, version};
use thiserror::Error;
use webpki::EndEntityCert;

/// A certificate that cannot be used; one line that says what to do.
#[derive(Debug, Error)]
pub enum BadCertificate {
    /// A file that cannot be read, or holds nothing in PEM of that kind.
    #[error("{key}: cannot read {path}")]
    Read {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The certificate file has no certificate.
    #[error("http.ssl_certificate: {0} holds no certificate; it has to be in PEM")]
    Empty(PathBuf),
    /// A certificate that is broken, or not of this key.
    #[error("http.ssl_certificate: {certificate} and {key} do not go together")]
    Pair {
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// A certificate without names.
    #[error("http.ssl_certificate: {path} is no certificate of a server")]
    Names {
        /// The file.
        path: PathBuf,
        /// Why.
        source: webpki::Error,
    },
    /// TLS itself cannot be set up.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
    /// No randomness for session tickets.
    #[error("session tickets cannot be made")]
    Tickets(#[source] rustls::Error),
}

/// The certificates in force; clones share them.
#[derive(Debug, Clone)]
pub struct Certificates(Arc<ArcSwap<ByName>>);

impl Certificates {
    /// Reads the files that a configuration names. Blocking.
    pub fn load(conf: &TlsConf) -> Result<Self, BadCertificate> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(ByName::load(conf)?))))
    }

    /// Reads them again: connections that begin from now on get what is read. If anything is wrong, those in force stay.
    /// Blocking.
    pub fn reload(&self, conf: &TlsConf) -> Result<(), BadCertificate> {
        self.0.store(Arc::new(ByName::load(conf)?));
        Ok(())
    }

    /// The TLS that listeners speak with them.
    pub(super) fn server(&self, conf: &TlsConf) -> Result<Arc<ServerConfig>, BadCertificate> {
        let mut versions = Vec::new();
        versions.extend(conf.tls13.then_some(&version::TLS13));
        versions.extend(conf.tls12.then_some(&version::TLS12));
        let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(&versions)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::new(self.clone()));
        // Clients list what they have, and most put SHA-384 first.
        config.ignore_client_order = true;
        config.alpn_protocols = if conf.http2 { vec![b"h2".to_vec()] } else { Vec::new() };
        config.alpn_protocols.push(b"http/1.1".to_vec());
        // Resumed sessions are in the tickets that clients hold, encrypted with keys that change; nothing is kept here.
        config.ticketer = ring::Ticketer::new().map_err(BadCertificate::Tickets)?;
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().find(hello.server_name())
    }
}

#[derive(Debug, Default)]
struct ByName {
    /// Names in lower case; `*.` begins one that stands for all names with one label more.
    names: HashMap<String, Arc<CertifiedKey>>,
    /// For clients that ask for another name, or none.
    first: Option<Arc<CertifiedKey>>,
}

impl ByName {
    fn load(conf: &TlsConf) -> Result<Self, BadCertificate> {
        let provider = provider();
        let mut by_name = Self::default();
        for pair in &conf.certificates {
            let (names, key) = load_pair(pair, &provider)?;
            let key = Arc::new(key);
            for name in names {
                by_name.names.entry(name).or_insert_with(|| Arc::clone(&key));
            }
            by_name.first.get_or_insert(key);
        }
        Ok(by_name)
    }

    fn find(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let find = |name: &str| {
            let exact = self.names.get(name);
            exact.or_else(|| self.names.get(&format!("*.{}", name.split_once('.')?.1)))
        };
        // rustls hands names over in lower case.
        name.and_then(find).or(self.first.as_ref()).cloned()
    }
}

/// AES-128 comes first: ring has SHA-256 from the processor, SHA-384 from a loop, which costs a sixth of a handshake.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    let is_quick = |suite: &SupportedCipherSuite| {
        matches!(
            suite.suite(),
            CipherSuite::TLS13_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
                | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
        )
    };
    provider.cipher_suites.sort_by_key(|suite| !is_quick(suite));
    Arc::new(provider)
}

fn load_pair(
    pair: &CertificatePair,
    provider: &CryptoProvider,
) -> Result<(Vec<String>, CertifiedKey), BadCertificate> {
    let CertificatePair { certificate, key } = pair;
    let unreadable = |key, path: &Path| {
        let path = path.to_owned();
        move |source| BadCertificate::Read { key, path, source }
    };
    let bad_chain = || unreadable("http.ssl_certificate", certificate);
    let chain = CertificateDer::pem_file_iter(certificate).map_err(bad_chain())?;
    let chain: Vec<CertificateDer<'static>> = chain.collect::<Result<_, _>>().map_err(bad_chain())?;
    let first = chain.first().ok_or_else(|| BadCertificate::Empty(certificate.clone()))?;
    let parsed = EndEntityCert::try_from(first)
        .map_err(|source| BadCertificate::Names { path: certificate.clone(), source })?;
    let names = parsed.valid_dns_names().map(str::to_ascii_lowercase).collect();
    let private = PrivateKeyDer::from_pem_file(key).map_err(unreadable("http.ssl_certificate_key", key))?;
    let certified = CertifiedKey::from_der(chain, private, provider).map_err(|source| {
        BadCertificate::Pair { certificate: certificate.clone(), key: key.clone(), source }
    })?;
    Ok((names, certified))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use protocol::config::web_conf::{CertificatePair, TlsConf};

    use super::{BadCertificate, ByName, Certificates};

    fn pair(dir: &Path, file: &str, names: &[&str]) -> CertificatePair {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let pair = CertificatePair {
            certificate: dir.join(format!("{file}.pem")),
            key: dir.join(format!("{file}.key")),
        };
        std::fs::write(&pair.certificate, made.cert.pem()).unwrap();
        std::fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
        pair
    }

    fn conf(certificates: Vec<CertificatePair>) -> TlsConf {
        TlsConf { certificates, ..TlsConf::default() }
    }

    #[test]
    fn names_choose_the_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let first = pair(dir.path(), "first", &["a.example", "*.b.example"]);
        let second = pair(dir.path(), "second", &["C.example", "x.b.example"]);
        let by_name = ByName::load(&conf(vec![first, second])).unwrap();
        let first = by_name.find(None).unwrap();
        let second = by_name.find(Some("c.example")).unwrap();
        assert_ne!(first.cert, second.cert);
        for (name, expected) in [
            ("a.example", &first),
            ("y.b.example", &first),
            ("x.b.example", &second),
            ("x.y.b.example", &first),
            ("b.example", &first),
            ("other.example", &first),
            ("localhost", &first),
        ] {
            assert_eq!(by_name.find(Some(name)).unwrap().cert, expected.cert, "{name}");
        }
    }

    #[test]
    fn a_reload_of_something_broken_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let good = conf(vec![pair(dir.path(), "a", &["a.example"])]);
        let certificates = Certificates::load(&good).unwrap();
        let before = certificates.0.load().find(None).unwrap();
        let other = pair(dir.path(), "b", &["b.example"]);
        let mixed = CertificatePair { key: other.key.clone(), ..good.certificates[0].clone() };
        let empty = CertificatePair { certificate: dir.path().join("empty"), ..other.clone() };
        std::fs::write(&empty.certificate, "no certificate").unwrap();
        let swapped = CertificatePair { certificate: other.key.clone(), key: other.certificate.clone() };
        let missing = CertificatePair { key: dir.path().join("missing"), ..other.clone() };
        for bad in [mixed, empty, swapped, missing] {
            let error = certificates.reload(&conf(vec![other.clone(), bad])).unwrap_err();
            assert!(error.to_string().contains("http.ssl_certificate"), "{error}");
            assert_eq!(certificates.0.load().find(None).unwrap().cert, before.cert, "{error}");
        }
        certificates.reload(&conf(vec![other])).unwrap();
        assert_ne!(certificates.0.load().find(None).unwrap().cert, before.cert);
    }

    #[test]
    fn a_broken_certificate_is_said_to_be_so() {
        let dir = tempfile::tempdir().unwrap();
        let pair = pair(dir.path(), "a", &["a.example"]);
        let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&pair.certificate, text).unwrap();
        assert!(matches!(Certificates::load(&conf(vec![pair])), Err(BadCertificate::Names { .. })));
    }
}
