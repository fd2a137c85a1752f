//! The load generators, and what one run of one of them says.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::files::Store;
use crate::lean;
use crate::server::{Cores, Server, is_on_path};

/// How a server is loaded.
pub(crate) enum Load {
    /// HTTP/1.1 by wrk, each connection with the next request after each answer.
    Wrk { connections: u32, header: Option<&'static str> },
    /// HTTP/1.1 as by wrk, but bodies are thrown away unseen.
    Lean { connections: usize },
    /// HTTP/2 by h2load, each connection with so many requests at once.
    H2load { connections: u32, streams: u32 },
}

/// What is asked for.
pub(crate) enum Request {
    /// This URL.
    One(String),
    /// Paths out of a file, at random, under this URL.
    OneOf(String, PathBuf),
}

/// What one run says.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) requests_per_second: f64,
    pub(crate) mebibytes_per_second: f64,
    /// Milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Requests without the right answer.
    pub(crate) errors: f64,
    /// Seconds of processor time of the server per second.
    pub(crate) busy: f64,
}

/// Prints in a line what the table needs; asks for random paths if it is given a file of them.
const SCRIPT: &str = r#"
local requests = {}
local count = 0

function init(args)
  if args[1] == nil then return end
  math.randomseed(os.time())
  for path in io.lines(args[1]) do
    count = count + 1
    requests[count] = wrk.format("GET", path)
  end
  request = function() return requests[math.random(count)] end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("result %d %d %d %d %d %d\n", summary.duration, summary.requests, summary.bytes,
    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
"#;

impl Load {
    /// Why this load cannot be made here.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        match self {
            Self::Wrk { .. } => (!is_on_path("wrk")).then_some("wrk is not on the PATH"),
            Self::Lean { .. } => None,
            Self::H2load { .. } => (!is_on_path("h2load"))
                .then_some("h2load is not on the PATH; Debian has it in nghttp2-client"),
        }
    }

    /// Loads the server for so long.
    pub(crate) fn run(
        &self,
        server: &Server,
        request: &Request,
        store: &Store,
        cores: &Cores,
        time: Duration,
    ) -> Sample {
        let (used, start) = (server.used(), Instant::now());
        let sample = match (self, request) {
            (Self::Wrk { connections, header }, _) => {
                said(cores, &wrk(*connections, *header, request, store, time), wrk_result)
            }
            (Self::H2load { connections, streams }, Request::One(url)) => {
                said(cores, &h2load(*connections, *streams, url, time), h2load_result)
            }
            (Self::Lean { connections }, Request::One(url)) => lean::run(url, *connections, time, cores.load),
            (_, Request::OneOf(..)) => panic!("only wrk has random paths"),
        };
        let busy = (server.used() - used).as_secs_f64() / start.elapsed().as_secs_f64();
        Sample { busy, ..sample }
    }
}

/// What a generator says.
fn said(cores: &Cores, command: &Command, read: fn(&str) -> Option<Sample>) -> Sample {
    let output = cores.load(command).output().expect("the generator was there at the start");
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    read(&text).unwrap_or_else(|| panic!("{command:?} says: {text}{error}"))
}

fn wrk(connections: u32, header: Option<&str>, request: &Request, store: &Store, time: Duration) -> Command {
    let script = store.dir.path().join("wrk.lua");
    std::fs::write(&script, SCRIPT).expect("the scratch directory can be written");
    // wrk takes whole seconds.
    let seconds = time.as_secs().max(1);
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}"), "--timeout", "30", "-s"]);
    command.arg(script);
    if let Some(header) = header {
        command.args(["-H", header]);
    }
    match request {
        Request::One(url) => command.arg(url),
        Request::OneOf(url, paths) => command.arg(url).arg("--").arg(paths),
    };
    command
}

fn wrk_result(text: &str) -> Option<Sample> {
    let line = text.lines().find_map(|line| line.strip_prefix("result "))?;
    let numbers: Vec<f64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [microseconds, requests, bytes, p50, p99, errors] = numbers[..] else { return None };
    let seconds = microseconds / 1e6;
    Some(Sample {
        requests_per_second: requests / seconds,
        mebibytes_per_second: bytes / f64::from(1 << 20) / seconds,
        p50: p50 / 1e3,
        p99: p99 / 1e3,
        errors,
        busy: 0.0,
    })
}

fn h2load(connections: u32, streams: u32, url: &str, time: Duration) -> Command {
    let mut command = Command::new("h2load");
    command.args(["-t1", &format!("-c{connections}"), &format!("-m{streams}")]);
    command.args(["-D", &time.as_secs().max(1).to_string(), url]);
    command
}

/// Lines like `finished in 1.00s, 60132.00 req/s, 248.20MB/s`; `requests: ... 12 failed, ...`; `time for request: MIN MAX
/// MEAN ...`. It has no percentiles.
fn h2load_result(text: &str) -> Option<Sample> {
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    let finished = line("finished in ")?;
    let mut words = finished.split(", ");
    let requests_per_second = words.nth(1)?.strip_suffix(" req/s")?.parse().ok()?;
    let rate = words.next()?;
    let (number, factor) = [("GB/s", 1024.0), ("MB/s", 1.0), ("KB/s", 1.0 / 1024.0)]
        .into_iter()
        .find_map(|(unit, factor)| Some((rate.strip_suffix(unit)?, factor)))?;
    let number: f64 = number.parse().ok()?;
    let failed = line("requests: ")?.split(", ").find_map(|part| part.strip_suffix(" failed"));
    Some(Sample {
        requests_per_second,
        mebibytes_per_second: number * factor,
        p50: f64::NAN,
        p99: f64::NAN,
        errors: failed?.parse().ok()?,
        busy: 0.0,
    })
}
