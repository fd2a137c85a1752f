//! A certificate for the servers under load, made by `openssl`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::say::say;

/// PEM files.
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// One for `ip` in `dir`; nothing where there is no `openssl`.
    pub(crate) fn make(dir: &Path, ip: IpAddr) -> Option<Self> {
        let (certificate, key) = (dir.join("certificate.pem"), dir.join("key.pem"));
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        command.args(["-days", "2", "-subj", "/CN=compare", "-addext", &format!("subjectAltName=IP:{ip}")]);
        command.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        if command.output().is_ok_and(|made| made.status.success()) {
            return Some(Self { certificate, key });
        }
        say("openssl makes no certificate here: no TLS");
        None
    }
}
