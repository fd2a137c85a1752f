//! TLS: certificates, and which versions are spoken.

use std::path::PathBuf;

use super::super::reader::KeyReader;

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificatePair {
    /// `http.ssl_certificate`: the certificate and those between it and the root, in PEM.
    pub certificate: PathBuf,
    /// `http.ssl_certificate_key`: its private key, in PEM.
    pub key: PathBuf,
}

/// Settings of TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConf {
    /// The first serves clients that ask for no name, or for one that no certificate has.
    pub certificates: Vec<CertificatePair>,
    /// `TLSv1.2` in `http.ssl_protocols`.
    pub tls12: bool,
    /// `TLSv1.3` in `http.ssl_protocols`.
    pub tls13: bool,
    /// `http.http2`: whether HTTP/2 is offered, and taken in clear text from clients that know.
    pub http2: bool,
    /// `http.http2_max_concurrent_streams`: requests at once of one HTTP/2 connection.
    pub http2_streams: u32,
}

impl Default for TlsConf {
    fn default() -> Self {
        Self { certificates: Vec::new(), tls12: true, tls13: true, http2: true, http2_streams: 128 }
    }
}

impl TlsConf {
    pub(in super::super) fn read(keys: &mut KeyReader<'_>) -> Self {
        let (tls12, tls13) = read_protocols(keys);
        Self {
            certificates: read_pairs(keys),
            tls12,
            tls13,
            http2: keys.flag("http.http2", true),
            http2_streams: keys.positive("http.http2_max_concurrent_streams", 128),
        }
    }
}

fn read_pairs(keys: &mut KeyReader<'_>) -> Vec<CertificatePair> {
    let paths = |key| -> Vec<PathBuf> {
        let entries = keys.ini.all("", key).filter(|entry| !entry.value.is_empty());
        entries.map(|entry| keys.ini.relative(&entry.value)).collect()
    };
    let certificates = paths("http.ssl_certificate");
    let private = paths("http.ssl_certificate_key");
    if certificates.len() != private.len() {
        let why = format!(
            "{} certificates, but {} keys; write http.ssl_certificate and http.ssl_certificate_key in pairs",
            certificates.len(),
            private.len()
        );
        keys.refuse("http.ssl_certificate", why);
        return Vec::new();
    }
    certificates
        .into_iter()
        .zip(private)
        .map(|(certificate, key)| CertificatePair { certificate, key })
        .collect()
}

fn read_protocols(keys: &mut KeyReader<'_>) -> (bool, bool) {
    let key = "http.ssl_protocols";
    let Some(text) = keys.text_or_none(key) else { return (true, true) };
    let (mut tls12, mut tls13) = (false, false);
    for word in text.split_ascii_whitespace() {
        match word {
            "TLSv1.2" => tls12 = true,
            "TLSv1.3" => tls13 = true,
            "SSLv2" | "SSLv3" | "TLSv1" | "TLSv1.1" => {
                keys.warn(key, format_args!("{word} is broken and not spoken (RFC 8996); remove it"));
            }
            _ => keys.refuse(key, format_args!("'{word}' is not known; write TLSv1.2 TLSv1.3")),
        }
    }
    if !tls12 && !tls13 {
        keys.refuse(key, "no version is left; write TLSv1.2 TLSv1.3");
    }
    (tls12, tls13)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::TlsConf;
    use crate::config::{LocalFacts, StorageConf};

    fn read(lines: &str) -> Result<TlsConf, String> {
        let text =
            format!("tracker_server = 10.0.0.1:22122\nbase_path = /tmp\ngroup_name = group1\n{lines}\n");
        let read = StorageConf::parse(&text, Path::new("/etc/fdfs/storage.conf"), &LocalFacts::none());
        read.map(|(conf, _)| conf.web.tls).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_written_gives_the_defaults() {
        assert_eq!(read("").unwrap(), TlsConf::default());
    }

    #[test]
    fn pairs_go_together_in_order_and_relative_to_the_file() {
        let conf = read(
            "http.ssl_certificate = a.pem\nhttp.ssl_certificate_key = a.key\n\
             http.ssl_certificate = /x/b.pem\nhttp.ssl_certificate_key = /x/b.key\n\
             http.ssl_protocols = TLSv1.1 TLSv1.3\nhttp.http2 = off",
        )
        .unwrap();
        let paths: Vec<_> =
            conf.certificates.into_iter().flat_map(|pair| [pair.certificate, pair.key]).collect();
        assert_eq!(paths, ["/etc/fdfs/a.pem", "/etc/fdfs/a.key", "/x/b.pem", "/x/b.key"].map(PathBuf::from));
        assert_eq!((conf.tls12, conf.tls13, conf.http2), (false, true, false));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "http.ssl_certificate = a.pem",
            "http.ssl_certificate_key = a.key",
            "http.ssl_protocols = TLSv1.1",
            "http.ssl_protocols = TLSv1.4",
            "http.http2_max_concurrent_streams = 0",
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains("http."), "{line}: {error}");
        }
    }
}
