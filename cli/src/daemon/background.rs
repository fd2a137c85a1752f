//! Starting in the background: the program runs itself again as a child in a session of its own, and waits until the
//! child serves. So errors appear on the terminal and in the exit code, which FastDFS's storage does not manage: its
//! parent returns 0 before the configuration is read.
//!
//! The child inherits standard error for the time of its start, and tells by one line on standard output that it is
//! ready. No fork: a forked copy of a process must not have threads, a child of its own program need not care.

use std::fs::File;
use std::io::{self, Read, Write, pipe};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use rustix::process::{chdir, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

const CHILD: &str = "FDFS_BACKGROUND_CHILD";
const READY: &[u8] = b"ready\n";

/// Whether this process is the child of [`start`].
pub(super) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Runs this program with the same arguments in the background; ends when it serves or has failed.
pub(super) fn start() -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("cannot find the program's own file")?;
    let (mut reader, writer) = pipe().context("cannot make a pipe")?;
    let mut arguments = std::env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        // FastDFS's tools know a daemon by this name.
        command.arg0(name);
    }
    command.args(arguments).env(CHILD, "1").stdin(Stdio::null()).stdout(writer);
    let mut child = command.spawn().context("cannot start the background process")?;
    // It holds the pipe's other end.
    drop(command);
    let mut told = Vec::new();
    reader.read_to_end(&mut told).context("cannot hear from the background process")?;
    if told == READY {
        return Ok(ExitCode::SUCCESS);
    }
    let status = child.wait().context("cannot wait for the background process")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0);
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// Leaves the terminal's session and directory. Standard error stays until [`report_ready`].
pub(super) fn detach() -> anyhow::Result<()> {
    setsid().context("cannot leave the terminal's session")?;
    chdir("/").context("cannot leave the current directory")
}

/// Tells the parent, then lets go of the terminal.
pub(super) fn report_ready() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    // A parent that is gone needs no answer.
    let _ = out.write_all(READY).and_then(|()| out.flush());
    let null = File::options().read(true).write(true).open("/dev/null").context("cannot open /dev/null")?;
    dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).and_then(|()| dup2_stderr(&null))?;
    Ok(())
}
