//! `fdfs bench`: loads a server of either kind, FastDFS's or ours, native or HTTP, and says how it fared.
//!
//! It shares its machine with the server that it measures, so it is made to cost little: see [`engine`].

mod engine;
mod histogram;
mod http;
mod native;
mod report;
mod work;

use std::fs;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use clap::{Args, ValueEnum};
use protocol::{FileId, GroupName, HostPort};
use rustix::time::{ClockId, clock_gettime};

use crate::output::{complain, print};
use engine::{Plan, Tally, Work};
use http::Http;
use native::{Native, find_storage};
use report::{Report, Setting};
use work::{Dialect, Ids, Made, Order, Prepared, Uploads};

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Op {
    /// Upload new files.
    Upload,
    /// Download files, made before or named by --ids.
    Download,
    /// Ask a tracker where to upload, or where --file is.
    Query,
    /// Delete files, made before or named by --ids.
    Delete,
}

impl Op {
    fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Query => "query",
            Self::Delete => "delete",
        }
    }
}

/// Load a server and print operations per second, throughput, latencies and errors
///
/// The server may be FastDFS's or ours. With --native and --http together, files are made by the native protocol and
/// the measured requests go by HTTP. Exit code 1 if any request failed.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// What to measure
    op: Op,
    /// Native address of a tracker or, except for query, of a storage
    #[arg(long, value_name = "HOST:PORT")]
    native: Option<String>,
    /// HTTP address, such as http://127.0.0.1:8888; uploads go to /v1/files unless it has a path
    #[arg(long, value_name = "URL")]
    http: Option<String>,
    /// Bytes of each file; K, M and G are powers of 1024
    #[arg(long, value_name = "BYTES", default_value = "4K", value_parser = parse_size)]
    size: usize,
    /// Connections, each with one request under way
    #[arg(short, long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Time to measure
    #[arg(short, long, value_name = "SECONDS", default_value_t = 10.0)]
    seconds: f64,
    /// Time to load before measuring
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    warmup: f64,
    /// Stop after this many requests instead of after a time
    #[arg(long, value_name = "N")]
    requests: Option<u64>,
    /// Files to make first for download and delete
    #[arg(long, value_name = "N", default_value_t = 1000)]
    files: u64,
    /// File with one file ID a line to download or delete, instead of making files
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// Write the IDs of uploaded files here
    #[arg(long, value_name = "FILE")]
    keep_ids: Option<PathBuf>,
    /// File that query asks for; without it, query asks where to upload
    #[arg(long, value_name = "FILE_ID")]
    file: Option<FileId>,
    /// Group to upload to
    #[arg(long, value_name = "GROUP", value_parser = |text: &str| GroupName::parse(text))]
    group: Option<GroupName>,
    /// Delete the files that this run uploaded
    #[arg(long)]
    delete_after: bool,
    /// Threads of the load generator; one loads most servers
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the load and prints the report.
pub(crate) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let native = args.native.as_deref().map(|text| native_side(args, text)).transpose()?;
    let http = args.http.as_deref().map(Http::parse).transpose()?;
    match (native, http) {
        (None, None) => bail!("give the server to load: --native HOST:PORT or --http URL"),
        (Some((native, target)), None) => {
            let side = Side { dialect: &native, target, protocol: "native" };
            measure(args, &side, &side)
        }
        (None, Some(http)) => {
            let side = Side { dialect: &http, target: http.address, protocol: "http" };
            measure(args, &side, &side)
        }
        (Some((native, target)), Some(http)) => {
            let maker = Side { dialect: &native, target, protocol: "native" };
            measure(args, &maker, &Side { dialect: &http, target: http.address, protocol: "http" })
        }
    }
}

/// A server and how to talk to it.
struct Side<'a, D> {
    dialect: &'a D,
    target: SocketAddr,
    protocol: &'static str,
}

fn native_side(args: &BenchArgs, text: &str) -> anyhow::Result<(Native, SocketAddr)> {
    const TRACKER_PORT: u16 = 22122;
    let server = HostPort::parse(text, TRACKER_PORT)?;
    let mut found = (server.host.as_str(), server.port)
        .to_socket_addrs()
        .with_context(|| format!("looking up '{}'", server.host))?;
    let address = found.next().with_context(|| format!("'{}' has no address", server.host))?;
    if args.op == Op::Query {
        return Ok((Native { place: None }, address));
    }
    let place = find_storage(address, args.group)?;
    Ok((Native { place: Some(place) }, place.storage))
}

