//! Logs in FastDFS's form, `[2026-11-25 06:15:21] INFO - text`: to standard error in the foreground, to
//! `<base_path>/logs/` in the background. Lines are written as they come, so nothing is lost in a crash.

mod file;

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use chrono::Local;
use protocol::config::LogLevel;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;

pub(crate) use file::LogFile;

/// Where lines go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sink {
    /// The daemon's log.
    pub(crate) file: Option<Arc<LogFile>>,
    /// Whether standard error gets them too.
    pub(crate) stderr: bool,
}

/// Starts logging for the whole process. `FDFS_LOG` (debug, info, warn, error) goes before the configured level.
pub(crate) fn start(level: LogLevel, sink: Sink) {
    let (least, handle) = reload::Layer::new(filter(level));
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).event_format(FastdfsLine).with_writer(sink);
    let subscriber = tracing_subscriber::registry().with(least).with(lines);
    // A second start cannot happen: daemons start logging once.
    let _ = LEVEL.set(Box::new(move |level| {
        // Fails only when the subscriber is gone, and with it the log.
        let _ = handle.reload(filter(level));
    }));
    let _ = tracing::subscriber::set_global_default(subscriber);
    log_panics();
}

type SetLevel = Box<dyn Fn(LogLevel) + Send + Sync>;

/// Changes the level of the process's log.
static LEVEL: OnceLock<SetLevel> = OnceLock::new();

/// Changes the configured level; `FDFS_LOG` still goes before it.
pub(crate) fn set_level(level: LogLevel) {
    if let Some(set) = LEVEL.get() {
        set(level);
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    let asked = std::env::var("FDFS_LOG").ok().and_then(|text| LogLevel::parse(&text));
    match asked.unwrap_or(level) {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Notice | LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Critical => LevelFilter::ERROR,
    }
}

/// A panic is one line in the log; it ends a task, not the daemon.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("no message");
        tracing::error!("internal error{place}: {what}");
    }));
}

struct FastdfsLine;

impl<S, N> FormatEvent<S, N> for FastdfsLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = match *event.metadata().level() {
            Level::TRACE | Level::DEBUG => "DEBUG",
            Level::INFO => "INFO",
            Level::WARN => "WARNING",
            Level::ERROR => "ERROR",
        };
        write!(writer, "[{}] {level} - ", Local::now().format("%Y-%m-%d %H:%M:%S"))?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = &'a Sink;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(file) = &self.file {
            file.append(line);
        }
        if self.stderr {
            // There is nowhere left to say that standard error is closed.
            let _ = io::stderr().lock().write_all(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
