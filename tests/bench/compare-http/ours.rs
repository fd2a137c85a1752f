//! `fdfs node` as a server under load.

use std::net::IpAddr;
use std::process::Command;

use crate::address::{self, STORAGE_HTTP_PORT};
use crate::certificate::Certificate;
use crate::cluster::{Daemon, START, made, node_config, ready};
use crate::files::{Store, few_directories};
use crate::process::{Process, fdfs};
use crate::say::say;
use crate::server::{Cores, Make, Server};
use crate::wait::until;

const TLS_PORT: u16 = 8443;

/// Starts nodes of ours; each has a tracker, so that they are strangers to each other.
pub(crate) struct Ours;

impl Ours {
    /// The `fdfs` that is measured.
    pub(crate) async fn start_first(store: &Store, cores: &Cores) -> Server {
        start(Make::Ours, &fdfs(), store, cores).await
    }

    /// The `fdfs` that it is compared with, if one is named.
    pub(crate) async fn start_base(store: &Store, cores: &Cores) -> Option<Server> {
        let base = std::env::var_os("FDFS_COMPARE_BASE")?;
        say(&format!("base is {}", base.display()));
        Some(start(Make::Base, &Command::new(base), store, cores).await)
    }
}

async fn start(make: Make, program: &Command, store: &Store, cores: &Cores) -> Server {
    let dir = made(store.dir.path().join(if make == Make::Ours { "ours" } else { "base" }));
    let tracker = Daemon::tracker(&dir, address::fresh(), |conf| conf).await;
    let (ip, conf) = (address::fresh(), dir.join("storage.conf"));
    let certificate = Certificate::make(&dir, ip);
    configure(&conf, ip, &tracker, store, certificate.as_ref());
    store.forget_owner();
    let mut command = Command::new(program.get_program());
    command.arg("node").arg(&conf);
    let mut process = Process::start(&mut cores.server(&command));
    let url = format!("http://{ip}:{STORAGE_HTTP_PORT}");
    until("ready node", START, async || {
        process.assert_running();
        ready(&format!("{url}/readyz")).await
    })
    .await;
    let urls = [url, format!("https://{ip}:{TLS_PORT}")];
    Server::new(make, urls, certificate.is_some(), process, Some(tracker))
}

/// A base path of its own over the store path that has the files.
fn configure(
    conf: &std::path::Path,
    ip: IpAddr,
    tracker: &Daemon,
    store: &Store,
    certificate: Option<&Certificate>,
) {
    let base = made(conf.with_file_name("storage"));
    let config = node_config(&base, ip, tracker.ip).set("store_path0", store.path.display());
    // As nginx is configured, so that both keep their connections.
    let mut config = few_directories(config).add("http.keepalive_requests = 0");
    if let Some(Certificate { certificate, key }) = certificate {
        config = config
            .add(&format!("http.listen = {ip}:{STORAGE_HTTP_PORT}, {ip}:{TLS_PORT} ssl"))
            .add(&format!("http.ssl_certificate = {}", certificate.display()))
            .add(&format!("http.ssl_certificate_key = {}", key.display()));
    }
    config.write(conf);
}
