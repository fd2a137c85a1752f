//! TLS: the certificate for a name, its exchange, resumption, versions, and handshakes that lead nowhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::Settings;
use gateway::files::UploadKind;
use gateway::server::Edge;
use protocol::config::web_conf::{CertificatePair, LimitsConf, ListenOn, TlsConf};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Client, Running};

const DRAIN: Duration = Duration::from_secs(10);
const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

/// Certificates in a directory of their own.
pub(super) struct Pems(tempfile::TempDir);

impl Pems {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes, or makes anew, the pair of a file name for a host.
    pub(super) fn make(&self, file: &str, host: &str) -> CertificatePair {
        let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
        let pair = CertificatePair {
            certificate: self.path(&format!("{file}.pem")),
            key: self.path(&format!("{file}.key")),
        };
        std::fs::write(&pair.certificate, made.cert.pem()).unwrap();
        std::fs::write(&pair.key, made.signing_key.serialize_pem()).unwrap();
        pair
    }
}

pub(super) fn conf(certificates: Vec<CertificatePair>) -> TlsConf {
    TlsConf { certificates, ..TlsConf::default() }
}

pub(super) fn start(limits: &LimitsConf, tls: &TlsConf) -> (Running, Edge) {
    let edge = Edge::load(limits, tls, DRAIN).unwrap();
    let on = ListenOn { ssl: true, ..ListenOn::plain("127.0.17.1:0".parse().unwrap()) };
    (Running::over(&edge, on, Settings::plain()), edge)
}

fn certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

