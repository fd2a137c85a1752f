//! `fdfs dev`: a tracker and a node in one process, without configuration, ready within seconds.
//!
//! They meet on the wire as they do on two machines; only the process is one.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use protocol::HostPort;
use protocol::client::{ClientLimits, Pool, TrackerClient};
use protocol::config::{LocalFacts, LogLevel, StorageConf, TrackerConf};
use tokio_util::sync::CancellationToken;

use crate::daemon::{self, DaemonSettings, Signals, Threads};
use crate::logging::{self, Sink};
use crate::output::print;

const TRACKER_PORT: u16 = 22122;
const NODE_HTTP_PORT: u16 = 8888;
const TRACKER_HTTP_PORT: u16 = 8080;
const NODE_PORT: u16 = 23000;
/// How often the tracker is asked whether the node serves.
const POLL: Duration = Duration::from_millis(20);

/// Run a tracker and a node in one process, for trying things out
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Directory to keep everything in
    #[arg(long, value_name = "DIR", default_value = "fdfs-data")]
    data: PathBuf,
    /// IPv4 address to serve on, ports 22122, 8080, 23000 and 8888
    #[arg(long, value_name = "ADDR", default_value_t = Ipv4Addr::LOCALHOST)]
    bind: Ipv4Addr,
}

/// Runs both until Ctrl-C.
pub(crate) fn run(args: &DevArgs) -> anyhow::Result<ExitCode> {
    let data = std::path::absolute(&args.data).context("finding the data directory")?;
    for part in ["tracker", "storage"] {
        let path = data.join(part);
        fs::create_dir_all(&path).with_context(|| format!("cannot make the directory {}", path.display()))?;
    }
    let secret = data.join("cluster.secret");
    make_secret(&secret).with_context(|| format!("cannot make {}", secret.display()))?;
    let facts = LocalFacts::detect();
    let reached_at = reachable(args.bind, &facts);
    let (tracker, node) = settings(&data, args.bind, reached_at, &facts)?;
    daemon::raise_limits(node.process().max_connections)?;
    logging::start(LogLevel::Warning, Sink { file: None, stderr: true });
    let threads = Threads::of_both()?;
    let outcome = threads.run(serve(tracker, node, &facts, &data, reached_at));
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Makes what tracker and node sign tickets with, once for a data directory.
fn make_secret(path: &Path) -> std::io::Result<()> {
    let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(mut file) => {
            let secret = gateway::authority::random_secret().map_err(std::io::Error::other)?;
            file.write_all(format!("{secret}\n").as_bytes())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The address in URLs: the bound one, or, when that means all, one that others can reach.
fn reachable(bind: Ipv4Addr, facts: &LocalFacts) -> IpAddr {
    if !bind.is_unspecified() {
        return bind.into();
    }
    let own = facts.addresses.iter().copied().find(IpAddr::is_ipv4);
    own.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn settings(
    data: &Path,
    bind: Ipv4Addr,
    reached_at: IpAddr,
    facts: &LocalFacts,
) -> anyhow::Result<(DaemonSettings, DaemonSettings)> {
    let secret = data.join("cluster.secret");
    let secret = secret.display();
    let (tracker_base, node_base) = (data.join("tracker"), data.join("storage"));
    let bind = if bind.is_unspecified() { String::new() } else { bind.to_string() };
    let tracker = format!(
        "base_path = {}\nbind_addr = {bind}\nreserved_storage_space = 1%\nmax_connections = 1024\n\
         http.cluster_secret_file = {secret}\n",
        tracker_base.display()
    );
    // 16 by 16 directories are made at once; a site's 256 by 256 take seconds.
    let node = format!(
        "group_name = group1\nbase_path = {base}\nstore_path0 = {base}\nbind_addr = {bind}\n\
         tracker_server = {}\nsubdir_count_per_path = 16\nheart_beat_interval = 5\n\
         stat_report_interval = 5\nmax_connections = 1024\nhttp.cluster_secret_file = {secret}\n",
        SocketAddr::new(reached_at, TRACKER_PORT),
        base = node_base.display(),
    );
    let (tracker, _) = TrackerConf::parse(&tracker, &tracker_base.join("dev.conf"), facts)?;
    let (node, _) = StorageConf::parse(&node, &node_base.join("dev.conf"), facts)?;
    Ok((DaemonSettings::Tracker(Box::new(tracker)), DaemonSettings::Node(Box::new(node))))
}

async fn serve(
    tracker: DaemonSettings,
    node: DaemonSettings,
    facts: &LocalFacts,
    data: &Path,
    reached_at: IpAddr,
) -> anyhow::Result<()> {
    let signals = Signals::listen()?;
    let tracker = tracker.build(facts).await?;
    let node = node.build(facts).await?;
    let (node_stop, tracker_stop) = (CancellationToken::new(), CancellationToken::new());
    let both = async {
        // The node goes first, so that its last reports find the tracker.
        let node = async {
            node.run(node_stop.clone()).await;
            tracker_stop.cancel();
        };
        let greeting = async {
            tokio::select! {
                () = active(reached_at) => greet(data, reached_at),
                () = node_stop.cancelled() => {}
            }
        };
        tokio::join!(node, tracker.run(tracker_stop.clone()), greeting);
    };
    daemon::run_until_stopped(both, node_stop.clone(), signals, None).await;
    Ok(())
}

/// Returns when the tracker sends uploads to the node.
async fn active(ip: IpAddr) {
    let limits = ClientLimits { connect_retries: 0, ..ClientLimits::default() };
    let tracker = HostPort::from(SocketAddr::new(ip, TRACKER_PORT));
    let client = TrackerClient::new(vec![tracker], Pool::new(limits));
    while client.query_store(None).await.is_err() {
        tokio::time::sleep(POLL).await;
    }
}

fn greet(data: &Path, ip: IpAddr) {
    let url = |port| format!("http://{}", SocketAddr::new(ip, port));
    let (files, tracker) = (url(NODE_HTTP_PORT), url(TRACKER_HTTP_PORT));
    print(format_args!(
        "fdfs dev is ready. Files are kept in {data}

  upload    {files}/v1/files
  files     {files}/group1/...
  tracker   {tracker} (HTTP), {native_tracker} (native)
  storage   {files} (HTTP), {native_node} (native)

Upload a file and get its URL:

curl -sS -H 'Content-Type: text/plain' --data-binary 'Hello from fdfs' '{files}/v1/files?filename=hello.txt'

Ctrl-C stops.",
        data = data.display(),
        native_tracker = SocketAddr::new(ip, TRACKER_PORT),
        native_node = SocketAddr::new(ip, NODE_PORT),
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_have_no_findings_for_any_address() {
        let facts = LocalFacts { addresses: vec!["10.0.0.9".parse().unwrap()], ..LocalFacts::none() };
        for (bind, expected) in [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "10.0.0.9")] {
            let bind: Ipv4Addr = bind.parse().unwrap();
            let reached_at = reachable(bind, &facts);
            assert_eq!(reached_at.to_string(), expected);
            let (_, node) = settings(Path::new("/tmp/x"), bind, reached_at, &facts).unwrap();
            let DaemonSettings::Node(node) = node else { panic!("a node") };
            assert_eq!(node.tracker_servers[0].primary.host, expected);
        }
    }
}
