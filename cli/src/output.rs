//! Where text goes: results to standard output, complaints to standard error. Neither can fail in a way that anybody
//! would be told about, so a closed pipe ends the process quietly.

use std::fmt;
use std::io::{self, Write};

/// Prints a result.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let mut out = io::stdout().lock();
    if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

/// Prints a complaint or a notice.
pub(crate) fn complain(text: fmt::Arguments<'_>) {
    // There is nowhere left to say that standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A panic of a command is one line; its exit code is Rust's, 101. Daemons log theirs.
pub(crate) fn tell_panics_in_one_line() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
        let what = panic.payload_as_str().unwrap_or("no message");
        complain(format_args!("fdfs: internal error{place}: {what}"));
    }));
}