/// A client that trusts these certificates.
pub(super) fn trusting(pairs: &[CertificatePair], alpn: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for pair in pairs {
        roots.add(certificate(&pair.certificate)).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    config
}

pub(super) async fn connect(
    server: &Running,
    config: &Arc<ClientConfig>,
    host: &'static str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    TlsConnector::from(Arc::clone(config)).connect(ServerName::try_from(host).unwrap(), stream).await
}

fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn files_are_served_by_the_certificate_of_the_name() {
    let pems = Pems::new();
    let pairs = [pems.make("a", "a.example"), pems.make("b", "*.b.example")];
    let (server, _edge) = start(&LimitsConf::default(), &conf(pairs.to_vec()));
    let config = Arc::new(trusting(&pairs, &["http/1.1"]));
    let content = "0123456789".repeat(100_000);
    let id = server.store.add(&UploadKind::Normal, "bin", content.as_bytes());
    for (host, at) in [("a.example", 0), ("x.b.example", 1)] {
        let stream = connect(&server, &config, host).await.unwrap();
        assert_eq!(shown(&stream), certificate(&pairs[at].certificate), "{host}");
        let mut client = Client::over(stream);
        for _ in 0..2 {
            client.send(&format!("GET /{id} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
            let answer = client.answer(false).await;
            assert!(answer.status() == 200 && answer.body == content.as_bytes(), "{host}");
        }
    }
    let error = connect(&server, &config, "other.example").await.expect_err("the first, which is not its");
    assert!(error.to_string().contains("certificate"), "{error}");
    server.finish().await;
}

#[tokio::test]
async fn certificates_are_exchanged_without_dropping_a_connection() {
    let pems = Pems::new();
    let old = pems.make("a", "a.example");
    let tls = conf(vec![old.clone()]);
    let (server, edge) = start(&LimitsConf::default(), &tls);
    let trusting_old = Arc::new(trusting(&[old], &[]));
    let mut kept = Client::over(connect(&server, &trusting_old, "a.example").await.unwrap());
    kept.send(HEALTH).await;
    assert_eq!(kept.answer(false).await.status(), 200);

    let new = pems.make("a", "a.example");
    edge.reload(&LimitsConf::default(), &tls).unwrap();
    let trusting_new = Arc::new(trusting(std::slice::from_ref(&new), &[]));
    let stream = connect(&server, &trusting_new, "a.example").await.unwrap();
    assert_eq!(shown(&stream), certificate(&new.certificate));
    kept.send(HEALTH).await;
    assert_eq!(kept.answer(false).await.status(), 200, "the old connection goes on");

    std::fs::write(&new.key, "broken").unwrap();
    edge.reload(&LimitsConf::default(), &tls).expect_err("a broken key");
    connect(&server, &trusting_new, "a.example").await.expect("what was in force stays");
    server.finish().await;
}

#[tokio::test]
async fn sessions_are_resumed() {
    let pems = Pems::new();
    let pair = pems.make("a", "a.example");
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        let (server, _edge) = start(&LimitsConf::default(), &conf(vec![pair.clone()]));
        let mut roots = RootCertStore::empty();
        roots.add(certificate(&pair.certificate)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut client = Client::over(connect(&server, &config, "a.example").await.unwrap());
            client.send(HEALTH).await;
            // Tickets come with the first bytes.
            assert_eq!(client.answer(false).await.status(), 200);
            assert_eq!(client.stream.get_ref().1.handshake_kind(), Some(expected), "{versions:?}");
        }
        server.finish().await;
    }
}

#[tokio::test]
async fn only_the_versions_of_the_configuration_are_spoken() {
    let pems = Pems::new();
    let pair = pems.make("a", "a.example");
    let client = Arc::new(trusting(std::slice::from_ref(&pair), &[]));
    for (tls12, tls13, expected) in
        [(true, true, ProtocolVersion::TLSv1_3), (true, false, ProtocolVersion::TLSv1_2)]
    {
        let tls = TlsConf { tls12, tls13, ..conf(vec![pair.clone()]) };
        let (server, _edge) = start(&LimitsConf::default(), &tls);
        let stream = connect(&server, &client, "a.example").await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(expected));
        server.finish().await;
    }
}

#[tokio::test]
async fn handshakes_that_lead_nowhere_end() {
    let limits = LimitsConf { client_header_timeout: Duration::from_secs(1), ..LimitsConf::default() };
    let pems = Pems::new();
    let (server, _edge) = start(&limits, &conf(vec![pems.make("a", "a.example")]));
    let began = Instant::now();
    let mut silent = server.connect().await;
    silent.assert_closed().await;
    assert!((Duration::from_millis(900)..Duration::from_secs(6)).contains(&began.elapsed()));
    // Clear text is no handshake; what is said about it is TLS's alert.
    let mut clear = server.connect().await;
    clear.send(HEALTH).await;
    while clear.fill().await {}
    assert!(!clear.left.starts_with(b"HTTP"), "{:?}", clear.left);
    server.finish().await;
}

#[tokio::test]
async fn the_timeouts_and_the_drain_hold_for_tls_too() {
    let limits = LimitsConf { client_header_timeout: Duration::from_secs(1), ..LimitsConf::default() };
    let pems = Pems::new();
    let pair = pems.make("a", "a.example");
    let (server, _edge) = start(&limits, &conf(vec![pair.clone()]));
    let config = Arc::new(trusting(&[pair], &[]));
    let mut slow = Client::over(connect(&server, &config, "a.example").await.unwrap());
    slow.send("GET /hea").await;
    assert_eq!(slow.answer(false).await.status(), 408);
    let mut idle = Client::over(connect(&server, &config, "a.example").await.unwrap());
    idle.send(HEALTH).await;
    assert_eq!(idle.answer(false).await.status(), 200);
    let mut busy = Client::over(connect(&server, &config, "a.example").await.unwrap());
    busy.send("POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: 600000\r\n\r\n").await;
    busy.send(&"a".repeat(300_000)).await;
    while server.store.0.live.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.stop.cancel();
    idle.assert_closed().await;
    busy.stream.write_all("b".repeat(300_000).as_bytes()).await.unwrap();
    let answer = busy.answer(false).await;
    assert_eq!((answer.status(), answer.header("connection")), (201, Some("close")));
    busy.assert_closed().await;
    server.finish().await;
}