fn measure<M: Dialect + Sync, D: Dialect + Sync>(
    args: &BenchArgs,
    maker: &Side<'_, M>,
    side: &Side<'_, D>,
) -> anyhow::Result<ExitCode> {
    let content = content(args.size);
    let limit = args.requests.unwrap_or(u64::MAX);
    let mut made = Vec::new();
    let cpu_before;
    let tally = match args.op {
        Op::Upload => {
            let keeps = args.delete_after || args.keep_ids.is_some();
            let ids = if keeps { Ids::Keep } else { Ids::Drop };
            cpu_before = cpu_time();
            let (tally, uploads) =
                load(args, side, limit, |_, count| Uploads::new(side.dialect, &content, count, ids))?;
            made.extend(uploads.into_iter().flat_map(|work| work.made));
            tally
        }
        Op::Download | Op::Delete => {
            made = files_to_use(args, maker, &content)?;
            let once = args.op == Op::Delete;
            let request = |file| if once { side.dialect.delete(file) } else { side.dialect.download(file) };
            let requests: Vec<Bytes> = made.iter().map(request).collect();
            let order = if once { Order::Once } else { Order::Random };
            cpu_before = cpu_time();
            prepared(args, side, requests, order, limit)?
        }
        Op::Query => {
            let request = side.dialect.query(args.group, args.file.as_ref())?;
            cpu_before = cpu_time();
            prepared(args, side, vec![request], Order::Random, limit)?
        }
    };
    let cpu = cpu_time().saturating_sub(cpu_before);
    if let Some(path) = &args.keep_ids {
        let lines: String = made.iter().map(|file| format!("{}\n", file.id)).collect();
        fs::write(path, lines).with_context(|| format!("writing {}", path.display()))?;
    }
    let sized = matches!(args.op, Op::Upload | Op::Download) && args.ids.is_none();
    let setting = Setting {
        op: args.op.name(),
        protocol: side.protocol,
        target: side.target.to_string(),
        size: sized.then_some(args.size as u64),
        connections: args.connections.into(),
    };
    let report = Report::new(setting, &tally, cpu);
    if args.json {
        print(format_args!("{}", serde_json::to_string(&report)?));
    } else {
        print(format_args!("{}", report.text()));
    }
    if args.delete_after && args.op != Op::Delete && args.ids.is_none() {
        delete_all(args, maker, &made)?;
    }
    Ok(if report.errors == 0 && report.ops > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The files to read or delete: those named by `--ids`, or new ones.
fn files_to_use<D: Dialect>(
    args: &BenchArgs,
    side: &Side<'_, D>,
    content: &[u8],
) -> anyhow::Result<Vec<Made>> {
    if let Some(path) = &args.ids {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let parse = |line: &str| FileId::parse(line).map(|id| Made { id }).with_context(|| line.to_owned());
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let made = lines.map(parse).collect::<anyhow::Result<Vec<_>>>()?;
        if made.is_empty() {
            bail!("{} names no file", path.display());
        }
        return Ok(made);
    }
    let mut uploads = Uploads::new(side.dialect, content, args.files.max(1), Ids::Keep);
    let tally = engine::run(&mut uploads, &plan(side.target, args.connections.into(), None, args))?;
    let failed = tally.error_count();
    if uploads.made.is_empty() || failed > 0 {
        let kinds: Vec<String> =
            tally.errors.iter().map(|(kind, count)| format!("{count} x {kind}")).collect();
        bail!("cannot make files on {}: {failed} uploads failed ({})", side.target, kinds.join(", "));
    }
    Ok(uploads.made)
}

fn delete_all<D: Dialect>(args: &BenchArgs, side: &Side<'_, D>, made: &[Made]) -> anyhow::Result<()> {
    let requests = Arc::new(made.iter().map(|file| side.dialect.delete(file)).collect());
    let mut work = Prepared::new(side.dialect, requests, Order::Once, made.len() as u64);
    let tally = engine::run(&mut work, &plan(side.target, args.connections.into(), None, args))?;
    if tally.error_count() > 0 {
        complain(format_args!("fdfs bench: {} of {} deletes failed", tally.error_count(), made.len()));
    }
    Ok(())
}

fn prepared<D: Dialect + Sync>(
    args: &BenchArgs,
    side: &Side<'_, D>,
    requests: Vec<Bytes>,
    order: Order,
    limit: u64,
) -> anyhow::Result<Tally> {
    let limit = if order == Order::Once { limit.min(requests.len() as u64) } else { limit };
    let requests = Arc::new(requests);
    let make = |first: u64, count| {
        let requests = Arc::clone(&requests);
        Prepared::new(side.dialect, requests, order, count).starting_at(usize::try_from(first).unwrap_or(0))
    };
    Ok(load(args, side, limit, make)?.0)
}

/// Runs one work per thread, each with its share of connections and requests: `make(first, count)`.
fn load<D: Dialect + Sync, W: Work + Send>(
    args: &BenchArgs,
    side: &Side<'_, D>,
    limit: u64,
    make: impl Fn(u64, u64) -> W,
) -> anyhow::Result<(Tally, Vec<W>)> {
    let threads = args.threads.min(args.connections);
    let time = args.requests.is_none() && args.op != Op::Delete;
    let time = if time { Some(duration(args.seconds)?) } else { None };
    let mut works = Vec::new();
    let mut shares = Vec::new();
    let mut first = 0;
    for index in 0..threads {
        let share = |all: u64| {
            let (each, rest) = (all / u64::from(threads), all % u64::from(threads));
            each + u64::from(u64::from(index) < rest)
        };
        let count = share(limit);
        works.push(make(first, count));
        first += count;
        shares.push(usize::try_from(share(args.connections.into()))?);
    }
    let tallies: Vec<std::io::Result<Tally>> = std::thread::scope(|scope| {
        let running: Vec<_> = works
            .iter_mut()
            .zip(shares)
            .map(|(work, share)| {
                let plan = plan(side.target, share, time, args);
                scope.spawn(move || engine::run(work, &plan))
            })
            .collect();
        let lost = |_| Err(std::io::Error::other("a thread of the load generator panicked"));
        running.into_iter().map(|thread| thread.join().unwrap_or_else(lost)).collect()
    });
    let mut sum: Option<Tally> = None;
    for tally in tallies {
        let tally = tally.with_context(|| format!("loading {}", side.target))?;
        match &mut sum {
            Some(sum) => sum.merge(tally),
            None => sum = Some(tally),
        }
    }
    Ok((sum.context("no threads")?, works))
}

fn plan(target: SocketAddr, connections: usize, time: Option<Duration>, args: &BenchArgs) -> Plan {
    let warmup = time.and_then(|_| duration(args.warmup).ok()).unwrap_or_default();
    Plan { target, connections, time, warmup }
}

fn duration(seconds: f64) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(seconds).with_context(|| format!("{seconds} is no number of seconds"))
}

/// Bytes that do not compress, the same in each run.
fn content(size: usize) -> Vec<u8> {
    let mut content = vec![0; size];
    fastrand::Rng::with_seed(1).fill(&mut content);
    content
}

/// Processor time of this process so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn parse_size(text: &str) -> Result<usize, String> {
    let wrong = || format!("'{text}' is no size; write digits and K, M or G");
    let (digits, unit) = match text.trim_end_matches(['B', 'b']) {
        rest if rest.ends_with(['K', 'k']) => (&rest[..rest.len() - 1], 1 << 10),
        rest if rest.ends_with(['M', 'm']) => (&rest[..rest.len() - 1], 1 << 20),
        rest if rest.ends_with(['G', 'g']) => (&rest[..rest.len() - 1], 1 << 30),
        rest => (rest, 1),
    };
    let number: usize = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(unit).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("4K", Some(4096)),
            ("64k", Some(65536)),
            ("1MB", Some(1 << 20)),
            ("5G", Some(5 << 30)),
            ("K", None),
            ("-1", None),
            ("4KK", None),
        ] {
            assert_eq!(parse_size(text).ok(), expected, "{text}");
        }
    }
}
