//! `fdfs_trackerd` and `fdfs_storaged`: FastDFS's arguments, with options anywhere.
//!
//! Where these are stricter than FastDFS:
//!
//! | case | FastDFS | here |
//! |---|---|---|
//! | unknown option, no configuration, too many words | usage, exit 0 | usage, exit 1 |
//! | storage cannot start | parent exits 0, reason in the log only | reason on standard error, exit not 0 |
//! | `-N` | standard error goes into the log file | logs to both |
//! | relative configuration path of a storage | fails after the parent has returned 0 | works |
//! | file mode mask | 0, so files may be writable for all | as inherited |

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{Action, Daemon, Kind, Place};
use crate::output::{complain, print};

const EXIT_USAGE: u8 = 1;
const EXIT_BAD_ACTION: u8 = 22;
/// FastDFS version that the daemons behave like.
const FASTDFS_VERSION: &str = "6.16.1";

/// What was asked.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Version,
    Help,
    Nothing,
    Wrong(String),
    BadAction(String),
    Run { conf: PathBuf, action: Action, no_daemon: bool },
}

/// Runs the daemon under its FastDFS name.
pub(crate) fn run(kind: Kind, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let name = kind.fastdfs_name();
    match parse(arguments) {
        Asked::Version => {
            let own = env!("CARGO_PKG_VERSION");
            print(format_args!("\n{name} V{FASTDFS_VERSION} (fdfs {own})\n"));
            ExitCode::SUCCESS
        }
        Asked::Help => {
            usage(name);
            ExitCode::SUCCESS
        }
        Asked::Nothing => {
            usage(name);
            ExitCode::from(EXIT_USAGE)
        }
        Asked::Wrong(why) => {
            complain(format_args!("Error: {why}"));
            usage(name);
            ExitCode::from(EXIT_USAGE)
        }
        Asked::BadAction(word) => {
            complain(format_args!("invalid action: {word}"));
            usage(name);
            ExitCode::from(EXIT_BAD_ACTION)
        }
        Asked::Run { conf, action, no_daemon } => {
            let daemon = Daemon { kind, name, conf: &conf };
            match action {
                Action::Start if no_daemon => daemon.serve(Place::ForegroundWithFile),
                action => daemon.act(Some(action)),
            }
        }
    }
}

fn parse(arguments: impl Iterator<Item = OsString>) -> Asked {
    let mut words = Vec::new();
    let mut no_daemon = false;
    for argument in arguments {
        match argument.to_str() {
            Some("-N" | "--no-daemon") => no_daemon = true,
            Some("-V" | "--version") => return Asked::Version,
            Some("-h" | "--help") => return Asked::Help,
            Some(option) if option.starts_with('-') => {
                return Asked::Wrong(format!("unknown option {option}"));
            }
            _ => words.push(argument),
        }
    }
    let mut words = words.into_iter();
    let Some(conf) = words.next() else {
        return if no_daemon { Asked::Wrong("no configuration file".to_owned()) } else { Asked::Nothing };
    };
    let action = match words.next() {
        None => Action::Start,
        Some(word) => match word.to_str() {
            Some("start") => Action::Start,
            Some("stop") => Action::Stop,
            Some("restart") => Action::Restart,
            Some("status") => Action::Status,
            // Not FastDFS's.
            Some("reload") => Action::Reload,
            Some("reopen") => Action::Reopen,
            _ => return Asked::BadAction(word.to_string_lossy().into_owned()),
        },
    };
    match words.next() {
        Some(word) => Asked::Wrong(format!("too many arguments: {}", word.to_string_lossy())),
        None => Asked::Run { conf: conf.into(), action, no_daemon },
    }
}

fn usage(name: &str) {
    complain(format_args!(
        "Usage: {name} [options] <config_file> [start|stop|restart|status|reload|reopen]\n\n\
         options:\n\
         \x20 -N | --no-daemon: run in the foreground, logging to standard error too\n\
         \x20 -V | --version: show version information\n\
         \x20 -h | --help: for this usage\n"
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_of(conf: &str, action: Action, no_daemon: bool) -> Asked {
        Asked::Run { conf: conf.into(), action, no_daemon }
    }

    #[test]
    fn options_stand_anywhere() {
        let check = |line: &str, expected: Asked| {
            assert_eq!(parse(line.split_whitespace().map(OsString::from)), expected, "{line}");
        };
        check("", Asked::Nothing);
        check("t.conf", run_of("t.conf", Action::Start, false));
        check("t.conf -N", run_of("t.conf", Action::Start, true));
        check("--no-daemon t.conf start", run_of("t.conf", Action::Start, true));
        check("t.conf status", run_of("t.conf", Action::Status, false));
        check("t.conf restart -V", Asked::Version);
        check("-h", Asked::Help);
        check("t.conf reload", run_of("t.conf", Action::Reload, false));
        check("t.conf again", Asked::BadAction("again".to_owned()));
        check("-x t.conf", Asked::Wrong("unknown option -x".to_owned()));
        check("-N", Asked::Wrong("no configuration file".to_owned()));
        check("t.conf stop now", Asked::Wrong("too many arguments: now".to_owned()));
    }
}
