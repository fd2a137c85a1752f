//! The `fdfs` binary: daemons, client tools and the load generator.

mod bench;
mod check_config;
mod client;
mod clock;
mod daemon;
mod dev;
mod fastdfs;
mod format;
mod info;
mod links;
mod logging;
mod monitor;
mod output;
mod session;
mod token;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use daemon::{DaemonArgs, Kind};

/// A FastDFS-compatible file store: tracker, node, client tools and load generator.
#[derive(Debug, Parser)]
#[command(name = "fdfs", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::DevArgs),
    /// Run a tracker, or start, stop and watch one in the background
    Tracker(DaemonArgs),
    /// Run a storage node, or start, stop and watch one in the background
    Node(DaemonArgs),
    /// Serve an existing FastDFS storage's files over HTTP, in place of nginx with its module
    Gateway(DaemonArgs),
    #[command(flatten)]
    Client(client::ClientCommand),
    CheckConfig(check_config::CheckArgs),
    Bench(bench::BenchArgs),
    Token(token::TokenArgs),
    InstallLinks(links::LinksArgs),
}

fn main() -> ExitCode {
    output::tell_panics_in_one_line();
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    if let Some(exit) = run_by_name(&program, arguments) {
        return exit;
    }
    match Cli::parse().command {
        Command::Tracker(args) => daemon::run(Kind::Tracker, &args),
        Command::Node(args) => daemon::run(Kind::Node, &args),
        Command::Gateway(args) => daemon::run(Kind::Gateway, &args),
        Command::Dev(args) => told(dev::run(&args)),
        Command::Client(command) => told(client::run(&command).map(|()| ExitCode::SUCCESS)),
        Command::Token(args) => told(token::run(&args).map(|()| ExitCode::SUCCESS)),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::InstallLinks(args) => told(links::run(&args).map(|()| ExitCode::SUCCESS)),
        Command::Bench(args) => told(bench::run(&args)),
    }
}

/// Called by the name of a program of FastDFS, `fdfs` is that program.
fn run_by_name(program: &OsStr, arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let name = Path::new(program).file_name()?.to_str()?;
    match name {
        "fdfs_trackerd" => Some(daemon::run_named(Kind::Tracker, arguments)),
        "fdfs_storaged" => Some(daemon::run_named(Kind::Node, arguments)),
        _ => fastdfs::run(program, arguments),
    }
}

/// An error is told once, here.
fn told(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        output::complain(format_args!("fdfs: {}", output::chain(&error)));
        ExitCode::FAILURE
    })
}
