//! The `fdfs` binary: daemons, client tools and the load generator.

mod bench;
mod output;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A FastDFS-compatible file store: tracker, node, client tools and load generator.
#[derive(Debug, Parser)]
#[command(name = "fdfs", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Bench(args) => bench::run(&args),
    };
    outcome.unwrap_or_else(|error| {
        output::complain(format_args!("fdfs: {error:#}"));
        ExitCode::FAILURE
    })
}
