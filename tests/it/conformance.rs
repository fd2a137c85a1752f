//! The four published client libraries, unmodified, against our servers, in both address forms.
//!
//! Each must pass every operation that it passes against FastDFS 6.16.1, and must fail every one when its expectations are
//! spoilt: what cannot fail proves nothing. Three of them live in `tests/clients`; the fourth is a crate (`client_crate`).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::cluster::{Cluster, wait_for_a_place};
use crate::say::skipped;
use crate::{address, client_crate, dev};

/// A client library outside of Cargo.
struct Foreign {
    name: &'static str,
    program: &'static str,
    script: &'static str,
    /// Its operations in the script; fewer lines mean that the script ended early.
    operations: usize,
}

const NPM: Foreign = Foreign { name: "npm fdfs", program: "node", script: "npm-fdfs.js", operations: 25 };
const PY3FDFSV2: Foreign = Foreign {
    name: "PyPI py3fdfsv2",
    program: "venv/bin/python",
    script: "py3fdfsv2_ops.py",
    operations: 18,
};
const FASTDFS_CLIENT: Foreign = Foreign {
    name: "PyPI fastdfs-client",
    program: "venv/bin/python",
    script: "fastdfs_client_ops.py",
    operations: 18,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_short_addresses_pass_against_dev() {
    let dev = dev::Dev::start().await;
    wait_for_a_place(dev.ip).await;
    check(dev.ip, &[NPM, PY3FDFSV2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_short_addresses_pass_against_separate_daemons() {
    let cluster = Cluster::start().await;
    check(cluster.tracker.ip, &[NPM, PY3FDFSV2]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_long_addresses_pass_against_separate_daemons() {
    let cluster = Cluster::start_with(|conf| conf.add("response_ip_addr_size = IPv6"), |conf| conf).await;
    check(cluster.tracker.ip, &[FASTDFS_CLIENT]).await;
}

/// The crate, which knows both forms, and the `foreign` ones.
async fn check(tracker: std::net::IpAddr, foreign: &[Foreign]) {
    let tracker = address::tracker(tracker);
    let mut failures = Vec::new();
    for (run, outcome) in [
        ("crate fastdfs", client_crate::run(tracker).await),
        ("crate fastdfs, spoilt", client_crate::run_spoilt(tracker).await),
    ] {
        failures.extend(outcome.err().map(|why| format!("{run}:\n{why}")));
    }
    for client in foreign {
        let Some(program) = client.installed() else {
            skipped(
                "conformance",
                &format!("{} is not installed ({} and its package)", client.name, client.program),
            );
            continue;
        };
        for spoil in [false, true] {
            let output = client.run(&program, tracker, spoil);
            failures.extend(client.judge(&output, spoil).err());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

impl Foreign {
    /// The program to run, if `tests/clients/install` found what it needs.
    fn installed(&self) -> Option<PathBuf> {
        let dir = clients();
        if self.program == "node" {
            return dir.join("node_modules/fdfs/package.json").exists().then(|| self.program.into());
        }
        Some(dir.join(self.program)).filter(|_| dir.join("venv/.installed").exists())
    }

    fn run(&self, program: &Path, tracker: std::net::SocketAddr, spoil: bool) -> Output {
        let mut command = Command::new(program);
        command.arg(scripts().join(self.script)).args([tracker.ip().to_string(), tracker.port().to_string()]);
        command.env("FDFS_CLIENTS_DIR", clients()).env_remove("FDFS_CLIENTS_SPOIL");
        if spoil {
            command.env("FDFS_CLIENTS_SPOIL", "1");
        }
        command.output().unwrap_or_else(|error| panic!("{}: {error}", program.display()))
    }

    /// All operations good; or, spoilt, all bad.
    fn judge(&self, output: &Output, spoil: bool) -> Result<(), String> {
        let text = String::from_utf8_lossy(&output.stdout);
        let good = text.lines().filter(|line| line.starts_with("ok ")).count();
        let bad = text.lines().filter(|line| line.starts_with("FAIL ")).count();
        let expected = if spoil { (0, self.operations) } else { (self.operations, 0) };
        if (good, bad) == expected && output.status.success() != spoil {
            return Ok(());
        }
        let what = if spoil { "with spoilt expectations" } else { "as it is" };
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(format!("{} {what}: {good} passed, {bad} failed, {}\n{text}{errors}", self.name, output.status))
    }
}

/// Where the scripts are.
pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients")
}

/// Where the libraries are, installed when they are not there yet.
pub(crate) fn clients() -> &'static Path {
    static DIR: OnceLock<PathBuf> = OnceLock::new();
    DIR.get_or_init(|| {
        let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients");
        let dir = std::env::var_os("FDFS_CLIENTS_DIR").map_or_else(ours, PathBuf::from);
        let installer =
            Command::new("bash").arg(scripts().join("install")).env("FDFS_CLIENTS_DIR", &dir).output();
        match installer {
            Ok(output) if output.status.success() => {}
            Ok(output) => skipped("conformance", &String::from_utf8_lossy(&output.stderr)),
            Err(error) => skipped("conformance", &format!("tests/clients/install does not run: {error}")),
        }
        dir
    })
}
