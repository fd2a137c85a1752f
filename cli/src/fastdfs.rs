//! The tools of FastDFS, called by their names: their arguments, their output, their streams.
//!
//! Where these are stricter than FastDFS:
//!
//! | case | FastDFS | here |
//! |---|---|---|
//! | `fdfs_download_file`, `fdfs_file_info`, `fdfs_monitor`, `fdfs_test` whose operation failed | exit 0 | exit with the errno |
//! | `fdfs_monitor conf delete` without a group | crashes | usage, exit 1 |
//! | `fdfs_monitor` with an unknown word | exit 0 | exit 22 |
//! | a file ID that is none | sent to the server | errno 22 at once |
//! | configuration errors | position in the C source | file and line of the configuration |

mod crc32;
mod file_info;
mod file_tools;
mod monitor;
mod test_tools;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use protocol::client::ClientError;
use protocol::config::ConfigError;
use protocol::{FileId, Status};

use crate::clock::local_time;
use crate::format::error_text;
use crate::output::{chain, complain, print};
use crate::session::Session;

/// Longest file ID that the tools take; the rest is cut.
const MAX_FILE_ID: usize = 127;

/// What a tool does.
type Run = fn(&Tool<'_>) -> ExitCode;

/// The tools, by name.
const TOOLS: &[(&str, Run)] = &[
    ("fdfs_upload_file", file_tools::upload_file),
    ("fdfs_upload_appender", file_tools::upload_appender),
    ("fdfs_append_file", file_tools::append_file),
    ("fdfs_download_file", file_tools::download_file),
    ("fdfs_delete_file", file_tools::delete_file),
    ("fdfs_regenerate_filename", file_tools::regenerate_filename),
    ("fdfs_file_info", file_info::run),
    ("fdfs_crc32", crc32::run),
    ("fdfs_monitor", monitor::run),
    ("fdfs_test", test_tools::test),
    ("fdfs_test1", test_tools::test1),
    ("fdfs_appender_test", test_tools::appender_test),
    ("fdfs_appender_test1", test_tools::appender_test1),
];

/// Names that a link to `fdfs` may have.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TOOLS.iter().map(|(name, _)| *name)
}

/// Runs the tool that was called by this path, if there is one.
pub(crate) fn run(program: &OsStr, arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let name = Path::new(program).file_name()?.to_str()?;
    let program = program.to_string_lossy();
    let (_, run) = TOOLS.iter().find(|(known, _)| *known == name)?;
    let arguments: Vec<String> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    Some(run(&Tool { name: &program, arguments: &arguments }))
}

/// A tool and what it was called with.
struct Tool<'a> {
    /// As it was called, for usage texts.
    name: &'a str,
    arguments: &'a [String],
}

impl Tool<'_> {
    fn argument(&self, index: usize) -> Option<&str> {
        self.arguments.get(index).map(String::as_str)
    }

    /// Usage on standard output, as most tools give it.
    fn usage(&self, arguments: &str) -> ExitCode {
        print(format_args!("Usage: {} {arguments}", self.name));
        ExitCode::FAILURE
    }

    /// A client as the configuration file says.
    fn session(&self, conf: &str) -> Result<Session, Failure> {
        Session::of_conf(Path::new(conf)).map_err(|error| {
            log_error(format_args!("{}", one_line(&error)));
            Failure(error.exit_code())
        })
    }

    /// The local file's last name, for usage texts and extensions.
    fn file_id(&self, text: &str) -> Result<FileId, Failure> {
        let mut end = text.len().min(MAX_FILE_ID);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        FileId::parse(&text[..end]).map_err(|_| Failure(Status::EINVAL.0))
    }
}

/// An errno: what a tool prints and exits with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Failure(u8);

impl Failure {
    /// `<what> fail, error no: 2, error info: No such file or directory`
    fn line(self, what: impl fmt::Display) -> String {
        format!("{what} fail, error no: {}, error info: {}", self.0, error_text(self.0))
    }

    fn exit(self) -> ExitCode {
        // A failure never looks like success.
        ExitCode::from(if self.0 == 0 { Status::EIO.0 } else { self.0 })
    }

    /// Says on standard output what failed.
    fn told_out(self, what: impl fmt::Display) -> ExitCode {
        print(format_args!("{}", self.line(what)));
        self.exit()
    }

    /// Says on standard error what failed.
    fn told_err(self, what: impl fmt::Display) -> ExitCode {
        complain(format_args!("{}", self.line(what)));
        self.exit()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let errno = error.errno();
        // FastDFS's library has a line of its own for this, beside the tool's.
        log_error(format_args!("{}", chain(&error.into())));
        Self(errno)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(Status::from_io(&error).0)
    }
}

fn one_line(error: &ConfigError) -> String {
    let text = match error {
        ConfigError::Read { source, .. } => format!("{error}: {source}"),
        ConfigError::Refused { .. } | ConfigError::Disabled { .. } => error.to_string(),
    };
    text.replace('\n', "; ")
}

/// A line as FastDFS's library writes it.
fn log_error(text: fmt::Arguments<'_>) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_secs()).unwrap_or(0);
    complain(format_args!("[{}] ERROR - {text}", local_time(now)));
}
