//! Logs in FastDFS's form, `[2026-11-25 06:15:21] INFO - text`: to standard error in the foreground, to
//! `<base_path>/logs/` in the background. Lines are written as they come, so nothing is lost in a crash.

mod file;

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use chrono::Local;
use protocol::config::LogLevel;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

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
    let asked = std::env::var("FDFS_LOG").ok().and_then(|text| LogLevel::parse(&text));
    let filter = match asked.unwrap_or(level) {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Notice | LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Critical => LevelFilter::ERROR,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(filter)
        .with_ansi(false)
        .event_format(FastdfsLine)
        .with_writer(sink)
        .finish();
    // A second start cannot happen: daemons start logging once.
    let _ = tracing::subscriber::set_global_default(subscriber);
    log_panics();
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
